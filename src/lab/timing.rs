//! One timed run of one method: evaluated as it goes, ended when it has come near enough or its budget is spent.

use std::ops::ControlFlow;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::lab::{Method, Point, Reached, Run, Staleness};
use crate::problem::Problem;
use crate::strategy::{self, Choice, Delay};
use crate::sync::Ordering;
use crate::threads::Team;
use crate::train::{Observer, Passed, Plan, Snapshot, StepSize, Stop, train};

/// The evaluations of a run stand this far apart at most, as a share of the epochs so far.
const SPACING: u64 = 10;
/// A run is broken off when it has lasted so many times its budget, evaluations included: an epoch that does not end.
const PATIENCE: f64 = 8.0;
/// Seconds that even the smallest budget has before it is broken off.
const GRACE: f64 = 2.0;

/// What to run, and for how long.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Strategy x update.
    pub method: Method,
    /// Decides the order of the rows.
    pub seed: u64,
    /// The first step size; from the data if `None`.
    pub step_size: Option<f64>,
    /// Workers that are slowed down.
    pub delays: Vec<Delay>,
    /// Whether the staleness of steps is sampled.
    pub probes: bool,
    /// The best P(w) known.
    pub optimum: f64,
    /// Suboptimalities to come to, falling; the last one ends the run.
    pub epsilons: Vec<f64>,
    /// Seconds of training.
    pub seconds: f64,
    /// Epochs.
    pub epochs: u64,
}

impl Timing {
    /// Runs it. An explosion is a result, not an error.
    ///
    /// # Errors
    /// If the method does not exist for this problem.
    pub fn run(&self, problem: &Problem, team: &Team) -> Result<Run> {
        let choice = Choice { delays: self.delays.clone(), probes: self.probes, ..self.method.choice(self.seed) };
        let mut strategy = strategy::build::<f32>(problem, &choice)?;
        let step_size = team.install(|| StepSize::new(problem, &choice, self.step_size, None));
        let mut recorder =
            Recorder { timing: self, points: Vec::new(), updates: 0, train_seconds: 0.0, eval_seconds: 0.0, next: 1 };
        let outcome = self
            .within_patience(team, || train(problem, strategy.as_mut(), team, Plan::new(step_size), None, &mut [&mut recorder]));
        let (halvings, figures) = match outcome {
            Ok(outcome) => (outcome.halvings, outcome.figures),
            Err(Error::Diverged(_)) => (1, Vec::new()),
            Err(error) => return Err(error),
        };
        let Recorder { points, updates, train_seconds, eval_seconds, .. } = recorder;
        let epochs = points.last().map_or(0, |point| point.epoch);
        let data = problem.data();
        let whole_rows = updates as f64 / data.n_rows() as f64 * data.n_nonzeros() as f64;
        let staleness = strategy.staleness();
        let at_zero = (problem.objective_at_zero() - self.optimum) / self.optimum.abs().max(f64::MIN_POSITIVE);
        Ok(Run {
            method: self.method.to_string(),
            threads: team.n_workers(),
            workers: strategy.n_workers().unwrap_or(team.n_workers()),
            seed: self.seed,
            varied: None,
            step_size: step_size.first,
            diverged: halvings > 0 || points.last().is_some_and(|last| last.suboptimality > at_zero),
            epochs,
            updates,
            nonzeros: whole_rows,
            bytes: whole_rows * (size_of::<u32>() + size_of::<f32>()) as f64,
            train_seconds,
            eval_seconds,
            reached: self.epsilons.iter().map(|&epsilon| reached(&points, epsilon)).collect(),
            points,
            figures: figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect(),
            staleness: Staleness::of(staleness),
        })
    }

    /// Runs `work`; a clock beside it cancels the team when it lasts far too long.
    fn within_patience<T>(&self, team: &Team, work: impl FnOnce() -> T) -> T {
        let (done, waiting) = channel::<()>();
        let (flag, patience) = (team.cancel_flag(), Duration::from_secs_f64(PATIENCE * self.seconds + GRACE));
        std::thread::scope(|scope| {
            let clock = scope.spawn(move || {
                let late = waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
                // A flag that somebody else has set is not taken back.
                let broken_off = late && !flag.swap(true, Ordering::Relaxed);
                let _ = waiting.recv(); // ends when the work has
                if broken_off {
                    flag.store(false, Ordering::Relaxed);
                }
            });
            let result = work();
            drop(done);
            let _ = clock.join(); // it cannot panic
            result
        })
    }
}

