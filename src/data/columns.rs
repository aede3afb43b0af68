//! The examples by feature: what a step along one coordinate reads.
//!
//! A second copy of the non-zeros, made once: 8 bytes each, and 8 for every feature. Features are shared out among the workers in
//! ranges of about as many non-zeros; for each range somebody runs through all rows, whose features rise, so that a range is
//! found in a row by bisection and what is written lies together.

use std::ops::Range;

use rayon::prelude::*;

use crate::data::{Cache, Dataset, prefetch, prefetch_range};
use crate::error::{Error, Result};

/// Ranges of features for each thread: enough for all to end together.
const RANGES: usize = 4;

/// A dataset's non-zeros, feature after feature (compressed sparse columns).
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    offsets: Vec<u64>,
    rows: Vec<u32>,
    values: Vec<f32>,
}

impl Columns {
    /// The transposition; parallel on the current rayon pool. The rows must have been checked, as
    /// [`crate::data::Dataset::check_rows`] does.
    ///
    /// # Errors
    /// If the dataset counts its features wrongly, which only a damaged store does.
    pub fn new(data: &Dataset) -> Result<Self> {
        let mut offsets = Vec::with_capacity(data.n_features() + 1);
        offsets.push(0);
        let mut end = 0;
        offsets.extend(data.counts().iter().map(|&count| {
            end += u64::from(count);
            end
        }));
        if end != data.n_nonzeros() as u64 {
            return Err(damaged(data));
        }
        let (mut rows, mut values) = (vec![0; data.n_nonzeros()], vec![0.0; data.n_nonzeros()]);
        let (mut rows_left, mut values_left) = (rows.as_mut_slice(), values.as_mut_slice());
        let mut ranges = Vec::new();
        for features in shares(&offsets, RANGES * rayon::current_num_threads()) {
            let n = (offsets[features.end] - offsets[features.start]) as usize;
            let (range_rows, rows_after) = std::mem::take(&mut rows_left).split_at_mut(n);
            let (range_values, values_after) = std::mem::take(&mut values_left).split_at_mut(n);
            (rows_left, values_left) = (rows_after, values_after);
            ranges.push((features, range_rows, range_values));
        }
        ranges.into_par_iter().try_for_each(|(features, rows, values)| fill(data, &offsets, features, rows, values))?;
        Ok(Self { offsets, rows, values })
    }

    /// How many features there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in which feature j occurs, rising, and its value in each.
    #[inline(always)]
    pub fn column(&self, j: usize) -> (&[u32], &[f32]) {
        let non_zeros = self.non_zeros(j);
        (&self.rows[non_zeros.clone()], &self.values[non_zeros])
    }

    /// Asks for the place of column j.
    #[inline(always)]
    pub fn prefetch_place(&self, j: usize) {
        prefetch(&self.offsets, j);
    }

    /// Asks for column j, whose place should be near by now.
    #[inline(always)]
    pub fn prefetch(&self, j: usize) {
        let non_zeros = self.non_zeros(j);
        prefetch_range(Cache::First, &self.rows, non_zeros.clone());
        prefetch_range(Cache::First, &self.values, non_zeros);
    }

    #[inline(always)]
    fn non_zeros(&self, j: usize) -> Range<usize> {
        self.offsets[j] as usize..self.offsets[j + 1] as usize
    }
}

/// At most `n` ranges of features with about as many non-zeros each.
fn shares(offsets: &[u64], n: usize) -> Vec<Range<usize>> {
    let (d, total) = (offsets.len() - 1, offsets[offsets.len() - 1] as u128);
    // A border is where that share of the non-zeros is passed; the last range has whatever is left.
    let border = |k: usize| offsets.partition_point(|&end| u128::from(end) * (n as u128) < total * k as u128).min(d);
    let borders: Vec<usize> = (0..n).map(border).chain([d]).collect();
    borders.windows(2).map(|pair| pair[0]..pair[1]).filter(|range| !range.is_empty()).collect()
}

/// Writes the columns of a range of features, whose first non-zero is the slices' first.
fn fill(data: &Dataset, offsets: &[u64], features: Range<usize>, rows: &mut [u32], values: &mut [f32]) -> Result<()> {
    let place = |offset: u64| (offset - offsets[features.start]) as usize;
    let mut next: Vec<usize> = offsets[features.clone()].iter().map(|&offset| place(offset)).collect();
    let (from, to) = (features.start as u32, features.end as u32);
    let all = data.rows();
    for i in 0..all.len() {
        for (j, x) in all.row(i).between(from, to).iter() {
            let next = &mut next[j - features.start];
            if *next == place(offsets[j + 1]) {
                return Err(damaged(data));
            }
            (rows[*next], values[*next]) = (i as u32, x);
            *next += 1;
        }
    }
    Ok(())
}

fn damaged(data: &Dataset) -> Error {
    let what = "section counts: features are in more or fewer rows than it says: the store is damaged; convert the data again";
    Error::Data(format!("{}: {what}", data.name()))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::data::FeatureNumbers;
    use crate::data::arrange::arrange;
    use crate::data::block::Block;
    use crate::data::census::Census;

    fn data(n_rows: usize, n_features: u32, seed: u64) -> Dataset<'static> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let rows: Vec<Vec<(u32, f32)>> = (0..n_rows)
            .map(|_| {
                let share: f32 = random.random();
                let features = (1..=n_features).filter(|_| random.random::<f32>() < share * share).collect::<Vec<_>>();
                features.into_iter().map(|feature| (feature, random.random::<f32>() - 0.5)).collect()
            })
            .collect();
        let block = Block::of(&rows.iter().map(|row| (1.0, row.as_slice())).collect::<Vec<_>>());
        let mut census = Census::default();
        census.add(&block.pairs);
        arrange("small".into(), vec![block], census, FeatureNumbers::Auto, None, seed).expect("arranged")
    }

    #[test]
    fn columns_are_the_plain_transposition_with_any_number_of_threads() {
        for (n_rows, n_features) in [(1, 1), (3, 40), (300, 25), (40, 300)] {
            let data = data(n_rows, n_features, 3);
            let mut plain: Vec<(Vec<u32>, Vec<f32>)> = vec![Default::default(); data.n_features()];
            for i in 0..n_rows {
                for (j, x) in data.row(i).iter() {
                    plain[j].0.push(i as u32);
                    plain[j].1.push(x);
                }
            }
            for n_threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("threads");
                let columns = pool.install(|| Columns::new(&data)).expect("transposed");
                assert_eq!(columns.len(), data.n_features());
                for (j, (rows, values)) in plain.iter().enumerate() {
                    assert_eq!(columns.column(j), (rows.as_slice(), values.as_slice()));
                }
            }
        }
    }

    #[test]
    fn ranges_cover_all_features_once_however_uneven_they_are() {
        for offsets in [vec![0], vec![0, 0, 0], vec![0, 100, 101, 102], vec![0, 1, 2, 3, 4, 5, 6, 7], vec![0, 0, 9, 9]] {
            for n in 1..9 {
                let all: Vec<usize> = shares(&offsets, n).into_iter().flatten().collect();
                assert_eq!(all, (0..offsets.len() - 1).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn counts_that_lie_are_an_error() {
        for swap in [[0usize, 3], [1, 2]] {
            let mut data = data(200, 6, 5);
            let mut counts = data.counts().to_vec();
            counts[swap[0]] += 1;
            counts[swap[1]] -= 1;
            data.counts = counts.into();
            assert!(Columns::new(&data).expect_err("damaged").to_string().contains("section counts"));
        }
    }
}
