//! The examples: compressed sparse rows, their targets, and how both are numbered.

use std::ops::Range;

use rayon::prelude::*;
use sprs::CsMatViewI;

use crate::data::part::Part;
use crate::data::{Column, Row, Rows};
use crate::error::{Error, Result};

/// Examples and targets, mapped from a store, owned, or borrowed from the caller; all look the same.
///
/// Inside, the features that occur are numbered 0, 1, 2, ... by falling frequency, so that the hot ones lie together, and
/// the rows stand in a random order, but that neighbours are about as long, so that reading them from front to back is nearly a
/// fair sample. [`Dataset::numbering`] and [`Dataset::original_row`] lead back to what the user wrote.
#[derive(Debug)]
pub struct Dataset<'a> {
    pub(crate) name: String,
    pub(crate) targets: Column<'a, f32>,
    pub(crate) offsets: Column<'a, u64>,
    pub(crate) indices: Column<'a, u32>,
    pub(crate) values: Column<'a, f32>,
    pub(crate) row_order: Column<'a, u32>,
    pub(crate) counts: Column<'a, u32>,
    pub(crate) numbering: Numbering<'a>,
    pub(crate) shuffled: bool,
    /// Rows are read from disk as they are visited: they do not all fit in memory.
    pub(crate) streamed: bool,
    /// If these are some of another dataset's rows.
    pub(crate) part: Option<Part>,
}

/// Which feature number of the user's stands for which feature of the dataset.
#[derive(Debug)]
pub struct Numbering<'a> {
    /// The user's number of each feature, hot features first.
    pub(crate) numbers: Column<'a, u32>,
    /// The features in the order of the user's numbers: the inverse of `numbers`.
    pub(crate) by_number: Column<'a, u32>,
    /// The user's first number, 0 or 1.
    pub(crate) first: u32,
    /// How many numbers the user's data spans: the highest less the first, plus 1.
    pub(crate) n_columns: u64,
}

impl Numbering<'_> {
    /// The user's number of a feature.
    pub fn number(&self, feature: usize) -> u32 {
        self.numbers[feature]
    }

    /// The place of a feature in a vector over all of the user's numbers.
    pub fn column(&self, feature: usize) -> usize {
        (self.numbers[feature] - self.first) as usize
    }

    /// The feature that has this number, if it occurs.
    pub fn feature(&self, number: u32) -> Option<usize> {
        let place = self.by_number.binary_search_by_key(&number, |&feature| self.numbers[feature as usize]).ok()?;
        Some(self.by_number[place] as usize)
    }

    /// The user's first number: 0 or 1.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// How many columns a matrix over all of the user's numbers has.
    pub fn n_columns(&self) -> u64 {
        self.n_columns
    }
}

impl<'a> Dataset<'a> {
    /// What to call it in messages: the file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many examples there are.
    pub fn n_rows(&self) -> usize {
        self.targets.len()
    }

    /// How many features occur: the length of the weights inside the engine.
    pub fn n_features(&self) -> usize {
        self.numbering.numbers.len()
    }

    /// How many non-zeros there are.
    pub fn n_nonzeros(&self) -> usize {
        self.part.as_ref().map_or(self.indices.len(), |part| part.n_nonzeros)
    }

