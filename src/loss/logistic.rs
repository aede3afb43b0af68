//! Logistic regression: log(1 + exp(-yz)). Its conjugate at -a, with b = ya, is b log b + (1 - b) log(1 - b) on 0 <= b <= 1.
//!
//! The dual step has no closed form. With u = yz - qb it is the root of
//!
//! ```text
//! f(c) = log(c / (1 - c)) + u + q c = 0      0 < c < 1,   f' = 1/(c (1 - c)) + q > 0
//! ```
//!
//! and Newton's method finds it, kept between bounds that shrink at every step (cf. Yu, Huang and Lin, Dual coordinate
//! descent methods for logistic regression, Machine Learning 85, 2011).

use crate::loss::{DualLoss, Loss, Task};

/// log(1 + exp(-yz)).
#[derive(Debug)]
pub struct Logistic;

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

    /// The excess is the Kullback-Leibler divergence of b from p = sigma(-yz), for which stands half its chi-square.
    fn fenchel_young(&self, a: f64, score: f64, y: f64) -> (f64, f64) {
        let b = a * y;
        let p = 1.0 / (1.0 + (y * score).exp());
        (self.value(score, y), (b - p) * (b - p) / (2.0 * (p * (1.0 - p)).max(1e-3)))
    }

    fn maximise(&self, a: f64, score: f64, y: f64, curvature: f64) -> f64 {
        let (b, q) = (a * y, curvature);
        let u = y * score - q * b;
        // f rises, so the root lies above 1/2 exactly when f(1/2) < 0. Solving for the smaller of c and 1 - c keeps digits:
        // with t = 1 - c the equation is log(t / (1 - t)) - u - q + q t = 0, the same form.
        let above = u + q / 2.0 < 0.0;
        let u = if above { -u - q } else { u };
        let f = |c: f64| (c / (1.0 - c)).ln() + u + q * c;
        // log(c/(1-c)) = -u - q c lies between -u - q/2 and -u on this side, which bounds the root.
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut low, mut high) = (sigmoid(-u - q / 2.0).min(0.5), sigmoid(-u).min(0.5));
        let old = if above { 1.0 - b } else { b };
        let mut c = if low < old && old < high { old } else { (low + high) / 2.0 };
        for _ in 0..100 {
            let value = f(c);
            if value > 0.0 {
                high = c
            } else {
                low = c
            }
            let step = value / (1.0 / (c * (1.0 - c)) + q);
            let newton = c - step;
            let next = if low < newton && newton < high { newton } else { (low + high) / 2.0 };
            if (next - c).abs() <= 1e-12 * c || low >= high {
                c = next;
                break;
            }
            c = next;
        }
        y * if above { 1.0 - c } else { c }
    }
}
