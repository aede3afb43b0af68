//! Hogwild! with private copies of the frequent features ([`crate::weights::Replicated`]): workers take rows and step, each on a
//! view of his own, and merge what they changed. The hot features, in which workers meet most, are merged every few rows; the
//! warm ones as seldom as makes their merges cost a part of the time that pays; the tail, where there is one, never.
//!
//! Every merge is scaled by a line search along the dual ([`crate::strategy::climb`]). Of |C|^2 only the merged features' part
//! is known there, which leaves the bound a bound. Hot merges climb, whatever the number of workers. So do warm ones that are
//! taken whole. One that is not takes back steps whose hot part others have seen since, and what they made of it is not
//! searched; nor is what meets in the tail, or in an intercept.
//!
//! Merging private changes is SySCD's (Ioannou, Mendler-Duenner and Parnell, NeurIPS 2019) and CoCoA+'s (Ma et al., ICML
//! 2015) idea; there all workers meet at a barrier, here each comes when it suits him.

use std::cell::Cell;
use std::ops::Range;

use crate::problem::Problem;
use crate::strategy::climb::{Climb, FEATURE_COST, FEWEST_ROWS, scale, visit_cost};
use crate::strategy::crew::Crew;
use crate::strategy::{Job, Pass};
use crate::sync::{Float, Mutex};
use crate::threads::Ticket;
use crate::update::Update;
use crate::weights::{Level, Replica, Replicated};

/// Hot features. Of what two workers' changes have in common (C·O) these hold 96 of 100 parts on made text-like data, 94 on
/// news20, 80 on debian-libraries, 42 on rcv1.
const HOT_FEATURES: usize = 512;
/// The share of the time that hot merges may take, but that there is one at the end of each draw. A third less often than at
/// 0.03: 0.95 to 1.01 of the time, as many epochs.
const HOT_SHARE: f64 = 0.02;
/// The share that warm ones may take. Twice as often as at 0.1: 0.90 to 0.96 of the time on debian-libraries, 0.9 to 1.04 on
/// rcv1, 1.0 to 1.04 on 20 Newsgroups, in fewer epochs; at 0.3 20 Newsgroups takes 1.04 to 1.14.
const WARM_SHARE: f64 = 0.2;
/// Warm merges of each worker in an epoch that are wanted at least: the head is cut where they would cost more. More of them
/// would leave more features to the tail, whose lines travel between the cores: on sets of 15 ms that costs 30 ns a row.
const MERGES_WANTED: f64 = 8.0;
/// And so many at most where all are at work, though more would cost little by the clock of one merge: each drives a worker's
/// own weights out of his cache. 10 over 20 of them: 0.89 of the time on 50 million non-zeros, 0.95 since merges are cheaper; as
/// many epochs.
const MERGES_ENOUGH: usize = 10;
/// A head this small is merged in a microsecond, and is never cut.
const FEWEST_FEATURES: usize = 1024;
/// Rows that a worker takes at a time, at most; and so many times he does in an epoch, at least, so that all end together though
/// each holds his next ones ready.
const MOST_DRAWN: usize = 512;
const DRAWS_WANTED: usize = 16;

/// The weights of the tail are asked for so many visits ahead. Where cores are far from each other (220 ns a line) that is 0.8
/// of the time on 20 Newsgroups; where they are near (50 ns), nothing.
const TAIL_AHEAD: usize = 2;

/// Private heads, merged.
pub struct Replicate<F> {
    replicas: Vec<Mutex<Replica<F>>>,
    crew: Crew,
    /// That of passes over a working set, which are much shorter.
    small_crew: Option<Crew>,
    /// How many were at work last.
    at_work: usize,
    n_features: usize,
    /// So many private features one worker could afford.
    affordable: f64,
}

impl<F> Replicate<F> {
    /// For this problem, and any number of workers.
    pub fn new(problem: &Problem) -> Self {
        let data = problem.data();
        let epoch_cost = visit_cost(problem) * data.n_rows() as f64;
        let affordable = WARM_SHARE * epoch_cost / (FEATURE_COST * MERGES_WANTED);
        // Where features do not come hot first, none is cut off.
        let affordable = if data.is_shuffled() { affordable } else { f64::INFINITY };
        Self { replicas: Vec::new(), crew: Crew::new(1), small_crew: None, at_work: 1, n_features: data.n_features(), affordable }
    }

    /// How many features are private; all, where nobody else is there.
    fn n_head(&self, n_workers: usize) -> usize {
        match n_workers {
            1 => self.n_features,
            _ => self.n_features.min(FEWEST_FEATURES.max((self.affordable / n_workers as f64) as usize)),
        }
    }
}

impl<F: Float, U: Update<F>> Pass<F, U> for Replicate<F> {
    type Memory = Replicated<F>;

