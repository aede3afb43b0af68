//! Stochastic gradient descent, Hogwild!'s step (Niu, Recht, Re and Wright, NIPS 2011):
//!
//! ```text
//! w_j <- prox(w_j - h phi_i'(w·x_i + b) x_ij,  h n/n_j)      for the features j of row i
//! ```
//!
//! The penalty is applied by its prox, which no step size can make unstable, and only where the row has features: n/n_j
//! times as strongly as if every step did it, so that its mean over the rows is the penalty's (the factor of Hogwild!'s
//! section 2.2 and of Pedregosa, Leblond and Lacoste-Julien's sparse proximal methods, NIPS 2017). The l1 part makes exact
//! zeros. While others write, a worker may see a mixture of their steps.

use crate::problem::Problem;
use crate::sync::Float;
use crate::update::{GradientUpdate, SparsePenalty};

/// The intercept belongs to every row and takes this share of a step on one of them (as in scikit-learn's SGD for sparse
/// data), so that many workers' copies, published chunk by chunk, do not overshoot together. A large batch earns whole steps.
const INTERCEPT_SHARE: f64 = 0.01;

/// Plain stochastic (sub)gradient steps.
#[derive(Clone)]
pub struct Sgd<F>(SparsePenalty<F>);

impl<F: Float> Sgd<F> {
    /// For this problem's penalty and features.
    pub fn new(problem: &Problem) -> Self {
        Self(SparsePenalty::new(problem))
    }
}

impl<F: Float> GradientUpdate<F> for Sgd<F> {
    #[inline(always)]
    fn change(&self, _j: usize, w_j: F, gradient: F, penalty_share: F, step_size: F) -> F {
        self.0.prox(w_j - step_size * gradient, step_size * penalty_share) - w_j
    }

    fn intercept_change(&self, gradient: F, batch: usize, step_size: F) -> F {
        let share = F::from_f64((INTERCEPT_SHARE * batch as f64).min(1.0));
        -(step_size * share * gradient)
    }

    fn rarities(&self) -> &[F] {
        &self.0.rarities
    }

    fn tables(&self) -> Vec<(&'static str, &[F::Cell])> {
        Vec::new()
    }

    fn another(&self) -> Self {
        self.clone()
    }
}
