//! Who is visited when: buckets of neighbouring rows in a random order, new in every epoch.
//!
//! Where the rows lie shuffled in memory, a bucket of 16 neighbours is as fair a sample as 16 random rows and is read at a
//! third of their price. Rows that do not fit in memory are visited as they lie on the disk, which has no other way to be
//! fast; they were shuffled when the store was written. Rows that lie as the caller had them may be sorted, and are visited one by one.

use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::data::Dataset;
use crate::update::Visit;

/// Neighbouring rows that are visited together.
const BUCKET_ROWS: usize = 16;
/// Rows in a chunk of a long epoch.
const CHUNK_ROWS: usize = 256;

/// The order of one epoch. The same seed and epoch give the same order.
#[derive(Debug, Default)]
pub struct Order {
    n_rows: usize,
    bucket_rows: usize,
    /// Buckets are visited as they lie in memory.
    in_place: bool,
    /// The rows that do not rest, as they lie in memory, and which of them are neighbours.
    awake: Vec<u32>,
    buckets: Vec<Range<u32>>,
    /// The same in the order of the epoch.
    rows: Vec<u32>,
    seed: u64,
    epoch: u64,
}

impl Order {
    /// An order over a dataset's rows.
    pub fn new(data: &Dataset, seed: u64) -> Self {
        let bucket_rows = if data.is_shuffled() { BUCKET_ROWS } else { 1 };
        Self { n_rows: data.n_rows(), bucket_rows, in_place: data.is_streamed(), seed, ..Self::default() }
    }

    /// Draws the order of an epoch, of the rows that do not rest.
    pub fn shuffle(&mut self, epoch: u64, rests: impl Fn(usize) -> bool) {
        self.epoch = epoch;
        self.awake.clear();
        self.buckets.clear();
        for start in (0..self.n_rows).step_by(self.bucket_rows) {
            let first = self.awake.len() as u32;
            let rows = start..(start + self.bucket_rows).min(self.n_rows);
            self.awake.extend(rows.filter(|&i| !rests(i)).map(|i| i as u32));
            if first < self.awake.len() as u32 {
                self.buckets.push(first..self.awake.len() as u32);
            }
        }
        if self.in_place {
            self.rows.clone_from(&self.awake);
            return;
        }
        let mixed = self.seed ^ epoch.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15); // far apart for near epochs
        self.buckets.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(mixed));
        self.rows.clear();
        for bucket in &self.buckets {
            self.rows.extend_from_slice(&self.awake[bucket.start as usize..bucket.end as usize]);
        }
    }

    /// The epoch, from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many rows this epoch visits.
    pub fn n_visits(&self) -> usize {
        self.rows.len()
    }

    /// The row at a place of the epoch, if it lasts so long.
    #[inline(always)]
    pub fn row(&self, place: usize) -> Option<usize> {
        self.rows.get(place).map(|&row| row as usize)
    }

    /// The visits of these places, in order.
    pub fn visits(&self, places: Range<usize>) -> impl Iterator<Item = Visit> + '_ {
        let share = 1.0 / self.rows.len() as f32;
        places.map(move |place| Visit { row: self.rows[place] as usize, left: 1.0 - place as f32 * share })
    }

    /// How many chunks the order is cut into for `n_workers`: a chunk is what a worker takes at a time. It lasts long enough
    /// to make taking it free, and is short enough that all end together.
    pub fn n_chunks(&self, n_workers: usize) -> usize {
        let most = self.rows.len().div_ceil(CHUNK_ROWS);
        most.max(8 * n_workers).min(self.rows.len())
    }

    /// The places of chunk k of `n_chunks`.
    pub fn chunk(&self, k: usize, n_chunks: usize) -> Range<usize> {
        let cut = |k: usize| (k as u128 * self.rows.len() as u128 / n_chunks as u128) as usize;
        cut(k)..cut(k + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n_rows: usize, bucket_rows: usize) -> Order {
        Order { n_rows, bucket_rows, seed: 7, ..Order::default() }
    }

    #[test]
    fn an_epoch_visits_every_row_once_and_no_two_epochs_are_alike() {
        for (n, bucket) in [(1, 16), (1000, 16), (1000, 1), (17, 16)] {
            let mut order = order(n, bucket);
            let rows = |order: &Order| order.visits(0..order.n_visits()).map(|visit| visit.row).collect::<Vec<_>>();
            order.shuffle(0, |_| false);
            let first = rows(&order);
            let mut sorted = first.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            order.shuffle(1, |_| false);
            assert!(n < 100 || first != rows(&order));
            order.shuffle(0, |_| false);
            assert_eq!(first, rows(&order));
            order.shuffle(0, |i| i % 3 == 0);
            let mut awake = rows(&order);
            awake.sort_unstable();
            assert_eq!(awake, (0..n).filter(|i| i % 3 != 0).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_on_disk_are_visited_as_they_lie() {
        let mut order = Order { in_place: true, ..order(1000, 16) };
        order.shuffle(1, |i| i % 2 == 1);
        let rows: Vec<usize> = order.visits(0..order.n_visits()).map(|visit| visit.row).collect();
        assert_eq!(rows, (0..1000).step_by(2).collect::<Vec<_>>());
    }

    #[test]
    fn chunks_in_turn_are_the_whole_order() {
        for n_workers in [1, 2, 7, 64] {
            let mut order = order(5003, 16);
            order.shuffle(3, |_| false);
            let n = order.n_chunks(n_workers);
            let chunks: Vec<Visit> = (0..n).flat_map(|k| order.visits(order.chunk(k, n))).collect();
            assert_eq!(chunks, order.visits(0..order.n_visits()).collect::<Vec<_>>());
            assert!(chunks[0].left == 1.0 && chunks.windows(2).all(|pair| pair[1].left < pair[0].left));
        }
    }
}