    fn pass(&mut self, job: Job<'_>, update: &U, shared: &mut Replicated<F>, step_size: F) {
        let Job { problem, team, order, .. } = job;
        let n_head = self.n_head(team.n_workers());
        let n_hot = n_head.min(HOT_FEATURES);
        if self.replicas.len() != team.n_workers() {
            self.replicas = (0..team.n_workers()).map(|_| Mutex::default()).collect();
            (self.crew, self.small_crew) = (Crew::new(team.n_workers()), None);
            shared.set_head(n_hot, n_head);
        }
        let Self { replicas, crew, small_crew, at_work, .. } = self;
        let of_all = problem.rows().len() == problem.data().n_rows();
        let crew = if of_all { crew } else { small_crew.get_or_insert_with(|| crew.clone()) };
        let cost = visit_cost(problem);
        // So many that a merge of `n` features takes its share of the time.
        let rows_between = |n: usize, share: f64| FEWEST_ROWS.max((FEATURE_COST * n as f64 / (share * cost)) as usize);
        let hot_rows = rows_between(n_hot, HOT_SHARE);
        let warm_rows = if n_hot < n_head {
            rows_between(n_head - n_hot, WARM_SHARE).max(order.n_visits() / (MERGES_ENOUGH * team.n_workers()))
        } else {
            MOST_DRAWN
        };
        let shared = &*shared;
        crew.run(order.n_visits(), |places, size| {
            if size == 1 {
                return alone(job, update, shared, places, step_size);
            }
            let drawn = (places.len() / (DRAWS_WANTED * size)).clamp(FEWEST_ROWS, MOST_DRAWN.min(warm_rows));
            let ticket = Ticket::new(places.len().div_ceil(drawn));
            team.share(size, |number| {
                let replica = &mut *replicas[number].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                shared.refresh(replica);
                job.watch.merged(number);
                let (changed, climb) = (false, Climb::default());
                let mut worker = Worker { job, number, update, shared, replica, n_hot, n_head, size, changed, climb };
                let mut n_rows = 0;
                let start = |k: usize| places.start + k * drawn;
                let mut next = ticket.draw();
                while let Some(k) = next.filter(|_| !team.cancelled()) {
                    next = ticket.draw(); // so that its rows can be asked for in time
                    worker.work(start(k)..start(k + 1).min(places.end), next.map(start), hot_rows, step_size);
                    n_rows += drawn;
                    if n_rows >= warm_rows && worker.merge_all(false) {
                        n_rows = 0;
                    }
                }
                worker.merge_all(true);
            });
        });
        *at_work = crew.size();
    }

    fn n_workers(&self) -> Option<usize> {
        Some(self.at_work)
    }

    /// Only the tail can lose an addition, and seldom does.
    fn repairs_before(&self, epoch: u64, n_workers: usize) -> bool {
        match n_workers {
            2.. if self.n_head(n_workers) < self.n_features => epoch.is_multiple_of(32),
            _ => epoch.is_multiple_of(64),
        }
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
    n_hot: usize,
    n_head: usize,
    /// How many are at work.
    size: usize,
    /// Whether he has stepped since the last hot merge.
    changed: bool,
    climb: Climb<F>,
}

impl<F: Float, U: Update<F>> Worker<'_, F, U> {
    /// Steps on the rows at these places, before those at `then`; after every few of them hot features are merged, and the
    /// intercept.
    fn work(&mut self, places: Range<usize>, then: Option<usize>, hot_rows: usize, step_size: F) {
        let Self { job, number, update, shared, .. } = *self;
        let intercept = Cell::new(F::ZERO);
        let mut visits = places.clone().zip(job.visits_before(update, places.clone(), then));
        for _ in places.step_by(hot_rows) {
            shared.with_intercept(&intercept, || {
                let w = shared.view(self.replica, &intercept);
                for (place, visit) in visits.by_ref().take(hot_rows) {
                    if let Some(i) = job.order.row(place + TAIL_AHEAD) {
                        w.prefetch_tail(job.problem.rows().row(i));
                    }
                    self.climb.step(job, number, update, visit, w, step_size);
                }
                self.changed = true;
                self.merge_hot(false, &intercept);
            });
        }
    }

    /// Merges the hot features, if nobody else is at it or `wait` is asked for. Tells whether it has.
    fn merge_hot(&mut self, wait: bool, intercept: &Cell<F>) -> bool {
        let Self { job, update, shared, replica, n_hot, size, climb, .. } = self;
        let searched = |met| scale(*update, climb.gain(), met, *size);
        let Some(merged) = shared.merge(Level::Hot, replica, wait, searched) else { return false };
        climb.secure(*job, *update, shared.view(replica, intercept), merged, 0..*n_hot);
        self.changed = false;
        true
    }

    /// Merges the hot features and the warm ones.
    fn merge_all(&mut self, wait: bool) -> bool {
        let (shared, intercept, mut done) = (self.shared, Cell::new(F::ZERO), false);
        shared.with_intercept(&intercept, || {
            if self.changed && !self.merge_hot(wait, &intercept) {
                return;
            }
            let Self { job, number, update, replica, n_hot, n_head, size, climb, .. } = self;
            let searched = |met| scale(*update, climb.secured(), met, *size);
            let Some((scale, _)) = shared.merge(Level::Warm, replica, wait, searched) else { return };
            climb.settle(*job, *update, shared.view(replica, &intercept), scale, *n_hot..*n_head);
            if scale < F::ONE && U::KEEPS_DUALS {
                shared.merge(Level::Hot, replica, true, |_| F::ONE); // what was taken back
            }
            job.watch.merged(*number);
            done = true;
        });
        done
    }
}
