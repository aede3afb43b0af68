//! Some of a dataset's rows as a dataset of their own, without a copy of a single non-zero: what cross-validation trains on.
//!
//! A part holds where its rows begin and end, their targets and their original places (24 bytes a row), and in how many of
//! them each feature occurs (4 bytes a feature).

use crate::data::{Column, Dataset, Numbering};

/// What a dataset has besides, if it is a part of another.
#[derive(Debug)]
pub(crate) struct Part {
    /// Where the rows end: not where the next ones begin.
    pub ends: Vec<u64>,
    pub n_nonzeros: usize,
}

impl Dataset<'_> {
    /// The part that has these rows, in this order: rising, it is read as the whole is. Features keep their numbers, so that
    /// weights of the part are weights of the whole; those that do not occur in it have a count of 0. The rows must have been
    /// checked, as [`Dataset::check_rows`] does.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn part(&self, chosen: &[u32]) -> Dataset<'_> {
        let (rows, chosen) = (self.rows(), || chosen.iter().map(|&i| i as usize));
        let mut counts = vec![0u32; self.n_features()];
        for i in chosen() {
            rows.row(i).indices.iter().for_each(|&j| counts[j as usize] += 1);
        }
        let ends: Vec<u64> = chosen().map(|i| rows.non_zeros(i).end as u64).collect();
        let numbering = self.numbering();
        Dataset {
            name: self.name.clone(),
            targets: chosen().map(|i| self.targets()[i]).collect::<Vec<_>>().into(),
            offsets: chosen().map(|i| rows.non_zeros(i).start as u64).collect::<Vec<_>>().into(),
            indices: Column::Borrowed(rows.indices()),
            values: Column::Borrowed(rows.values()),
            row_order: chosen().map(|i| self.original_row(i) as u32).collect::<Vec<_>>().into(),
            numbering: Numbering {
                numbers: Column::Borrowed(&numbering.numbers),
                by_number: Column::Borrowed(&numbering.by_number),
                ..*numbering
            },
            part: Some(Part { ends, n_nonzeros: counts.iter().map(|&count| count as usize).sum() }),
            counts: counts.into(),
            shuffled: self.shuffled,
            streamed: self.streamed,
        }
    }

    /// Whether these are some of another dataset's rows: then they cannot be lent or stored as one matrix.
    pub fn is_part(&self) -> bool {
        self.part.is_some()
    }
}
