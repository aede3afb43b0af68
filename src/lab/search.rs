//! Which strengths and steps are best? Every configuration of a grid is trained on all folds but one and judged on that one,
//! for each fold in turn; the mean over the folds decides.
//!
//! Many models share one copy of the data: a fold is a [`Dataset::part`], a list of where rows lie. Workers are shared out over
//! the models, not within them: each trains one at a time, alone, on plain memory, so that nothing is contended and
//! nothing is waited for. Weak penalties take longest and are begun first; who is free takes the next.

use rayon::prelude::*;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Metrics, class_signs, metrics, scores};
use crate::lab::Folds;
use crate::loss::{Loss, Task};
use crate::penalty::Penalty;
use crate::problem::Problem;
use crate::strategy::{self, Choice, StrategyKind};
use crate::sync::{Mutex, MutexGuard};
use crate::threads::{Team, Ticket};
use crate::train::{Best, Limits, Plan, StepSize, Stop, train};

/// How strong l2 is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strength {
    /// LIBLINEAR's C: l2 = 1/(C n), where n are the rows that are trained on.
    C(f64),
    /// l2 itself.
    L2(f64),
}

/// A point of the grid.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Of l2.
    pub strength: Strength,
    /// Strength of l1.
    pub l1: f64,
    /// The method.
    pub choice: Choice,
    /// The first step size; to suit the method and the data if none.
    pub step_size: Option<f64>,
}

impl Configuration {
    /// The strengths for so many rows.
    pub fn penalty(&self, n_rows: usize) -> Penalty {
        let l2 = match self.strength {
            Strength::C(c) => 1.0 / (c * n_rows as f64),
            Strength::L2(l2) => l2,
        };
        Penalty { l2, l1: self.l1 }
    }

    /// What one worker does in its place: where a strategy with one worker equals sequential, sequential.
    fn alone(&self) -> Choice {
        let strategy = match self.choice.strategy {
            StrategyKind::Minibatch | StrategyKind::Coordinate => self.choice.strategy,
            _ => StrategyKind::Sequential,
        };
        Choice { strategy, ..self.choice.clone() }
    }
}

/// What is searched, and how.
#[derive(Clone)]
pub struct Search {
    /// What an example costs.
    pub loss: &'static dyn Loss,
    /// Whether there is an intercept.
    pub intercept: bool,
    /// The grid.
    pub grid: Vec<Configuration>,
    /// How many folds.
    pub n_folds: usize,
    /// Decides the folds.
    pub seed: u64,
    /// When a model is good enough.
    pub limits: Limits,
}

/// A model trained on all folds but one.
#[derive(Debug, Clone, Copy)]
pub struct Fit {
    /// On the fold held out.
    pub metrics: Metrics,
    /// P(w) on the others.
    pub objective: f64,
    /// The certified relative gap, if it is known.
    pub gap: Option<f64>,
    /// Epochs that it took.
    pub epochs: u64,
    /// Seconds of training and evaluation.
    pub seconds: f64,
}

/// A configuration that is finished.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its place in the grid.
    pub configuration: usize,
    /// A model for each fold, in their order; none where training exploded.
    pub fits: Vec<Option<Fit>>,
}

/// A mean over the folds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Mean {
    /// Itself.
    pub mean: f64,
    /// The standard deviation of a fold (n - 1).
    pub deviation: f64,
}

impl Outcome {
    /// The mean of a metric over all folds; none if it does not apply or training exploded.
    pub fn mean(&self, metric: impl Fn(&Metrics) -> Option<f64>) -> Option<Mean> {
        let found: Option<Vec<f64>> = self.fits.iter().map(|fit| metric(&fit.as_ref()?.metrics)).collect();
        let found = found.filter(|found| found.len() > 1)?;
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        let squares: f64 = found.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Mean { mean, deviation: (squares / (found.len() - 1) as f64).sqrt() })
    }

    /// What decides, higher is better: the mean accuracy, or the mean RMSE below 0.
    pub fn goodness(&self, task: Task) -> Option<f64> {
        match task {
            Task::Classification => self.mean(|metrics| metrics.accuracy).map(|mean| mean.mean),
            Task::Regression => self.mean(|metrics| metrics.rmse).map(|mean| -mean.mean),
        }
    }
}

/// The best of these; of equals the first in the grid.
pub fn best(outcomes: &[Outcome], task: Task) -> Option<&Outcome> {
    let judged = outcomes.iter().filter_map(|outcome| Some((outcome, outcome.goodness(task).filter(|good| good.is_finite())?)));
    let better = |a: &(&Outcome, f64), b: &(&Outcome, f64)| a.1.total_cmp(&b.1).then(b.0.configuration.cmp(&a.0.configuration));
    judged.max_by(better).map(|(outcome, _)| outcome)
}

/// A fold: the problem without it, and its own rows.
struct Fold<'a> {
    problem: Problem<'a>,
    held_out: &'a Dataset<'a>,
    targets: Vec<f32>,
}

