//! Parallel stochastic gradient descent by averaging: every worker has weights of its own and steps on its share of the rows,
//! and what is asked for is the mean of the workers' weights.
//!
//! ```text
//! w^k <- steps on share k, from w^k           k = 1 .. N
//! w    = (1/N) sum_k w^k                      every K epochs: w^k <- w
//! ```
//!
//! With K = `never` this is one-shot averaging (Zinkevich, Weimer, Li and Smola, Parallelized stochastic gradient descent,
//! NIPS 2010): the rows are dealt once, each worker walks its own share for the whole run, and nobody hears of anybody. With a
//! number it is iterative parameter mixing (McDonald, Hall and Mann, NAACL 2010), and the rows are dealt anew in each epoch.
//!
//! A worker shares nothing while it steps: no lock, no stale read, no lost addition, and the same bits in every run with the
//! same number of workers. The price is statistical: N workers make n/N steps each in an epoch, not n. The update's
//! tables are each worker's own and are not averaged.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::problem::Problem;
use crate::strategy::{Job, Order, Pass};
use crate::sync::{Float, Mutex};
use crate::update::{GradientUpdate, Stochastic, Tables, Update, find_tables};
use crate::weights::{Memory, Plain};

/// A worker looks up so often whether the run is cancelled.
const CANCEL_ROWS: usize = 1024;

/// Weights of each worker's own, averaged.
pub struct Averaging<F: Float, G> {
    /// K; never if `None`.
    every: Option<u64>,
    seed: u64,
    /// Which worker's row i is, where rows are dealt once.
    owners: Vec<u16>,
    /// One for each of the team; nobody while a worker is alone.
    workers: Vec<Mutex<Worker<F, G>>>,
    /// Whether the workers' weights differ from their mean when the next epoch begins.
    apart: bool,
}

/// What is a worker's own.
struct Worker<F: Float, G> {
    weights: Plain<F>,
    update: Stochastic<G>,
    /// Of its own rows, where it has some.
    order: Order,
}

impl<F: Float, G: GradientUpdate<F>> Averaging<F, G> {
    /// Averages every so many epochs; never if `None`, and then the rows are dealt once, as `seed` decides.
    ///
    /// # Errors
    /// If `every` is 0.
    pub fn new(every: Option<u64>, seed: u64) -> Result<Self> {
        if every == Some(0) {
            return Err(Error::Usage("--average-every 0 is no number of epochs; 1 or more is wanted, or never".into()));
        }
        Ok(Self { every, seed, owners: Vec::new(), workers: Vec::new(), apart: false })
    }

    /// Whether the workers are to set out from their mean in this epoch.
    fn is_due(&self, epoch: u64) -> bool {
        self.every.is_some_and(|every| epoch.is_multiple_of(every))
    }

    /// Deals the rows once: each worker gets as many as the next, at random where rows may be read in any order.
    fn deal(&mut self, problem: &Problem) {
        let mut order = Order::new(problem.data(), self.seed);
        order.shuffle(0, &[]);
        self.owners = vec![0; problem.n_rows()];
        let n_workers = self.workers.len();
        for k in 0..n_workers {
            order.visits(order.chunk(k, n_workers)).for_each(|visit| self.owners[visit.row] = k as u16);
        }
        for worker in &mut self.workers {
            unlocked(worker).order = Order::new(problem.data(), self.seed);
        }
    }
}

impl<F: Float, G: GradientUpdate<F>> Worker<F, G> {
    /// A worker who has seen nothing yet.
    fn new(n_features: usize, update: &Stochastic<G>) -> Self {
        Self { weights: Plain::zeros(n_features), update: Stochastic(update.0.another()), order: Order::default() }
    }
}

impl<F: Float, G: GradientUpdate<F>> Pass<F, Stochastic<G>> for Averaging<F, G> {
    type Memory = Plain<F>;

