//! CYCLADES (Pan, Lam, Tu, Papailiopoulos, Zhang, Jordan, Ramchandran, Re and Recht, NIPS 2016): parallel, and yet the same as
//! sequential, bit for bit.
//!
//! The order of an epoch is cut into batches. Rows of a batch that share a feature are joined, and so are rows that share one
//! with those; each component goes whole to one worker, who visits its rows in the order of the epoch. Rows of different
//! components read and write different coordinates, so that it does not matter who comes first. Workers meet between batches.
//! Each of W workers finds the components of one of the next W batches, all at the same time.
//!
//! Below a certain size components are tiny, above it one swallows the batch: in a random graph of B rows, of which two
//! meet with probability p, at B p = 1. Of p the data give a bound, the sum over features of (n_j/n)^2, and so the first batch;
//! then the batch is halved where the largest component holds more than a worker's fair part of it, and doubled where it holds
//! much less, which changes nothing of the result. Where even [`FEWEST_ROWS`] rows are one large component, one worker visits
//! the rest of the epoch by himself; each epoch tries anew. That is so wherever most rows share a feature, as the rows of
//! texts do. An intercept belongs to every row: with one nothing is free of conflict, and one worker does all.
//!
//! To find components costs several times as much as the steps, where a step is a dot product: this pays only where gradients
//! are dear.

use std::cell::Cell;
use std::cmp::Reverse;
use std::ops::Range;

use crate::problem::Problem;
use crate::strategy::components::Components;
use crate::strategy::{Ahead, Figures, Job, Pass};
use crate::sync::{AtomicBool, Float, Mutex, Ordering, RwLock};
use crate::threads::Barrier;
use crate::update::{Update, Visit};
use crate::weights::Shared;

/// A batch has so many rows at least ...
const FEWEST_ROWS: usize = 32;
/// ... and at most: enough to make meeting cheap.
const MOST_ROWS: usize = 8192;

/// Components of the conflict graph, batch by batch.
#[derive(Debug, Default)]
pub struct ConflictFree {
    /// One for each worker.
    plans: Vec<RwLock<Plan>>,
    /// Rows in the next batch; 0 before the first one.
    batch_rows: usize,
    tally: Tally,
}

/// Counts of a run so far.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    batches: usize,
    components: usize,
    /// Rows that were in a batch, and those that one worker visited because no batch could be shared out.
    rows: usize,
    serial_rows: usize,
    /// The sum over batches of the share that their largest component had.
    largest_shares: f64,
}

impl<F: Float, U: Update<F>> Pass<F, U> for ConflictFree {
    type Memory = Shared<F>;

    fn pass(&mut self, job: Job<'_>, update: &U, shared: &mut Shared<F>, step_size: F) {
        let Job { problem, team, order, .. } = job;
        let (n_workers, n_visits, shared) = (team.n_workers(), order.n_visits(), &*shared);
        let ahead = Ahead::of(problem);
        if n_workers == 1 || problem.has_intercept() {
            team.install(|| alone(job, update, shared, 0..n_visits, step_size));
            self.tally.serial_rows += if n_workers == 1 { 0 } else { n_visits };
            return;
        }
        if self.plans.len() != n_workers {
            self.plans = (0..n_workers).map(|_| RwLock::new(Plan::new(problem.n_features(), n_workers))).collect();
            self.batch_rows = first_batch(problem);
        }
        let (plans, first_batch) = (&self.plans, self.batch_rows);
        let (barrier, cancelled) = (Barrier::new(n_workers), AtomicBool::new(false));
        let ended = Mutex::new((first_batch, self.tally));
        team.each(|worker| {
            let intercept = Cell::new(F::ZERO);
            let w = shared.view::<false>(&intercept);
            let (mut place, mut batch_rows, mut swallowed, mut tally) = (0, first_batch, false, Tally::default());
            while place < n_visits && !swallowed {
                let rows = batch_rows.min((n_visits - place).div_ceil(n_workers));
                let batch = |k: usize| (place + k * rows).min(n_visits)..(place + (k + 1) * rows).min(n_visits);
                plans[worker].write().unwrap_or_else(|poisoned| poisoned.into_inner()).make(job, batch(worker));
                // All must agree on whether to go on: one asks, and all read the answer between the same two barriers.
                if worker == 0 {
                    cancelled.store(team.cancelled(), Ordering::Relaxed);
                }
                barrier.wait();
                if cancelled.load(Ordering::Relaxed) {
                    return;
                }
                let mut largest = 0;
                for plan in plans {
                    let plan = plan.read().unwrap_or_else(|poisoned| poisoned.into_inner());
                    let mine = &plan.shares[worker];
                    for (k, &visit) in mine.iter().enumerate() {
                        job.prefetch(update, ahead, |later| mine.get(k + later).map(|visit| visit.row));
                        job.step(worker, update, visit, w, step_size);
                    }
                    tally.add(&plan);
                    largest += plan.largest;
                    drop(plan);
                    barrier.wait();
                }
                let visited = batch(n_workers - 1).end - place;
                place += visited;
                (batch_rows, swallowed) = next_batch(batch_rows, largest as f64 / visited as f64, n_workers);
            }
            if worker == 0 {
                alone(job, update, shared, place..n_visits, step_size);
                tally.serial_rows = n_visits - place;
                let mut ended = ended.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                *ended = (batch_rows, ended.1.plus(tally));
            }
        });
        (self.batch_rows, self.tally) = ended.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    }

