//! What a step on one example is corrected by: the gradients that all examples had some time ago.
//!
//! One number s_i a row remembers the loss's derivative at earlier weights, and
//!
//! ```text
//! avg_j = (1/n) sum_i s_i x_ij
//! ```
//!
//! is the gradient that goes with all of them. A step on row i touches the features of that row alone, with D_j = n/n_j
//! ([`Problem::rarities`]):
//!
//! ```text
//! v_j = (phi_i'(w·x_i + b) - s_i) x_ij + D_j avg_j
//! w_j <- prox(w_j - h v_j,  h D_j)
//! ```
//!
//! Feature j is in n_j of n rows, so the mean of D_j avg_j over the rows is avg_j, that of s_i x_ij is avg_j as well, and the
//! mean of v is the gradient, whatever the s_i are: the sparse correction of ASAGA (Leblond, Pedregosa and Lacoste-Julien,
//! AISTATS 2017), and with the prox that of ProxASAGA (Pedregosa, Leblond and Lacoste-Julien, NIPS 2017). At the optimum,
//! where s_i = phi_i', no v is other than what the prox takes back: a step that does not shrink comes there, which steps on
//! bare gradients cannot. The whole penalty, l2 as well as l1, is left to the prox.
//!
//! The intercept is in every row (D = 1), has an average of its own, and is not penalised.

use rayon::prelude::*;

use crate::data::prefetch;
use crate::problem::Problem;
use crate::sync::{Cell, Float, set_values, values, zeros};
use crate::threads::Team;
use crate::update::{SparsePenalty, Tables, find_tables};
use crate::weights::{Memory, Weights};

/// The intercept takes this share of a step, as in [`crate::update::Sgd`] and for the same reason: workers publish theirs
/// chunk by chunk, and must not overshoot together. Where a step ends does not depend on it.
const INTERCEPT_SHARE: f64 = 0.01;

/// The derivatives at earlier weights, and the gradient that goes with them.
pub(super) struct Correction<F: Float> {
    penalty: SparsePenalty<F>,
    /// s_i.
    pub derivatives: Vec<F::Cell>,
    /// avg_j; the last one is the intercept's, the mean of s.
    pub averages: Vec<F::Cell>,
}

impl<F: Float> Correction<F> {
    /// All s_i = 0.
    pub fn new(problem: &Problem) -> Self {
        Self {
            penalty: SparsePenalty::new(problem),
            derivatives: zeros::<F>(problem.n_rows()),
            averages: zeros::<F>(problem.n_features() + 1),
        }
    }

    /// Sets every s_i to the derivative at the weights as they are, and the averages with them.
    pub fn take(&self, problem: &Problem, team: &Team, memory: &dyn Memory<F>) {
        let (w, b) = memory.load();
        let (loss, targets) = (problem.loss(), problem.targets());
        let set = |(i, (s_i, score)): (usize, (&F::Cell, f64))| {
            s_i.set(F::from_f64(loss.derivative(score, f64::from(targets[i]))));
        };
        team.install(|| self.derivatives.par_iter().zip(problem.scores(&w, b)).enumerate().with_min_len(256).for_each(set));
        self.average(problem, team);
    }

    /// Computes the averages from the s_i, the same to the last bit with any number of workers.
    pub fn average(&self, problem: &Problem, team: &Team) {
        let s: Vec<f64> = self.derivatives.iter().map(|s_i| s_i.get().to_f64()).collect();
        let (intercept, features) = (s.iter().sum::<f64>() / s.len() as f64, team.install(|| problem.transposed(&s)));
        self.averages.iter().zip(features.into_iter().chain([intercept])).for_each(|(avg, mean)| avg.set(F::from_f64(mean)));
    }

    /// phi_i'.
    #[inline(always)]
    pub fn derivative<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W) -> F {
        let score = w.dot(problem.rows().row(i)) + w.intercept();
        F::from_f64(problem.loss().derivative(score.to_f64(), f64::from(problem.targets()[i])))
    }

    /// The step on row i; `change` is phi_i' - s_i. `seen(j, (phi_i' - s_i) x_ij)` is called for every feature after its own
    /// step, and once for the intercept, if there is one.
    #[inline(always)]
    pub fn step<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W, change: F, step_size: F, seen: impl Fn(usize, F)) {
        for (j, x) in problem.rows().row(i).iter() {
            let (rarity, part) = (self.penalty.rarities[j], change * F::from_f32(x));
            let v = part + rarity * self.averages[j].get();
            w.add_with(j, |w_j| self.penalty.prox(w_j - step_size * v, step_size * rarity) - w_j);
            seen(j, part);
        }
        if problem.has_intercept() {
            let last = self.averages.len() - 1;
            w.add_intercept(-(step_size * F::from_f64(INTERCEPT_SHARE) * (change + self.averages[last].get())));
            seen(last, change);
        }
    }

    pub fn tables(&self) -> Tables<F> {
        vec![("derivatives".into(), values(&self.derivatives)), ("averages".into(), values(&self.averages))]
    }

    pub fn set_tables(&self, tables: &Tables<F>) -> bool {
        let sizes = [("derivatives", self.derivatives.len()), ("averages", self.averages.len())];
        let Some([derivatives, averages]) = find_tables(tables, sizes) else { return false };
        set_values(&self.derivatives, derivatives);
        set_values(&self.averages, averages);
        true
    }

    #[inline(always)]
    pub fn prefetch(&self, i: usize) {
        prefetch(&self.derivatives, i);
    }
}
