//! One step on the mean gradient of a batch, taken by all workers together; a batch of the whole data is gradient descent.
//!
//! ```text
//! g_j = (1/B) sum_{i in batch} phi_i'(w·x_i + b) x_ij
//! w_j <- one step of the update with g_j                 for the features j that occur in the batch
//! ```
//!
//! The penalty on w_j counts c_j/B n/n_j times, where c_j rows of the batch hold feature j: exactly once when the batch is
//! the whole data, once in the mean when it is not. Workers share out the rows to compute derivatives, meet, share out the
//! features to gather gradients and step, and meet again; every sum runs in the order of the rows, so the result does not
//! depend on the number of workers.

use std::cell::Cell as Private;

use crate::error::{Error, Result};
use crate::problem::{Problem, shares_of_features};
use crate::strategy::{Job, Pass};
use crate::sync::{AtomicBool, Cell, Float, Ordering, zeros};
use crate::threads::Barrier;
use crate::update::{GradientUpdate, Stochastic, Update};
use crate::weights::{Shared, Weights};

/// Synchronous steps on batches.
pub struct Minibatch<F: Float> {
    batch: usize,
    /// phi' of each row of the batch.
    derivatives: Vec<F::Cell>,
    /// The sums of the batch for each feature, 0 between batches: derivatives times values, and rows.
    sums: Vec<F::Cell>,
    occurrences: Vec<F::Cell>,
}

impl<F: Float> Minibatch<F> {
    /// Batches of `batch` rows; the last one of an epoch may be smaller, and none is larger than the data.
    ///
    /// # Errors
    /// If `batch` is 0.
    pub fn new(problem: &Problem, batch: usize) -> Result<Self> {
        let (batch, d) = (batch_rows(problem, batch)?, problem.n_features());
        Ok(Self { batch, derivatives: zeros::<F>(batch), sums: zeros::<F>(d), occurrences: zeros::<F>(d) })
    }
}

/// How many rows a batch of at most `asked` has.
pub(super) fn batch_rows(problem: &Problem, asked: usize) -> Result<usize> {
    if asked == 0 {
        return Err(Error::Usage("--batch 0 has no gradient; 1 or more is wanted, or all".into()));
    }
    Ok(asked.min(problem.n_rows()))
}

impl<F: Float, G: GradientUpdate<F>> Pass<F, Stochastic<G>> for Minibatch<F> {
    type Memory = Shared<F>;

    fn pass(&mut self, Job { problem, team, order, watch }: Job<'_>, step: &Stochastic<G>, shared: &mut Shared<F>, step_size: F) {
        let update = &step.0;
        let (Self { batch, derivatives, sums, occurrences }, shared) = (&*self, &*shared);
        let rows: Vec<usize> = order.visits(0..order.n_visits()).map(|visit| visit.row).collect();
        let n_workers = team.n_workers();
        let shares = shares_of_features(problem.data().counts(), n_workers);
        let (barrier, cancelled, rarities) = (Barrier::new(n_workers), AtomicBool::new(false), update.rarities());
        team.each(|worker| {
            let intercept = Private::new(F::ZERO);
            let w = shared.view::<false>(&intercept);
            let share = shares.get(worker).map_or(0..0, |share| share.start as u32..share.end as u32);
            let mut touched: Vec<usize> = Vec::new();
            for batch in rows.chunks(*batch) {
                let size = F::from_f64(batch.len() as f64);
                let mine = batch.len() * worker / n_workers..batch.len() * (worker + 1) / n_workers;
                shared.with_intercept(&intercept, || {
                    for k in mine {
                        let _ = watch.reads(worker); // nobody writes meanwhile: only a delay can come of it
                        derivatives[k].set(step.decide(problem, batch[k], w));
                    }
                });
                barrier.wait();

                for (&i, derivative) in batch.iter().zip(derivatives) {
                    let row = problem.rows().row(i);
                    let row = if n_workers == 1 { row } else { row.between(share.start, share.end) };
                    for (j, x) in row.iter() {
                        if occurrences[j].get() == F::ZERO {
                            touched.push(j);
                        }
                        occurrences[j].set(occurrences[j].get() + F::ONE);
                        sums[j].set(sums[j].get() + derivative.get() * F::from_f32(x));
                    }
                }
                for j in touched.drain(..) {
                    let penalty_share = rarities[j] * (occurrences[j].get() / size);
                    w.add_with(j, |w_j| update.change(j, w_j, sums[j].get() / size, penalty_share, step_size));
                    sums[j].set(F::ZERO);
                    occurrences[j].set(F::ZERO);
                }
                if worker == 0 && problem.has_intercept() {
                    let sum: F = derivatives[..batch.len()].iter().map(Cell::get).sum();
                    shared.with_intercept(&intercept, || {
                        w.add_intercept(update.intercept_change(sum / size, batch.len(), step_size));
                    });
                }
                // All must agree on whether to go on: one asks, and all read the answer between the same two barriers.
                if worker == 0 {
                    cancelled.store(team.cancelled(), Ordering::Relaxed);
                }
                barrier.wait();
                if cancelled.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
    }
}