/// Trains and judges every configuration; the team's workers share out the models among them. `finished` is told of every model
/// by the worker that has trained it: its configuration, and the model's worth unless it exploded. Configurations come back in
/// the grid's order; of a cancelled team those that were finished.
///
/// # Errors
/// If the grid is empty, the folds cannot be dealt, the labels do not suit the loss, or a method does not exist or cannot
/// serve.
pub fn search(
    data: &Dataset,
    search: &Search,
    team: &Team,
    finished: impl Fn(usize, Option<&Fit>) + Sync,
) -> Result<Vec<Outcome>> {
    let Some(first) = search.grid.first() else {
        return Err(Error::Usage("a grid without a configuration; one or more are wanted".into()));
    };
    let penalty = first.penalty(data.n_rows());
    // The whole is checked before it is cut.
    team.install(|| Problem::new(data, search.loss, penalty, search.intercept).map(drop))?;
    let folds = Folds::new(data, search.loss, search.n_folds, search.seed)?;
    let cut = |k: usize| (data.part(&folds.training(k)), data.part(&folds.held_out(k)));
    let parts: Vec<(Dataset, Dataset)> = team.install(|| (0..folds.len()).into_par_iter().map(cut).collect());
    let folds: Vec<Fold> = team.install(|| parts.iter().map(|parts| fold(parts, search, penalty)).collect::<Result<_>>())?;
    check(search, &folds[0].problem)?;

    let mut order: Vec<usize> = (0..search.grid.len()).collect();
    let strength = |&k: &usize| search.grid[k].penalty(data.n_rows());
    order.sort_by(|a, b| {
        let (a, b) = (strength(a), strength(b));
        a.l2.total_cmp(&b.l2).then(a.l1.total_cmp(&b.l1))
    });
    let fits: Mutex<Vec<Vec<Option<Fitted>>>> = Mutex::new(vec![vec![None; folds.len()]; search.grid.len()]);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let ticket = Ticket::new(search.grid.len() * folds.len());
    team.each(|worker| {
        let work = || -> Result<()> {
            let alone = team.alone(worker)?;
            while let Some(item) = ticket.draw().filter(|_| !team.cancelled() && locked(&failure).is_none()) {
                let (k, fold) = (order[item / folds.len()], item % folds.len());
                if let Some(fitted) = fit(&folds[fold], &search.grid[k], search.limits, &alone)? {
                    locked(&fits)[k][fold] = Some(fitted);
                    finished(k, fitted.0.as_ref());
                }
            }
            Ok(())
        };
        if let Err(error) = work() {
            locked(&failure).get_or_insert(error);
        }
    });
    if let Some(error) = locked(&failure).take() {
        return Err(error);
    }
    let fits = std::mem::take(&mut *locked(&fits)).into_iter().enumerate();
    let whole = fits.filter_map(|(configuration, fits)| Some((configuration, fits.into_iter().collect::<Option<Vec<_>>>()?)));
    Ok(whole
        .map(|(configuration, fits)| Outcome { configuration, fits: fits.into_iter().map(|Fitted(fit)| fit).collect() })
        .collect())
}

/// A model's worth; none if it exploded.
#[derive(Clone, Copy)]
struct Fitted(Option<Fit>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn fold<'a>((training, held_out): &'a (Dataset<'a>, Dataset<'a>), search: &Search, penalty: Penalty) -> Result<Fold<'a>> {
    let problem = Problem::new(training, search.loss, penalty, search.intercept)?;
    let targets = class_signs(held_out, problem.classes())?;
    Ok(Fold { problem, held_out, targets })
}

/// Refuses what no training could make right, before there is any: each method once, without and with each penalty.
fn check(search: &Search, problem: &Problem) -> Result<()> {
    let mut checked = Vec::new();
    for configuration in &search.grid {
        let penalty = configuration.penalty(problem.n_rows());
        let problem = problem.with_penalty(penalty)?;
        let kind = (configuration.choice.strategy, configuration.choice.update, penalty.l2 > 0.0, penalty.l1 > 0.0);
        if !checked.contains(&kind) {
            strategy::build::<f32>(&problem, &configuration.alone()).map(drop)?;
            checked.push(kind);
        }
    }
    Ok(())
}

/// Trains a model without a fold and judges it there; none if the team is cancelled.
fn fit(fold: &Fold, configuration: &Configuration, mut limits: Limits, alone: &Team) -> Result<Option<Fitted>> {
    let problem = fold.problem.with_penalty(configuration.penalty(fold.problem.n_rows()))?;
    let choice = configuration.alone();
    alone.install(|| {
        let mut strategy = strategy::build::<f32>(&problem, &choice)?;
        let plan = Plan::new(StepSize::new(&problem, &choice, configuration.step_size, None));
        let outcome = match train(&problem, strategy.as_mut(), alone, plan, None, &mut [&mut limits]) {
            Err(Error::Diverged(_)) => return Ok(Some(Fitted(None))),
            outcome => outcome?,
        };
        if outcome.stop == Stop::Interrupted {
            return Ok(None);
        }
        let Best { weights, intercept, certificate, .. } = &outcome.best;
        let scores = scores(fold.held_out, weights, f64::from(*intercept));
        Ok(Some(Fitted(Some(Fit {
            metrics: metrics(problem.loss(), &scores, &fold.targets),
            objective: certificate.objective,
            gap: certificate.gap().filter(|gap| gap.is_finite()),
            epochs: outcome.progress.epoch,
            seconds: outcome.progress.train_seconds + outcome.progress.eval_seconds,
        }))))
    })
}
