//! From examples as they were read to a [`Dataset`]: rows in a random order, features numbered by falling frequency.
//!
//! Rows are moved once, here, so that training can read memory from front to back and still see nearly a fair sample, and so
//! that neighbours are about as long; hot features get the smallest numbers, so that their weights share few cache lines and sort
//! first in every row.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::data::block::{Block, Pair};
use crate::data::census::{Census, Features};
use crate::data::mmap::advise_huge_pages;
use crate::data::renumber::renumber;
use crate::data::{Dataset, FeatureNumbers, Numbering};
use crate::error::{Error, Result};

/// Rows of about the same length that lie together.
const SHELF_ROWS: usize = 64;
/// Where there are fewer shelves, the rows fit in a cache, and an epoch is fairer without them: where length tells the class,
/// so does the shelf.
const FEWEST_SHELVES: usize = 16;

/// A dataset but for its non-zeros, and what is needed to write those.
pub(crate) struct Frame {
    /// Its indices and values are empty.
    pub data: Dataset<'static>,
    pub features: Features,
}

impl Frame {
    /// Decides where the rows of these blocks go, and what becomes of their features. `n_columns` is the width that the file
    /// itself declares, if it does.
    ///
    /// # Errors
    /// If there is no example, or more than 2^32 - 1 of them.
    pub fn new<'b>(
        name: String,
        blocks: impl Iterator<Item = &'b Block>,
        census: Census,
        numbers: FeatureNumbers,
        n_columns: Option<u64>,
        seed: u64,
    ) -> Result<Self> {
        let (mut file_targets, mut file_lengths) = (Vec::new(), Vec::new());
        for block in blocks {
            file_targets.extend_from_slice(&block.targets);
            file_lengths.extend(block.lengths());
        }
        let row_order = row_order(&name, &file_lengths, seed)?;
        let in_order = row_order.par_iter().with_min_len(1024);
        let targets: Vec<f32> = in_order.clone().map(|&original| file_targets[original as usize]).collect();
        let mut offsets: Vec<u64> = Vec::with_capacity(row_order.len() + 1);
        offsets.push(0);
        offsets.par_extend(in_order.map(|&original| file_lengths[original as usize] as u64));
        let mut end = 0;
        for offset in &mut offsets {
            end += *offset;
            *offset = end;
        }
        let (features, found) = census.features();
        let (first, spanned) = found.columns(numbers);
        let numbering = Numbering {
            numbers: found.numbers.into(),
            by_number: found.by_number.into(),
            first,
            n_columns: n_columns.unwrap_or(0).max(spanned),
        };
        let data = Dataset {
            name,
            targets: targets.into(),
            offsets: offsets.into(),
            indices: Vec::new().into(),
            values: Vec::new().into(),
            row_order: row_order.into(),
            counts: found.counts.into(),
            numbering,
            shuffled: true,
            streamed: false,
            part: None,
        };
        Ok(Self { data, features })
    }
}

/// Arranges what a reader found and counted. `n_columns` is the width that the file itself declares, if it does.
///
/// # Errors
/// As [`Frame::new`].
pub(crate) fn arrange(
    name: String,
    blocks: Vec<Block>,
    census: Census,
    numbers: FeatureNumbers,
    n_columns: Option<u64>,
    seed: u64,
) -> Result<Dataset<'static>> {
    let Frame { mut data, features } = Frame::new(name, blocks.iter(), census, numbers, n_columns, seed)?;
    let mut file_rows = Vec::with_capacity(data.n_rows());
    blocks.iter().for_each(|block| file_rows.extend(block.rows()));
    let rows: Vec<&[Pair]> = data.row_order.par_iter().with_min_len(1024).map(|&original| file_rows[original as usize]).collect();
    let n_nonzeros = blocks.iter().map(|block| block.pairs.len()).sum();
    let (mut indices, mut values) = (vec![0; n_nonzeros], vec![0.0; n_nonzeros]);
    advise_huge_pages(&mut indices);
    advise_huge_pages(&mut values);
    renumber(&rows, &features, &mut indices, &mut values);
    (data.indices, data.values) = (indices.into(), values.into());
    Ok(data)
}

/// The rows in a random order, but for neighbours, which are about as long: a loop over a row's non-zeros that ends where
/// the last one ended costs half as much on short rows as one that ends anywhere.
fn row_order(name: &str, lengths: &[usize], seed: u64) -> Result<Vec<u32>> {
    let n_rows = lengths.len();
    if n_rows == 0 {
        return Err(Error::Data(format!("{name}: no example; at least one line 'label index:value ...' is wanted")));
    }
    let end =
        u32::try_from(n_rows).map_err(|_| Error::Data(format!("{name}: {n_rows} examples; at most 2^32 - 1 are wanted")))?;
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut row_order: Vec<u32> = (0..end).collect();
    row_order.shuffle(&mut random);
    if n_rows < FEWEST_SHELVES * SHELF_ROWS {
        return Ok(row_order);
    }
    let by_length = sorted_by_length(&row_order, lengths);
    let mut shelves: Vec<&[u32]> = by_length.chunks(SHELF_ROWS).collect();
    shelves.shuffle(&mut random);
    Ok(shelves.concat())
}

