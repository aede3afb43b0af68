//! `unfenced generate`: data made to measure.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{DONE, team};
use crate::data::Generator;
use crate::error::Result;

/// Make text-like LIBSVM data: features by Zipf's law, rows of unit length, a linear target.
#[derive(Args)]
pub struct Generate {
    /// Where to write the text.
    out: PathBuf,
    /// Rows.
    #[arg(long, value_name = "N")]
    rows: usize,
    /// Features to draw from.
    #[arg(long, value_name = "D")]
    features: usize,
    /// Different features in each row.
    #[arg(long, value_name = "K")]
    nonzeros: usize,
    /// Zipf's exponent: 0 draws all features alike, 1 as words occur in text.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    zipf: f64,
    /// Share of targets that are wrong.
    #[arg(long, value_name = "X", default_value_t = 0.05)]
    noise: f64,
    /// Classes: 2 are labelled +1 and -1, more 1 to K.
    #[arg(long, value_name = "K", default_value_t = 2)]
    classes: usize,
    /// The same seed makes the same file.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
}

impl Generate {
    pub fn run(self) -> Result<u8> {
        let generator = Generator {
            n_rows: self.rows,
            n_features: self.features,
            n_nonzeros: self.nonzeros,
            zipf: self.zipf,
            noise: self.noise,
            n_classes: self.classes,
            seed: self.seed,
        };
        generator.check()?;
        team()?.install(|| crate::file::write(&self.out, |out| generator.write(out)))?;
        Ok(DONE)
    }
}
