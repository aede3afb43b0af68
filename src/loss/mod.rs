//! What does one example cost? A [`Loss`] is two scalar functions of the score z = w·x + b and the target y; a
//! [`DualLoss`] is its convex conjugate and the exact step of one dual variable.
//!
//! Fenchel's duality, as Shalev-Shwartz and Zhang use it (Stochastic dual coordinate ascent, JMLR 14, 2013):
//!
//! ```text
//! P(w) =  (1/n) sum_i phi_i(z_i) + penalty(w)                       phi_i(z) = loss(z, y_i)
//! D(a) = -(1/n) sum_i phi_i*(-a_i) - penalty*((1/n) sum_i a_i x_i)  <= P(w), equal at the optimum,
//!                                                                   where a_i = -phi_i'(z_i)
//! ```

use std::any::Any;

mod hinge;
mod huber;
mod logistic;
mod squared;
mod squared_hinge;

pub use hinge::Hinge;
pub use huber::Huber;
pub use logistic::Logistic;
pub use squared::Squared;
pub use squared_hinge::SquaredHinge;

/// Sums that run side by side, so that one addition need not wait for the last.
const LANES: usize = 8;

/// The sum of something about scores (or dual variables) and targets, in an order of its own.
#[inline(always)]
fn sum(numbers: &[f64], targets: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let ((numbers, last_numbers), (targets, last_targets)) = (numbers.as_chunks::<LANES>(), targets.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (numbers, targets) in numbers.iter().zip(targets) {
        for (sum, (&number, &y)) in sums.iter_mut().zip(numbers.iter().zip(targets)) {
            *sum += term(number, y.into());
        }
    }
    let last: f64 = last_numbers.iter().zip(last_targets).map(|(&number, &y)| term(number, y.into())).sum();
    sums.iter().sum::<f64>() + last
}

/// What targets a loss wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Two classes, inside -1 and +1.
    Classification,
    /// Any number.
    Regression,
}

/// The cost of a score, a convex function of it.
pub trait Loss: Send + Sync {
    /// As `--loss` names it.
    fn name(&self) -> &'static str;
    /// What its targets are.
    fn task(&self) -> Task;
    /// phi(z).
    fn value(&self, score: f64, y: f64) -> f64;
    /// The sum of phi(z) over examples. A call an example would cost more than most losses do.
    fn total(&self, scores: &[f64], targets: &[f32]) -> f64 {
        sum(scores, targets, |score, y| self.value(score, y))
    }
    /// phi'(z); where there is a corner, a subgradient.
    fn derivative(&self, score: f64, y: f64) -> f64;
    /// The largest second derivative; `None` where there is a corner.
    fn smoothness(&self) -> Option<f64>;
    /// The conjugate, if it is known.
    fn dual(&self) -> Option<&dyn DualLoss> {
        None
    }
}

/// The convex conjugate of a loss, in terms of the dual variable a.
pub trait DualLoss: Any + Send + Sync {
    /// phi*(-a); infinite outside its domain. Scaling an `a` of the domain towards 0 never leaves it.
    fn conjugate(&self, a: f64, y: f64) -> f64;

    /// The sum of phi*(-a) over examples.
    fn total_conjugate(&self, duals: &[f64], targets: &[f32]) -> f64 {
        sum(duals, targets, |a, y| self.conjugate(a, y))
    }

    /// The step of dual coordinate ascent along one dual variable, where q is the curvature |x|^2 / (l2 n).
    fn step(&self, a: f64, score: f64, y: f64, curvature: f64) -> DualStep;
}

/// A step along one dual variable, and what was seen from where it started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DualStep {
    /// The a' that maximises -phi*(-a') - z (a' - a) - (q/2) (a' - a)^2, or gains 99.98 % of what that one does.
    pub best: f64,
    /// phi(z), to a few percent: for estimates.
    pub value: f64,
    /// phi(z) + phi*(-a) + a z >= 0: what the example adds to the duality gap (Fenchel and Young's inequality); near the
    /// optimum to some ten percent.
    pub excess: f64,
    /// Where a' = a: how far z may move before that is no longer so; 0, but for rounding, inside of the domain.
    pub slack: f64,
}

/// A dual loss whose step stands in an innermost loop: there a call through a table costs up to a tenth of the time, so
/// those steps that are a line of arithmetic are known where the loop is compiled.
#[derive(Clone, Copy)]
pub(crate) enum Stepper {
    Hinge,
    SquaredHinge,
    Squared,
    Huber,
    Logistic,
    Other(&'static dyn DualLoss),
}

impl Stepper {
    pub fn of(loss: &'static dyn DualLoss) -> Self {
        match loss as &dyn Any {
            known if known.is::<Hinge>() => Self::Hinge,
            known if known.is::<SquaredHinge>() => Self::SquaredHinge,
            known if known.is::<Squared>() => Self::Squared,
            known if known.is::<Huber>() => Self::Huber,
            known if known.is::<Logistic>() => Self::Logistic,
            _ => Self::Other(loss),
        }
    }

