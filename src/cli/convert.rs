//! `unfenced convert`: any input to a store.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{DONE, INTERRUPTED, print, refuse_overwriting, team, warn};
use crate::data::{Converted, FeatureNumbers, convert};
use crate::error::Result;
use crate::sync::Ordering;

/// Convert data to a store, which opens in milliseconds whatever its size.
#[derive(Args)]
pub struct Convert {
    /// LIBSVM text (also .gz .bz2 .zst .xz), a SciPy .npz with an array y, or a store.
    input: PathBuf,
    /// Where to write the store; .unf is its usual ending.
    store: PathBuf,
    /// Decides the order of the rows.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Features are numbered from 1; a 0 is an error. Column 0 of an .npz becomes feature 1.
    #[arg(long)]
    one_based: bool,
    /// Features are numbered from 0 even if no 0 occurs.
    #[arg(long, conflicts_with = "one_based")]
    zero_based: bool,
}

impl Convert {
    pub fn run(self) -> Result<u8> {
        refuse_overwriting(&self.store, &[Some(&self.input)])?;
        let numbers = match (self.one_based, self.zero_based) {
            (true, _) => FeatureNumbers::OneBased,
            (_, true) => FeatureNumbers::ZeroBased,
            _ => FeatureNumbers::Auto,
        };
        let team = team()?;
        let cancelled = team.cancel_flag();
        let asked = team.cancel_flag();
        // The first Ctrl-C ends it when it next looks, with nothing left behind; a second one, where no input comes, at once.
        // A second handler in one process is refused, which only a test that runs two commands can meet.
        let _ = ctrlc::set_handler(move || {
            if asked.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(INTERRUPTED));
            }
        });
        let converted = team.install(|| convert(&self.input, &self.store, numbers, self.seed, &cancelled));
        if cancelled.load(Ordering::Relaxed) && converted.is_err() {
            warn("interrupted: no store was written");
            return Ok(INTERRUPTED);
        }
        let Converted { n_rows, n_columns, n_nonzeros } = converted?;
        print(&format!("{}: {n_rows} rows, {n_columns} features, {n_nonzeros} non-zeros\n", self.store.display()))?;
        Ok(DONE)
    }
}
