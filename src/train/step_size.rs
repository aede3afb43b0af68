//! How long are the steps on gradients, and how do they shrink?
//!
//! A step on the mean gradient of B rows is safe up to about 1/L with
//!
//! ```text
//! L = s lambda + max(s, 1) mean |x_i|^2 / B        s: the loss's smoothness
//!                                                  lambda: the largest eigenvalue of X'X/n
//! ```
//!
//! For one row lambda hardly counts and 1/L is one over the usual |x|^2; for all rows it is the safe step of gradient descent.
//!
//! Between the two this is the linear scaling of the step with the batch (Goyal et al., Accurate, large minibatch SGD, 2017)
//! up to the safe limit 1/(s lambda): h(B) is B h(1) as long as B is far below B* = max(s, 1)/s mean |x_i|^2 / lambda, from
//! where on a larger batch buys no longer steps (Ma, Bassily and Belkin, The power of interpolation, ICML 2018). So there is
//! no option for it. Measured, epochs of sgd (minibatch, one worker) until the logistic loss at C = 1 is 1 % above its optimum:
//!
//! | rows in a step | 1 | 16 | 256 | 4096 | all |
//! |---|---|---|---|---|---|
//! | rcv1: h, epochs | 1, 2 | 14, 2 | 96, 3 | 149, 34 | 153, 166 |
//! | debian-libraries: h, epochs | 1, 2 | 15, 2 | 131, 2 | 253, 17 | 268, 207 |
//!
//! With max(s, 1) lambda, four times shorter for the logistic loss, the large batches take four times the epochs; a quarter
//! of h(1) takes twice as many, and four times h(1) is no better.
//!
//! On rows of unit length h(1) needs no tuning. Epochs of sgd (sequential) until P(w) is 1 % above its optimum, with C = 1 and
//! 1/16, 1/4, 1, 4 and 16 times h(1); - is more than 40:
//!
//! | loss | rcv1 | debian-libraries | 20 Newsgroups |
//! |---|---|---|---|
//! | hinge | -, 29, 26, 26, 26 | -, 35, 33, 36, 36 | -, -, 38, 38, - |
//! | squared hinge | 26, 8, 10, 16, 16 | 23, 10, 11, 20, 20 | 22, 7, 7, 11, 11 |
//! | logistic | 20, 5, 2, 3, 4 | 17, 4, 2, 2, 4 | 26, 6, 2, 3, 4 |
//!
//! saga and svrg, whose steps need not shrink, must be safe on every row: theirs is 1 / (3 s max |x_i|^2), that of the SAGA
//! paper. Where the loss has a corner no correction vanishes, and they shrink as sgd's.

use crate::problem::Problem;
use crate::strategy::{Choice, StrategyKind, UpdateKind};

/// The 3 of saga's and svrg's steps.
const CORRECTED: f64 = 3.0;

/// How the step size shrinks from epoch to epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// h / (1 + r e) in epoch e, where r = h l2 (steps in an epoch): the 1/t of Bottou (Stochastic gradient descent tricks,
    /// 2012). Without l2, r = 1.
    Decay,
    /// h / sqrt(1 + e) in epoch e.
    InverseSqrt,
}

impl Schedule {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Constant, Self::Decay, Self::InverseSqrt];

    /// The name it is known by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Decay => "decay",
            Self::InverseSqrt => "inverse_sqrt",
        }
    }
}

/// The step size of every epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSize {
    /// That of the first epoch.
    pub first: f64,
    /// How it shrinks.
    pub schedule: Schedule,
    /// l2 times the number of steps in an epoch, for [`Schedule::Decay`].
    pub l2_steps: f64,
}

