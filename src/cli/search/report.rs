//! What `search` says when it has ended: the JSON object, and the same as a table.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use crate::data::Dataset;
use crate::eval::Metrics;
use crate::lab::search::{Mean, Outcome, Search, Strength, best};
use crate::loss::Task;
use crate::threads::Team;
use crate::train::{self, Stop};

/// All that was found.
#[derive(Serialize)]
pub struct Report {
    task: Task,
    n: usize,
    d: u64,
    nnz: usize,
    loss: &'static str,
    folds: usize,
    seed: u64,
    threads: usize,
    /// Of the search, reading not counted.
    seconds: f64,
    /// How many there are in the grid; those that were finished follow.
    n_configurations: usize,
    configurations: Vec<Line>,
    /// The place of the best among them.
    best: Option<usize>,
    /// The best, trained on all rows.
    refit: Option<Refit>,
}

#[derive(Serialize)]
struct Line {
    c: Option<f64>,
    l2: Option<f64>,
    l1: f64,
    strategy: &'static str,
    update: Option<&'static str>,
    step_size: Option<f64>,
    accuracy: Option<Mean>,
    rmse: Option<Mean>,
    log_loss: Option<Mean>,
    auc: Option<Mean>,
    /// Of one model, in the mean.
    epochs: f64,
    /// Of all models.
    seconds: f64,
    /// Whether training exploded with one of the folds.
    exploded: bool,
    /// On each fold held out.
    held_out: Vec<Option<Metrics>>,
}

#[derive(Serialize)]
struct Refit {
    objective: f64,
    dual: Option<f64>,
    gap: Option<f64>,
    epochs: u64,
    train_seconds: f64,
    eval_seconds: f64,
    test_accuracy: Option<f64>,
    test_rmse: Option<f64>,
    stop: Stop,
    model: String,
}

impl Line {
    fn new(search: &Search, outcome: &Outcome) -> Self {
        let configuration = &search.grid[outcome.configuration];
        let fits = || outcome.fits.iter().flatten();
        let (c, l2) = match configuration.strength {
            Strength::C(c) => (Some(c), None),
            Strength::L2(l2) => (None, Some(l2)),
        };
        Self {
            c,
            l2,
            l1: configuration.l1,
            strategy: configuration.choice.strategy.name(),
            update: configuration.choice.update_name(),
            step_size: configuration.step_size,
            accuracy: outcome.mean(|metrics| metrics.accuracy),
            rmse: outcome.mean(|metrics| metrics.rmse),
            log_loss: outcome.mean(|metrics| metrics.log_loss),
            auc: outcome.mean(|metrics| metrics.auc),
            epochs: fits().map(|fit| fit.epochs as f64).sum::<f64>() / fits().count().max(1) as f64,
            seconds: fits().map(|fit| fit.seconds).sum(),
            exploded: outcome.fits.iter().any(Option::is_none),
            held_out: outcome.fits.iter().map(|fit| fit.map(|fit| fit.metrics)).collect(),
        }
    }
}

impl Report {
    pub fn new(data: &Dataset, search: &Search, outcomes: &[Outcome], team: &Team, seconds: f64) -> Self {
        let task = search.loss.task();
        let best = best(outcomes, task).map(|best| best.configuration);
        Self {
            task,
            n: data.n_rows(),
            d: data.numbering().n_columns(),
            nnz: data.n_nonzeros(),
            loss: search.loss.name(),
            folds: search.n_folds,
            seed: search.seed,
            threads: team.n_workers(),
            seconds,
            n_configurations: search.grid.len(),
            best: outcomes.iter().position(|outcome| Some(outcome.configuration) == best),
            configurations: outcomes.iter().map(|outcome| Line::new(search, outcome)).collect(),
            refit: None,
        }
    }

    /// Adds what the best has come to on all rows.
    pub fn refitted(&mut self, outcome: &train::Outcome<f32>, model: &Path) {
        let (certificate, test) = (outcome.best.certificate, outcome.best.test.unwrap_or_default());
        self.refit = Some(Refit {
            objective: certificate.objective,
            dual: certificate.dual.filter(|dual| dual.is_finite()),
            gap: certificate.gap().filter(|gap| gap.is_finite()),
            epochs: outcome.progress.epoch,
            train_seconds: outcome.progress.train_seconds,
            eval_seconds: outcome.progress.eval_seconds,
            test_accuracy: test.accuracy,
            test_rmse: test.rmse,
            stop: outcome.stop,
            model: model.display().to_string(),
        });
    }

    /// A line a configuration, the best marked, and what became of it.
    pub fn text(&self) -> String {
        let mean = |mean: Option<Mean>, scale: f64, digits: usize| match mean {
            Some(Mean { mean, deviation }) => format!("{:.digits$} +- {:.digits$}", scale * mean, scale * deviation),
            None => String::new(),
        };
        let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value}"));
        let heads = ["", "C", "l2", "l1", "method", "step size", "accuracy %", "RMSE", "log loss", "AUC", "epochs", "seconds"];
        let mut rows: Vec<[String; 12]> = vec![heads.map(str::to_owned)];
        rows.extend(self.configurations.iter().enumerate().map(|(k, line)| {
            let update = line.update.map_or(String::new(), |update| format!(" x {update}"));
            [
                if self.best == Some(k) { "*" } else { "" }.to_owned(),
                number(line.c),
                number(line.l2),
                number(Some(line.l1).filter(|&l1| l1 > 0.0)),
                format!("{}{update}", line.strategy),
                number(line.step_size),
                if line.exploded { "exploded".to_owned() } else { mean(line.accuracy, 100.0, 2) },
                mean(line.rmse, 1.0, 5),
                mean(line.log_loss, 1.0, 5),
                mean(line.auc, 1.0, 5),
                format!("{:.1}", line.epochs),
                format!("{:.2}", line.seconds),
            ]
        }));
        // A column that nobody fills is left out.
        let width = |column: usize| rows[1..].iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..heads.len()).map(|k| if width(k) == 0 { 0 } else { width(k).max(heads[k].len()) }).collect();
        let mut text = String::new();
        for row in &rows {
            let cells = row.iter().zip(&widths).filter(|(_, width)| **width > 0);
            let line: Vec<String> = cells.map(|(cell, &width)| format!("{cell:>width$}")).collect();
            let _ = writeln!(text, "{}", line.join("  ").trim_end()); // writing to a String cannot fail
        }
        let Self { n_configurations, folds, threads, seconds, .. } = self;
        let what = format!("{n_configurations} configurations on {folds} folds, {threads} at a time: {seconds:.2} seconds");
        let _ = writeln!(text, "{what}; means +- standard deviations over the folds held out");
        if let Some(refit) = &self.refit {
            let gap = refit.gap.map_or(String::new(), |gap| format!(", gap {gap:.2e}"));
            let accuracy = refit.test_accuracy.map(|share| format!(", test {:.2} % of rows right", 100.0 * share));
            let test = accuracy.or(refit.test_rmse.map(|rmse| format!(", test RMSE {rmse:.6}"))).unwrap_or_default();
            let _ = writeln!(text, "* on all rows: objective {:.10}{gap}{test}; saved as {}", refit.objective, refit.model);
        }
        text
    }
}