/// Writes down every evaluation.
struct Recorder<'a> {
    timing: &'a Timing,
    points: Vec<Point>,
    updates: u64,
    train_seconds: f64,
    eval_seconds: f64,
    /// The epoch of the next evaluation.
    next: u64,
}

impl Observer<f32> for Recorder<'_> {
    fn wants(&mut self, passed: &Passed) -> bool {
        let now = passed.progress;
        now.epoch >= self.next || now.epoch >= self.timing.epochs || now.train_seconds >= self.timing.seconds
    }

    fn observe(&mut self, now: &Snapshot<f32>) -> Result<ControlFlow<Stop>> {
        if now.cancelled {
            return Ok(ControlFlow::Continue(())); // the last epoch was broken off: its figures are those of a part
        }
        let (timing, progress) = (self.timing, now.progress);
        let suboptimality = (now.certificate.objective - timing.optimum) / timing.optimum.abs().max(f64::MIN_POSITIVE);
        self.points.push(Point { epoch: progress.epoch, seconds: progress.train_seconds, suboptimality });
        (self.updates, self.train_seconds, self.eval_seconds) = (progress.updates, progress.train_seconds, progress.eval_seconds);
        self.next = progress.epoch + (progress.epoch / SPACING).max(1);
        let near = timing.epsilons.last().is_some_and(|&epsilon| suboptimality <= epsilon);
        let stop = near.then_some(Stop::TargetObjective);
        let stop = stop.or((progress.epoch >= timing.epochs).then_some(Stop::Epochs));
        let stop = stop.or((progress.train_seconds >= timing.seconds).then_some(Stop::Time));
        Ok(stop.map_or(ControlFlow::Continue(()), ControlFlow::Break))
    }
}

/// When a run came to a suboptimality first: between the two evaluations around it, on the line through the logarithms.
fn reached(points: &[Point], epsilon: f64) -> Option<Reached> {
    let k = points.iter().position(|point| point.suboptimality <= epsilon)?;
    let after = points[k];
    let whole = Reached { seconds: after.seconds, epochs: after.epoch as f64 };
    let Some(before) = k.checked_sub(1).map(|k| points[k]) else { return Some(whole) };
    // Below the optimum's own uncertainty the logarithm means nothing.
    let log = |suboptimality: f64| suboptimality.max(epsilon / 10.0).ln();
    let share = (log(before.suboptimality) - log(epsilon)) / (log(before.suboptimality) - log(after.suboptimality));
    if !(0.0..=1.0).contains(&share) {
        return Some(whole);
    }
    let between = |before: f64, after: f64| before + share * (after - before);
    Some(Reached { seconds: between(before.seconds, after.seconds), epochs: between(before.epoch as f64, after.epoch as f64) })
}

impl Staleness {
    /// Of samples, if there are some.
    fn of(mut samples: Vec<u32>) -> Option<Self> {
        samples.sort_unstable();
        let (n, max) = (samples.len(), *samples.last()?);
        let rank = |percent: usize| samples[(n * percent).div_ceil(100).max(1) - 1];
        let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / n as f64;
        Some(Self { samples: n, mean, p50: rank(50), p99: rank(99), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(epoch: u64, suboptimality: f64) -> Point {
        Point { epoch, seconds: epoch as f64 / 10.0, suboptimality }
    }

    #[test]
    fn an_epsilon_between_two_evaluations_is_found_on_the_logarithm() {
        let points = [point(1, 1.0), point(2, 1e-2), point(4, 1e-4), point(5, 1e-3)];
        let at = |epsilon| reached(&points, epsilon).map(|reached| reached.epochs);
        assert_eq!(at(2.0), Some(1.0));
        assert!((at(1e-3).expect("reached") - 3.0).abs() < 1e-12);
        assert!((at(1e-1).expect("reached") - 1.5).abs() < 1e-12);
        assert_eq!(at(1e-5), None);
        // A run that falls to the optimum itself, or a hair below what is known.
        let sudden = reached(&[point(1, 1e-1), point(2, -1e-12)], 1e-2).expect("reached");
        assert!(sudden.epochs > 1.0 && sudden.epochs <= 2.0);
    }

    #[test]
    fn staleness_is_summed_up_by_rank() {
        let staleness = Staleness::of((1..=100).rev().collect()).expect("samples");
        assert_eq!(staleness, Staleness { samples: 100, mean: 50.5, p50: 50, p99: 99, max: 100 });
        assert_eq!(Staleness::of(Vec::new()), None);
    }
}