/// The same rows by rising length; rows of one length stay in their order. (A counting sort: there may be many rows.)
fn sorted_by_length(rows: &[u32], lengths: &[usize]) -> Vec<u32> {
    let longest = lengths.iter().max().map_or(0, |&length| length);
    let mut ends = vec![0; longest + 1];
    rows.iter().for_each(|&row| ends[lengths[row as usize]] += 1);
    let mut before = 0;
    for end in &mut ends {
        (*end, before) = (before, before + *end);
    }
    let mut sorted = vec![0; rows.len()];
    for &row in rows {
        let end = &mut ends[lengths[row as usize]];
        sorted[*end] = row;
        *end += 1;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(blocks: Vec<Block>, seed: u64) -> Dataset<'static> {
        let mut census = Census::default();
        blocks.iter().for_each(|block| census.add(&block.pairs));
        arrange("small".into(), blocks, census, FeatureNumbers::Auto, None, seed).expect("arranged")
    }

    fn small() -> Vec<Block> {
        let first = Block::of(&[(1.0, &[(9, 0.9), (4, 0.4)]), (2.0, &[(9, 1.9)])]);
        let second = Block::of(&[(3.0, &[(2, 2.2), (9, 2.9), (7, 2.7)])]);
        vec![first, Block::default(), second]
    }

    #[test]
    fn hot_features_come_first_and_every_number_leads_back() {
        for seed in 0..20 {
            let data = arranged(small(), seed);
            assert_eq!((data.n_rows(), data.n_features(), data.n_nonzeros()), (3, 4, 6));
            assert_eq!(data.counts(), [3, 1, 1, 1]);
            assert_eq!(data.numbering().number(0), 9);
            assert_eq!((data.numbering().first(), data.numbering().n_columns()), (1, 9));
            for feature in 0..4 {
                assert_eq!(data.numbering().feature(data.numbering().number(feature)), Some(feature));
            }
            assert_eq!(data.numbering().feature(5), None);
            let mut rows: Vec<_> = (0..3)
                .map(|i| {
                    let mut row: Vec<(u32, f32)> = data.row(i).iter().map(|(j, x)| (data.numbering().number(j), x)).collect();
                    row.sort_by_key(|pair| pair.0);
                    assert!(data.row(i).indices.windows(2).all(|pair| pair[0] < pair[1]));
                    (data.original_row(i), data.targets()[i], row)
                })
                .collect();
            rows.sort_by_key(|row| row.0);
            assert_eq!(rows[0], (0, 1.0, vec![(4, 0.4), (9, 0.9)]));
            assert_eq!(rows[1], (1, 2.0, vec![(9, 1.9)]));
            assert_eq!(rows[2], (2, 3.0, vec![(2, 2.2), (7, 2.7), (9, 2.9)]));
        }
    }

    #[test]
    fn neighbours_are_about_as_long_and_come_in_a_random_order() {
        let lengths: Vec<usize> = (0..10_000).map(|i| i * i % 97).collect();
        let order = row_order("small", &lengths, 5).expect("rows");
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..10_000));
        let length = |&row: &u32| lengths[row as usize];
        let alike = order.windows(2).filter(|pair| length(&pair[0]) == length(&pair[1])).count();
        assert!(alike > 9_500, "{alike}");
        let halves = order.chunks(5_000).map(|half| half.iter().map(length).sum::<usize>() as f64).collect::<Vec<_>>();
        assert!((halves[0] / halves[1] - 1.0).abs() < 0.3, "{halves:?}");
        let rows: Vec<u32> = (0..10_000).rev().collect();
        let mut expected = rows.clone();
        expected.sort_by_key(length);
        assert_eq!(sorted_by_length(&rows, &lengths), expected);
    }

    #[test]
    fn the_seed_decides_the_order_of_the_rows() {
        let blocks = || vec![Block { targets: (0..100).map(|i| i as f32).collect(), ends: vec![0; 100], ..Block::default() }];
        let order = |seed| arranged(blocks(), seed).targets().to_vec();
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn one_huge_feature_number_takes_little_memory() {
        let data = arranged(vec![Block::of(&[(1.0, &[(u32::MAX - 1, 1.0), (3, 2.0)])])], 0);
        assert_eq!(data.n_features(), 2);
        assert_eq!(data.numbering().n_columns(), u64::from(u32::MAX - 1));
    }
}