    /// [`DualLoss::step`].
    #[inline(always)]
    pub fn step(self, a: f64, score: f64, y: f64, curvature: f64) -> DualStep {
        match self {
            Self::Hinge => Hinge.step(a, score, y, curvature),
            Self::SquaredHinge => SquaredHinge.step(a, score, y, curvature),
            Self::Squared => Squared.step(a, score, y, curvature),
            Self::Huber => Huber.step(a, score, y, curvature),
            Self::Logistic => Logistic.step(a, score, y, curvature),
            Self::Other(loss) => loss.step(a, score, y, curvature),
        }
    }
}

/// Every loss, as `--loss` offers them.
pub const ALL: [&dyn Loss; 5] = [&Hinge, &SquaredHinge, &Logistic, &Squared, &Huber];

/// The loss of this name.
pub fn named(name: &str) -> Option<&'static dyn Loss> {
    ALL.into_iter().find(|loss| loss.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(loss: &dyn Loss) -> &'static [f64] {
        match loss.task() {
            Task::Classification => &[-1.0, 1.0],
            Task::Regression => &[-3.0, -0.4, 0.0, 2.0],
        }
    }

    fn grid(from: f64, to: f64) -> impl Iterator<Item = f64> {
        (0..=400).map(move |k| from + (to - from) * f64::from(k) / 400.0 + 1e-5)
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        for loss in ALL {
            for &y in targets(loss) {
                for z in grid(-6.0, 6.0) {
                    let h = 1e-6;
                    let slope = (loss.value(z + h, y) - loss.value(z - h, y)) / (2.0 * h);
                    let error = (slope - loss.derivative(z, y)).abs();
                    assert!(error < 1e-4, "{} at z {z}, y {y}: {slope} is not {}", loss.name(), loss.derivative(z, y));
                }
            }
        }
    }

    #[test]
    fn smoothness_bounds_how_fast_the_derivative_rises() {
        for loss in ALL {
            let steepest = targets(loss)
                .iter()
                .flat_map(|&y| grid(-5.0, 5.0).map(move |z| (loss.derivative(z + 5e-5, y) - loss.derivative(z - 5e-5, y)) / 1e-4))
                .fold(0.0, f64::max);
            match loss.smoothness() {
                Some(bound) => assert!(steepest <= bound + 1e-6 && steepest > 0.9 * bound, "{}: {steepest}", loss.name()),
                None => assert!(steepest > 100.0, "{} has a corner", loss.name()),
            }
        }
    }

    /// phi*(-a) = max_z -a z - phi(z), by search over a grid.
    #[test]
    fn conjugates_are_the_maxima_that_define_them() {
        for loss in ALL {
            let dual = loss.dual().expect("every loss so far has one");
            for &y in targets(loss) {
                for z in grid(-4.0, 4.0).step_by(20) {
                    let a = -loss.derivative(z, y);
                    let searched = grid(-30.0, 30.0)
                        .flat_map(|coarse| [coarse, z])
                        .map(|z| -a * z - loss.value(z, y))
                        .fold(f64::NEG_INFINITY, f64::max);
                    let known = dual.conjugate(a, y);
                    assert!((searched - known).abs() < 1e-2 && searched <= known + 1e-9, "{}: {searched} {known}", loss.name());
                    // Fenchel and Young: equality where a = -phi'(z).
                    assert!((loss.value(z, y) + known + a * z).abs() < 1e-9, "{} at {z}", loss.name());
                }
            }
        }
    }

    #[test]
    fn what_an_example_adds_to_the_gap_is_estimated_well_near_the_optimum() {
        for loss in ALL {
            let dual = loss.dual().expect("every loss so far has one");
            for &y in targets(loss) {
                for z in grid(-2.0, 2.0).step_by(7) {
                    for nudge in [-0.02, 0.0, 0.02] {
                        let a = -loss.derivative(z, y) + nudge;
                        let exact = loss.value(z, y) + dual.conjugate(a, y) + a * z;
                        if !exact.is_finite() {
                            continue;
                        }
                        let DualStep { value, excess, .. } = dual.step(a, z, y, 1.0);
                        assert!((value - loss.value(z, y)).abs() <= 0.05 * value + 1e-9, "{} at {z}: {value}", loss.name());
                        let near = excess >= 0.7 * exact - 1e-9 && excess <= 1.5 * exact + 1e-9;
                        assert!(near, "{} at z {z}, a {a}: {excess} is not {exact}", loss.name());
                    }
                }
            }
        }
    }

