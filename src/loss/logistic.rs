//! Logistic regression: log(1 + exp(-yz)). Its conjugate at -a, with b = ya, is b log b + (1 - b) log(1 - b) on 0 <= b <= 1.
//!
//! The dual step has no closed form. In terms of t = log(c / (1 - c)) the new c = sigma(t) solves
//!
//! ```text
//! f(t) = t + yz + q (sigma(t) - b) = 0,      1 <= f' = 1 + q c (1 - c) <= 1 + q/4
//! ```
//!
//! which is nearly straight: Halley's method from t = -yz needs a step or two, kept between bounds and shrinking by half at least
//! (the same root as in Yu, Huang and Lin, Dual coordinate descent methods for logistic regression, Machine Learning 85,
//! 2011, who search it in c, where f is steep at both ends). What an example adds to the gap is the Kullback-Leibler
//! divergence of b from sigma(-yz), for which stands half its chi-square.

use crate::loss::{DualLoss, DualStep, Loss, Task};

/// log(1 + exp(-yz)).
#[derive(Debug)]
pub struct Logistic;

/// A step as short as this is the last, and the sigmoid after it is that before, with three terms of its Taylor series: the
/// first error is about the third power of the step, the second the fourth.
const SHORT: f64 = 1e-2;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// log(1 + e) to one percent, for e between 0 and 1.
fn softplus_of(e: f64) -> f64 {
    e * (6.0 + e) / (6.0 + 4.0 * e)
}

/// b log b, which is 0 at 0.
fn entropy(b: f64) -> f64 {
    if b > 0.0 { b * b.ln() } else { 0.0 }
}

impl Loss for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }
    fn task(&self) -> Task {
        Task::Classification
    }
    fn value(&self, score: f64, y: f64) -> f64 {
        let margin = y * score;
        (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
    }
    fn derivative(&self, score: f64, y: f64) -> f64 {
        -y / (1.0 + (y * score).exp())
    }
    fn smoothness(&self) -> Option<f64> {
        Some(0.25)
    }
    fn dual(&self) -> Option<&dyn DualLoss> {
        Some(self)
    }
}

impl DualLoss for Logistic {
    fn conjugate(&self, a: f64, y: f64) -> f64 {
        let b = a * y;
        if (0.0..=1.0).contains(&b) { entropy(b) + entropy(1.0 - b) } else { f64::INFINITY }
    }

    fn step(&self, a: f64, score: f64, y: f64, curvature: f64) -> DualStep {
        let (b, q, margin) = (a * y, curvature, y * score);
        let e = (-margin.abs()).exp();
        let value = (-margin).max(0.0) + softplus_of(e);
        let (mut t, mut c) = (-margin, if margin > 0.0 { e } else { 1.0 } / (1.0 + e));
        let excess = (b - c) * (b - c) / (2.0 * (c * (1.0 - c)).max(1e-3));
        let (mut low, mut high, mut last) = (t - q * (1.0 - b), t + q * b, f64::INFINITY);
        for _ in 0..100 {
            let f = t + margin + q * (c - b);
            if f > 0.0 {
                high = t;
            } else {
                low = t;
            }
            let variance = c * (1.0 - c); // sigma'(t)
            let (slope, bend) = (1.0 + q * variance, q * variance * (1.0 - 2.0 * c));
            let mut h = -f * slope / (slope * slope - f * bend / 2.0);
            if f.abs() <= SHORT * slope {
                c += variance * h * (1.0 + h / 2.0 * (1.0 - 2.0 * c + h / 3.0 * (1.0 - 6.0 * variance)));
                break;
            }
            if !(low..=high).contains(&(t + h)) || h.abs() > last {
                h = (low + high) / 2.0 - t;
            }
            last = h.abs() / 2.0;
            t += h;
            c = sigmoid(t);
        }
        DualStep { best: y * c, value, excess }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_the_dual_is_nothing_where_a_step_ends() {
        let steps = |from: f64, to: f64, n: u32| (0..=n).map(move |k| from + (to - from) * f64::from(k) / f64::from(n));
        for y in [-1.0, 1.0] {
            for q in [1e-6, 0.01, 0.3, 1.0, 5.0, 100.0] {
                for b in steps(0.0, 1.0, 40) {
                    for margin in steps(-12.0, 12.0, 200) {
                        let c = y * Logistic.step(y * b, y * margin, y, q).best;
                        let t = (c / (1.0 - c)).ln();
                        let off = (t + margin + q * (c - b)) * c * (1.0 - c); // to first order the error of c
                        assert!(off.abs() < 1e-8 * (1.0 + q), "margin {margin}, b {b}, q {q}: {off}");
                    }
                }
            }
        }
    }
}
