//! Where are the examples? A [`Dataset`] comes from LIBSVM text, compressed or not, a SciPy `.npz`, a store, or a matrix
//! that the caller holds; whichever it was, it looks the same.

mod arrange;
mod block;
mod bz2;
mod census;
mod column;
mod columns;
mod convert;
mod dataset;
mod gathered;
mod generate;
mod libsvm;
mod memory;
mod mmap;
mod npz;
mod number;
mod part;
mod prefetch;
mod renumber;
mod row;
mod source;
mod sparsity;
mod spool;
mod store;

use std::path::Path;

pub use column::Column;
pub use columns::Columns;
pub use convert::{Converted, convert};
pub use dataset::{Dataset, Numbering};
pub(crate) use gathered::{Gathered, with_room};
pub use generate::Generator;
pub use mmap::Mapped;
pub(crate) use mmap::{advise_huge_pages, keep_freed_memory};
pub(crate) use prefetch::MEMORY_BYTES;
pub use prefetch::{Cache, prefetch, prefetch_range};
pub(crate) use row::with_values;
pub use row::{Row, Rows};
pub use sparsity::{Sparsity, Spread};
pub use store::{verify_store, write_store};

use crate::error::Result;
use source::Kind;

/// The largest feature number that is read: 2^32 - 2.
pub const MAX_FEATURE: u32 = u32::MAX - 1;

/// From where the user's features are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FeatureNumbers {
    /// From 0 if a 0 occurs, else from 1.
    #[default]
    Auto,
    /// From 1; a 0 is an error.
    OneBased,
    /// From 0.
    ZeroBased,
}

/// Opens a store, LIBSVM text (also .gz .bz2 .zst .xz) or an `.npz`; its first bytes tell which. Text is parsed on the
/// current rayon pool. `seed` decides the order of the rows where there is no store that has decided it.
///
/// # Errors
/// If it cannot be read, or is not what it should be: the message names the line, the section or the array.
pub fn open(path: &Path, numbers: FeatureNumbers, seed: u64) -> Result<Dataset<'static>> {
    let opened = source::open(path)?;
    let name = path.display().to_string();
    match opened.kind {
        Kind::Store => store::open(path),
        Kind::Npz => {
            let (block, n_columns) = npz::read(path, numbers)?;
            let numbers = if numbers == FeatureNumbers::OneBased { numbers } else { FeatureNumbers::ZeroBased };
            let mut census = census::Census::default();
            census.add(&block.pairs);
            arrange::arrange(name, vec![block], census, numbers, Some(n_columns), seed)
        }
        Kind::Text => {
            let (blocks, census) = libsvm::read(path, opened.source, numbers, Ok)?;
            arrange::arrange(name, blocks, census, numbers, None, seed)
        }
    }
}

/// Whether a file is a store, by its first bytes.
///
/// # Errors
/// If it cannot be opened.
pub fn is_store(path: &Path) -> Result<bool> {
    Ok(source::open(path)?.kind == Kind::Store)
}
