//! Who is visited when: buckets of neighbouring rows in a random order, new in every epoch.
//!
//! Where the rows lie shuffled in memory, a bucket of 16 neighbours is as fair a sample as 16 random rows and is read at a
//! third of their price. Rows that lie as the caller had them may be sorted, and are visited one by one.

use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::data::Dataset;

/// Neighbouring rows that are visited together.
const BUCKET_ROWS: usize = 16;

/// The order of one epoch. The same seed and epoch give the same order.
#[derive(Debug)]
pub struct Order {
    n_rows: usize,
    bucket_rows: usize,
    buckets: Vec<u32>,
    seed: u64,
}

impl Order {
    /// An order over a dataset's rows.
    pub fn new(data: &Dataset, seed: u64) -> Self {
        let bucket_rows = if data.is_shuffled() { BUCKET_ROWS } else { 1 };
        Self { n_rows: data.n_rows(), bucket_rows, buckets: Vec::new(), seed }
    }

    /// Draws the order of an epoch.
    pub fn shuffle(&mut self, epoch: u64) {
        self.buckets.clear();
        self.buckets.extend(0..self.n_rows.div_ceil(self.bucket_rows) as u32);
        let mixed = self.seed ^ epoch.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15); // far apart for near epochs
        self.buckets.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(mixed));
    }

    /// All rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.part(0..self.buckets.len())
    }

    /// The rows of some of the buckets, in order.
    fn part(&self, buckets: Range<usize>) -> impl Iterator<Item = usize> + '_ {
        self.buckets[buckets].iter().flat_map(|&bucket| {
            let start = bucket as usize * self.bucket_rows;
            start..(start + self.bucket_rows).min(self.n_rows)
        })
    }

    /// How many chunks the order is cut into for `n_workers`: a chunk is what a worker takes at a time. It lasts long enough
    /// to make taking it free, and is short enough that all end together.
    pub fn n_chunks(&self, n_workers: usize) -> usize {
        let most = self.buckets.len().div_ceil(256usize.div_ceil(self.bucket_rows));
        most.max(8 * n_workers).min(self.buckets.len())
    }

    /// The rows of chunk k of `n_chunks`.
    pub fn chunk(&self, k: usize, n_chunks: usize) -> impl Iterator<Item = usize> + '_ {
        let cut = |k: usize| (k as u128 * self.buckets.len() as u128 / n_chunks as u128) as usize;
        self.part(cut(k)..cut(k + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n_rows: usize, bucket_rows: usize) -> Order {
        Order { n_rows, bucket_rows, buckets: Vec::new(), seed: 7 }
    }

    #[test]
    fn an_epoch_visits_every_row_once_and_no_two_epochs_are_alike() {
        for (n, bucket) in [(1, 16), (1000, 16), (1000, 1), (17, 16)] {
            let mut order = order(n, bucket);
            order.shuffle(0);
            let first: Vec<usize> = order.rows().collect();
            let mut sorted = first.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            order.shuffle(1);
            assert!(n < 100 || first != order.rows().collect::<Vec<_>>());
            order.shuffle(0);
            assert_eq!(first, order.rows().collect::<Vec<_>>());
        }
    }

    #[test]
    fn chunks_in_turn_are_the_whole_order() {
        for n_workers in [1, 2, 7, 64] {
            let mut order = order(5003, 16);
            order.shuffle(3);
            let n = order.n_chunks(n_workers);
            let chunks: Vec<usize> = (0..n).flat_map(|k| order.chunk(k, n)).collect();
            assert_eq!(chunks, order.rows().collect::<Vec<_>>());
        }
    }
}