impl StepSize {
    /// For this problem and method; `first` and `schedule` are chosen to suit them where they are not given. sdca's steps are
    /// exact, and so is the bound that coordinate's go by: their size is 1, and halved steps are damped ones.
    pub fn new(problem: &Problem, choice: &Choice, first: Option<f64>, schedule: Option<Schedule>) -> Self {
        let batch = if choice.strategy == StrategyKind::Minibatch { choice.batch.min(problem.n_rows()) } else { 1 };
        let (has_corner, l2) = (problem.loss().smoothness().is_none(), problem.penalty().l2);
        let falling = if l2 > 0.0 { Schedule::Decay } else { Schedule::InverseSqrt };
        let (suited, shrinking) = match choice.update {
            _ if choice.strategy.has_own_step() => (1.0, Schedule::Constant),
            UpdateKind::Sdca => (1.0, Schedule::Constant),
            UpdateKind::Adagrad if has_corner => (0.5, Schedule::InverseSqrt),
            UpdateKind::Adagrad => (0.3, Schedule::Constant),
            UpdateKind::Sgd => {
                let suited = if first.is_none() { safe_step(problem, batch) } else { 1.0 };
                (suited, falling)
            }
            UpdateKind::Saga | UpdateKind::Svrg => {
                (corrected_step(problem), if has_corner { falling } else { Schedule::Constant })
            }
        };
        let l2_steps = l2 * problem.n_rows().div_ceil(batch) as f64;
        Self { first: first.unwrap_or(suited), schedule: schedule.unwrap_or(shrinking), l2_steps }
    }

    /// The step size of an epoch, from 0.
    pub fn at(self, epoch: u64) -> f64 {
        let e = epoch as f64;
        match self.schedule {
            Schedule::Constant => self.first,
            Schedule::Decay if self.l2_steps > 0.0 => self.first / (1.0 + self.first * self.l2_steps * e),
            Schedule::Decay => self.first / (1.0 + e),
            Schedule::InverseSqrt => self.first / (1.0 + e).sqrt(),
        }
    }
}

/// 1/L for batches of this many rows; parallel on the current rayon pool.
fn safe_step(problem: &Problem, batch: usize) -> f64 {
    let norms = problem.squared_norms();
    let mean = norms.iter().map(|&norm| f64::from(norm)).sum::<f64>() / norms.len() as f64;
    let lambda = if batch == 1 { 0.0 } else { largest_eigenvalue(problem) };
    let smoothness = problem.loss().smoothness().unwrap_or(1.0);
    let curvature = smoothness * lambda + smoothness.max(1.0) * mean / batch as f64;
    if curvature > 0.0 { 1.0 / curvature } else { 1.0 }
}

/// 1 / (3 s max |x_i|^2).
fn corrected_step(problem: &Problem) -> f64 {
    let largest = problem.squared_norms().iter().fold(0.0, |largest: f64, &norm| largest.max(norm.into()));
    let curvature = problem.loss().smoothness().unwrap_or(1.0) * largest;
    if curvature > 0.0 { 1.0 / (CORRECTED * curvature) } else { 1.0 }
}

/// Of X'X/n, by the power method. The steps are few: what is wanted is a size, not digits.
fn largest_eigenvalue(problem: &Problem) -> f64 {
    let mut direction = vec![1.0; problem.n_features()];
    let mut eigenvalue = 0.0;
    for _ in 0..12 {
        let length = direction.iter().map(|v_j| v_j * v_j).sum::<f64>().sqrt();
        if length == 0.0 {
            return eigenvalue;
        }
        direction.iter_mut().for_each(|v_j| *v_j /= length);
        direction = problem.transposed(&problem.scores(&direction, 0.0));
        eigenvalue = direction.iter().map(|v_j| v_j * v_j).sum::<f64>().sqrt();
    }
    eigenvalue
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::loss::Squared;
    use crate::penalty::Penalty;

    #[test]
    fn the_power_method_finds_the_largest_eigenvalue() {
        // X = [[2, 0], [0, 1]], X'X/n has the eigenvalues 4/2 and 1/2.
        let (offsets, indices, values) = (vec![0u64, 1, 2], vec![0u32, 1], vec![2f32, 1.0]);
        let matrix = sprs::CsMatViewI::new((2, 2), &offsets[..], &indices[..], &values[..]);
        let data = Dataset::from_csmat(matrix, &[1.0, 2.0]).expect("a matrix");
        let problem = Problem::new(&data, &Squared, Penalty { l2: 0.0, l1: 0.0 }, false).expect("a problem");
        assert!((largest_eigenvalue(&problem) - 2.0).abs() < 1e-3);
    }

    #[test]
    fn schedules_start_at_the_first_step_size_and_never_rise() {
        for &schedule in Schedule::ALL {
            for l2_steps in [0.0, 0.5] {
                let size = StepSize { first: 2.0, schedule, l2_steps };
                assert_eq!(size.at(0), 2.0);
                assert!((0..50).all(|epoch| size.at(epoch + 1) <= size.at(epoch) && size.at(epoch + 1) > 0.0));
            }
        }
    }
}
