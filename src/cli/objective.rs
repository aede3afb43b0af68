//! The options that say what is minimised, for every command that trains.

use clap::Args;

use crate::cli::train::one_of;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::loss::{self, Hinge, Loss, Squared};
use crate::penalty::Penalty;

/// Loss and penalty.
#[derive(Args)]
pub struct Objective {
    /// What an example costs [default: for two labels hinge, in the lab logistic; squared for fractions].
    #[arg(long, value_parser = one_of(&loss::ALL, |loss| loss.name()))]
    pub loss: Option<&'static dyn Loss>,
    /// LIBLINEAR's C: l2 = 1/(C n) [default: 1].
    #[arg(long, value_name = "C", conflicts_with = "l2", allow_negative_numbers = true)]
    c: Option<f64>,
    /// Strength of |w|^2 / 2.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    l2: Option<f64>,
    /// Strength of |w|_1; alone it means no l2.
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    l1: Option<f64>,
}

impl Objective {
    /// Refuses what no data could make right.
    pub fn check(&self) -> Result<()> {
        if self.c.is_some_and(|c| c <= 0.0 || !c.is_finite()) {
            return Err(Error::Usage("--c wants a number above 0".into()));
        }
        Ok(())
    }

    /// The penalty, on n rows.
    pub fn penalty(&self, n: usize) -> Penalty {
        let n = n as f64;
        let l2 = match (self.l2, self.c, self.l1) {
            (Some(l2), ..) => l2,
            (None, Some(c), _) => 1.0 / (c * n),
            (None, None, Some(_)) => 0.0,
            (None, None, None) => 1.0 / n,
        };
        Penalty { l2, l1: self.l1.unwrap_or(0.0) }
    }
}

/// Two labels are classes, numbers with fractions (or very many different ones) are regression. Several whole numbers may be
/// either, and are not guessed at.
pub fn suggested_loss(data: &Dataset) -> Result<&'static dyn Loss> {
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
