//! What does one example change? An [`Update`] is the mathematics of a step, split where workers may part: `decide` only
//! reads the weights (and notes what it saw of its row) and ends in one number, `apply` adds that number's consequence to the coordinates of the row.
//!
//! How the steps of many workers are woven together is the business of [`crate::strategy`].

mod adagrad;
mod correction;
mod leap;
mod rest;
mod saga;
mod sdca;
mod sgd;
mod svrg;
mod working_set;

use std::ops::Range;

use crate::data::Rows;
use crate::penalty::{Penalty, soft};
use crate::problem::Problem;
use crate::sync::{Float, set_values, values};
use crate::threads::Team;
use crate::weights::{Memory, Weights};

pub use adagrad::Adagrad;
pub use saga::Saga;
pub use sdca::Sdca;
pub use sgd::Sgd;
pub use svrg::Svrg;

/// What an update remembers, by name.
pub type Tables<F> = Vec<(String, Vec<F>)>;

/// The tables of these names and lengths, if all are there.
pub(crate) fn find_tables<'a, F, const N: usize>(tables: &'a Tables<F>, wanted: [(&str, usize); N]) -> Option<[&'a [F]; N]> {
    let find = |(name, n)| tables.iter().find(|table| table.0 == name && table.1.len() == n).map(|table| table.1.as_slice());
    let found: Vec<&[F]> = wanted.into_iter().filter_map(find).collect();
    found.try_into().ok()
}

/// One row's turn in an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Visit {
    /// The row.
    pub row: usize,
    /// The share of the epoch that is still to come: for means over the epoch.
    pub left: f32,
}

/// What an epoch's steps have seen on their way, each at its own time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Of P(w); with an l1 penalty less, by up to half of it.
    pub objective: f64,
    /// Of P(w) - D(a).
    pub gap: f64,
}

/// A step on one example. It may be called from many workers at once.
pub trait Update<F: Float>: Send + Sync {
    /// Called before each epoch (the first is 0), every worker idle; parallel on the team.
    fn begin_epoch(&mut self, _epoch: u64, _problem: &Problem, _team: &Team, _memory: &mut dyn Memory<F>) {}

    /// Called after each epoch that was not cancelled, every worker idle; parallel on the current rayon pool.
    fn end_epoch(&mut self) {}

    /// Which pass over all rows an epoch begins with, none if the working set alone is visited. Rests are counted in such passes.
    fn round(&self, epoch: u64) -> Option<u64> {
        Some(epoch)
    }

    /// Called after such a pass, every worker idle: the working set is what will be visited until the next one. Parallel on the
    /// current rayon pool.
    fn admit(&mut self, _problem: &Problem) {}

    /// Copies of the rows that are likely to move, and an update for them which shares nothing with this one but the weights:
    /// in this one their rest is 0. An epoch visits them last, and its mean is over these visits, in which all that a pass
    /// before them has moved are. None where all rows are visited as they lie.
    fn working_set(&mut self) -> Option<(&mut Self, Rows<'_>)> {
        None
    }

    /// In every so-manyth pass each row is visited, a power of 2, or in none where that is 0. Empty if no row ever rests.
    fn rests(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads the weights and decides how far to go along row i: a derivative, or the change of a dual variable.
    fn decide<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W) -> F;

    /// Goes there.
    fn apply<W: Weights<F>>(&self, problem: &Problem, visit: Visit, w: W, decision: F, step_size: F);

    /// Both at once.
    #[inline(always)]
    fn step<W: Weights<F>>(&self, problem: &Problem, visit: Visit, w: W, step_size: F) {
        self.apply(problem, visit, w, self.decide(problem, visit.row, w), step_size);
    }

    /// What it remembers from step to step besides the weights, by name: for checkpoints and for going back.
    fn tables(&self) -> Tables<F>;

    /// Sets them. Tells whether they fit; if not, nothing is changed.
    fn set_tables(&mut self, tables: &Tables<F>) -> bool;

    /// Asks for the memory of row i's part of the tables.
    #[inline(always)]
    fn prefetch(&self, _i: usize) {}

    /// Whether it keeps dual variables.
    const KEEPS_DUALS: bool = false;

    /// The dual variables a_i, if it keeps them. Then the stored vector follows from them: see [`Update::stored`].
    fn duals(&self) -> Option<Vec<f64>> {
        None
    }

    /// Their mean over the last epoch, if it keeps them: it has less noise, and so a lower P(w).
    fn mean_duals(&self) -> Option<MeanDuals> {
        None
    }

    /// If it climbs a dual, the strength k of the quadratic in n D(a) = .. - k/2 |w|^2: what a merge needs to know.
    fn dual_curvature(&self) -> Option<f64> {
        None
    }

    /// Whether its steps stay long to the end, so that what workers have changed on copies of their own must be averaged when
    /// they merge: added up, it would lead too far.
    const AVERAGES_MERGES: bool = false;

    /// Told when the weights have been computed anew from the dual variables: how they stood before is no longer comparable.
    fn repaired(&mut self) {}

    /// By how much at least n D(a) rises when a_i changes by its best step, or a part of it.
    fn gain(&self, _i: usize, _change: F) -> f64 {
        0.0
    }

