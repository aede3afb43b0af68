//! Rows from the user's feature numbers to the features, and in their order.
//!
//! Rows come from all over memory and most are short, so they are taken a batch at a time: all are touched before any is
//! read, for waiting for one after the other would take longest, and they are sorted together, which radix sort does in as
//! many passes as for one of them.

use rayon::prelude::*;

use crate::data::block::Pair;
use crate::data::census::Features;

/// Rows that one parallel task writes.
const TASK_ROWS: usize = 1024;
/// What a batch holds at most, as long as it is more than one row: it and its copy fit in the caches next to a core.
const BATCH_PAIRS: usize = 4096;
const BATCH_ROWS: usize = 128;
/// Rows shorter than this, on average, are sorted faster one by one.
const SHORT_ROW: usize = 24;
/// Bits that one pass of radix sort looks at.
const DIGIT_BITS: u32 = 11;

/// Writes these rows one after the other, parallel on the current rayon pool. The slices have an entry a pair.
pub fn renumber(mut rows: &[&[Pair]], features: &Features, mut indices: &mut [u32], mut values: &mut [f32]) {
    let mut tasks = Vec::with_capacity(rows.len().div_ceil(TASK_ROWS));
    while !rows.is_empty() {
        let (task_rows, rows_after) = rows.split_at(TASK_ROWS.min(rows.len()));
        let n_pairs = task_rows.iter().map(|row| row.len()).sum();
        let (task_indices, indices_after) = indices.split_at_mut(n_pairs);
        let (task_values, values_after) = values.split_at_mut(n_pairs);
        tasks.push((task_rows, task_indices, task_values));
        (rows, indices, values) = (rows_after, indices_after, values_after);
    }
    tasks.into_par_iter().for_each_init(Batch::default, |batch, (mut rows, mut indices, mut values)| {
        while !rows.is_empty() {
            let mut n_pairs = 0;
            let fits = |row: &&&[Pair]| {
                n_pairs += row.len();
                n_pairs <= BATCH_PAIRS
            };
            let n_rows = rows.iter().take(BATCH_ROWS).take_while(fits).count().max(1);
            batch.fill(&rows[..n_rows], features);
            rows = &rows[n_rows..];
            let (batch_indices, indices_after) = indices.split_at_mut(batch.pairs.len());
            let (batch_values, values_after) = values.split_at_mut(batch.pairs.len());
            batch_indices.iter_mut().zip(&batch.pairs).for_each(|(index, pair)| *index = pair.number() & batch.mask);
            batch_values.iter_mut().zip(&batch.pairs).for_each(|(value, pair)| *value = pair.value());
            (indices, values) = (indices_after, values_after);
        }
    });
}

/// Rows that are sorted together.
#[derive(Default)]
struct Batch {
    pairs: Vec<Pair>,
    /// Where radix sort writes.
    spare: Vec<Pair>,
    /// The bits of a pair's number that are its feature; above them stands its row's place in the batch.
    mask: u32,
}

impl Batch {
    fn fill(&mut self, rows: &[&[Pair]], features: &Features) {
        let end = |pair: Option<&Pair>| pair.map_or(0, |pair| pair.number());
        std::hint::black_box(rows.iter().fold(0, |sum, row| sum ^ end(row.first()) ^ end(row.last())));

        let feature_bits = bits(features.len());
        let all_bits = feature_bits + bits(rows.len());
        let n_pairs: usize = rows.iter().map(|row| row.len()).sum();
        let one_by_one = n_pairs < SHORT_ROW * rows.len() || all_bits > u32::BITS;
        self.mask = if one_by_one { u32::MAX } else { (1 << feature_bits) - 1 };

        self.pairs.clear();
        for (place, row) in (0u32..).zip(rows) {
            let place = if one_by_one { 0 } else { place << feature_bits };
            self.pairs.extend(row.iter().map(|pair| Pair::new(place | features.feature(pair.number()), pair.value())));
        }
        if one_by_one {
            let mut rest = self.pairs.as_mut_slice();
            for row in rows {
                let (row, after) = rest.split_at_mut(row.len());
                row.sort_unstable();
                rest = after;
            }
        } else {
            radix_sort(&mut self.pairs, &mut self.spare, all_bits);
        }
    }
}

