//! Hogwild! with private copies of the hot features ([`crate::weights::Replicated`]): workers take rows and step, each on a
//! view of his own, and merge what they changed every few rows. The head is as large, and merges are as frequent, as costs a
//! small part of the time.
//!
//! **A merge that cannot diverge.** Between two merges a worker climbs the dual by G on his own view; meanwhile the others
//! have moved the shared head by O. With his own change written C, D along the merged direction is
//!
//! ```text
//! D(a + t da) - D(a)  >=  t (G - l2 C·O)  +  t (1 - t) l2/2 |C|^2          0 <= t <= 1
//! ```
//!
//! because D is the concave -mean phi* plus a quadratic: along the chord the first gains at least its share, the second
//! exactly what stands there, and the others' change adds the cross term. The t that makes the right side largest,
//!
//! ```text
//! t = 1/2 + (G - l2 C·O) / (l2 |C|^2)      between 0 and 1
//! ```
//!
//! makes every merge climb, whatever the number of workers and however hard their features collide. For the hinge it is the
//! exact line search. (Of |C|^2 only the head is known, and G is bounded from below by sum q d^2/2: both shorten t. What meets
//! in the tail, or in an intercept, is not searched; with l1, C·O is that of u, not of w.)
//!
//! Steps on gradients have no dual to search along. Those that shrink are added as they are. Those of saga and svrg do not
//! shrink: between two merges each of N workers may come as far along the steepest direction as there is to go, and N
//! such ways added up lead N - 1 times too far, for ever. They are averaged: t = 1/N. What saga and svrg correct by does not
//! follow from the weights, so nothing else has to be taken back.
//!
//! Merging private changes is SySCD's (Ioannou, Mendler-Duenner and Parnell, NeurIPS 2019) and CoCoA+'s (Ma et al., ICML
//! 2015) idea; there all workers meet at a barrier, here each comes when it suits him.

use std::cell::Cell;
use std::ops::Range;

use crate::problem::Problem;
use crate::strategy::crew::Crew;
use crate::strategy::{Job, Pass};
use crate::sync::{Float, Mutex};
use crate::threads::Ticket;
use crate::update::Update;
use crate::weights::{Meeting, Replica, Replicated};

/// A merge runs over the head a few times; this many non-zeros of rows cost as much as one of its features.
const FEATURE_COST: f64 = 0.5;
/// The share of the time that merges may take.
const MERGE_SHARE: f64 = 0.1;
/// Merges of each worker in an epoch that are wanted at least: the head is cut where they would cost more.
const MERGES_WANTED: f64 = 24.0;
/// A head this small is merged in a microsecond, and is never cut.
const FEWEST_FEATURES: usize = 1024;
/// A worker who is alone looks up so often whether the run is cancelled.
const CANCEL_ROWS: usize = 1024;
/// Rows between two merges, at least.
const FEWEST_ROWS: usize = 16;

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
                let mut replica = replicas[worker].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let mut worker = Worker::new(job, worker, update, shared, &mut replica, *n_head, size);
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

    /// Only the tail can lose an addition, and seldom does.
    fn repair_epochs(&self, _n_workers: usize) -> u64 {
        32
    }
}

/// One worker, nobody beside him.
fn alone<F: Float, U: Update<F>>(job: Job<'_>, update: &U, shared: &Replicated<F>, places: Range<usize>, step_size: F) {
    let intercept = Cell::new(F::ZERO);
    shared.with_intercept(&intercept, || {
        shared.alone(&intercept, |w| {
            for start in places.clone().step_by(CANCEL_ROWS).take_while(|_| !job.team.cancelled()) {
                for visit in job.visits(update, start..(start + CANCEL_ROWS).min(places.end)) {
                    job.step(0, update, visit, w, step_size);
                }
            }
        });
    });
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
    /// By how much his steps since the last merge have raised n D at least, and what they were: row and change.
    gain: f64,
    steps: Vec<(usize, F)>,
}

impl<'a, F: Float, U: Update<F>> Worker<'a, F, U> {
    fn new(
        job: Job<'a>,
        number: usize,
        update: &'a U,
        shared: &'a Replicated<F>,
        replica: &'a mut Replica<F>,
        n_head: usize,
        n_workers: usize,
    ) -> Self {
        shared.refresh(replica);
        job.watch.merged(number);
        Self { job, number, update, shared, replica, n_head, n_workers, gain: 0.0, steps: Vec::new() }
    }

    fn work(&mut self, places: Range<usize>, step_size: F) {
        let Self { job, number, update, shared, replica, gain, steps, .. } = self;
        let Job { problem, watch, .. } = *job;
        let intercept = Cell::new(F::ZERO);
        shared.with_intercept(&intercept, || {
            let w = shared.view(replica, &intercept);
            for visit in job.visits(*update, places) {
                let seen = watch.reads(*number);
                let decision = update.decide(problem, visit.row, w);
                update.apply(problem, visit, w, decision, step_size);
                watch.wrote_to_copy(*number, seen);
                if U::KEEPS_DUALS && decision != F::ZERO {
                    let change = step_size * decision;
                    *gain += update.gain(visit.row, change);
                    steps.push((visit.row, change));
                }
            }
        });
    }

    /// Merges, if nobody else is at it or `wait` is asked for.
    fn merge(&mut self, wait: bool) {
        let Self { job, number, update, shared, replica, n_head, n_workers, gain, steps } = self;
        let scale = |met: Meeting| match update.dual_curvature() {
            Some(k) if met.length > 0.0 => F::from_f64((0.5 + (*gain - k * met.overlap) / (k * met.length)).clamp(0.0, 1.0)),
            None if U::AVERAGES_MERGES => F::from_f64(1.0 / *n_workers as f64),
            _ => F::ONE,
        };
        let Some(scale) = shared.merge(replica, wait, scale) else { return };
        job.watch.merged(*number);
        if scale < F::ONE {
            let intercept = Cell::new(F::ZERO);
            shared.with_intercept(&intercept, || {
                let w = shared.view(replica, &intercept);
                for &(i, change) in &*steps {
                    update.take_back(job.problem, i, w, change, F::ONE - scale, *n_head);
                }
            });
        }
        *gain = 0.0;
        steps.clear();
    }
}
