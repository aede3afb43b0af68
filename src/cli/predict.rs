//! `unfenced predict`: a line for each row, in the file's order.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use crate::cli::{DONE, print, refuse_overwriting, team, warn};
use crate::data::{Dataset, FeatureNumbers, open};
use crate::error::{Error, Result};
use crate::model::{Model, Scores};

/// Predict labels (or targets) with a saved model, one a line, in the file's order.
#[derive(Args)]
pub struct Predict {
    /// A model that `train` has saved.
    model: PathBuf,
    /// Rows to predict: a store, text or .npz; their own labels are not looked at.
    data: PathBuf,
    /// Write to this file instead of stdout.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print w·x + b instead of labels.
    #[arg(long)]
    scores: bool,
    /// Print the probability of the positive class instead of labels (logistic models).
    #[arg(long, conflicts_with = "scores")]
    probabilities: bool,
}

impl Predict {
    pub fn run(self) -> Result<u8> {
        if let Some(output) = &self.output {
            refuse_overwriting(output, &[Some(&self.model), Some(&self.data)])?;
        }
        let team = team()?;
        let model = Model::load(&self.model)?;
        if self.probabilities && model.probability(0.0).is_none() {
            return Err(Error::Usage(format!(
                "--probabilities wants a logistic model, and {} was trained with {}; use --scores",
                self.model.display(),
                model.loss().name()
            )));
        }
        let data = team.install(|| open(&self.data, FeatureNumbers::Auto, 0))?;
        let scores = team.install(|| model.scores(&data))?;
        warn_of_unknown(&model, &data, &scores);
        let mut text = String::new();
        for &score in &scores.values {
            // Writing to a String cannot fail.
            let _ = match (model.probability(score), model.classes()) {
                (Some(probability), _) if self.probabilities => writeln!(text, "{probability}"),
                (_, Some(_)) if !self.scores => writeln!(text, "{}", model.predict(score) as f32), // as the user wrote it
                _ => writeln!(text, "{score}"),
            };
        }
        match &self.output {
            Some(path) => crate::file::write(path, |out| out.write_all(text.as_bytes()))?,
            None => print(&text)?,
        }
        Ok(DONE)
    }
}

/// Says once what may be wrong with the match of features: some that the model has never seen, or two numberings.
pub fn warn_of_unknown(model: &Model, data: &Dataset, scores: &Scores) {
    if model.first_feature() < data.numbering().first() {
        warn(&format!(
            "{}: the model's features are numbered from 0 and no feature 0 occurs here; numbers are matched as they stand",
            data.name()
        ));
    }
    if scores.n_unknown > 0 {
        warn(&format!(
            "{}: {} of its {} features are beyond those that the model knows; they count as 0",
            data.name(),
            scores.n_unknown,
            data.n_features()
        ));
    }
}
