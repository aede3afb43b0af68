//! What a pass works on, and how its memory is fetched ahead of the visits.

use std::ops::Range;

use crate::data::{Cache, MEMORY_BYTES};
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

/// How many visits before its turn a row is asked for.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// Its place, and its part of the update's tables.
    place: usize,
    /// Its features and values, into the first cache.
    first: usize,
    /// And before that into the second, if they come from memory.
    second: Option<usize>,
}

impl Ahead {
    pub fn of(problem: &Problem) -> Self {
        let n_nonzeros = problem.data().n_nonzeros().min(problem.rows().indices().len()); // of a part, or of copies
        if n_nonzeros * problem.rows().bytes_a_nonzero() < MEMORY_BYTES {
            Self { place: 16, first: 6, second: None }
        } else {
            Self { place: 24, first: 3, second: Some(12) }
        }
    }

    /// Asks for what visits to come will need of the rows: `to_come(k)` is visited k visits from now. Tells whose place was
    /// asked for.
    #[inline(always)]
    pub fn prefetch(self, problem: &Problem, to_come: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        let far = to_come(self.place);
        if let Some(i) = far {
            problem.rows().prefetch_place(i);
        }
        if let Some(i) = self.second.and_then(&to_come) {
            problem.rows().prefetch(Cache::Second, i);
        }
        if let Some(i) = to_come(self.first) {
            problem.rows().prefetch(Cache::First, i);
        }
        far
    }
}

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

    /// Asks for the memory that visits to come will need: `to_come(k)` is visited k visits from now.
    #[inline(always)]
    pub(super) fn prefetch<F: Float, U: Update<F>>(self, update: &U, ahead: Ahead, to_come: impl Fn(usize) -> Option<usize>) {
        if let Some(i) = ahead.prefetch(self.problem, to_come) {
            update.prefetch(i);
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

    /// The visits of some places of the order; the memory that they and the next ones will need is asked for some visits before.
    pub(super) fn visits<F: Float, U: Update<F>>(self, update: &'a U, places: Range<usize>) -> impl Iterator<Item = Visit> + 'a {
        self.visits_with(update, places, move |place| self.order.row(place))
    }

    /// The same, where the place that is visited after the last of them is `then`.
    pub(super) fn visits_before<F: Float, U: Update<F>>(
        self,
        update: &'a U,
        places: Range<usize>,
        then: Option<usize>,
    ) -> impl Iterator<Item = Visit> + 'a {
        let end = places.end;
        self.visits_with(update, places, move |place| match place.checked_sub(end) {
            None => self.order.row(place),
            Some(beyond) => self.order.row(then? + beyond),
        })
    }

    /// The visits of these places; `row` tells which row is visited at one of them, or later.
    #[inline(always)]
    fn visits_with<F: Float, U: Update<F>>(
        self,
        update: &'a U,
        places: Range<usize>,
        row: impl Fn(usize) -> Option<usize> + 'a,
    ) -> impl Iterator<Item = Visit> + 'a {
        self.read_ahead(&places);
        let ahead = Ahead::of(self.problem);
        places.clone().zip(self.order.visits(places)).map(move |(place, visit)| {
            self.prefetch(update, ahead, |k| row(place + k));
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
