//! The squared hinge, LIBLINEAR's default: max(0, 1 - yz)^2. Its conjugate at -a, with b = ya, is b^2/4 - b on b >= 0.

use crate::loss::{DualLoss, DualStep, Loss, Task};

/// max(0, 1 - yz)^2.
#[derive(Debug)]
pub struct SquaredHinge;

impl Loss for SquaredHinge {
    fn name(&self) -> &'static str {
        "squared_hinge"
    }
    fn task(&self) -> Task {
        Task::Classification
    }
    fn value(&self, score: f64, y: f64) -> f64 {
        (1.0 - y * score).max(0.0).powi(2)
    }
    fn derivative(&self, score: f64, y: f64) -> f64 {
        -2.0 * y * (1.0 - y * score).max(0.0)
    }
    fn smoothness(&self) -> Option<f64> {
        Some(2.0)
    }
    fn dual(&self) -> Option<&dyn DualLoss> {
        Some(self)
    }
}

impl DualLoss for SquaredHinge {
    fn conjugate(&self, a: f64, y: f64) -> f64 {
        let b = a * y;
        if b >= 0.0 { b * b / 4.0 - b } else { f64::INFINITY }
    }
    #[inline(always)]
    fn step(&self, a: f64, score: f64, y: f64, curvature: f64) -> DualStep {
        let (short, b) = (1.0 - y * score, y * a);
        let value = short.max(0.0).powi(2);
        DualStep {
            best: y * (b + (short - b / 2.0) * (curvature + 0.5).recip()).max(0.0),
            value,
            excess: value + b * (b / 4.0 - short),
            slack: (short - b / 2.0).abs(),
        }
    }
}
