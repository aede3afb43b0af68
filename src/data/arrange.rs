//! From examples as they were read to a [`Dataset`]: rows in a random order, features numbered by falling frequency.
//!
//! Rows are moved once, here, so that training can read memory from front to back and still see a fair sample; hot
//! features get the smallest numbers, so that their weights share few cache lines and sort first in every row.

use std::collections::HashMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::data::block::Block;
use crate::data::{Dataset, FeatureNumbers, Numbering};
use crate::error::{Error, Result};

/// Rows that one parallel task writes.
const TASK_ROWS: usize = 2048;

/// A number for each feature number that the user may write: a table while that is small beside the data, else a map.
enum PerNumber {
    Table(Vec<u32>),
    Map(HashMap<u32, u32>),
}

impl PerNumber {
    fn new(highest: u32, n_nonzeros: usize) -> Self {
        if (highest as usize) < (1 << 20) + 16 * n_nonzeros {
            Self::Table(vec![0; highest as usize + 1])
        } else {
            Self::Map(HashMap::new())
        }
    }

    fn at(&mut self, number: u32) -> &mut u32 {
        match self {
            Self::Table(table) => &mut table[number as usize],
            Self::Map(map) => map.entry(number).or_default(),
        }
    }

    fn get(&self, number: u32) -> u32 {
        match self {
            Self::Table(table) => table[number as usize],
            Self::Map(map) => map[&number],
        }
    }

    /// (number, what stands there) where it is not 0.
    fn occupied(&self) -> Vec<(u32, u32)> {
        match self {
            Self::Table(table) => (0..).zip(table).filter(|&(_, &n)| n > 0).map(|(number, &n)| (number, n)).collect(),
            Self::Map(map) => map.iter().map(|(&number, &n)| (number, n)).collect(),
        }
    }
}

