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
//! Features may be merged part by part. A part's merge knows C·O and |C|^2 of its features only. Without the others' |C|^2 the right
//! side is lower, and still a bound; their C·O is paid when they are merged, out of what this merge has left of G. A step
//! that is taken back is taken from all features: from those of the part by the scale, from the others one by one.
//!
//! Steps on gradients have no dual to search along. Those that shrink are added as they are. Those of saga and svrg do not
//! shrink: between two merges each of N workers may come as far along the steepest direction as there is to go, and N
//! such ways added up lead N - 1 times too far, for ever. They are averaged: t = 1/N. What saga and svrg correct by does not
//! follow from the weights, so nothing else has to be taken back.

use std::ops::Range;

use crate::problem::Problem;
use crate::strategy::Job;
use crate::sync::Float;
use crate::update::{Update, Visit};
use crate::weights::{Meeting, Weights};

/// A merge runs over its features twice; this many non-zeros of rows cost about as much as one of them (0.6 ns, where lines take
/// 200 ns from core to core).
pub(super) const FEATURE_COST: f64 = 0.5;
/// What a visit costs besides its row's non-zeros, in non-zeros: on debian-libraries (12 a row) 28 to 44 ns, on rcv1 (75) 63 to 110.
const VISIT_COST: f64 = 30.0;
/// From this t on a change is taken whole: it climbs by 2 (t - 1/2) / t^2, at least 0.9, of what the best t would, and nothing
/// has to be taken back.
const WHOLE: f64 = 0.76;
/// Rows of a worker between two merges, at least, but for what is left at the end of a draw.
pub(super) const FEWEST_ROWS: usize = 16;

/// What a visit costs, in non-zeros.
pub(super) fn visit_cost(problem: &Problem) -> f64 {
    VISIT_COST + problem.data().n_nonzeros() as f64 / problem.n_rows() as f64
}

/// A worker's steps since all of his features were merged.
#[derive(Debug)]
pub struct Climb<F> {
    gain: f64,
    secured: f64,
    /// Row and change of each.
    steps: Vec<(u32, F)>,
    /// How many of them came before the last merge of a part.
    n_secured: usize,
}

impl<F> Default for Climb<F> {
    fn default() -> Self {
        Self { gain: 0.0, secured: 0.0, steps: Vec::new(), n_secured: 0 }
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
            self.steps.push((visit.row as u32, change));
        }
    }

    /// A lower bound of G, times n, of the steps that came after the last merge of a part.
    pub fn gain(&self) -> f64 {
        self.gain
    }

    /// A lower bound of what is left of it of the steps that came before.
    pub fn secured(&self) -> f64 {
        self.secured
    }

    /// After the steps have been merged with `scale` on a part of the features: takes back what that has left of them.
    pub fn secure<U, W>(&mut self, job: Job<'_>, update: &U, w: W, (scale, met): (F, Meeting), merged: Range<usize>)
    where
        U: Update<F>,
        W: Weights<F>,
    {
        let (t, k) = (scale.to_f64(), update.dual_curvature().unwrap_or(0.0));
        self.secured += t * (self.gain - k * met.overlap) + t * (1.0 - t) * k / 2.0 * met.length;
        self.gain = 0.0;
        take_back(&mut self.steps[self.n_secured..], job, update, w, scale, merged);
        self.n_secured = self.steps.len();
    }

    /// After the steps have been merged with `scale` on the last features that were to be merged: takes back what that has left
    /// of them, and forgets them.
    pub fn settle<U: Update<F>, W: Weights<F>>(&mut self, job: Job<'_>, update: &U, w: W, scale: F, merged: Range<usize>) {
        take_back(&mut self.steps, job, update, w, scale, merged);
        (self.gain, self.secured, self.n_secured) = (0.0, 0.0, 0);
        self.steps.clear();
    }
}

/// Takes it from the dual variables, and from the weights of the features that were not merged.
fn take_back<F, U, W>(steps: &mut [(u32, F)], job: Job<'_>, update: &U, w: W, scale: F, merged: Range<usize>)
where
    F: Float,
    U: Update<F>,
    W: Weights<F>,
{
    if scale < F::ONE {
        for (i, change) in steps {
            update.take_back(job.problem, *i as usize, w, *change, F::ONE - scale, merged.clone());
            // Exactly what is left, not `scale` times it: with an ulp more, taking that back as well would leave a_i's domain.
            *change = *change - (F::ONE - scale) * *change;
        }
    }
}

/// t, where the steps have gained `gain`, their change has met the others', and so many workers merge.
pub fn scale<F: Float, U: Update<F>>(update: &U, gain: f64, met: Meeting, n_workers: usize) -> F {
    match update.dual_curvature() {
        Some(k) if met.length > 0.0 => {
            let best = 0.5 + (gain - k * met.overlap) / (k * met.length);
            F::from_f64(if best > WHOLE { 1.0 } else { best.max(0.0) })
        }
        None if U::AVERAGES_MERGES => F::from_f64(1.0 / n_workers as f64),
        _ => F::ONE,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::loss::Squared;
    use crate::penalty::Penalty;
    use crate::update::Sdca;

    #[test]
    fn a_merge_climbs_as_far_as_any_t_would_or_nine_tenths_of_it_where_it_is_taken_whole() {
        let (offsets, indices, values) = (vec![0u64, 1], vec![0u32], vec![1f32]);
        let matrix = sprs::CsMatViewI::new((1, 1), &offsets[..], &indices[..], &values[..]);
        let data = Dataset::from_csmat(matrix, &[1.0]).expect("a matrix");
        let problem = Problem::new(&data, &Squared, Penalty { l2: 2.0, l1: 0.0 }, false).expect("a problem");
        let update = Sdca::<f64>::new(&problem).expect("an update");
        let k = update.dual_curvature().expect("a dual");
        let (mut whole, mut scaled, mut none) = (0, 0, 0);
        for gain in [0.01, 0.5, 3.0] {
            for overlap in [-1.0, 0.0, 0.1, 0.2, 0.4, 1.0, 5.0] {
                for length in [0.1, 1.0, 4.0] {
                    let bound = |t: f64| t * (gain - k * overlap) + t * (1.0 - t) * k / 2.0 * length;
                    let t: f64 = scale(&update, gain, Meeting { overlap, length }, 2);
                    let best = (0..=1000).map(|t| bound(f64::from(t) / 1000.0)).fold(0.0, f64::max);
                    let least = if t == 1.0 { 0.9 * best } else { best };
                    assert!((0.0..=1.0).contains(&t) && bound(t) >= least - 1e-5, "t {t}: {} of {best}", bound(t));
                    *(if t == 1.0 {
                        &mut whole
                    } else if t > 0.0 {
                        &mut scaled
                    } else {
                        &mut none
                    }) += 1;
                }
            }
        }
        assert!(whole > 3 && scaled > 3 && none > 3, "{whole}, {scaled}, {none}");
    }
}
