//! Plain memory of one thread: what the lock-free memories are measured against.

use std::cell::Cell;

use crate::sync::Float;
use crate::weights::{Memory, Weights};

/// Owns the weights of a sequential run.
#[derive(Debug)]
pub struct Plain<F> {
    weights: Vec<F>,
    intercept: F,
}

impl<F: Float> Plain<F> {
    /// The view that steps work on.
    pub fn view(&mut self) -> Local<'_, F> {
        Local {
            weights: Cell::from_mut(self.weights.as_mut_slice()).as_slice_of_cells(),
            intercept: Cell::from_mut(&mut self.intercept),
        }
    }

    /// The weights as they are.
    pub fn weights(&self) -> &[F] {
        &self.weights
    }

    /// The weights, to be changed in other ways than by steps, and the intercept.
    pub fn parts(&mut self) -> (&mut [F], &mut F) {
        (&mut self.weights, &mut self.intercept)
    }
}

impl<F: Float> Memory<F> for Plain<F> {
    fn zeros(n: usize) -> Self {
        Self { weights: vec![F::ZERO; n], intercept: F::ZERO }
    }
    fn load_into(&self, weights: &mut Vec<F>) {
        weights.clone_from(&self.weights);
    }
    fn intercept(&self) -> F {
        self.intercept
    }
    fn store(&mut self, weights: &[F], intercept: F) {
        self.weights.copy_from_slice(weights);
        self.intercept = intercept;
    }
}

/// A view of [`Plain`] weights that cannot leave its thread.
#[derive(Clone, Copy)]
pub struct Local<'a, F> {
    weights: &'a [Cell<F>],
    intercept: &'a Cell<F>,
}

impl<F: Float> Weights<F> for Local<'_, F> {
    #[inline(always)]
    fn get(self, j: usize) -> F {
        self.weights[j].get()
    }
    #[inline(always)]
    fn add_with(self, j: usize, change: impl FnOnce(F) -> F) {
        let w_j = self.weights[j].get();
        self.weights[j].set(w_j + change(w_j));
    }
    fn intercept_cell(&self) -> &Cell<F> {
        self.intercept
    }
}
