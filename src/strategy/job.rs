//! What a pass works on, and how its memory is fetched ahead of the visits.

use std::ops::Range;

use crate::problem::Problem;
use crate::strategy::order::{WINDOW_ROWS, window_of};
use crate::strategy::{Order, Watch};
use crate::sync::Float;
use crate::threads::Team;
use crate::update::{Update, Visit};
use crate::weights::Weights;

/// What a pass works on.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// What is minimised.
    pub problem: &'a Problem<'a>,
    /// Who works.
    pub team: &'a Team,
    /// The order of this epoch.
    pub order: &'a Order,
    /// Who looks on: told of every step.
    pub watch: &'a Watch,
}

/// So many visits before its turn a row's place in memory and its part of the update's tables are asked for ...
pub(super) const FAR: usize = 16;
/// ... and so many before, its features and values.
pub(super) const NEAR: usize = 6;

/// A worker who is alone looks up so often whether the run is cancelled.
const CANCEL_ROWS: usize = 1024;

impl<'a> Job<'a> {
    /// A worker's step on the weights that all see.
    #[inline(always)]
    pub(super) fn step<F: Float, U: Update<F>, W: Weights<F>>(self, worker: usize, update: &U, visit: Visit, w: W, step_size: F) {
        let seen = self.watch.reads(worker);
        update.step(self.problem, visit, w, step_size);
        self.watch.wrote(worker, seen);
    }

    /// Asks for the memory that visits of these rows will need: of one soon, of the other later.
    #[inline(always)]
    pub(super) fn prefetch<F: Float, U: Update<F>>(self, update: &U, near: Option<usize>, far: Option<usize>) {
        let rows = self.problem.rows();
        if let Some(i) = far {
            rows.prefetch_place(i);
            update.prefetch(i);
        }
        if let Some(i) = near {
            rows.prefetch(i);
        }
    }

    /// Has the windows after these places brought into memory, where they are read from disk.
    pub(super) fn read_ahead(self, places: &Range<usize>) {
        let data = self.problem.data();
        if data.is_streamed()
            && let Some(i) = self.order.row(places.end)
        {
            let window = window_of(i);
            data.read_ahead(window..window + WINDOW_ROWS + WINDOW_ROWS.max(places.len()));
        }
    }

    /// The visits of some places of the order; the memory that they will need is asked for some visits before.
    pub(super) fn visits<F: Float, U: Update<F>>(self, update: &'a U, places: Range<usize>) -> impl Iterator<Item = Visit> + 'a {
        self.read_ahead(&places);
        let ahead = move |place: usize| self.prefetch(update, self.order.row(place + NEAR), self.order.row(place + FAR));
        places.clone().zip(self.order.visits(places)).map(move |(place, visit)| {
            ahead(place);
            visit
        })
    }

    /// The first worker's steps at these places, nobody beside him, as long as the run is not cancelled.
    pub(super) fn alone<F: Float, U: Update<F>, W: Weights<F>>(self, update: &U, places: Range<usize>, w: W, step_size: F) {
        for start in places.clone().step_by(CANCEL_ROWS).take_while(|_| !self.team.cancelled()) {
            for visit in self.visits(update, start..(start + CANCEL_ROWS).min(places.end)) {
                self.step(0, update, visit, w, step_size);
            }
        }
    }
}
