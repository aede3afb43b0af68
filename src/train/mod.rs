//! The one loop of training, and what watches it. A strategy supplies epochs; here they are timed, evaluated, shown to the
//! observers that stop, record or save, and taken back when the objective explodes.
//!
//! An evaluation costs about as much as an epoch. It is made when an observer asks for it (the limits do when an estimate,
//! which costs nothing, says that the gap may have been reached; a history does after every epoch), and unasked after ever
//! longer times.

mod checkpoint;
mod record;
mod step_size;
mod stop;
mod trust;

use std::ops::ControlFlow;
use std::time::Instant;

use serde::Serialize;

pub use checkpoint::{Checkpoint, Checkpoints, Fingerprint, resume};
pub use record::History;
pub use step_size::{Schedule, StepSize};
pub use stop::{Limits, Patience};

use crate::error::{Error, Result};
use crate::eval::{HeldOut, Metrics};
use crate::problem::{Certificate, Problem};
use crate::strategy::{Candidate, Figures, Strategy};
use crate::sync::Float;
use crate::threads::Team;
use crate::train::trust::Trust;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The duality gap fell below the asked share of P(w).
    Gap,
    /// P(w) fell to the asked value.
    TargetObjective,
    /// The asked value is below the certified bound: no weights have so low a P(w).
    Unreachable,
    /// As many epochs as were allowed.
    Epochs,
    /// As many seconds as were allowed.
    Time,
    /// The test set has seen no improvement for too long.
    Patience,
    /// Somebody asked it to end.
    Interrupted,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Progress {
    /// Epochs run, those before a resume included.
    pub epoch: u64,
    /// Rows visited.
    pub updates: u64,
    /// Seconds spent in epochs.
    pub train_seconds: f64,
    /// Seconds spent in evaluation.
    pub eval_seconds: f64,
}

/// The best weights that a run has come to: those with the lowest P(w), which need not be the last ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Best<F> {
    /// The weights, in the dataset's own numbering.
    pub weights: Vec<F>,
    /// b.
    pub intercept: F,
    /// Their P(w), and the highest bound that any evaluation has found: bounds do not expire.
    pub certificate: Certificate,
    /// On the test set, if there is one.
    pub test: Option<Metrics>,
}

/// What observers see after an evaluation, every worker idle.
pub struct Snapshot<'a, F: Float> {
    /// How far the run has come.
    pub progress: Progress,
    /// P(w) now, and the highest bound so far.
    pub certificate: Certificate,
    /// On the test set now, if there is one.
    pub test: Option<Metrics>,
    /// The best weights so far.
    pub best: &'a Best<F>,
    /// What the epochs are run by; its [`Strategy::state`] is all that the next one depends on.
    pub strategy: &'a dyn Strategy<F>,
    /// The step size of the first epoch, halvings included.
    pub step_size: f64,
    /// Whether the run was asked to end: the last epoch may have been left half done.
    pub cancelled: bool,
}

/// What observers see after an epoch, before it is decided whether to evaluate: estimates, which cost nothing.
#[derive(Debug, Clone, Copy)]
pub struct Passed {
    /// How far the run has come.
    pub progress: Progress,
    /// P(w), more or less, if the update can tell.
    pub objective: Option<f64>,
    /// The relative duality gap, more or less, if the update can tell.
    pub gap: Option<f64>,
}

/// Something that watches a run and may end it.
pub trait Observer<F: Float>: Send {
    /// Called after every epoch; true asks for an evaluation now. Without being asked, evaluations become rare as a run
    /// goes on, so that they cost little beside the training.
    fn wants(&mut self, _passed: &Passed) -> bool {
        false
    }

    /// Called after every evaluation.
    ///
    /// # Errors
    /// Ends the run as failed, as when a disk is full.
    fn observe(&mut self, now: &Snapshot<F>) -> Result<ControlFlow<Stop>>;

    /// Called once, after the last evaluation.
    ///
    /// # Errors
    /// As [`Observer::observe`].
    fn finish(&mut self, _last: &Snapshot<F>) -> Result<()> {
        Ok(())
    }
}

/// How long steps are, and where a resumed run stands.
#[derive(Debug, Clone)]
pub struct Plan<F> {
    /// The step size of every epoch.
    pub step_size: StepSize,
    /// What earlier runs have done, zeros for a new one.
    pub so_far: Progress,
    /// The best that earlier runs have come to.
    pub best: Option<Best<F>>,
}

impl<F> Plan<F> {
    /// A new run.
    pub fn new(step_size: StepSize) -> Self {
        Self { step_size, so_far: Progress::default(), best: None }
    }
}

