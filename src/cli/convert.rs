//! `unfenced convert`: any input to a store.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{DONE, print, refuse_overwriting, team};
use crate::data::{FeatureNumbers, open, write_store};
use crate::error::Result;

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
        let data = team()?.install(|| open(&self.input, numbers, self.seed))?;
        write_store(&data, &self.store)?;
        print(&format!(
            "{}: {} rows, {} features, {} non-zeros\n",
            self.store.display(),
            data.n_rows(),
            data.numbering().n_columns(),
            data.n_nonzeros()
        ))?;
        Ok(DONE)
    }
}
