//! When to stop: observers that end a run.

use std::ops::ControlFlow;

use crate::error::Result;
use crate::eval::Metrics;
use crate::sync::Float;
use crate::train::{Observer, Passed, Progress, Snapshot, Stop};

/// Ends a run at the first bound that it reaches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// The relative duality gap.
    pub gap: Option<f64>,
    /// P(w); a run whose bound shows that it cannot come there ends as well.
    pub objective: Option<f64>,
    /// Epochs, those before a resume included.
    pub epochs: Option<u64>,
    /// Seconds of training and evaluation; the epoch under way is finished.
    pub seconds: Option<f64>,
}

impl<F: Float> Observer<F> for Limits {
    fn wants(&mut self, passed: &Passed) -> bool {
        let Progress { epoch, train_seconds, eval_seconds, .. } = passed.progress;
        self.gap.zip(passed.gap).is_some_and(|(wanted, gap)| gap <= wanted)
            || self.objective.zip(passed.objective).is_some_and(|(wanted, objective)| objective <= wanted)
            || self.epochs.is_some_and(|most| epoch >= most)
            || self.seconds.is_some_and(|most| train_seconds + eval_seconds >= most)
    }

    fn observe(&mut self, now: &Snapshot<F>) -> Result<ControlFlow<Stop>> {
        let seconds = now.progress.train_seconds + now.progress.eval_seconds;
        let reached = |reached: bool, stop: Stop| reached.then_some(stop);
        let best = now.best.certificate;
        let gap = best.gap().zip(self.gap).is_some_and(|(gap, wanted)| gap <= wanted);
        let below_bound = self.objective.zip(best.dual).is_some_and(|(wanted, bound)| wanted < bound);
        let stop = reached(gap, Stop::Gap)
            .or(reached(self.objective.is_some_and(|wanted| best.objective <= wanted), Stop::TargetObjective))
            .or(reached(below_bound, Stop::Unreachable))
            .or(reached(self.epochs.is_some_and(|most| now.progress.epoch >= most), Stop::Epochs))
            .or(reached(self.seconds.is_some_and(|most| seconds >= most), Stop::Time));
        Ok(stop.map_or(ControlFlow::Continue(()), ControlFlow::Break))
    }
}

/// Ends a run when the test set has seen no improvement for some evaluations. What is kept are the
/// weights with the lowest P(w), as ever.
#[derive(Debug, Clone)]
pub struct Patience {
    allowed: u64,
    waited: u64,
    best: f64,
}

impl Patience {
    /// Allows for this many evaluations without improvement.
    pub fn new(evaluations: u64) -> Self {
        Self { allowed: evaluations, waited: 0, best: f64::NEG_INFINITY }
    }

    fn goodness(test: &Metrics) -> Option<f64> {
        test.accuracy.or(test.rmse.map(|rmse| -rmse))
    }
}

impl<F: Float> Observer<F> for Patience {
    fn wants(&mut self, _passed: &Passed) -> bool {
        true
    }

    fn observe(&mut self, now: &Snapshot<F>) -> Result<ControlFlow<Stop>> {
        let Some(goodness) = now.test.as_ref().and_then(Self::goodness) else { return Ok(ControlFlow::Continue(())) };
        if goodness > self.best {
            (self.best, self.waited) = (goodness, 0);
        } else {
            self.waited += 1;
        }
        Ok(if self.waited >= self.allowed { ControlFlow::Break(Stop::Patience) } else { ControlFlow::Continue(()) })
    }
}
