//! Hogwild! with private copies of the hot features ([`crate::weights::Replicated`]): workers take rows and step, each on a
//! view of his own, and merge what they changed every few rows. The head is as large, and merges are as frequent, as costs a
//! small part of the time.
//!
//! Every merge is scaled by a line search along the dual, so that it climbs ([`crate::strategy::climb`]). Of |C|^2 only the head
//! is known there, which shortens t; what meets in the tail is not searched.
//!
//! Merging private changes is SySCD's (Ioannou, Mendler-Duenner and Parnell, NeurIPS 2019) and CoCoA+'s (Ma et al., ICML
//! 2015) idea; there all workers meet at a barrier, here each comes when it suits him.

use std::cell::Cell;
use std::ops::Range;

use crate::problem::Problem;
use crate::strategy::climb::{Climb, FEATURE_COST, FEWEST_ROWS, MERGE_SHARE, scale};
use crate::strategy::crew::Crew;
use crate::strategy::{Job, Pass};
use crate::sync::{Float, Mutex};
use crate::threads::Ticket;
use crate::update::Update;
use crate::weights::{Replica, Replicated};

/// Merges of each worker in an epoch that are wanted at least: the head is cut where they would cost more.
const MERGES_WANTED: f64 = 24.0;
/// A head this small is merged in a microsecond, and is never cut.
const FEWEST_FEATURES: usize = 1024;

/// Private heads, merged.
pub struct Replicate<F> {
    replicas: Vec<Mutex<Replica<F>>>,
    crew: Crew,
    n_head: usize,
}

impl<F> Default for Replicate<F> {
    /// Sizes are chosen when the number of workers is known.
    fn default() -> Self {
        Self { replicas: Vec::new(), crew: Crew::new(1), n_head: 0 }
    }
}

/// How many features are private. All, where they do not come hot first or nobody else is there.
fn n_head(problem: &Problem, n_workers: usize) -> usize {
    let data = problem.data();
    let affordable = MERGE_SHARE * data.n_nonzeros() as f64 / (FEATURE_COST * MERGES_WANTED * n_workers as f64);
    match n_workers {
        2.. if data.is_shuffled() => data.n_features().min(FEWEST_FEATURES.max(affordable as usize)),
        _ => data.n_features(),
    }
}

impl<F: Float, U: Update<F>> Pass<F, U> for Replicate<F> {
    type Memory = Replicated<F>;

    fn pass(&mut self, job: Job<'_>, update: &U, shared: &mut Replicated<F>, step_size: F) {
        let Job { problem, team, order, .. } = job;
        if self.replicas.len() != team.n_workers() {
            self.replicas = (0..team.n_workers()).map(|_| Mutex::default()).collect();
            self.crew = Crew::new(team.n_workers());
            self.n_head = n_head(problem, team.n_workers());
            shared.set_head(self.n_head);
        }
        let row_length = problem.data().n_nonzeros() as f64 / problem.n_rows() as f64;
        let rows = (FEATURE_COST * self.n_head as f64 / (MERGE_SHARE * row_length.max(1.0))) as usize;
        let (rows, shared) = (rows.max(FEWEST_ROWS), &*shared);
        let Self { replicas, crew, n_head } = self;
        crew.run(order.n_visits(), |places, size| {
            if size == 1 {
                return alone(job, update, shared, places, step_size);
            }
            let ticket = Ticket::new(places.len().div_ceil(rows));
            team.share(size, |worker| {
                let replica = &mut *replicas[worker].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                shared.refresh(replica);
                job.watch.merged(worker);
                let (number, n_head, n_workers, climb) = (worker, *n_head, size, Climb::default());
                let mut worker = Worker { job, number, update, shared, replica, n_head, n_workers, climb };
                while let Some(chunk) = ticket.draw().filter(|_| !team.cancelled()) {
                    let start = places.start + chunk * rows;
                    worker.work(start..(start + rows).min(places.end), step_size);
                    worker.merge(false);
                }
                worker.merge(true);
            });
        });
    }

    fn n_workers(&self) -> Option<usize> {
        Some(self.crew.size())
    }

    /// Only the tail can lose an addition, and seldom does; most often in the first epochs, when nearly all rows move.
    fn repairs_before(&self, epoch: u64, n_workers: usize) -> bool {
        epoch.is_multiple_of(32) || (epoch == 8 && n_workers > 1)
    }
}

/// One worker, nobody beside him.
fn alone<F: Float, U: Update<F>>(job: Job<'_>, update: &U, shared: &Replicated<F>, places: Range<usize>, step_size: F) {
    let intercept = Cell::new(F::ZERO);
    shared.with_intercept(&intercept, || {
        shared.alone(&intercept, |w| job.alone(update, places, w, step_size));
    });
    job.watch.merged(0); // the others will copy what he wrote
}

/// One worker between his merges.
struct Worker<'a, F: Float, U> {
    job: Job<'a>,
    number: usize,
    update: &'a U,
    shared: &'a Replicated<F>,
    replica: &'a mut Replica<F>,
    n_head: usize,
    /// How many are at work.
    n_workers: usize,
    climb: Climb<F>,
}

impl<F: Float, U: Update<F>> Worker<'_, F, U> {
    fn work(&mut self, places: Range<usize>, step_size: F) {
        let Self { job, number, update, shared, replica, climb, .. } = self;
        let intercept = Cell::new(F::ZERO);
        shared.with_intercept(&intercept, || {
            let w = shared.view(replica, &intercept);
            for visit in job.visits(*update, places) {
                climb.step(*job, *number, *update, visit, w, step_size);
            }
        });
    }

    /// Merges, if nobody else is at it or `wait` is asked for.
    fn merge(&mut self, wait: bool) {
        let Self { job, number, update, shared, replica, n_head, n_workers, climb } = self;
        let Some(scale) = shared.merge(replica, wait, |met| scale(*update, climb.gain(), met, *n_workers)) else { return };
        job.watch.merged(*number);
        let intercept = Cell::new(F::ZERO);
        shared.with_intercept(&intercept, || {
            climb.settle(*job, *update, shared.view(replica, &intercept), scale, *n_head);
        });
    }
}