/// What a run has come to.
#[derive(Debug, Clone)]
pub struct Outcome<F> {
    /// The best weights, and what they are worth.
    pub best: Best<F>,
    /// Epochs, updates and seconds.
    pub progress: Progress,
    /// Why it ended.
    pub stop: Stop,
    /// How many of the team's workers were at work at the end, if the strategy has found fewer than all to be faster.
    pub n_workers: Option<usize>,
    /// What the strategy has to tell besides, by name.
    pub figures: Figures,
    /// How often an explosion made it go back and halve the step size.
    pub halvings: u32,
}

/// A run that can estimate its gap is not evaluated unasked before this epoch, ...
const FIRST_UNASKED: u64 = 32;
/// ... nor, where rows rest and epochs are short, before so many visits for each row: an evaluation costs about one for each.
const UNASKED_VISITS: u64 = 16;

/// Whether an evaluation is due unasked: after twice as many epochs as the last time and so many visits since then, or after half
/// as many epochs again where no estimate tells how far the run has come.
fn is_due(now: &Progress, last: &Progress, visits: u64, estimated: bool) -> bool {
    match estimated {
        true => now.epoch >= FIRST_UNASKED.max(2 * last.epoch) && now.updates >= last.updates + visits,
        false => now.epoch >= last.epoch + (last.epoch / 2).max(1),
    }
}

/// So many times the step size is halved before a run is given up.
const MAX_HALVINGS: u32 = 20;

/// Runs epochs until an observer ends it; a run with epochs behind it is evaluated first.
///
/// Of an update with dual variables it is their mean over the epoch that is evaluated, with the weights that follow from it,
/// so that what is certified is exact whatever was lost between workers. The lowest P(w) of all evaluations and the highest
/// bound are what the run comes to: a dual method's P(w), and a noisy one's, may well rise from one epoch to the next.
///
/// # Errors
/// If the objective explodes and a step 2^-20 as long does not help, or an observer fails.
pub fn train<F: Float>(
    problem: &Problem,
    strategy: &mut dyn Strategy<F>,
    team: &Team,
    plan: Plan<F>,
    test: Option<&HeldOut>,
    observers: &mut [&mut dyn Observer<F>],
) -> Result<Outcome<F>> {
    let run = || {
        let Plan { mut step_size, so_far: mut progress, mut best } = plan;
        let mut alarm = Alarm::new(problem.objective_at_zero(), strategy.keeps_duals());
        if strategy.keeps_duals() && problem.penalty().l2 == 0.0 {
            // The pull that stands for l2 leads w on whatever the steps: P and D may swing, and shorter steps do not help.
            alarm.disarm();
        }
        if let Some(best) = &mut best {
            best.test = test.map(|rows| rows.metrics(&best.weights, best.intercept));
        }
        let mut good = strategy.state();
        let (mut halvings, mut trust) = (0, Trust::new());
        let unasked_visits = if strategy.keeps_duals() { UNASKED_VISITS * problem.n_rows() as u64 } else { 0 };
        let (mut evaluated, mut resumed) = (progress, progress.epoch > 0);
        loop {
            // A resumed run is evaluated where it stands: it may have come far enough already.
            if !std::mem::take(&mut resumed) {
                let started = Instant::now();
                let visits = strategy.epoch(problem, team, F::from_f64(step_size.at(progress.epoch)));
                let seen = strategy.estimate();
                progress.train_seconds += started.elapsed().as_secs_f64();
                progress.epoch += 1;
                progress.updates += visits as u64;
                // A certificate that came too early is not asked for again at once.
                let hasty = progress.epoch <= evaluated.epoch + evaluated.epoch / 16;
                trust.see(seen);
                let passed = trust.passed(progress, !hasty);
                let finite = passed.gap.is_none_or(f64::is_finite);
                let due = is_due(&progress, &evaluated, unasked_visits, seen.is_some());
                let mut wanted = due || !finite || team.cancelled();
                for observer in observers.iter_mut() {
                    wanted |= observer.wants(&passed);
                }
                if !wanted {
                    continue;
                }
            }

            let started = Instant::now();
            let (Candidate { weights, intercept, .. }, certificate) = certify(problem, strategy);
            if alarm.rings(&certificate) {
                if halvings == MAX_HALVINGS {
                    return Err(exploded(problem, step_size.first));
                }
                halvings += 1;
                step_size.first /= 2.0;
                strategy.restore(&good)?;
                trust.see(None);
                // The same epochs again, and the time that they took stays counted.
                (progress.epoch, progress.updates) = (evaluated.epoch, evaluated.updates);
                progress.eval_seconds += started.elapsed().as_secs_f64();
                if team.cancelled() {
                    alarm.disarm(); // nothing better is to come: end on the good state
                }
                continue;
            }
            trust.learn(&certificate);
            let test = test.map(|rows| rows.metrics(&weights, intercept));
            let bound = highest(certificate.dual, best.as_ref().and_then(|best| best.certificate.dual));
            let certificate = Certificate { dual: bound, ..certificate };
            let best = match best.take().filter(|best| best.certificate.objective <= certificate.objective) {
                Some(former) => best.insert(Best { certificate: Certificate { dual: bound, ..former.certificate }, ..former }),
                None => best.insert(Best { weights, intercept, certificate, test }),
            };
            progress.eval_seconds += started.elapsed().as_secs_f64();

            let cancelled = team.cancelled();
            let now = Snapshot { progress, certificate, test, best, strategy, step_size: step_size.first, cancelled };
            let mut stop = cancelled.then_some(Stop::Interrupted);
            for observer in observers.iter_mut() {
                if let ControlFlow::Break(reason) = observer.observe(&now)? {
                    stop = stop.or(Some(reason));
                }
            }
            if let Some(stop) = stop {
                for observer in observers.iter_mut() {
                    observer.finish(&now)?;
                }
                let (best, n_workers, figures) = (best.clone(), strategy.n_workers(), strategy.figures());
                return Ok(Outcome { best, progress, stop, n_workers, figures, halvings });
            }
            let started = Instant::now();
            good = strategy.state();
            progress.eval_seconds += started.elapsed().as_secs_f64();
            evaluated = progress;
        }
    };
    // The loop itself runs on a worker, so that an epoch starts without waking anybody.
    team.install(run)
}

