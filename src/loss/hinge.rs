//! The support vector machine's loss: max(0, 1 - yz). Its conjugate at -a, with b = ya, is -b on 0 <= b <= 1.

use crate::loss::{DualLoss, DualStep, Loss, Task};

/// max(0, 1 - yz).
#[derive(Debug)]
pub struct Hinge;

impl Loss for Hinge {
    fn name(&self) -> &'static str {
        "hinge"
    }
    fn task(&self) -> Task {
        Task::Classification
    }
    fn value(&self, score: f64, y: f64) -> f64 {
        (1.0 - y * score).max(0.0)
    }
    fn derivative(&self, score: f64, y: f64) -> f64 {
        if y * score < 1.0 { -y } else { 0.0 }
    }
    fn smoothness(&self) -> Option<f64> {
        None
    }
    fn dual(&self) -> Option<&dyn DualLoss> {
        Some(self)
    }
}

impl DualLoss for Hinge {
    fn conjugate(&self, a: f64, y: f64) -> f64 {
        if (0.0..=1.0).contains(&(a * y)) { -a * y } else { f64::INFINITY }
    }
    #[inline(always)]
    fn step(&self, a: f64, score: f64, y: f64, curvature: f64) -> DualStep {
        let short = 1.0 - y * score;
        DualStep {
            best: (a + (y - score) * curvature.recip()).clamp(y.min(0.0), y.max(0.0)),
            value: short.max(0.0),
            excess: short.max(0.0) - y * a * short,
            slack: short.abs(),
        }
    }
}