    /// All rows, in the order in which they lie in memory.
    pub fn rows(&self) -> Rows<'_> {
        let (starts, ends) = match &self.part {
            None => (&self.offsets[..self.n_rows()], &self.offsets[1..]),
            Some(part) => (&self.offsets[..], part.ends.as_slice()),
        };
        Rows::new(starts, ends, &self.indices, &self.values)
    }

    /// Row i.
    pub fn row(&self, i: usize) -> Row<'_> {
        self.rows().row(i)
    }

    /// Checks that a row's features rise below the number of features and that its values are finite. Damage to the mapped
    /// sections of a store, which opening does not read, is found here.
    ///
    /// # Errors
    /// Names the section that is damaged.
    pub fn checked_row(&self, i: usize) -> Result<Row<'_>> {
        let row = self.row(i);
        let rising = row.indices.is_sorted_by(|a, b| a < b);
        if !rising || row.indices.last().is_some_and(|&j| j as usize >= self.n_features()) {
            return Err(Error::Data(format!(
                "{}: section indices: row {} names features that do not rise or are beyond the {} there are: the store is \
                 damaged; convert the data again",
                self.name,
                self.original_row(i) + 1,
                self.n_features()
            )));
        }
        if row.values.iter().any(|x| !x.is_finite()) {
            return Err(Error::Data(format!(
                "{}: section values: row {} holds a value that is not finite; finite numbers are wanted",
                self.name,
                self.original_row(i) + 1
            )));
        }
        Ok(row)
    }

    /// [`Dataset::checked_row`] of all; parallel on the current rayon pool.
    ///
    /// # Errors
    /// As there.
    pub fn check_rows(&self) -> Result<()> {
        (0..self.n_rows()).into_par_iter().with_min_len(64).try_for_each(|i| self.checked_row(i).map(drop))
    }

    /// The targets as the user wrote them, in the order of [`Dataset::rows`].
    pub fn targets(&self) -> &[f32] {
        &self.targets
    }

    /// In how many rows each feature occurs.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// The user's feature numbers.
    pub fn numbering(&self) -> &Numbering<'a> {
        &self.numbering
    }

    /// Which of the user's rows, from 0, row i is.
    pub fn original_row(&self, i: usize) -> usize {
        self.row_order[i] as usize
    }

    /// Puts one value for each row, given in the order of [`Dataset::rows`], into the user's order.
    pub fn in_original_order<T: Copy + Default>(&self, values: &[T]) -> Vec<T> {
        if self.is_part() {
            let mut places: Vec<usize> = (0..values.len()).collect();
            places.sort_unstable_by_key(|&i| self.original_row(i));
            return places.into_iter().map(|i| values[i]).collect();
        }
        let mut ordered = vec![T::default(); values.len()];
        for (i, &value) in values.iter().enumerate() {
            ordered[self.original_row(i)] = value;
        }
        ordered
    }

    /// Whether the rows lie in a random order, but for their lengths, so that neighbours may be visited together.
    pub fn is_shuffled(&self) -> bool {
        self.shuffled
    }

    /// Whether the rows are read from disk as they are visited, because memory has no room for all of them. They are then
    /// visited in the order in which they lie in the file.
    pub fn is_streamed(&self) -> bool {
        self.streamed
    }

    /// Has these rows brought into memory, and does not wait; rows beyond the last are nobody's.
    pub fn read_ahead(&self, rows: Range<usize>) {
        let end = rows.end.min(self.n_rows());
        if rows.start < end {
            let all = self.rows();
            let non_zeros = all.non_zeros(rows.start).start..all.non_zeros(end - 1).end;
            self.indices.read_ahead(non_zeros.clone());
            self.values.read_ahead(non_zeros);
        }
    }

    /// The different targets, rising, as far as there are at most `limit` of them; -0 is 0.
    pub fn labels(&self, limit: usize) -> Option<Vec<f32>> {
        let mut labels: Vec<f32> = Vec::new();
        for target in self.targets.iter().map(|&target| target + 0.0) {
            if let Err(place) = labels.binary_search_by(|label| label.total_cmp(&target)) {
                if labels.len() == limit {
                    return None;
                }
                labels.insert(place, target);
            }
        }
        Some(labels)
    }

    /// Refuses what only a whole dataset can be used for.
    pub(crate) fn check_whole(&self) -> Result<()> {
        if self.is_part() {
            let what = "these are some of its rows, which lie among others; the whole dataset is wanted";
            return Err(Error::Usage(format!("{}: {what}", self.name)));
        }
        Ok(())
    }

    /// The examples as a sprs matrix, without a copy.
    ///
    /// # Errors
    /// If the arrays break the matrix's rules, which only a damaged store can do, or these are a part of another dataset's rows.
    pub fn as_csmat(&self) -> Result<CsMatViewI<'_, f32, u32, u64>> {
        self.check_whole()?;
        let shape = (self.n_rows(), self.n_features());
        CsMatViewI::try_new(shape, &self.offsets, &self.indices, &self.values)
            .map_err(|(.., error)| Error::Data(format!("{}: {error}", self.name)))
    }

    /// Examples from a sprs matrix in compressed-row form, without a copy: column j is feature j, rows stay in their
    /// order and are visited in a random one. `targets` has one entry a row. The matrix must have the engine's own number
    /// types, f32 values, u32 indices and u64 row offsets:
    ///
    /// ```
    /// use unfenced::sprs::{CsMatI, TriMatI};
    /// let mut rows = TriMatI::<f32, u32>::new((2, 3));
    /// rows.add_triplet(0, 2, 1.5);
    /// rows.add_triplet(1, 0, 0.5);
    /// let matrix: CsMatI<f32, u32, u64> = rows.to_csr();
    /// let data = unfenced::Dataset::from_csmat(matrix.view(), &[1.0, -1.0])?;
    /// assert_eq!((data.n_rows(), data.n_nonzeros()), (2, 2));
    /// # Ok::<(), unfenced::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the matrix is stored by columns, has no row, holds a value that is not finite, or the lengths differ.
    pub fn from_csmat(matrix: CsMatViewI<'a, f32, u32, u64>, targets: &'a [f32]) -> Result<Self> {
        let (n, d) = matrix.shape();
        if !matrix.is_csr() {
            return Err(Error::Data("the matrix is stored by columns; rows are wanted: convert it with to_csr()".into()));
        }
        if n != targets.len() {
            return Err(Error::Data(format!("{n} rows but {} targets; one target a row is wanted", targets.len())));
        }
        if n == 0 {
            return Err(Error::Data("the matrix has no row; at least one example is wanted".into()));
        }
        if n > u32::MAX as usize || d >= u32::MAX as usize {
            return Err(Error::Data(format!("{n} rows and {d} columns; fewer than 2^32 - 1 of each are wanted")));
        }
        let (offsets, indices, values) = matrix.into_raw_storage();
        // A view of a part of a matrix may not start at 0; then its offsets, and only they, are made anew.
        let offsets = match offsets[0] {
            0 => Column::Borrowed(offsets),
            start => offsets.iter().map(|&offset| offset - start).collect::<Vec<_>>().into(),
        };
        let mut counts = vec![0u32; d];
        for &j in indices {
            counts[j as usize] += 1;
        }
        let identity: Vec<u32> = (0..d as u32).collect();
        let numbering = Numbering { numbers: identity.clone().into(), by_number: identity.into(), first: 0, n_columns: d as u64 };
        if let Some(i) = targets.iter().position(|target| !target.is_finite()) {
            return Err(Error::Data(format!("target {i} is {}; a finite number is wanted", targets[i])));
        }
        Ok(Self {
            name: "the given matrix".into(),
            targets: Column::Borrowed(targets),
            offsets,
            indices: Column::Borrowed(indices),
            values: Column::Borrowed(values),
            row_order: (0..n as u32).collect::<Vec<_>>().into(),
            counts: counts.into(),
            numbering,
            shuffled: false,
            streamed: false,
            part: None,
        })
    }
}
