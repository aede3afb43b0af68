//! `unfenced inspect`: what is in a file, and how well its rows can be trained on side by side.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::cli::{DONE, print, team};
use crate::data::{Dataset, FeatureNumbers, Sparsity, Spread, is_store, open, verify_store};
use crate::error::{Error, Result};
use crate::loss::Squared;
use crate::penalty::Penalty;
use crate::problem::Problem;

/// How many labels are counted one by one.
const LABELS_SHOWN: usize = 20;

/// Show what is in a data file: size, labels, and how often rows collide.
#[derive(Args)]
pub struct Inspect {
    /// A store, text or .npz.
    data: PathBuf,
    /// Check every byte of a store against its checksums.
    #[arg(long)]
    verify: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Contents {
    n: usize,
    d: u64,
    /// Features that occur.
    features: usize,
    nnz: usize,
    first_feature: u32,
    /// Each label and its number of rows; null where there are more than 20.
    labels: Option<Vec<(f32, usize)>>,
    #[serde(flatten)]
    sparsity: Sparsity,
    verified: bool,
}

impl Inspect {
    pub fn run(self) -> Result<u8> {
        let team = team()?;
        if self.verify {
            // A pipe can be read once, and is no store.
            if !self.data.is_file() || !is_store(&self.data)? {
                let what = format!("--verify checks the sums of a store, and {} is none; leave it out", self.data.display());
                return Err(Error::Usage(what));
            }
            verify_store(&self.data)?;
        }
        let data = team.install(|| open(&self.data, FeatureNumbers::Auto, 0))?;
        // Any targets suit least squares: this is the check of every row.
        team.install(|| Problem::new(&data, &Squared, Penalty { l2: 0.0, l1: 0.0 }, false).map(drop))?;
        let contents = Contents {
            n: data.n_rows(),
            d: data.numbering().n_columns(),
            features: data.n_features(),
            nnz: data.n_nonzeros(),
            first_feature: data.numbering().first(),
            labels: counted_labels(&data),
            sparsity: team.install(|| Sparsity::of(&data, 0)),
            verified: self.verify,
        };
        if self.json {
            let text = serde_json::to_string(&contents).map_err(|error| Error::Data(error.to_string()))?;
            print(&format!("{text}\n"))?;
        } else {
            print(&contents.text(data.name()))?;
        }
        Ok(DONE)
    }
}

fn counted_labels(data: &Dataset) -> Option<Vec<(f32, usize)>> {
    let labels = data.labels(LABELS_SHOWN)?;
    let count = |label: f32| data.targets().iter().filter(|&&target| target == label).count();
    Some(labels.into_iter().map(|label| (label, count(label))).collect())
}

impl Contents {
    fn text(&self, name: &str) -> String {
        let sparsity = &self.sparsity;
        let mut text = format!("{name}{}\n", if self.verified { ": every checksum matches" } else { "" });
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<15} {value}"); // writing to a String cannot fail
        };
        line("rows (n)", format!("{} ({} empty)", self.n, sparsity.empty_rows));
        line("features (d)", format!("{} numbers from {}, {} occur", self.d, self.first_feature, self.features));
        let density = self.nnz as f64 / (self.n as f64 * self.d.max(1) as f64);
        line("non-zeros", format!("{} ({:.4} % of all values)", self.nnz, 100.0 * density));
        match &self.labels {
            Some(labels) => {
                let list = labels.iter().map(|(label, count)| format!("{label}: {count} rows")).collect::<Vec<_>>();
                line("labels", list.join(", "));
            }
            None => line("labels", format!("more than {LABELS_SHOWN} different ones")),
        }
        let spread = |spread: Spread, unit: &str, scale: f64, digits: usize| {
            let Spread { max, mean, p99 } = spread;
            format!(
                "{:.digits$}{unit} at most, {:.*}{unit} in the mean, {:.digits$}{unit} at the 99th percentile",
                max * scale,
                digits.max(2),
                mean * scale,
                p99 * scale
            )
        };
        line("Omega", format!("non-zeros a row: {}", spread(sparsity.omega, "", 1.0, 0)));
        line("Delta", format!("rows a feature is in: {}", spread(sparsity.delta, " %", 100.0, 3)));
        line("rho", format!("rows that a row shares a feature with: {} (sampled)", spread(sparsity.rho, " %", 100.0, 2)));
        line("collisions", format!("two random rows share a feature with probability {:.4}", sparsity.collision_rate));
        line(
            "hot features",
            format!(
                "{} are in 1 % of the rows or more and hold {:.1} % of the non-zeros",
                sparsity.hot_features,
                100.0 * sparsity.hot_share
            ),
        );
        text
    }
}
