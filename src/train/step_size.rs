//! How long are the steps of sgd and adagrad, and how do they shrink?

use crate::problem::Problem;
use crate::strategy::{Choice, UpdateKind};

/// How the step size shrinks from epoch to epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// h / (1 + e) in epoch e.
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

    /// What the first step size is multiplied by in an epoch, from 0.
    pub fn factor(self, epoch: u64) -> f64 {
        let e = epoch as f64;
        match self {
            Self::Constant => 1.0,
            Self::Decay => 1.0 / (1.0 + e),
            Self::InverseSqrt => 1.0 / (1.0 + e).sqrt(),
        }
    }
}

/// A first step size that suits the data and the update.
pub fn default_step_size(problem: &Problem, choice: &Choice) -> f64 {
    let norms = problem.squared_norms();
    let mean = norms.iter().map(|&norm| f64::from(norm)).sum::<f64>() / norms.len() as f64;
    let mean = if mean > 0.0 { mean } else { 1.0 };
    match choice.update {
        UpdateKind::Sdca => 1.0,
        UpdateKind::Sgd => 1.0 / mean,
        UpdateKind::Adagrad => 0.1,
    }
}