    /// Nothing where no batch was asked for, as with one worker.
    fn figures(&self) -> Figures {
        let Tally { batches, components, rows, serial_rows, largest_shares } = self.tally;
        let mut figures = Figures::new();
        if batches > 0 {
            figures.push(("batch_rows", rows as f64 / batches as f64));
            figures.push(("components_a_batch", components as f64 / batches as f64));
            figures.push(("component_rows", rows as f64 / components as f64));
            figures.push(("largest_share", largest_shares / batches as f64));
        }
        if rows + serial_rows > 0 {
            figures.push(("serial_share", serial_rows as f64 / (rows + serial_rows) as f64));
        }
        figures
    }
}

impl Tally {
    fn add(&mut self, plan: &Plan) {
        if plan.rows > 0 {
            self.batches += 1;
            self.components += plan.components;
            self.rows += plan.rows;
            self.largest_shares += plan.largest as f64 / plan.rows as f64;
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            batches: self.batches + other.batches,
            components: self.components + other.components,
            rows: self.rows + other.rows,
            serial_rows: self.serial_rows + other.serial_rows,
            largest_shares: self.largest_shares + other.largest_shares,
        }
    }
}

/// Half as many rows as make B p = 1.
fn first_batch(problem: &Problem) -> usize {
    let n = problem.n_rows() as f64;
    let meeting: f64 = problem.data().counts().iter().map(|&count| (f64::from(count) / n).powi(2)).sum();
    ((0.5 / meeting) as usize).clamp(FEWEST_ROWS, MOST_ROWS)
}

/// The rows of the next batch after one of which the largest component had this share, and whether to give it up.
fn next_batch(rows: usize, largest_share: f64, n_workers: usize) -> (usize, bool) {
    let fair = 1.0 / n_workers as f64;
    if largest_share > fair {
        ((rows / 2).max(FEWEST_ROWS), rows == FEWEST_ROWS && largest_share > 0.5)
    } else if largest_share < fair / 2.0 {
        ((2 * rows).min(MOST_ROWS), false)
    } else {
        (rows, false)
    }
}

/// One worker, while the others are idle.
fn alone<F: Float, U: Update<F>>(job: Job<'_>, update: &U, shared: &Shared<F>, places: Range<usize>, step_size: F) {
    let intercept = Cell::new(F::ZERO);
    let w = shared.view::<false>(&intercept);
    shared.with_intercept(&intercept, || job.alone(update, places, w, step_size));
}

/// Who visits which rows of a batch.
#[derive(Debug)]
struct Plan {
    /// The visits of each worker, in the order of the epoch.
    shares: Vec<Vec<Visit>>,
    rows: usize,
    /// How many there are, and how many rows the largest has.
    components: usize,
    largest: usize,
    finder: Components,
    /// For each row that is the first of its component: the component's rows and non-zeros, and its worker.
    sizes: Vec<(usize, usize)>,
    owners: Vec<usize>,
}

impl Plan {
    fn new(n_features: usize, n_workers: usize) -> Self {
        Self {
            shares: vec![Vec::new(); n_workers],
            rows: 0,
            components: 0,
            largest: 0,
            finder: Components::new(n_features),
            sizes: Vec::new(),
            owners: Vec::new(),
        }
    }

    /// Plans these places of the order. Components of several rows go to whoever has the fewest non-zeros so far, the largest
    /// first; single rows fill up what is uneven.
    fn make(&mut self, job: Job<'_>, places: Range<usize>) {
        let (rows, order) = (job.problem.rows(), job.order);
        let ahead = Ahead::of(job.problem);
        job.read_ahead(&places);
        let features = places.clone().map(|place| {
            ahead.prefetch(job.problem, |later| order.row(place + later));
            order.row(place).map_or(&[][..], |i| rows.row(i).indices)
        });
        let roots = self.finder.find(features);

        self.rows = places.len();
        self.sizes.clear();
        self.sizes.resize(places.len(), (0, 0));
        for (visit, &root) in order.visits(places.clone()).zip(roots) {
            let size = &mut self.sizes[root as usize];
            *size = (size.0 + 1, size.1 + 1 + rows.non_zeros(visit.row).len());
        }
        self.components = self.sizes.iter().filter(|size| size.0 > 0).count();
        self.largest = self.sizes.iter().map(|size| size.0).max().unwrap_or(0);

        let mut burdens = vec![0; self.shares.len()];
        let mut next = |non_zeros: usize| {
            let owner = (0..burdens.len()).min_by_key(|&worker| burdens[worker]).unwrap_or(0);
            burdens[owner] += non_zeros;
            owner
        };
        self.owners.clear();
        self.owners.resize(places.len(), 0);
        let mut shared: Vec<(usize, usize)> =
            self.sizes.iter().enumerate().filter(|(_, size)| size.0 > 1).map(|(root, size)| (size.1, root)).collect();
        shared.sort_unstable_by_key(|&component| Reverse(component));
        shared.into_iter().for_each(|(non_zeros, root)| self.owners[root] = next(non_zeros));
        self.shares.iter_mut().for_each(Vec::clear);
        for (visit, &root) in order.visits(places).zip(roots) {
            let (n_rows, non_zeros) = self.sizes[root as usize];
            let owner = if n_rows == 1 { next(non_zeros) } else { self.owners[root as usize] };
            self.shares[owner].push(visit);
        }
    }
}
