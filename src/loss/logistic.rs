//! Logistic regression: log(1 + exp(-yz)). Its conjugate at -a, with b = ya, is b log b + (1 - b) log(1 - b) on 0 <= b <= 1.
//!
//! The dual step has no closed form. In terms of t = log(c / (1 - c)) the new c = sigma(t) solves
//!
//! ```text
//! f(t) = t + yz + q (sigma(t) - b) = 0,      1 <= f' = 1 + q c (1 - c) <= 1 + q/4
//! ```
//!
//! which is nearly straight: Newton's method from t = -yz needs a step or two, kept between bounds that shrink at every step
//! (the same root as in Yu, Huang and Lin, Dual coordinate descent methods for logistic regression, Machine Learning 85,
//! 2011, who search it in c, where f is steep at both ends). What an example adds to the gap is the Kullback-Leibler
//! divergence of b from sigma(-yz), for which stands half its chi-square.

use crate::loss::{DualLoss, DualStep, Loss, Task};

/// log(1 + exp(-yz)).
#[derive(Debug)]
pub struct Logistic;

/// A Newton step as short as this is the last: its error is at most half its square.
const CLOSE: f64 = 1e-5;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// log(1 + exp(x)) to one percent, by a quotient of polynomials in exp(-|x|).
fn softplus(x: f64) -> f64 {
    let e = (-x.abs()).exp();
    x.max(0.0) + e * (6.0 + e) / (6.0 + 4.0 * e)
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
        let (mut t, mut c) = (-margin, sigmoid(-margin));
        let excess = (b - c) * (b - c) / (2.0 * (c * (1.0 - c)).max(1e-3));
        let (mut low, mut high) = (t - q * (1.0 - b), t + q * b);
        for _ in 0..100 {
            let f = t + margin + q * (c - b);
            if f > 0.0 {
                high = t;
            } else {
                low = t;
            }
            let newton = t - f / (1.0 + q * c * (1.0 - c));
            let next = if low <= newton && newton <= high { newton } else { (low + high) / 2.0 };
            let moved = (next - t).abs();
            (t, c) = (next, sigmoid(next));
            if moved <= CLOSE * (1.0 + t.abs()) {
                break; // the next step would be about the square of this one
            }
        }
        DualStep { best: y * c, value: softplus(-margin), excess }
    }
}