/// The higher of two bounds, and of 0: no loss and no penalty is negative.
fn highest(bound: Option<f64>, former: Option<f64>) -> Option<f64> {
    bound.map(|bound| bound.max(former.unwrap_or(0.0)).max(0.0))
}

fn certify<F: Float>(problem: &Problem, strategy: &dyn Strategy<F>) -> (Candidate<F>, Certificate) {
    let mut candidate = strategy.candidate(problem);
    let (w, b) = (&candidate.weights, candidate.intercept);
    let certificate = match candidate.duals.take() {
        Some((duals, v)) => problem.certify_dual(w, b, duals, &v),
        None => problem.certify(w, b),
    };
    (candidate, certificate)
}

/// Tells when a run explodes. A primal method has when it is not finite or twice as bad as no weights at all; a dual one,
/// whose P(w) may well start there, when its bound D(a) has sunk as well.
struct Alarm {
    at_zero: f64,
    /// The best bound so far, of a method that keeps dual variables.
    best_dual: Option<f64>,
    disarmed: bool,
}

impl Alarm {
    fn new(at_zero: f64, keeps_duals: bool) -> Self {
        Self { at_zero, best_dual: keeps_duals.then_some(f64::NEG_INFINITY), disarmed: false }
    }

    fn disarm(&mut self) {
        self.disarmed = true;
    }

    fn rings(&mut self, now: &Certificate) -> bool {
        let climbs = match (&mut self.best_dual, now.dual.filter(|dual| dual.is_finite())) {
            (Some(best), Some(dual)) => {
                let before = std::mem::replace(best, best.max(dual));
                !before.is_finite() || dual > before - before.abs() / 2.0
            }
            _ => false,
        };
        !now.objective.is_finite() || (!self.disarmed && !climbs && now.objective > 2.0 * self.at_zero)
    }
}

fn exploded(problem: &Problem, step_size: f64) -> Error {
    Error::Diverged(format!(
        "{}: the objective exploded, and a step size of {step_size:.1e} did not help; scale the features to about 1, raise \
         --l2, or use --update sdca, which needs no step size",
        problem.data().name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_pays_for_an_unasked_evaluation_before_the_visits_have_cost_many_times_as_much() {
        let at = |epoch, updates| Progress { epoch, updates, ..Progress::default() };
        let due = |now, last, visits, estimated| is_due(&now, &last, visits, estimated);
        assert!(!due(at(31, 9000), at(0, 0), 1600, true) && due(at(32, 1600), at(0, 0), 1600, true));
        assert!(!due(at(500, 1599), at(0, 0), 1600, true), "rows rest");
        assert!(due(at(32, 32), at(0, 0), 0, true), "no rows that rest");
        assert!(!due(at(79, 9000), at(40, 1600), 1600, true) && due(at(80, 3200), at(40, 1600), 1600, true));
        assert!(due(at(1, 1), at(0, 0), 1600, false) && !due(at(59, 59), at(40, 40), 1600, false));
        assert!(due(at(60, 60), at(40, 40), 1600, false));
    }
}
