//! Stochastic dual coordinate ascent: LIBLINEAR's method (Hsieh, Chang, Lin, Keerthi and Sundararajan, ICML 2008), in the
//! proximal form for the elastic net (Shalev-Shwartz and Zhang, Mathematical Programming 155, 2016); run by many workers on
//! one vector it is PASSCoDe (Hsieh, Yu and Dhillon, ICML 2015).
//!
//! Given the dual variables a, the primal vector u is kept beside them, and the weights are a function of it:
//!
//! ```text
//! u = 1/(l2 n) sum_i a_i x_i          w_j = soft(u_j, l1/l2)
//! ```
//!
//! A step maximises D over a_i alone, with q = |x_i|^2 / (l2 n) (exactly if l1 = 0, a lower bound of D otherwise):
//!
//! ```text
//! d = argmax  -phi_i*(-(a_i + d)) - d w·x_i - q/2 d^2
//! a_i <- a_i + d          u <- u + d/(l2 n) x_i
//! ```
//!
//! A row is visited by one worker at a time, so a_i is never contended. Where additions to u are lost, u drifts from a;
//! whenever a gap is certified u is computed anew from a ([`crate::strategy::Strategy::repair`]), so that losses never
//! survive into the answer.
//!
//! The intercept is not penalised, which in the dual asks that sum_i a_i = 0. The method of multipliers does it: a penalty
//! k/2 (b - c)^2 that pulls b towards where it stood when the epoch began, c, makes b = c + 1/(k n) sum_i a_i one more
//! coordinate of u, and c follows b from epoch to epoch until nothing pulls any more.

use crate::error::{Error, Result};
use crate::penalty::Penalty;
use crate::problem::Problem;
use crate::sync::{Cell, Float, zeros};
use crate::update::Update;
use crate::weights::Weights;

/// k over l2: how firmly the intercept is held within an epoch.
const INTERCEPT_PULL: f64 = 100.0;

/// Exact steps on one dual variable at a time.
pub struct Sdca<F: Float> {
    duals: Vec<F::Cell>,
    /// 1 / (l2 n).
    scale: f64,
    /// l1 / l2.
    threshold: F,
    /// 1 / (k n), or 0 without intercept.
    intercept_scale: f64,
}

impl<F: Float> Sdca<F> {
    /// For this problem.
    ///
    /// # Errors
    /// If the loss has no conjugate, or l2 is 0: without it the dual has no w.
    pub fn new(problem: &Problem) -> Result<Self> {
        let Penalty { l2, l1 } = problem.penalty();
        if l2 == 0.0 {
            return Err(Error::Usage(
                "--update sdca wants an l2 penalty above 0; add --l2 or --c, or use --update adagrad".into(),
            ));
        }
        if problem.loss().dual().is_none() {
            let name = problem.loss().name();
            return Err(Error::Usage(format!(
                "--update sdca wants a loss with a conjugate, and {name} has none; use --update sgd"
            )));
        }
        let scale = 1.0 / (l2 * problem.n_rows() as f64);
        Ok(Self {
            duals: zeros::<F>(problem.n_rows()),
            scale,
            threshold: F::from_f64(l1 / l2),
            intercept_scale: if problem.has_intercept() { scale / INTERCEPT_PULL } else { 0.0 },
        })
    }

    #[inline(always)]
    fn weight(&self, u_j: F) -> F {
        let kept = u_j.abs() - self.threshold;
        if kept <= F::ZERO {
            F::ZERO
        } else if u_j > F::ZERO {
            kept
        } else {
            -kept
        }
    }
}

impl<F: Float> Update<F> for Sdca<F> {
    /// b becomes c, and b = c + 1/(k n) sum_i a_i.
    fn begin_epoch(&mut self, problem: &Problem, intercept: F) -> F {
        if !problem.has_intercept() {
            return intercept;
        }
        let sum: f64 = self.duals.iter().map(|a| a.get().to_f64()).sum();
        F::from_f64(intercept.to_f64() + self.intercept_scale * sum)
    }

    #[inline(always)]
    fn decide<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W) -> F {
        let Some(loss) = problem.loss().dual() else { return F::ZERO }; // `new` has made sure
        let row = problem.data().row(i);
        let product = if self.threshold > F::ZERO { w.dot_with(row, |u_j| self.weight(u_j)) } else { w.dot(row) };
        let score = (product + w.intercept()).to_f64();
        let curvature = f64::from(problem.squared_norms()[i]) * self.scale + self.intercept_scale;
        let a = self.duals[i].get();
        // An empty row has no curvature; a tiny one keeps 0/0 away and lets its dual variable jump to its best.
        let best = loss.maximise(a.to_f64(), score, f64::from(problem.targets()[i]), curvature.max(1e-12));
        F::from_f64(best) - a
    }

    #[inline(always)]
    fn apply<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W, decision: F, step_size: F) {
        if decision == F::ZERO {
            return;
        }
        let change = step_size * decision;
        self.duals[i].set(self.duals[i].get() + change);
        w.add_scaled(problem.data().row(i), F::from_f64(change.to_f64() * self.scale));
        if problem.has_intercept() {
            w.add_intercept(F::from_f64(change.to_f64() * self.intercept_scale));
        }
    }

    fn tables(&self) -> Vec<(&'static str, &[F::Cell])> {
        vec![("duals", &self.duals)]
    }

    fn duals(&self) -> Option<&[F::Cell]> {
        Some(&self.duals)
    }

    fn weights(&self, mut stored: Vec<F>) -> Vec<F> {
        if self.threshold > F::ZERO {
            stored.iter_mut().for_each(|u_j| *u_j = self.weight(*u_j));
        }
        stored
    }
}
