//! `unfenced evaluate`: how good a saved model is on labelled rows.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::cli::predict::warn_of_unknown;
use crate::cli::{DONE, print, team};
use crate::data::{FeatureNumbers, open};
use crate::error::{Error, Result};
use crate::eval::{Metrics, class_signs, metrics};
use crate::loss::Task;
use crate::model::Model;

/// Judge a saved model on rows whose labels are known.
#[derive(Args)]
pub struct Evaluate {
    /// A model that `train` has saved.
    model: PathBuf,
    /// Rows with their labels: a store, text or .npz.
    data: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Judgement {
    task: Task,
    n: usize,
    #[serde(flatten)]
    metrics: Metrics,
    /// The model's weights, and how many of them are not 0.
    weights: usize,
    nonzero_weights: usize,
}

impl Evaluate {
    pub fn run(self) -> Result<u8> {
        let team = team()?;
        let model = Model::load(&self.model)?;
        let data = team.install(|| open(&self.data, FeatureNumbers::Auto, 0))?;
        let targets = data.in_original_order(&class_signs(&data, model.classes())?);
        let scores = team.install(|| model.scores(&data))?;
        warn_of_unknown(&model, &data, &scores);
        let judgement = Judgement {
            task: model.loss().task(),
            n: data.n_rows(),
            metrics: metrics(model.loss(), &scores.values, &targets),
            weights: model.weights().len(),
            nonzero_weights: model.weights().iter().filter(|&&w| w != 0.0).count(),
        };
        if self.json {
            let text = serde_json::to_string(&judgement).map_err(|error| Error::Data(error.to_string()))?;
            print(&format!("{text}\n"))?;
        } else {
            print(&judgement.text())?;
        }
        Ok(DONE)
    }
}

impl Judgement {
    fn text(&self) -> String {
        let Metrics { accuracy, auc, log_loss, rmse } = self.metrics;
        let mut text = format!("{:<10} {}\n", "rows", self.n);
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{name:<10} {value}"); // writing to a String cannot fail
            }
        };
        line("accuracy", accuracy.map(|share| format!("{:.2} % of rows right", 100.0 * share)));
        line("AUC", auc.map(|auc| format!("{auc:.6} area under the ROC curve")));
        line("log loss", log_loss.map(|loss| format!("{loss:.6}")));
        line("RMSE", rmse.map(|rmse| format!("{rmse:.6} root mean squared error")));
        line("weights", Some(format!("{} of {} are not 0", self.nonzero_weights, self.weights)));
        text
    }
}
