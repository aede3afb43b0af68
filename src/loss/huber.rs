//! Huber's loss: (z - y)^2 / 2 up to a distance of 1, a straight line beyond, so that outliers pull no harder than 1.
//! Its conjugate at -a is that of least squares, on -1 <= a <= 1.

use crate::loss::{DualLoss, DualStep, Loss, Squared, Task};

/// (z - y)^2 / 2 where |z - y| <= 1, else |z - y| - 1/2.
#[derive(Debug)]
pub struct Huber;

impl Loss for Huber {
    fn name(&self) -> &'static str {
        "huber"
    }
    fn task(&self) -> Task {
        Task::Regression
    }
    fn value(&self, score: f64, y: f64) -> f64 {
        let distance = (score - y).abs();
        if distance <= 1.0 { distance * distance / 2.0 } else { distance - 0.5 }
    }
    fn derivative(&self, score: f64, y: f64) -> f64 {
        (score - y).clamp(-1.0, 1.0)
    }
    fn smoothness(&self) -> Option<f64> {
        Some(1.0)
    }
    fn dual(&self) -> Option<&dyn DualLoss> {
        Some(self)
    }
}

impl DualLoss for Huber {
    fn conjugate(&self, a: f64, y: f64) -> f64 {
        if a.abs() <= 1.0 { Squared.conjugate(a, y) } else { f64::INFINITY }
    }
    #[inline(always)]
    fn step(&self, a: f64, score: f64, y: f64, curvature: f64) -> DualStep {
        let value = self.value(score, y);
        let DualStep { best, slack, .. } = Squared.step(a, score, y, curvature);
        DualStep { best: best.clamp(-1.0, 1.0), value, excess: value + a * (a / 2.0 - y + score), slack }
    }
}