/// How many bits the numbers below `n` have.
fn bits(n: usize) -> u32 {
    usize::BITS - n.saturating_sub(1).leading_zeros()
}

/// Sorts by the pairs' numbers, which are below 2^`n_bits`.
fn radix_sort(pairs: &mut Vec<Pair>, spare: &mut Vec<Pair>, n_bits: u32) {
    spare.resize(pairs.len(), Pair::new(0, 0.0));
    let n_passes = n_bits.div_ceil(DIGIT_BITS).max(1);
    let width = n_bits.div_ceil(n_passes);
    for pass in 0..n_passes {
        let digit = |pair: Pair| (pair.number() >> (pass * width)) as usize % (1 << DIGIT_BITS) % (1 << width);
        let mut places = [0u32; 1 << DIGIT_BITS];
        pairs.iter().for_each(|&pair| places[digit(pair)] += 1);
        let mut end = 0;
        for place in &mut places[..1 << width] {
            (*place, end) = (end, end + *place);
        }
        for &pair in pairs.iter() {
            let place = &mut places[digit(pair)];
            spare[*place as usize] = pair;
            *place += 1;
        }
        std::mem::swap(pairs, spare);
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::data::census::Census;

    /// Rows of different lengths, and the same rows done the plain way.
    fn compare(n_rows: usize, n_pairs: impl Fn(usize) -> usize, highest: u32) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(u64::from(highest));
        let rows: Vec<Vec<Pair>> = (0..n_rows)
            .map(|r| {
                let mut numbers: Vec<u32> = (0..n_pairs(r)).map(|_| random.random_range(0..=highest)).collect();
                numbers.sort_unstable();
                numbers.dedup();
                numbers.into_iter().map(|number| Pair::new(number, random.random::<f32>() - 0.5)).collect()
            })
            .collect();
        let mut census = Census::default();
        rows.iter().for_each(|row| census.add(row));
        let (features, _) = census.features();
        let mut expected = Vec::new();
        for row in &rows {
            let start = expected.len();
            expected.extend(row.iter().map(|pair| Pair::new(features.feature(pair.number()), pair.value())));
            expected[start..].sort_unstable();
        }
        let (mut indices, mut values) = (vec![0; expected.len()], vec![0.0; expected.len()]);
        renumber(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), &features, &mut indices, &mut values);
        assert_eq!(indices, expected.iter().map(|pair| pair.number()).collect::<Vec<_>>());
        assert_eq!(values, expected.iter().map(|pair| pair.value()).collect::<Vec<_>>());
    }

    #[test]
    fn rows_of_any_length_are_sorted_as_one_by_one() {
        compare(3000, |r| r % 20, 500); // short
        compare(600, |r| 30 + r % 90, 40_000); // long
        compare(50, |r| if r % 7 == 3 { 9_000 } else { r % 40 }, 3_000_000); // longer than a batch
        compare(400, |_| 60, u32::MAX - 1); // far apart
        compare(5, |_| 0, 9); // nothing at all
        compare(2100, |_| 1, 0); // one feature
    }

    #[test]
    fn all_bits_of_a_number_are_sorted() {
        for n_bits in [0, 1, 10, 11, 12, 22, 23, 31, 32] {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
            let number = |random: u64| if n_bits == 0 { 0 } else { (random >> (64 - n_bits)) as u32 };
            let mut pairs: Vec<Pair> = (0..5000).map(|k| Pair::new(number(random.random()), k as f32)).collect();
            let mut expected = pairs.clone();
            expected.sort_by_key(|pair| pair.number());
            radix_sort(&mut pairs, &mut Vec::new(), n_bits);
            assert_eq!(pairs, expected, "{n_bits} bits");
        }
    }
}