    #[test]
    fn a_score_may_move_by_the_slack_and_no_farther_before_a_step_does() {
        for loss in ALL {
            let dual = loss.dual().expect("every loss so far has one");
            let mut settled = 0;
            for &y in targets(loss) {
                for a in [0.0, 1.0, -1.0, 0.3 * y].into_iter().filter(|&a| dual.conjugate(a, y).is_finite()) {
                    for z in grid(-6.0, 6.0).step_by(9) {
                        let DualStep { best, slack, .. } = dual.step(a, z, y, 0.5);
                        if best != a || slack == 0.0 {
                            continue;
                        }
                        settled += 1;
                        let stays = |z: f64| dual.step(a, z, y, 0.5).best == a;
                        let (less, more) = (0.999 * slack, 1.001 * slack);
                        assert!(stays(z - less) && stays(z + less), "{} at z {z}, a {a}, slack {slack}", loss.name());
                        assert!(!stays(z - more) || !stays(z + more), "{} at z {z}, a {a}, slack {slack}", loss.name());
                    }
                }
            }
            assert!(settled > 20 || [Logistic.name(), Squared.name()].contains(&loss.name()), "{}: {settled}", loss.name());
        }
    }

    #[test]
    fn the_step_of_a_dual_variable_is_the_best_there_is() {
        for loss in ALL {
            let dual = loss.dual().expect("every loss so far has one");
            for &y in targets(loss) {
                for (a, score, q) in
                    [(0.0, 0.3, 0.5), (0.4 * y, -1.0, 2.0), (0.9 * y, 1.5, 0.01), (0.5 * y, 40.0, 1e-3), (0.0, -80.0, 30.0)]
                {
                    let a = if dual.conjugate(a, y).is_finite() { a } else { 0.0 };
                    let gain = |new: f64| -dual.conjugate(new, y) - score * (new - a) - q / 2.0 * (new - a).powi(2);
                    let best = dual.step(a, score, y, q).best;
                    assert!(gain(best).is_finite(), "{} leaves its domain: {best}", loss.name());
                    let share = if loss.name() == Logistic.name() { 0.9998 } else { 1.0 };
                    for other in grid(-8.0, 8.0).chain([best - 1e-4, best + 1e-4, a, 0.0, y]) {
                        assert!(
                            gain(best) >= share * (gain(other) - gain(a)) + gain(a) - 1e-9,
                            "{} y {y} a {a} z {score} q {q}: {best} < {other}",
                            loss.name()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn totals_are_sums_of_single_examples() {
        for loss in ALL {
            let dual = loss.dual().expect("every loss so far has one");
            for scale in [1e-9, 1.0, 800.0] {
                let targets: Vec<f32> = (0..3000).map(|i| targets(loss)[i % targets(loss).len()] as f32).collect();
                let scores: Vec<f64> = (0..3000).map(|i| scale * f64::from(i * 7 % 401 - 200) / 200.0).collect();
                let y = |i: usize| f64::from(targets[i]);
                let sum: f64 = (0..3000).map(|i| loss.value(scores[i], y(i))).sum();
                let total = loss.total(&scores, &targets);
                assert!((total - sum).abs() <= 1e-13 * sum, "{}: {total}, not {sum}", loss.name());

                let mut duals: Vec<f64> = (0..3000).map(|i| -loss.derivative(scores[i], y(i))).collect();
                (duals[0], duals[1]) = (0.0, y(1));
                let terms: Vec<f64> = (0..3000).map(|i| dual.conjugate(duals[i], y(i))).collect();
                let (sum, size) = (terms.iter().sum::<f64>(), terms.iter().map(|term| term.abs()).sum::<f64>());
                let total = dual.total_conjugate(&duals, &targets);
                assert!((total - sum).abs() <= 1e-12 * size, "{}*: {total}, not {sum}", loss.name());
                duals[2999] = f64::NAN;
                assert!(!dual.total_conjugate(&duals, &targets).is_finite(), "{}*", loss.name());
            }
        }
    }

    #[test]
    fn what_tiny_losses_sum_up_to_keeps_its_digits() {
        let (scores, targets) = (vec![38.0; 1000], vec![1f32; 1000]);
        let (total, sum) = (Logistic.total(&scores, &targets), 1000.0 * Logistic.value(38.0, 1.0));
        assert!((total - sum).abs() < 1e-12 * sum, "{total}, not {sum}");
    }

    #[test]
    fn a_stepper_steps_as_its_loss_does() {
        for loss in ALL {
            let dual = loss.dual().expect("every loss so far has one");
            for (a, z, q) in [(0.3, 0.2, 0.5), (0.0, -2.0, 3.0), (1.0, 1.5, 0.01)] {
                for &y in targets(loss) {
                    assert_eq!(Stepper::of(dual).step(a * y, z, y, q), dual.step(a * y, z, y, q), "{}", loss.name());
                }
            }
        }
    }

    #[test]
    fn huge_scores_cost_finite_numbers() {
        for loss in ALL {
            for score in [-1e15, 1e15] {
                assert!(loss.value(score, 1.0).is_finite() && loss.derivative(score, 1.0).is_finite(), "{}", loss.name());
            }
        }
    }
}
