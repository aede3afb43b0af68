//! What `train` says when it has ended: the JSON object, and the same for people.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::eval::Metrics;
use crate::loss::Task;
use crate::problem::Problem;
use crate::strategy::{Choice, StrategyKind};
use crate::sync::Float;
use crate::threads::Team;
use crate::train::{Outcome, Stop};

/// A run and what it came to.
pub struct Summary<'a, F> {
    pub problem: &'a Problem<'a>,
    pub choice: &'a Choice,
    pub team: &'a Team,
    pub outcome: &'a Outcome<F>,
    pub train: Metrics,
    pub load_seconds: f64,
    pub model: &'a Path,
}

/// The keys of `--json`; what does not apply is null.
#[derive(Serialize)]
pub struct Report<'a> {
    task: Task,
    n: usize,
    d: u64,
    nnz: usize,
    loss: &'a str,
    l2: f64,
    l1: f64,
    strategy: &'a str,
    update: Option<&'a str>,
    memory: Option<&'a str>,
    threads: usize,
    /// How many of the threads were at work at the end: fewer than all, where that was found to be faster.
    workers: usize,
    /// The processor of each worker.
    cpus: Vec<Option<usize>>,
    epochs: u64,
    updates: u64,
    load_seconds: f64,
    train_seconds: f64,
    eval_seconds: f64,
    objective: f64,
    dual: Option<f64>,
    gap: Option<f64>,
    train_accuracy: Option<f64>,
    test_accuracy: Option<f64>,
    train_rmse: Option<f64>,
    test_rmse: Option<f64>,
    stop: Stop,
    halvings: u32,
    /// What the strategy has to tell besides.
    figures: BTreeMap<&'static str, f64>,
    model: String,
}

impl<'a> Report<'a> {
    pub fn new<F: Float>(summary: &Summary<'a, F>) -> Self {
        let Summary { problem, choice, team, outcome, train, load_seconds, model } = summary;
        let (data, certificate, test) = (problem.data(), outcome.best.certificate, outcome.best.test.unwrap_or_default());
        Self {
            task: problem.loss().task(),
            n: data.n_rows(),
            d: data.numbering().n_columns(),
            nnz: data.n_nonzeros(),
            loss: problem.loss().name(),
            l2: problem.penalty().l2,
            l1: problem.penalty().l1,
            strategy: choice.strategy.name(),
            update: choice.update_name(),
            memory: (choice.strategy == StrategyKind::Hogwild).then(|| choice.sharing.name()),
            threads: team.n_workers(),
            workers: outcome.n_workers.unwrap_or(team.n_workers()),
            cpus: team.cpus().to_vec(),
            epochs: outcome.progress.epoch,
            updates: outcome.progress.updates,
            load_seconds: *load_seconds,
            train_seconds: outcome.progress.train_seconds,
            eval_seconds: outcome.progress.eval_seconds,
            objective: certificate.objective,
            dual: certificate.dual.filter(|dual| dual.is_finite()),
            gap: certificate.gap().filter(|gap| gap.is_finite()),
            train_accuracy: train.accuracy,
            test_accuracy: test.accuracy,
            train_rmse: train.rmse,
            test_rmse: test.rmse,
            stop: outcome.stop,
            halvings: outcome.halvings,
            figures: outcome.figures.iter().copied().collect(),
            model: model.display().to_string(),
        }
    }
}

impl<F: Float> Summary<'_, F> {
    /// A line a figure.
    pub fn text(&self) -> String {
        let Self { problem, choice, team, outcome, train, load_seconds, model } = self;
        let (data, penalty, progress) = (problem.data(), problem.penalty(), outcome.progress);
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<11} {value}"); // writing to a String cannot fail
        };
        line(
            "data",
            format!(
                "{}: {} rows, {} features, {} non-zeros",
                data.name(),
                data.n_rows(),
                data.numbering().n_columns(),
                data.n_nonzeros()
            ),
        );
        let mut what = problem.loss().name().to_owned();
        for (name, strength) in [("l2", penalty.l2), ("l1", penalty.l1)] {
            if strength > 0.0 {
                let _ = write!(what, ", {name} = {strength:.4e}");
            }
        }
        line("problem", what);
        let memory =
            if choice.strategy == StrategyKind::Hogwild { format!(", {} memory", choice.sharing.name()) } else { String::new() };
        let plural = if team.n_workers() == 1 { "" } else { "s" };
        let at_work = match outcome.n_workers.filter(|&n| n < team.n_workers()) {
            Some(n) => format!(" ({n} at work: more were not faster)"),
            None => String::new(),
        };
        let (strategy, n) = (choice.strategy.name(), team.n_workers());
        let update = choice.update_name().map_or(String::new(), |update| format!(" x {update}"));
        line("method", format!("{strategy}{update}{memory}, {n} thread{plural}{at_work}"));
        line("objective", format!("{:.10}", outcome.best.certificate.objective));
        if let Some(gap) = outcome.best.certificate.gap().filter(|gap| gap.is_finite()) {
            line("gap", format!("{gap:.2e}: the optimum is at most {:.3} % lower (certified)", 100.0 * gap));
        }
        let judged = |metrics: &Metrics| match problem.loss().task() {
            Task::Classification => metrics.accuracy.map(|share| format!("{:.2} % of rows right", 100.0 * share)),
            Task::Regression => metrics.rmse.map(|rmse| format!("root mean squared error {rmse:.6}")),
        };
        if let Some(judged) = judged(train) {
            line("training", judged);
        }
        if let Some(judged) = outcome.best.test.as_ref().and_then(judged) {
            line("test", judged);
        }
        line(
            "seconds",
            format!(
                "{load_seconds:.3} to load, {:.3} to train ({} epochs), {:.3} to evaluate",
                progress.train_seconds, progress.epoch, progress.eval_seconds
            ),
        );
        if outcome.halvings > 0 {
            line("steps", format!("halved {} times, after the objective had exploded", outcome.halvings));
        }
        for (name, figure) in &outcome.figures {
            line("also", format!("{}: {figure:.4}", name.replace('_', " ")));
        }
        line("model", model.display().to_string());
        text
    }
}
