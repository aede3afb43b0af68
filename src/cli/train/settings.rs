//! The options of `train` in their checked form: against each other first, against the data when it is there.

use std::path::{Path, PathBuf};

use super::{AverageEvery, Train};
use crate::cli::objective::suggested_loss;
use crate::cli::refuse_overwriting;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::penalty::Penalty;
use crate::strategy::{Choice, StrategyKind, UpdateKind};
use crate::train::Limits;

/// Epochs after which a run without other limits gives up.
const MOST_EPOCHS: u64 = 1000;
/// The relative duality gap that is good enough unless asked otherwise.
pub const GAP: f64 = 1e-3;

/// The options, checked against each other and against the data.
pub struct Settings {
    pub loss: &'static dyn Loss,
    pub penalty: Penalty,
    pub choice: Choice,
    pub limits: Limits,
    /// Whether ending by epochs or time is ending too early.
    pub tolerance_asked: bool,
    pub model: PathBuf,
}

impl Train {
    /// Refuses what no data could make right.
    pub(super) fn check_alone(&self, sequential: bool, n_workers: usize) -> Result<()> {
        let usage = |what: &str| Err(Error::Usage(what.into()));
        let model = self.model.clone().unwrap_or_else(|| default_model(&self.data));
        let (history, test) = (self.history.as_deref(), self.test.as_deref());
        for output in [Some(model.as_path()), history].into_iter().flatten() {
            refuse_overwriting(output, &[Some(&self.data), test])?;
        }
        if history == Some(&model) {
            return usage("--history and the model have the same name");
        }
        let positive = |value: Option<f64>| value.is_none_or(|value| value > 0.0 && value.is_finite());
        self.objective.check()?;
        if !positive(self.step_size) || !positive(self.time) {
            return usage("--step-size and --time want numbers above 0");
        }
        if !self.gap.is_none_or(|gap| (0.0..1.0).contains(&gap)) {
            return usage("--gap wants a share from 0 to 1, such as 1e-3");
        }
        if self.target_objective.is_some_and(f64::is_nan) {
            return usage("--target-objective wants a number");
        }
        if self.memory.is_some() && self.strategy != StrategyKind::Hogwild {
            return usage(&format!("--memory is for --strategy hogwild; {} has a memory of its own", self.strategy.name()));
        }
        if self.batch.is_some() && self.strategy != StrategyKind::Minibatch {
            return usage(&format!("--batch is for --strategy minibatch; {} steps on one row at a time", self.strategy.name()));
        }
        if self.deterministic && self.time.is_some() {
            return usage("--time ends a run by the clock; with --deterministic use --epochs or --gap");
        }
        self.choice(n_workers).check_deterministic()?;
        if let Some(worker) = self.delay.iter().filter_map(|delay| delay.worker).find(|&worker| worker >= n_workers) {
            return usage(&format!(
                "--delay {worker}: there is no such worker; they are numbered 0 to {}, or all",
                n_workers - 1
            ));
        }
        if self.strategy.has_own_step() {
            if self.update.is_some() || self.schedule.is_some() {
                return usage(
                    "--strategy coordinate has a step of its own: leave --update and --schedule out, or use --strategy hogwild",
                );
            }
            if self.step_size.is_some_and(|step_size| step_size > 1.0) {
                return usage("--step-size of coordinate is a share of the safe step: above 0 and at most 1 is wanted");
            }
        }
        if self.average_every.is_some() && self.strategy != StrategyKind::Averaging {
            let name = self.strategy.name();
            return usage(&format!("--average-every is for --strategy averaging; {name}'s workers share one vector"));
        }
        if sequential && self.threads.is_some_and(|n| n > 1) {
            return usage("--strategy sequential has one worker; leave --threads out, or use --strategy hogwild");
        }
        Ok(())
    }

