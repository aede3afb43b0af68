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
//! every few epochs u is computed anew from a, and what is certified follows from dual variables alone, so that losses
//! never survive into the answer.
//!
//! **Rest.** Rows that a visit does not change, which most end as, are left alone for a while: [`crate::update::rest`]. Those that
//! do not rest become few, and are soon copied together: [`crate::update::working_set`].
//!
//! **Leaps.** From time to time a leaps along the way that the last epochs have gone: [`crate::update::leap`].
//!
//! **Means.** P(w) at the end of an epoch carries the noise of the last rows visited: D(a) may be within 1e-4 of the
//! optimum where P(w) is not within 1e-3. What is certified is therefore the mean of the dual variables over the epoch (of
//! which each step knows its own part: d times the share of the epoch that is left), whose P is lower and whose D is hardly so.
//!
//! **The gap on the way.** With w = w(a) the gap is a sum over rows that each visit sees without effort,
//!
//! ```text
//! P(w) - D(a) = (1/n) sum_i [ phi_i(z_i) + phi_i*(-a_i) + a_i z_i ]           z_i = w·x_i
//! ```
//!
//! stale by up to an epoch, or by as many as a row rests, which is good enough to know when a certificate is worth its price.
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

use std::ops::Range;

use rayon::prelude::*;

use crate::data::{Rows, advise_huge_pages, prefetch};
use crate::error::{Error, Result};
use crate::loss::{DualStep, Stepper};
use crate::penalty::{Penalty, soft};
use crate::problem::Problem;
use crate::sync::{Cell, Float, set_values, values, zeros};
use crate::threads::Team;
use crate::update::leap::Mark;
use crate::update::rest::{self, Rests, Share, sums};
use crate::update::working_set::{WorkingSet, rounds};
use crate::update::{Estimate, MeanDuals, Tables, Update, Visit, find_tables};
use crate::weights::{Memory, Weights};

/// k of the intercept, over the strength of the weights' pull or penalty: how firmly it is held within an epoch.
const INTERCEPT_PULL: f64 = 100.0;
/// k of the weights without l2, in units of mean |x_i|^2 / n: the strength at which a row's dual variable is about 1.
const WEIGHTS_PULL: f64 = 1.0;

/// Features in a piece of a vector, at least.
const CHUNK: usize = 1 << 17;

/// All that a visit wants to know of its row besides the features: one cache line, where single tables would be four.
#[repr(align(16))]
pub(super) struct Example<F: Float> {
    /// y_i and |x_i|^2, copies of the problem's.
    pub target: f32,
    pub squared_norm: f32,
    /// a_i.
    pub dual: F::Cell,
    /// a_i less its mean over the epoch. A row that rests has not moved at its last visit: 0.
    pub lag: F::Cell,
}

/// Exact steps on one dual variable at a time.
pub struct Sdca<F: Float> {
    pub(super) loss: Stepper,
    /// That of the loss.
    pub(super) smoothness: Option<f64>,
    pub(super) examples: Vec<Example<F>>,
    /// Apart from them, as all are summed after every epoch.
    pub(super) shares: Vec<Share<F>>,
    pub(super) rests: Rests,
    /// 1 / (l2 n), or 1 / (k n).
    pub(super) scale: f64,
    /// l2, or k.
    pub(super) strength: f64,
    /// l1 over that.
    pub(super) threshold: F,
    /// c, where l2 = 0; else empty.
    pub(super) centre: Vec<F::Cell>,
    /// 1 / (k n) of the intercept, or 0 without one.
    pub(super) intercept_scale: f64,
    /// How far the score of a row that moves is moved by the others from one visit to the next.
    pub(super) drift: F,
    /// What the last epoch has seen.
    pub(super) seen: Option<Estimate>,
    /// The rows that are likely to move, if they are few.
    pub(super) working: Option<Box<WorkingSet<F>>>,
    /// Its members, when a state has been restored.
    pub(super) recalled: Vec<u32>,
    /// Where the next leap will start from.
    pub(super) mark: Mark<F>,
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
        let Some(loss) = problem.loss().dual() else {
            let name = problem.loss().name();
            return Err(Error::Usage(format!(
                "--update sdca wants a loss with a conjugate, and {name} has none; use --update sgd"
            )));
        };
        let mean_norm = problem.squared_norms().iter().map(|&norm| f64::from(norm)).sum::<f64>() / n;
        let pull = WEIGHTS_PULL * if mean_norm > 0.0 { mean_norm } else { 1.0 } / n;
        let strength = if l2 > 0.0 { l2 } else { pull };
        let scale = 1.0 / (strength * n);
        let zero = || F::Cell::new(F::ZERO);
        let example = |(&target, &squared_norm): (&f32, &f32)| Example { target, squared_norm, dual: zero(), lag: zero() };
        Ok(Self {
            loss: Stepper::of(loss),
            smoothness: problem.loss().smoothness(),
            examples: problem.targets().iter().zip(problem.squared_norms()).map(example).collect(),
            shares: (0..problem.n_rows()).map(|_| Share { objective: zero(), gap: zero() }).collect(),
            rests: Rests::new(problem.n_rows()),
            scale,
            strength,
            threshold: F::from_f64(l1 / strength),
            centre: zeros::<F>(if l2 > 0.0 { 0 } else { problem.n_features() }),
            intercept_scale: if problem.has_intercept() { scale / INTERCEPT_PULL } else { 0.0 },
            drift: F::from_f64(rest::FIRST_DRIFT),
            seen: None,
            working: None,
            recalled: Vec::new(),
            mark: Mark::new(problem, l2 > 0.0 && !problem.has_intercept()),
        })
    }

    #[inline(always)]
    fn weight(&self, u_j: F) -> F {
        soft(u_j, self.threshold)
    }

    /// The rest of a row that a visit has not moved.
    #[inline(always)]
    fn rest_for(&self, slack: f64) -> u8 {
        let epochs = rest::epochs(slack, self.drift.to_f64());
        if self.working.is_none() { epochs } else { rounds(epochs) }
    }
}

