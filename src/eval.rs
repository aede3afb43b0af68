//! How good are scores? Accuracy, area under the ROC curve, log loss, root mean squared error.

use serde::Serialize;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::loss::{Logistic, Loss, Task};
use crate::sync::Float;

/// What can be said of scores beside the true targets; what does not apply is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Metrics {
    /// The share of rows whose class is found.
    pub accuracy: Option<f64>,
    /// The chance that a positive row scores above a negative one, ties counting half.
    pub auc: Option<f64>,
    /// The mean negative log likelihood, for logistic models.
    pub log_loss: Option<f64>,
    /// The root of the mean squared error.
    pub rmse: Option<f64>,
}

/// Judges scores. `targets` are -1 and +1 for classification; a score above 0 means +1.
pub fn metrics(loss: &dyn Loss, scores: &[f64], targets: &[f32]) -> Metrics {
    let n = scores.len() as f64;
    let pairs = || scores.iter().zip(targets).map(|(&score, &y)| (score, f64::from(y)));
    match loss.task() {
        Task::Regression => {
            let squares: f64 = pairs().map(|(score, y)| (score - y).powi(2)).sum();
            Metrics { rmse: Some((squares / n).sqrt()), ..Metrics::default() }
        }
        Task::Classification => Metrics {
            accuracy: Some(accuracy(scores, targets)),
            auc: auc(scores, targets),
            log_loss: (loss.name() == Logistic.name())
                .then(|| pairs().map(|(score, y)| Logistic.value(score, y)).sum::<f64>() / n),
            rmse: None,
        },
    }
}

/// The share of scores whose sign is the target's; 0 counts as negative.
fn accuracy(scores: &[f64], targets: &[f32]) -> f64 {
    scores.iter().zip(targets).filter(|(score, y)| (**score > 0.0) == (**y > 0.0)).count() as f64 / scores.len() as f64
}

/// The area under the ROC curve by ranks; none where a class is missing.
fn auc(scores: &[f64], targets: &[f32]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut rank_sum, mut start) = (0.0, 0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let mean_rank = start as f64 + (tied.len() + 1) as f64 / 2.0;
        rank_sum += mean_rank * tied.iter().filter(|&&i| targets[i] > 0.0).count() as f64;
        start += tied.len();
    }
    let positives = targets.iter().filter(|&&y| y > 0.0).count() as f64;
    let negatives = targets.len() as f64 - positives;
    (positives > 0.0 && negatives > 0.0).then(|| (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// Rows that are not trained on, ready to be scored by weights in the training data's numbering.
pub struct HeldOut<'a> {
    data: &'a Dataset<'a>,
    loss: &'static dyn Loss,
    targets: Vec<f32>,
    /// For each feature of these rows the training data's feature, if it knows it.
    features: Vec<Option<u32>>,
}

impl<'a> HeldOut<'a> {
    /// Matches the features and classes of `data` with those of `training`.
    ///
    /// # Errors
    /// If the features are numbered from 0 here and from 1 there, a label is none of the training classes, or a row is
    /// damaged.
    pub fn new(data: &'a Dataset<'a>, training: &Dataset, loss: &'static dyn Loss, classes: Option<[f32; 2]>) -> Result<Self> {
        same_numbering(data, training.numbering().first(), training.name())?;
        data.check_rows()?;
        let feature = |j: usize| training.numbering().feature(data.numbering().number(j)).map(|j| j as u32);
        let features = (0..data.n_features()).map(feature).collect();
        Ok(Self { data, loss, targets: class_signs(data, classes)?, features })
    }

    /// Scores the rows and judges the scores.
    pub fn metrics<F: Float>(&self, weights: &[F], intercept: F) -> Metrics {
        let weights: Vec<F> = self.features.iter().map(|feature| feature.map_or(F::ZERO, |j| weights[j as usize])).collect();
        metrics(self.loss, &scores(self.data, &weights, intercept.to_f64()), &self.targets)
    }
}

/// w·x + b for each row of a dataset, with weights in its own numbering; parallel on the current rayon pool.
pub fn scores<F: Float>(data: &Dataset, weights: &[F], intercept: f64) -> Vec<f64> {
    use rayon::prelude::*;
    let rows = data.rows();
    (0..rows.len()).into_par_iter().with_min_len(64).map(|i| rows.row(i).dot(weights) + intercept).collect()
}

/// The targets as -1 and +1 by the given classes, or as they are.
///
/// # Errors
/// If a label is none of the classes.
pub fn class_signs(data: &Dataset, classes: Option<[f32; 2]>) -> Result<Vec<f32>> {
    let Some([negative, positive]) = classes else { return Ok(data.targets().to_vec()) };
    let sign = |&target: &f32| {
        if target == positive {
            Ok(1.0)
        } else if target == negative {
            Ok(-1.0)
        } else {
            Err(Error::Data(format!(
                "{}: label {target} is none of the classes {negative} and {positive} that were trained",
                data.name()
            )))
        }
    };
    data.targets().iter().map(sign).collect()
}

/// Refuses features numbered from 0 where numbers from 1 were trained: every feature would take its neighbour's weight.
///
/// # Errors
/// If that is so.
pub fn same_numbering(data: &Dataset, trained_first: u32, trained_on: &str) -> Result<()> {
    if data.numbering().first() < trained_first {
        return Err(Error::Data(format!(
            "{}: its features are numbered from 0, but those of {trained_on} from 1, so they cannot be matched; number both \
             alike (convert --one-based makes column 0 of an .npz feature 1)",
            data.name()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{Hinge, Squared};

    #[test]
    fn accuracy_and_auc_count_what_they_say() {
        let judged = metrics(&Hinge, &[0.9, 0.1, -0.2, 0.1], &[1.0, 1.0, 1.0, -1.0]);
        assert_eq!(judged.accuracy, Some(0.5));
        // Pairs of a positive with the negative: won, tied, lost.
        assert!((judged.auc.expect("both classes") - 1.5 / 3.0).abs() < 1e-12);
        assert_eq!(judged.log_loss, None);
        assert_eq!(metrics(&Hinge, &[1.0], &[1.0]).auc, None);
    }

    #[test]
    fn log_loss_and_rmse_are_means() {
        let judged = metrics(&Logistic, &[0.0, 0.0], &[1.0, -1.0]);
        assert!((judged.log_loss.expect("logistic") - 2f64.ln()).abs() < 1e-15);
        assert_eq!(metrics(&Squared, &[1.0, 2.0], &[1.0, 4.0]).rmse, Some(2f64.sqrt()));
    }
}
