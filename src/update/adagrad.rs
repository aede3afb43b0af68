//! AdaGrad (Duchi, Hazan and Singer, JMLR 12, 2011), the rule of Downpour SGD's workers (Dean et al., NIPS 2012): every
//! coordinate has a step size of its own that falls with the gradients it has seen.
//!
//! ```text
//! G_j <- G_j + g_j^2          g_j = phi_i'(w·x_i + b) x_ij
//! h_j  = h / sqrt(G_j)
//! w_j <- prox(w_j - h_j g_j,  h_j n/n_j)                     for the features j of row i
//! ```
//!
//! G is shared like the weights; an addition to it that is lost makes one step slightly longer and no more.

use crate::problem::Problem;
use crate::sync::{Cell, Float, zeros};
use crate::update::{GradientUpdate, SparsePenalty};

/// Stochastic gradient steps, scaled coordinate by coordinate.
pub struct Adagrad<F: Float> {
    penalty: SparsePenalty<F>,
    /// G_j; the last one is the intercept's.
    squares: Vec<F::Cell>,
}

impl<F: Float> Adagrad<F> {
    /// For this problem's penalty and features.
    pub fn new(problem: &Problem) -> Self {
        Self { penalty: SparsePenalty::new(problem), squares: zeros::<F>(problem.n_features() + 1) }
    }

    /// h_j, once the gradient has been added to G_j; none while G_j is 0.
    #[inline(always)]
    fn step(&self, j: usize, gradient: F, step_size: F) -> Option<F> {
        let square = self.squares[j].get() + gradient * gradient;
        self.squares[j].set(square);
        (square > F::ZERO).then(|| step_size / square.sqrt())
    }
}

impl<F: Float> GradientUpdate<F> for Adagrad<F> {
    #[inline(always)]
    fn change(&self, j: usize, w_j: F, gradient: F, penalty_share: F, step_size: F) -> F {
        let Some(h_j) = self.step(j, gradient, step_size) else { return F::ZERO };
        self.penalty.prox(w_j - h_j * gradient, h_j * penalty_share) - w_j
    }

    fn intercept_change(&self, gradient: F, _batch: usize, step_size: F) -> F {
        let h = self.step(self.squares.len() - 1, gradient, step_size).unwrap_or(F::ZERO);
        -(h * gradient)
    }

    fn rarities(&self) -> &[F] {
        &self.penalty.rarities
    }

    fn tables(&self) -> Vec<(&'static str, &[F::Cell])> {
        vec![("squares", &self.squares)]
    }

    fn another(&self) -> Self {
        Self { penalty: self.penalty.clone(), squares: zeros::<F>(self.squares.len()) }
    }
}