impl<F: Float> Update<F> for Sdca<F> {
    /// The centres follow: c becomes w, and u and b are computed anew around them. Where there are none, a leap may be due.
    fn begin_epoch(&mut self, epoch: u64, problem: &Problem, team: &Team, memory: &mut dyn Memory<F>) {
        self.recall(problem);
        if self.intercept_scale == 0.0 && self.centre.is_empty() {
            self.mark_or_leap(epoch, problem, team, memory);
            self.gather(epoch, problem);
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
        self.gather(epoch, problem);
        let sum: f64 = self.column(|own, i| own.examples[i].dual.get().to_f64()).into_iter().sum();
        memory.store(&stored, F::from_f64(intercept.to_f64() + self.intercept_scale * sum));
    }

    fn end_epoch(&mut self) {
        let (shares, rests, others) = match &mut self.working {
            Some(set) => (&mut set.update.shares, &mut set.update.rests, set.others),
            None => (&mut self.shares, &mut self.rests, [0.0; 2]),
        };
        let [objective, gap] = sums(shares);
        let n = self.examples.len() as f64;
        let (objective, gap) = (others[0] + objective, others[1] + gap);
        let n_moving = rests.count(|rest| rest == 1);
        self.drift = F::from_f64(rest::drift(gap, n_moving, self.smoothness));
        if let Some(set) = &mut self.working {
            set.update.drift = self.drift;
        }
        self.seen = Some(Estimate { objective: objective / n, gap: gap / n });
    }

    fn round(&self, epoch: u64) -> Option<u64> {
        self.round_of(epoch)
    }

    fn admit(&mut self, problem: &Problem) {
        self.admit_awake(problem);
    }

    fn working_set(&mut self) -> Option<(&mut Self, Rows<'_>)> {
        self.working.as_mut().map(|set| (&mut set.update, set.copies.rows()))
    }

    fn rests(&mut self) -> Vec<u8> {
        self.rests.bytes()
    }

    #[inline(always)]
    fn decide<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W) -> F {
        let row = problem.rows().row(i);
        let product = if self.threshold > F::ZERO { w.dot_with(row, |u_j| self.weight(u_j)) } else { w.dot(row) };
        let score = (product + w.intercept()).to_f64();
        let example = &self.examples[i];
        let curvature = f64::from(example.squared_norm) * self.scale + self.intercept_scale;
        let (a, y) = (example.dual.get(), f64::from(example.target));
        // An empty row has no curvature; a tiny one keeps 0/0 away and lets its dual variable jump to its best.
        let DualStep { best, value, excess, slack } = self.loss.step(a.to_f64(), score, y, curvature.max(1e-12));
        self.shares[i].objective.set(F::from_f64(value + a.to_f64() * score / 2.0));
        self.shares[i].gap.set(F::from_f64(excess));
        let decision = F::from_f64(best) - a;
        if decision == F::ZERO {
            example.lag.set(F::ZERO);
            self.rests.set(i, self.rest_for(slack));
        } else {
            self.rests.set(i, 1);
        }
        decision
    }

    #[inline(always)]
    fn apply<W: Weights<F>>(&self, problem: &Problem, Visit { row: i, left }: Visit, w: W, decision: F, step_size: F) {
        let Example { dual, lag, .. } = &self.examples[i];
        if decision == F::ZERO {
            return;
        }
        let change = step_size * decision;
        dual.set(dual.get() + change);
        lag.set(change * F::from_f32(1.0 - left));
        w.add_scaled(problem.rows().row(i), change * F::from_f64(self.scale));
        if problem.has_intercept() {
            w.add_intercept(F::from_f64(change.to_f64() * self.intercept_scale));
        }
    }

