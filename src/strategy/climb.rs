//! **A merge that cannot diverge.** Between two merges a worker climbs the dual by G on a view of his own; meanwhile the others
//! have moved the shared weights by O. With his own change written C, D along the merged direction is
//!
//! ```text
//! D(a + t da) - D(a)  >=  t (G - l2 C·O)  +  t (1 - t) l2/2 |C|^2          0 <= t <= 1
//! ```
//!
//! because D is the concave -mean phi* plus a quadratic: along the chord the first gains at least its share, the second
//! exactly what stands there, and the others' change adds the cross term. The t that makes the right side largest,
//!
//! ```text
//! t = 1/2 + (G - l2 C·O) / (l2 |C|^2)      between 0 and 1
//! ```
//!
//! makes every merge climb, whatever the number of workers and however hard their features collide. For the hinge it is the
//! exact line search. (G is bounded from below by sum q d^2/2, which shortens t. What meets in an intercept is not searched;
//! with l1, C·O is that of u, not of w.)
//!
//! Steps on gradients have no dual to search along. Those that shrink are added as they are. Those of saga and svrg do not
//! shrink: between two merges each of N workers may come as far along the steepest direction as there is to go, and N
//! such ways added up lead N - 1 times too far, for ever. They are averaged: t = 1/N. What saga and svrg correct by does not
//! follow from the weights, so nothing else has to be taken back.

use crate::strategy::Job;
use crate::sync::Float;
use crate::update::{Update, Visit};
use crate::weights::{Meeting, Weights};

/// A merge runs over its features a few times; this many non-zeros of rows cost as much as one of them.
pub(super) const FEATURE_COST: f64 = 0.5;
/// The share of the time that merges may take.
pub(super) const MERGE_SHARE: f64 = 0.1;
/// Rows of a worker between two merges, at least.
pub(super) const FEWEST_ROWS: usize = 16;

/// A worker's steps since the last merge.
#[derive(Debug)]
pub struct Climb<F> {
    /// By how much they have raised n D at least.
    gain: f64,
    /// Row and change of each.
    steps: Vec<(usize, F)>,
}

impl<F> Default for Climb<F> {
    fn default() -> Self {
        Self { gain: 0.0, steps: Vec::new() }
    }
}

impl<F: Float> Climb<F> {
    /// Takes a step on the worker's own copy of the weights.
    #[inline(always)]
    pub fn step<U, W>(&mut self, job: Job<'_>, worker: usize, update: &U, visit: Visit, w: W, step_size: F)
    where
        U: Update<F>,
        W: Weights<F>,
    {
        let Job { problem, watch, .. } = job;
        let seen = watch.reads(worker);
        let decision = update.decide(problem, visit.row, w);
        update.apply(problem, visit, w, decision, step_size);
        watch.wrote_to_copy(worker, seen);
        if U::KEEPS_DUALS && decision != F::ZERO {
            let change = step_size * decision;
            self.gain += update.gain(visit.row, change);
            self.steps.push((visit.row, change));
        }
    }

    /// A lower bound of G, times n.
    pub fn gain(&self) -> f64 {
        self.gain
    }

    /// Takes back what a merge scaled by `scale` leaves of the steps: from the dual variables, and from the weights of the
    /// features from `first` on, which were not merged. Forgets the steps.
    pub fn settle<U: Update<F>, W: Weights<F>>(&mut self, job: Job<'_>, update: &U, w: W, scale: F, first: usize) {
        if scale < F::ONE {
            for &(i, change) in &self.steps {
                update.take_back(job.problem, i, w, change, F::ONE - scale, first);
            }
        }
        self.gain = 0.0;
        self.steps.clear();
    }
}

/// t, where the steps have gained `gain`, their change has met the others', and so many workers merge.
pub fn scale<F: Float, U: Update<F>>(update: &U, gain: f64, met: Meeting, n_workers: usize) -> F {
    match update.dual_curvature() {
        Some(k) if met.length > 0.0 => F::from_f64((0.5 + (gain - k * met.overlap) / (k * met.length)).clamp(0.0, 1.0)),
        None if U::AVERAGES_MERGES => F::from_f64(1.0 / n_workers as f64),
        _ => F::ONE,
    }
}