    fn pass(&mut self, job: Job<'_>, update: &Stochastic<G>, mean: &mut Plain<F>, step_size: F) {
        let Job { problem, team, order, watch, .. } = job;
        let (n_workers, epoch) = (team.n_workers(), order.epoch());
        if n_workers == 1 {
            team.install(|| walk(job, 0, update, mean, 0..order.n_visits(), step_size)); // one worker is its own mean
            return;
        }
        let changed = self.workers.len() != n_workers;
        if changed {
            self.workers = (0..n_workers).map(|_| Mutex::new(Worker::new(problem.n_features(), update))).collect();
        }
        if changed || self.is_due(epoch) {
            let (weights, intercept) = mean.load();
            self.workers.iter_mut().for_each(|worker| unlocked(worker).weights.store(&weights, intercept));
        }
        if self.every.is_none() && (changed || self.owners.is_empty()) {
            self.deal(problem);
        }
        let Self { workers, owners, .. } = &*self;
        team.each(|k| {
            let mut worker = workers[k].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let Worker { weights, update, order: own } = &mut *worker;
            if owners.is_empty() {
                walk(job, k, update, weights, order.chunk(k, n_workers), step_size);
            } else {
                let own_rows: Vec<u8> = owners.iter().map(|&owner| u8::from(usize::from(owner) == k)).collect();
                own.shuffle(epoch, &own_rows);
                walk(Job { order: own, ..job }, k, update, weights, 0..own.n_visits(), step_size);
            }
        });
        let all: Vec<(Vec<F>, F)> = self.workers.iter_mut().map(|worker| unlocked(worker).weights.load()).collect();
        let mean_of = |j: usize| average(all.iter().map(|own| own.0[j]));
        let weights: Vec<F> =
            team.install(|| (0..problem.n_features()).into_par_iter().with_min_len(2048).map(mean_of).collect());
        mean.store(&weights, average(all.iter().map(|own| own.1)));
        self.apart = !self.is_due(epoch + 1);
        if !self.apart {
            // Twice: all have told of their steps before anybody takes note of the others'.
            (0..2 * n_workers).for_each(|k| watch.merged(k % n_workers));
        }
    }

    /// Of each worker: its update's tables, and its weights where they are not the mean.
    fn tables(&self) -> Tables<F> {
        let mut all = Vec::new();
        for (k, worker) in self.workers.iter().enumerate() {
            let worker = worker.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let mut own = worker.update.tables();
            if self.apart {
                let (weights, intercept) = worker.weights.load();
                own.extend([("weights".to_owned(), weights), ("intercept".to_owned(), vec![intercept])]);
            }
            all.extend(own.into_iter().map(|(name, table)| (format!("worker.{k}.{name}"), table)));
        }
        all
    }

    /// Workers of another number than the team's set out anew from the mean.
    fn set_tables(&mut self, update: &Stochastic<G>, tables: &Tables<F>) -> bool {
        let (n_features, mut workers, mut n_found, mut n_apart) = (update.0.rarities().len(), Vec::new(), 0, 0);
        loop {
            let prefix = format!("worker.{}.", workers.len());
            let own = tables.iter().filter_map(|(name, table)| Some((name.strip_prefix(&prefix)?.to_owned(), table.clone())));
            let (own, weights): (Tables<F>, Tables<F>) = own.partition(|(name, _)| name != "weights" && name != "intercept");
            if own.is_empty() && weights.is_empty() {
                break;
            }
            n_found += own.len() + weights.len();
            let mut worker = Worker::new(n_features, update);
            if !worker.update.set_tables(&own) {
                return false;
            }
            if let Some([weights, intercept]) = find_tables(&weights, [("weights", n_features), ("intercept", 1)]) {
                worker.weights.store(weights, intercept[0]);
                n_apart += 1;
            }
            workers.push(Mutex::new(worker));
        }
        if n_found != tables.len() || (n_apart != 0 && n_apart != workers.len()) {
            return false;
        }
        (self.apart, self.workers, self.owners) = (n_apart > 0, workers, Vec::new());
        true
    }
}

/// One worker's steps on weights that nobody else sees.
fn walk<F: Float, U: Update<F>>(
    job: Job<'_>,
    worker: usize,
    update: &U,
    weights: &mut Plain<F>,
    places: Range<usize>,
    step_size: F,
) {
    let Job { problem, team, watch, .. } = job;
    let w = weights.view();
    for start in places.clone().step_by(CANCEL_ROWS).take_while(|_| !team.cancelled()) {
        for visit in job.visits(update, start..(start + CANCEL_ROWS).min(places.end)) {
            let seen = watch.reads(worker);
            update.step(problem, visit, w, step_size);
            watch.wrote_to_copy(worker, seen);
        }
    }
}

/// The mean, summed in order.
fn average<F: Float>(values: impl ExactSizeIterator<Item = F>) -> F {
    let n = values.len() as f64;
    F::from_f64(values.map(F::to_f64).sum::<f64>() / n)
}

/// What a lock holds, asked by its only owner.
fn unlocked<T>(lock: &mut Mutex<T>) -> &mut T {
    lock.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner())
}