    fn tables(&self) -> Tables<F> {
        let mut tables = vec![
            ("duals".into(), self.column(|own, i| own.examples[i].dual.get())),
            ("lags".into(), self.column(|own, i| own.examples[i].lag.get())),
            ("rests".into(), self.column(|own, i| F::from_f32(own.rests.get(i).into()))),
            ("objective shares".into(), self.column(|own, i| own.shares[i].objective.get())),
            ("gap shares".into(), self.column(|own, i| own.shares[i].gap.get())),
            ("drift".into(), vec![self.drift]),
            ("centre".into(), values(&self.centre)),
            ("members".into(), self.member_table()),
        ];
        tables.extend(self.mark.tables());
        tables
    }

    fn set_tables(&mut self, tables: &Tables<F>) -> bool {
        let n = self.examples.len();
        let sizes = [("duals", n), ("lags", n), ("rests", n), ("objective shares", n), ("gap shares", n)];
        let Some([duals, lags, rests, objectives, gaps]) = find_tables(tables, sizes) else { return false };
        let Some([drift, centre]) = find_tables(tables, [("drift", 1), ("centre", self.centre.len())]) else { return false };
        if !(F::ZERO..).contains(&drift[0]) {
            return false;
        }
        let (Some(members), Some(mark)) = (self.members_in(tables), self.mark.restored(tables)) else { return false };
        (self.mark, self.drift, self.seen, self.working, self.recalled) = (mark, drift[0], None, None, members);
        for (i, example) in self.examples.iter().enumerate() {
            example.dual.set(duals[i]);
            example.lag.set(lags[i]);
            self.shares[i].objective.set(objectives[i]);
            self.shares[i].gap.set(gaps[i]);
            let rest = (rests[i].to_f64() as u8).clamp(1, rest::LONGEST);
            self.rests.set(i, rest.next_power_of_two());
        }
        set_values(&self.centre, centre);
        true
    }

    #[inline(always)]
    fn prefetch(&self, i: usize) {
        prefetch(&self.examples, i);
        prefetch(&self.shares, i);
        self.rests.prefetch(i);
    }

    const KEEPS_DUALS: bool = true;

    fn duals(&self) -> Option<Vec<f64>> {
        Some(self.column(|own, i| own.examples[i].dual.get().to_f64()))
    }

    fn mean_duals(&self) -> Option<MeanDuals> {
        let duals = self.column(|own, i| (own.examples[i].dual.get() - own.examples[i].lag.get()).to_f64());
        let lags = || self.column(|own, i| own.examples[i].lag.get().to_f64()).into_iter().sum::<f64>();
        let intercept_change = if self.intercept_scale > 0.0 { -self.intercept_scale * lags() } else { 0.0 };
        Some(MeanDuals { duals, intercept_change })
    }

    fn repaired(&mut self) {
        self.mark.forget();
    }

    fn dual_curvature(&self) -> Option<f64> {
        Some(1.0 / self.scale)
    }

    /// q/2 d^2: the slope at the best a_i is 0, or points out of its domain.
    #[inline(always)]
    fn gain(&self, i: usize, change: F) -> f64 {
        let curvature = f64::from(self.examples[i].squared_norm) * self.scale;
        curvature / 2.0 * change.to_f64() * change.to_f64()
    }

    fn take_back<W: Weights<F>>(&self, problem: &Problem, i: usize, w: W, change: F, share: F, merged: Range<usize>) {
        let Example { dual, lag, .. } = &self.examples[i];
        let change = share * change;
        dual.set(dual.get() - change);
        lag.set(lag.get() - share * lag.get());
        let row = problem.rows().row(i);
        for others in [0..merged.start as u32, merged.end as u32..problem.n_features() as u32] {
            if !others.is_empty() {
                w.add_scaled(row.between(others.start, others.end), F::from_f64(-change.to_f64() * self.scale));
            }
        }
        if problem.has_intercept() {
            w.add_intercept(F::from_f64(-change.to_f64() * self.intercept_scale));
        }
    }

    /// None where a pull makes the problem within an epoch another one than that which is certified.
    fn estimate(&self) -> Option<Estimate> {
        self.seen.filter(|_| self.intercept_scale == 0.0 && self.centre.is_empty())
    }

    fn stored(&self, v: &[f64]) -> Vec<F> {
        let mut stored = Vec::with_capacity(v.len());
        advise_huge_pages(&mut stored);
        let around = |c_j: f64, v_j: f64| F::from_f64(c_j + v_j / self.strength);
        let v = v.par_iter().with_min_len(CHUNK);
        if self.centre.is_empty() {
            v.map(|&v_j| around(0.0, v_j)).collect_into_vec(&mut stored);
        } else {
            v.zip(&self.centre).map(|(&v_j, c_j)| around(c_j.get().to_f64(), v_j)).collect_into_vec(&mut stored);
        }
        stored
    }

    fn weights(&self, mut stored: Vec<F>) -> Vec<F> {
        if self.threshold > F::ZERO {
            stored.iter_mut().for_each(|u_j| *u_j = self.weight(*u_j));
        }
        stored
    }
}