    /// Takes back this share of this epoch's change of a_i: from a_i, and from the weights of all features but those `merged`.
    fn take_back<W: Weights<F>>(&self, _problem: &Problem, _i: usize, _w: W, _change: F, _share: F, _merged: Range<usize>) {}

    /// How far the run has come, as far as the steps of the last epoch can tell. Costs little, proves nothing.
    fn estimate(&self) -> Option<Estimate> {
        None
    }

    /// The stored vector that belongs to v = [`Problem::transposed`] of the dual variables. Asked only where there are some.
    fn stored(&self, v: &[f64]) -> Vec<F> {
        v.iter().map(|&v_j| F::from_f64(v_j)).collect()
    }

    /// The weights that a stored vector stands for.
    fn weights(&self, stored: Vec<F>) -> Vec<F> {
        stored
    }
}

/// Dual variables, one a row, in the mean over an epoch.
pub struct MeanDuals {
    /// a_i.
    pub duals: Vec<f64>,
    /// The intercept's mean less the intercept as it is now.
    pub intercept_change: f64,
}

/// An update whose step is a function of a gradient, coordinate by coordinate; a batch of examples can share one step.
pub trait GradientUpdate<F: Float>: Send + Sync {
    /// What to add to w_j, given the loss's derivative for it. `penalty_share` is how many times the penalty on w_j counts
    /// in this step: see [`Problem::rarities`].
    fn change(&self, j: usize, w_j: F, gradient: F, penalty_share: F, step_size: F) -> F;

    /// What to add to b after a step on the mean of `batch` examples.
    fn intercept_change(&self, gradient: F, batch: usize, step_size: F) -> F;

    /// n/n_j for every feature.
    fn rarities(&self) -> &[F];

    /// Its tables, by name.
    fn tables(&self) -> Vec<(&'static str, &[F::Cell])>;

    /// One for the same problem that has seen nothing yet: for a worker of its own.
    fn another(&self) -> Self
    where
        Self: Sized;
}

/// The step on one example: that of a [`GradientUpdate`] on a batch of one.
pub struct Stochastic<G>(pub G);

impl<F: Float, G: GradientUpdate<F>> Update<F> for Stochastic<G> {
    #[inline(always)]
    fn decide<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W) -> F {
        let score = w.dot(problem.rows().row(i)) + w.intercept();
        F::from_f64(problem.loss().derivative(score.to_f64(), f64::from(problem.targets()[i])))
    }

    #[inline(always)]
    fn apply<W: Weights<F>>(&self, problem: &Problem, visit: Visit, w: W, derivative: F, step_size: F) {
        let rarities = self.0.rarities();
        for (j, x) in problem.rows().row(visit.row).iter() {
            w.add_with(j, |w_j| self.0.change(j, w_j, derivative * F::from_f32(x), rarities[j], step_size));
        }
        if problem.has_intercept() {
            w.add_intercept(self.0.intercept_change(derivative, 1, step_size));
        }
    }

    fn tables(&self) -> Tables<F> {
        self.0.tables().into_iter().map(|(name, cells)| (name.to_owned(), values(cells))).collect()
    }

    fn set_tables(&mut self, tables: &Tables<F>) -> bool {
        let own = self.0.tables();
        let saved: Option<Vec<&[F]>> =
            own.iter().map(|&(name, cells)| find_tables(tables, [(name, cells.len())]).map(|[table]| table)).collect();
        let Some(saved) = saved.filter(|saved| saved.len() == tables.len()) else { return false };
        own.iter().zip(saved).for_each(|((_, cells), saved)| set_values(cells, saved));
        true
    }
}

/// The penalty as sparse steps apply it: to the features of a row only, and n/n_j times as strongly.
#[derive(Clone)]
struct SparsePenalty<F> {
    /// n/n_j: [`Problem::rarities`].
    rarities: Vec<F>,
    l2: F,
    l1: F,
}

impl<F: Float> SparsePenalty<F> {
    fn new(problem: &Problem) -> Self {
        let Penalty { l2, l1 } = problem.penalty();
        Self { rarities: problem.rarities(), l2: F::from_f64(l2), l1: F::from_f64(l1) }
    }

    /// The prox of h times the penalty.
    #[inline(always)]
    fn prox(&self, v: F, h: F) -> F {
        prox(v, h * self.l1, h * self.l2)
    }
}

/// The prox of the elastic net, `h (l2/2 w^2 + l1 |w|)`: soft(v, h l1) / (1 + h l2).
#[inline(always)]
fn prox<F: Float>(v: F, h_l1: F, h_l2: F) -> F {
    if h_l1 == F::ZERO {
        return v / (F::ONE + h_l2); // the usual case, and the same number
    }
    soft(v, h_l1) / (F::ONE + h_l2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prox_is_the_minimum_that_defines_it() {
        for v in [-2.0, -0.3, 0.0, 0.1, 1.7] {
            for (h_l1, h_l2) in [(0.0, 0.0), (0.2, 0.0), (0.0, 3.0), (0.4, 0.5)] {
                let cost = |w: f64| (w - v) * (w - v) / 2.0 + h_l1 * w.abs() + h_l2 / 2.0 * w * w;
                let found = prox(v, h_l1, h_l2);
                assert!((-3000..3000).map(|k| f64::from(k) / 1000.0).all(|w| cost(found) <= cost(w) + 1e-12));
            }
        }
    }
}