/// Arranges what a reader found. `n_columns` is the width that the file itself declares, if it does.
///
/// # Errors
/// If there is no example, or more than 2^32 - 1 of them.
pub(crate) fn arrange(
    name: String,
    mut blocks: Vec<Block>,
    numbers: FeatureNumbers,
    n_columns: Option<u64>,
    seed: u64,
) -> Result<Dataset<'static>> {
    blocks.retain(|block| !block.targets.is_empty());
    let n_rows: usize = blocks.iter().map(|block| block.targets.len()).sum();
    let n_nonzeros: usize = blocks.iter().map(|block| block.numbers.len()).sum();
    if n_rows == 0 {
        return Err(Error::Data(format!("{name}: no example; at least one line 'label index:value ...' is wanted")));
    }
    if u32::try_from(n_rows).is_err() {
        return Err(Error::Data(format!("{name}: {n_rows} examples; at most 2^32 - 1 are wanted")));
    }

    // Features, hot first.
    let extremes = |block: &Block| block.numbers.iter().fold((u32::MAX, 0), |(low, high), &k| (k.min(low), k.max(high)));
    let (lowest, highest) = blocks.par_iter().map(extremes).reduce(|| (u32::MAX, 0), |a, b| (a.0.min(b.0), a.1.max(b.1)));
    let first = match numbers {
        FeatureNumbers::Auto => u32::from(lowest != 0),
        FeatureNumbers::OneBased => 1,
        FeatureNumbers::ZeroBased => 0,
    };
    let spanned = if n_nonzeros == 0 { 0 } else { u64::from(highest) + 1 - u64::from(first) };
    let n_columns = n_columns.unwrap_or(0).max(spanned);
    let mut per_number = PerNumber::new(highest, n_nonzeros);
    for block in &blocks {
        block.numbers.iter().for_each(|&number| *per_number.at(number) += 1);
    }
    let mut features = per_number.occupied();
    features.par_sort_unstable_by_key(|&(number, count)| (std::cmp::Reverse(count), number));
    for (feature, &(number, _)) in (0u32..).zip(&features) {
        *per_number.at(number) = feature;
    }
    let mut by_number: Vec<u32> = (0..features.len() as u32).collect();
    by_number.par_sort_unstable_by_key(|&feature| features[feature as usize].0);
    let (numbers, counts): (Vec<u32>, Vec<u32>) = features.into_iter().unzip();

    // Rows, in a random order.
    let places: Vec<(u32, u32)> =
        (0u32..).zip(&blocks).flat_map(|(b, block)| (0..block.targets.len() as u32).map(move |r| (b, r))).collect();
    let mut row_order: Vec<u32> = (0..n_rows as u32).collect();
    row_order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
    let source = |original: u32| {
        let (b, r) = places[original as usize];
        (&blocks[b as usize], r as usize)
    };
    let mut offsets = Vec::with_capacity(n_rows + 1);
    offsets.push(0u64);
    offsets.extend(row_order.iter().scan(0u64, |end, &original| {
        let (block, r) = source(original);
        *end += block.row(r).0.len() as u64;
        Some(*end)
    }));
    let targets: Vec<f32> = row_order.par_iter().map(|&original| source(original)).map(|(block, r)| block.targets[r]).collect();

    let (mut indices, mut values) = (vec![0u32; n_nonzeros], vec![0f32; n_nonzeros]);
    let mut tasks = Vec::with_capacity(n_rows / TASK_ROWS + 1);
    let (mut indices_left, mut values_left) = (indices.as_mut_slice(), values.as_mut_slice());
    for rows in row_order.chunks(TASK_ROWS) {
        let n: usize = rows.iter().map(|&original| source(original)).map(|(block, r)| block.row(r).0.len()).sum();
        let (task_indices, after) = indices_left.split_at_mut(n);
        indices_left = after;
        let (task_values, after) = values_left.split_at_mut(n);
        values_left = after;
        tasks.push((rows, task_indices, task_values));
    }
    tasks.into_par_iter().for_each(|(rows, indices, values)| {
        let mut pairs: Vec<u64> = Vec::new(); // feature in the high half, the value's bits in the low: sorts as one number
        let mut end = 0;
        for &original in rows {
            let (block, r) = source(original);
            let (row_numbers, row_values) = block.row(r);
            let pair = |(&number, &value): (&u32, &f32)| u64::from(per_number.get(number)) << 32 | u64::from(value.to_bits());
            pairs.clear();
            pairs.extend(row_numbers.iter().zip(row_values).map(pair));
            pairs.sort_unstable();
            for &pair in &pairs {
                indices[end] = (pair >> 32) as u32;
                values[end] = f32::from_bits(pair as u32);
                end += 1;
            }
        }
    });
    Ok(Dataset {
        name,
        targets: targets.into(),
        offsets: offsets.into(),
        indices: indices.into(),
        values: values.into(),
        row_order: row_order.into(),
        counts: counts.into(),
        numbering: Numbering { numbers: numbers.into(), by_number: by_number.into(), first, n_columns },
        shuffled: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<Block> {
        let first = Block { targets: vec![1.0, 2.0], ends: vec![2, 3], numbers: vec![9, 4, 9], values: vec![0.9, 0.4, 1.9] };
        let second = Block { targets: vec![3.0], ends: vec![3], numbers: vec![2, 9, 7], values: vec![2.2, 2.9, 2.7] };
        vec![first, Block::default(), second]
    }

    #[test]
    fn hot_features_come_first_and_every_number_leads_back() {
        for seed in 0..20 {
            let data = arrange("small".into(), small(), FeatureNumbers::Auto, None, seed).expect("arranged");
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
    fn the_seed_decides_the_order_of_the_rows() {
        let blocks = || vec![Block { targets: (0..100).map(|i| i as f32).collect(), ends: vec![0; 100], ..Block::default() }];
        let order = |seed| arrange("x".into(), blocks(), FeatureNumbers::Auto, None, seed).expect("arranged").targets().to_vec();
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
    }

    #[test]
    fn one_huge_feature_number_takes_little_memory() {
        let block = Block { targets: vec![1.0], ends: vec![2], numbers: vec![u32::MAX - 1, 3], values: vec![1.0, 2.0] };
        let data = arrange("huge".into(), vec![block], FeatureNumbers::Auto, None, 0).expect("arranged");
        assert_eq!(data.n_features(), 2);
        assert_eq!(data.numbering().n_columns(), u64::from(u32::MAX - 1));
    }
}
