//! How are the weights read and changed? [`Weights`] is what a step sees of them: [`Local`] is plain memory of one thread,
//! [`View`] is memory that all workers share, with additions that may be lost (`wild`) or not (`atomic`), [`ReplicaView`] a
//! worker's own copy of the frequent features beside the shared rare ones (`replicated`).
//!
//! The intercept travels apart: it belongs to every row, and as one more coordinate it would be the most contended of all.
//! A worker keeps a copy, and publishes what it changed after each chunk of rows ([`Shared::with_intercept`]).

mod local;
mod replicated;
mod shared;

use std::cell::Cell;

use crate::data::Row;
use crate::sync::Float;

pub use local::{Local, Plain};
pub use replicated::{Level, Meeting, Replica, ReplicaView, Replicated};
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
        let (mut sums, mut rest) = ([F::ZERO; 4], F::ZERO);
        let four = |features: [u32; 4], values: [f32; 4]| {
            let weights = self.get_four(features);
            for (sum, (w_j, x)) in sums.iter_mut().zip(weights.into_iter().zip(values)) {
                *sum += map(w_j) * F::from_f32(x);
            }
        };
        row.in_fours(four, |j, x| rest += map(self.get(j as usize)) * F::from_f32(x));
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
        row.in_fours(
            |features, values| self.add_four(features, values.map(|x| scale * F::from_f32(x))),
            |j, x| self.add_with(j as usize, |_| scale * F::from_f32(x)),
        );
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