    /// Refuses messages that make no sense for `n_workers`.
    pub(super) fn check_messages(&self, n_workers: usize) -> Result<()> {
        let usage = |what: String| Err(Error::Usage(what));
        let (strategy, n_backup) = (self.strategy, usize::from(self.backup));
        if strategy != StrategyKind::Minibatch {
            let name = strategy.name();
            if self.compress.is_some() {
                return usage(format!("--compress is for --strategy minibatch; the workers of {name} send no gradients"));
            }
            if n_backup > 0 {
                return usage(format!("--backup is for --strategy minibatch; no step of {name} waits for several gradients"));
            }
        }
        if n_backup >= n_workers {
            return usage(format!(
                "--backup {n_backup} drops the gradients of all {n_workers} workers; fewer than --threads are wanted"
            ));
        }
        if n_backup > 0 && self.batch.is_some_and(|batch| (1..n_workers).contains(&batch)) {
            return usage(format!("--backup wants a row or more for each of {n_workers} workers; raise --batch"));
        }
        Ok(())
    }

    /// The method that is asked for.
    fn choice(&self, n_workers: usize) -> Choice {
        let suited = match self.strategy {
            StrategyKind::Minibatch | StrategyKind::Averaging | StrategyKind::Coordinate => UpdateKind::Sgd,
            _ => UpdateKind::Sdca,
        };
        let usual = Choice::new(self.strategy, self.update.unwrap_or(suited));
        Choice {
            sharing: self.memory.unwrap_or(usual.sharing),
            batch: self.batch.unwrap_or(usual.batch),
            seed: self.seed,
            average_every: match self.average_every {
                None => usual.average_every,
                Some(AverageEvery::Epochs(epochs)) => Some(epochs),
                Some(AverageEvery::Never) => None,
            },
            compression: self.compress,
            backup: usize::from(self.backup),
            delays: self.delay.clone(),
            deterministic: self.deterministic && n_workers > 1, // one worker does everything in the same order each time
            ..usual
        }
    }

    pub(super) fn settings(&self, data: &Dataset, n_workers: usize) -> Result<Settings> {
        let loss = self.objective.loss.map_or_else(|| suggested_loss(data), Ok)?;
        let penalty = self.objective.penalty(data.n_rows());

        let choice = self.choice(n_workers);
        if choice.update == UpdateKind::Sdca && (self.step_size.is_some() || self.schedule.is_some()) {
            return Err(Error::Usage(
                "--step-size and --schedule are for steps on gradients; sdca's steps are exact: leave them out, or add --update sgd"
                    .into(),
            ));
        }

        // A target for the objective replaces the usual gap; both can be asked.
        let gap = self.gap.or(if self.target_objective.is_some() { None } else { Some(GAP) }).filter(|&gap| gap > 0.0);
        let limits = Limits {
            gap,
            objective: self.target_objective,
            epochs: Some(self.epochs.unwrap_or(MOST_EPOCHS)),
            seconds: self.time,
        };
        let limited = self.epochs.is_some() || self.time.is_some() || self.patience.is_some();
        let asked = self.gap.is_some() || self.target_objective.is_some();
        let tolerance_asked = (gap.is_some() || self.target_objective.is_some()) && (asked || !limited);
        Ok(Settings {
            loss,
            penalty,
            choice,
            limits,
            tolerance_asked,
            model: self.model.clone().unwrap_or_else(|| default_model(&self.data)),
        })
    }
}

/// Better to know before hours of training that the model will have no place.
pub fn check_writable(model: &Path) -> Result<()> {
    let folder = model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if model.is_dir() {
        return Err(Error::file(model, "is a folder; the name of a file is wanted for the model"));
    }
    if !folder.is_dir() {
        return Err(Error::file(folder, "is no folder; the model is to be saved there"));
    }
    // A device such as /dev/null needs no room for a file beside it.
    if model.is_file() || !model.exists() {
        tempfile::tempfile_in(folder).map_err(Error::io(model, "create"))?;
    }
    Ok(())
}

/// DATA's file name up to its first dot, in the current folder.
pub fn default_model(data: &Path) -> PathBuf {
    let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or("unfenced");
    PathBuf::from(format!("{stem}.model"))
}
