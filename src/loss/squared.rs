//! Least squares: (z - y)^2 / 2. Its conjugate at -a is a^2/2 - ay.

use crate::loss::{DualLoss, DualStep, Loss, Task};

/// (z - y)^2 / 2.
#[derive(Debug)]
pub struct Squared;

impl Loss for Squared {
    fn name(&self) -> &'static str {
        "squared"
    }
    fn task(&self) -> Task {
        Task::Regression
    }
    fn value(&self, score: f64, y: f64) -> f64 {
        (score - y).powi(2) / 2.0
    }
    fn derivative(&self, score: f64, y: f64) -> f64 {
        score - y
    }
    fn smoothness(&self) -> Option<f64> {
        Some(1.0)
    }
    fn dual(&self) -> Option<&dyn DualLoss> {
        Some(self)
    }
}

impl DualLoss for Squared {
    fn conjugate(&self, a: f64, y: f64) -> f64 {
        a * a / 2.0 - a * y
    }
    #[inline(always)]
    fn step(&self, a: f64, score: f64, y: f64, curvature: f64) -> DualStep {
        let slope = y - score - a;
        DualStep {
            best: a + slope * (curvature + 1.0).recip(),
            value: self.value(score, y),
            excess: slope * slope / 2.0,
            slack: slope.abs(),
        }
    }
}
