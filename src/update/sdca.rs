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
//! What has no l2 penalty has no curvature for the dual to lean on: the intercept never has one, the weights have none when
//! l2 = 0. The proximal point method (in the dual, the method of multipliers; Rockafellar, SIAM J. Control 14, 1976) lends
//! it: within an epoch
//!
//! ```text
//! k/2 |w - c|^2     is added where l2 = 0, so that      u = c + 1/(k n) sum_i a_i x_i,     w_j = soft(u_j, l1/k)
//! k/2 (b - c_b)^2   is added for the intercept,         b = c_b + 1/(k n) sum_i a_i
//! ```
//!
//! where c and c_b are where w and b stood when the epoch began. From epoch to epoch they follow, until nothing pulls any
//! more; what is certified is the problem without any pull.

use crate::error::{Error, Result};
use crate::penalty::{Penalty, soft};
use crate::problem::Problem;
use crate::sync::{Cell, Float, set_values, zeros};
use crate::update::Update;
use crate::weights::{Memory, Weights};

/// k of the intercept, over the strength of the weights' pull or penalty: how firmly it is held within an epoch.
const INTERCEPT_PULL: f64 = 100.0;
/// k of the weights without l2, in units of mean |x_i|^2 / n: the strength at which a row's dual variable is about 1.
const WEIGHTS_PULL: f64 = 1.0;

/// Exact steps on one dual variable at a time.
pub struct Sdca<F: Float> {
    duals: Vec<F::Cell>,
    /// 1 / (l2 n), or 1 / (k n).
    scale: f64,
    /// l2, or k.
    strength: f64,
    /// l1 over that.
    threshold: F,
    /// c, where l2 = 0; else empty.
    centre: Vec<F::Cell>,
    /// 1 / (k n) of the intercept, or 0 without one.
    intercept_scale: f64,
}

impl<F: Float> Sdca<F> {
    /// For this problem.
    ///
    /// # Errors
    /// If the loss has no conjugate, or there is no penalty at all.
    pub fn new(problem: &Problem) -> Result<Self> {
        let (Penalty { l2, l1 }, n) = (problem.penalty(), problem.n_rows() as f64);
        if l2 == 0.0 && l1 == 0.0 {
            return Err(Error::Usage("--update sdca wants a penalty; add --c, --l2 or --l1, or use --update adagrad".into()));
        }
        if problem.loss().dual().is_none() {
            let name = problem.loss().name();
            return Err(Error::Usage(format!(
                "--update sdca wants a loss with a conjugate, and {name} has none; use --update sgd"
            )));
        }
        let mean_norm = problem.squared_norms().iter().map(|&norm| f64::from(norm)).sum::<f64>() / n;
        let pull = WEIGHTS_PULL * if mean_norm > 0.0 { mean_norm } else { 1.0 } / n;
        let strength = if l2 > 0.0 { l2 } else { pull };
        let scale = 1.0 / (strength * n);
        Ok(Self {
            duals: zeros::<F>(problem.n_rows()),
            scale,
            strength,
            threshold: F::from_f64(l1 / strength),
            centre: zeros::<F>(if l2 > 0.0 { 0 } else { problem.n_features() }),
            intercept_scale: if problem.has_intercept() { scale / INTERCEPT_PULL } else { 0.0 },
        })
    }

    #[inline(always)]
    fn weight(&self, u_j: F) -> F {
        soft(u_j, self.threshold)
    }
}

impl<F: Float> Update<F> for Sdca<F> {
    /// The centres follow: c becomes w, and u and b are computed anew around them.
    fn begin_epoch(&mut self, memory: &mut dyn Memory<F>) {
        if self.intercept_scale == 0.0 && self.centre.is_empty() {
            return;
        }
        let (mut stored, intercept) = memory.load();
        if !self.centre.is_empty() {
            let weights = self.weights(stored.clone());
            for ((u_j, c_j), &w_j) in stored.iter_mut().zip(&self.centre).zip(&weights) {
                *u_j = w_j + (*u_j - c_j.get());
            }
            set_values(&self.centre, &weights);
        }
        let sum: f64 = self.duals.iter().map(|a| a.get().to_f64()).sum();
        memory.store(&stored, F::from_f64(intercept.to_f64() + self.intercept_scale * sum));
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
        vec![("duals", &self.duals), ("centre", &self.centre)]
    }

    fn duals(&self) -> Option<&[F::Cell]> {
        Some(&self.duals)
    }

    fn stored(&self, v: &[f64]) -> Vec<F> {
        let around = |j: usize| self.centre.get(j).map_or(0.0, |c_j| c_j.get().to_f64());
        v.iter().enumerate().map(|(j, v_j)| F::from_f64(around(j) + v_j / self.strength)).collect()
    }

    fn weights(&self, mut stored: Vec<F>) -> Vec<F> {
        if self.threshold > F::ZERO {
            stored.iter_mut().for_each(|u_j| *u_j = self.weight(*u_j));
        }
        stored
    }
}
