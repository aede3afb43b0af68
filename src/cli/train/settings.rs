//! The options of `train` in their checked form: against each other first, against the data when it is there.

use std::path::{Path, PathBuf};

use super::{AverageEvery, Train};
use crate::cli::refuse_overwriting;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::loss::{Hinge, Loss, Squared};
use crate::penalty::Penalty;
use crate::strategy::{Choice, Sharing, StrategyKind, UpdateKind};
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
    pub(super) fn check_alone(&self, sequential: bool) -> Result<()> {
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
        if !positive(self.c) || !positive(self.step_size) || !positive(self.time) {
            return usage("--c, --step-size and --time want numbers above 0");
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
        if self.average_every.is_some() && self.strategy != StrategyKind::Averaging {
            let name = self.strategy.name();
            return usage(&format!("--average-every is for --strategy averaging; {name}'s workers share one vector"));
        }
        if sequential && self.threads.is_some_and(|n| n > 1) {
            return usage("--strategy sequential has one worker; leave --threads out, or use --strategy hogwild");
        }
        Ok(())
    }

    pub(super) fn settings(&self, data: &Dataset) -> Result<Settings> {
        let loss = self.loss.map_or_else(|| suggested_loss(data), Ok)?;
        let n = data.n_rows() as f64;
        let l2 = match (self.l2, self.c, self.l1) {
            (Some(l2), ..) => l2,
            (None, Some(c), _) => 1.0 / (c * n),
            (None, None, Some(_)) => 0.0,
            (None, None, None) => 1.0 / n,
        };
        let penalty = Penalty { l2, l1: self.l1.unwrap_or(0.0) };

        let strategy = self.strategy;
        let suited = match strategy {
            StrategyKind::Minibatch | StrategyKind::Averaging => UpdateKind::Sgd,
            _ => UpdateKind::Sdca,
        };
        let update = self.update.unwrap_or(suited);
        if update == UpdateKind::Sdca && (self.step_size.is_some() || self.schedule.is_some()) {
            return Err(Error::Usage(
                "--step-size and --schedule are for steps on gradients; sdca's steps are exact: leave them out, or add --update sgd"
                    .into(),
            ));
        }
        let sharing = self.memory.unwrap_or(Sharing::Replicated);
        let usual = Choice::new(strategy, update);
        let average_every = match self.average_every {
            None => usual.average_every,
            Some(AverageEvery::Epochs(epochs)) => Some(epochs),
            Some(AverageEvery::Never) => None,
        };
        let batch = self.batch.unwrap_or(usual.batch);
        let choice = Choice { sharing, batch, average_every, seed: self.seed, delays: self.delay.clone(), ..usual };

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

    /// Better to know before hours of training that the model will have no place.
    pub(super) fn check_writable(&self, settings: &Settings) -> Result<()> {
        let folder = settings.model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if settings.model.is_dir() {
            return Err(Error::file(&settings.model, "is a folder; the name of a file is wanted for the model"));
        }
        if !folder.is_dir() {
            return Err(Error::file(folder, "is no folder; the model is to be saved there"));
        }
        // A device such as /dev/null needs no room for a file beside it.
        if settings.model.is_file() || !settings.model.exists() {
            tempfile::tempfile_in(folder).map_err(Error::io(&settings.model, "create"))?;
        }
        Ok(())
    }
}

/// DATA's file name up to its first dot, in the current folder.
fn default_model(data: &Path) -> PathBuf {
    let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or("unfenced");
    PathBuf::from(format!("{stem}.model"))
}

/// Two labels are classes, numbers with fractions (or very many different ones) are regression. Several whole numbers may be
/// either, and are not guessed at.
fn suggested_loss(data: &Dataset) -> Result<&'static dyn Loss> {
    match data.labels(100) {
        Some(labels) if labels.len() == 2 => Ok(&Hinge),
        Some(labels) if labels.len() == 1 && labels[0].fract() == 0.0 => Ok(&Hinge), // which says that a class is missing
        Some(labels) if labels.iter().all(|label| label.fract() == 0.0) => {
            let shown: Vec<String> = labels.iter().take(8).map(f32::to_string).collect();
            let more = if labels.len() > shown.len() { ", ..." } else { "" };
            Err(Error::Data(format!(
                "{}: the labels found are {}{more}: several classes, or numbers? two labels are wanted for classification; for \
                 numbers add --loss squared or huber",
                data.name(),
                shown.join(", ")
            )))
        }
        _ => Ok(&Squared),
    }
}
