//! How are the weights read and changed? [`Weights`] is what a step sees of them: [`Local`] is plain memory of one thread,
//! [`View`] is memory that all workers share, with additions that may be lost (`wild`) or not (`atomic`), [`ReplicaView`] a
//! worker's own copy of the frequent features beside the shared rare ones (`replicated`).
//!
//! The intercept travels apart: it belongs to every row, and as one more coordinate it would be the most contended of all.
//! A worker keeps a copy, and publishes what it changed after each chunk of rows ([`Shared::with_intercept`]).

mod local;
mod meeting;
mod replicated;
mod shared;

use std::cell::Cell;

use crate::data::{Row, with_values};
use crate::sync::Float;

pub use local::{Local, Plain};
pub use meeting::Meeting;
pub use replicated::{Level, Replica, ReplicaView, Replicated};
pub use shared::{Shared, View};

/// One worker's view of the weights: cheap to copy, never exclusive.
pub trait Weights<F: Float>: Copy {
    /// w_j.
    fn get(self, j: usize) -> F;

    /// Reads w_j and adds `change` of it.
    fn add_with(self, j: usize, change: impl FnOnce(F) -> F);

    /// Where this worker keeps b.
    fn intercept_cell(&self) -> &Cell<F>;

    /// b.
    #[inline(always)]
    fn intercept(self) -> F {
        self.intercept_cell().get()
    }

    /// Adds to b.
    #[inline(always)]
    fn add_intercept(self, change: F) {
        let cell = self.intercept_cell();
        cell.set(cell.get() + change);
    }

    /// The w_j of four features of a row, which rise.
    #[inline(always)]
    fn get_four(self, features: [u32; 4]) -> [F; 4] {
        features.map(|j| self.get(j as usize))
    }

    /// Adds to the w_j of four features of a row, which rise.
    #[inline(always)]
    fn add_four(self, features: [u32; 4], changes: [F; 4]) {
        for (j, change) in features.into_iter().zip(changes) {
            self.add_with(j as usize, |_| change);
        }
    }

    /// sum_j map(w_j) x_j. Four sums run side by side, so that one addition need not wait for the last; the order depends on
    /// the row alone, which makes every memory give the same bits.
    #[inline(always)]
    fn dot_with(self, row: Row<'_>, map: impl Fn(F) -> F) -> F {
        let (features, last_features) = row.indices.as_chunks::<4>();
        let (mut sums, mut rest) = ([F::ZERO; 4], F::ZERO);
        with_values!(row, |values, last_values| {
            for (&j, &x) in last_features.iter().zip(last_values) {
                rest += map(self.get(j as usize)) * F::from_f32(x);
            }
            for (&features, values) in features.iter().zip(values) {
                let weights = self.get_four(features);
                for (sum, (w_j, &x)) in sums.iter_mut().zip(weights.into_iter().zip(values)) {
                    *sum += map(w_j) * F::from_f32(x);
                }
            }
        });
        (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
    }

    /// w·x.
    #[inline(always)]
    fn dot(self, row: Row<'_>) -> F {
        self.dot_with(row, |w_j| w_j)
    }

    /// w += scale x.
    #[inline(always)]
    fn add_scaled(self, row: Row<'_>, scale: F) {
        let (features, last_features) = row.indices.as_chunks::<4>();
        with_values!(row, |values, last_values| {
            for (&features, values) in features.iter().zip(values) {
                self.add_four(features, values.map(|x| scale * F::from_f32(x)));
            }
            for (&j, &x) in last_features.iter().zip(last_values) {
                self.add_with(j as usize, |_| scale * F::from_f32(x));
            }
        });
    }
}

/// The weights between two epochs, when no worker runs.
pub trait Memory<F: Float>: Send + Sync {
    /// `n` weights and an intercept, all 0.
    fn zeros(n: usize) -> Self
    where
        Self: Sized;
    /// The weights, into memory that is there already.
    fn load_into(&self, weights: &mut Vec<F>);
    /// The weights and the intercept.
    fn load(&self) -> (Vec<F>, F) {
        let mut weights = Vec::new();
        self.load_into(&mut weights);
        (weights, self.intercept())
    }
    /// The intercept alone.
    fn intercept(&self) -> F;
    /// Sets them.
    ///
    /// # Panics
    /// If the number of weights differs.
    fn store(&mut self, weights: &[F], intercept: F);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The dot product, and the weights after an addition.
    fn worked(w: impl Weights<f32>, row: Row<'_>) -> (f32, Vec<f32>) {
        let dot = w.dot(row);
        w.add_scaled(row, 0.9);
        (dot, (0..11).map(|j| w.get(j)).collect())
    }

    #[test]
    fn every_memory_gives_the_same_bits_and_of_uniform_rows_one_value_is_read() {
        let (indices, start): (Vec<u32>, Vec<f32>) = (0..11).map(|j| (j, 0.1 + j as f32 / 3.0)).unzip();
        let intercept = Cell::new(0.0);
        for n in 0..11 {
            let read = Row { indices: &indices[..n], values: &[0.3; 11][..n], uniform: false };
            let mut values = [f32::NAN; 11];
            values[0] = 0.3;
            let mut seen = Vec::new();
            for row in [read, Row { values: &values[..n], uniform: true, ..read }] {
                let mut plain = Plain::<f32>::zeros(11);
                plain.store(&start, 0.0);
                seen.push(worked(plain.view(), row));
                let mut shared = Shared::<f32>::zeros(11);
                shared.store(&start, 0.0);
                seen.push(worked(shared.view::<false>(&intercept), row));
                let mut replicated = Replicated::<f32>::zeros(11);
                replicated.store(&start, 0.0);
                replicated.set_head(2, 6); // so that fours lie in the head, in the tail and in both
                let mut replica = Replica::default();
                replicated.refresh(&mut replica);
                seen.push(worked(replicated.view(&mut replica, &intercept), row));
            }
            assert!(seen.iter().all(|worked| *worked == seen[0]), "{n}: {seen:?}");
        }
    }
}
