//! Who is visited when: buckets of neighbouring rows in a random order, new in every epoch.
//!
//! The price of a visit is memory, and branches that the processor foresees wrongly: on rows of a dozen non-zeros it lost
//! half of the time to loops that end sooner or later than the last one did, and to rows that move where the last did not. So
//! neighbours have about the same length (`data/arrange.rs` lays them so), and the rows that moved at their last visit, which
//! will nearly all move again, are visited in stretches apart from those that did not, which will nearly all stay.
//!
//! Where the rows lie shuffled in memory, buckets of 16 neighbours (of 64 neighbours those that stay, which are few) in a random
//! order are nearly as fair as single rows (but for their length), and are read at a third of the price. Rows that do not fit in
//! memory are visited window after window as they lie on the disk, which has no other way to be fast; buckets are shuffled
//! inside of a window. Rows that lie as the caller had them may be sorted, and are visited one by one.
//!
//! Of many such rows the order is drawn on all workers, in about half of the time at two: each piece of the dataset deals out its
//! blocks to the segments of the epoch, by chance, and each segment shuffles the buckets that it was dealt. So every segment
//! holds rows of every piece. And it holds them in a few blocks, of which fewer pages are read than of the whole dataset: on
//! 50 million non-zeros in a store, an epoch takes 0.87 of the time that buckets take which come from anywhere.

use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::data::Dataset;
use crate::strategy::bucket::{BUCKET_ROWS, Piece, Segment, WORD_ROWS, first, is_due};
use crate::update::Visit;

/// Of copies, which lie near: smaller buckets are fairer, and cost little there.
const COPY_BUCKET_ROWS: usize = 8;
/// Rows that lie together on the disk and are in memory at the same time.
pub(super) const WINDOW_ROWS: usize = 4096;
/// Rows of a piece of the dataset, at least: enough to be worth another worker's while.
const PIECE_ROWS: usize = 1 << 15;
/// Pieces, at most: each deals to as many segments.
const MOST_PIECES: usize = 64;
/// Fewer rows are drawn as one piece: to share them out, whose lines then come from another core, takes 1.03 of the time on
/// debian-libraries, two workers.
const FEWEST_SHARED: usize = 1 << 16;
/// Rows in a chunk of a long epoch.
const CHUNK_ROWS: usize = 256;

/// The order of one epoch. The same seed and epoch give the same order.
#[derive(Debug, Default)]
pub struct Order {
    n_rows: usize,
    /// No order of the caller's is left, so that neighbours may be visited together.
    lie_shuffled: bool,
    /// Rows are read from disk.
    streamed: bool,
    /// The rows, piece by piece of the dataset.
    pieces: Vec<Piece>,
    /// As many segments of the epoch.
    segments: Vec<Segment>,
    /// The rows in the order of the epoch.
    rows: Vec<u32>,
    seed: u64,
    epoch: u64,
}

impl Order {
    /// An order over a dataset's rows.
    pub fn new(data: &Dataset, seed: u64) -> Self {
        Self { n_rows: data.n_rows(), lie_shuffled: data.is_shuffled(), streamed: data.is_streamed(), seed, ..Self::default() }
    }

    /// An order over `n` things that are visited one by one, such as a dataset's features.
    pub fn of(n: usize, seed: u64) -> Self {
        Self { n_rows: n, seed, ..Self::default() }
    }

    /// Draws the order of an epoch. Row i is visited in every `rests[i]`-th epoch, a power of 2, and in none where that is 0;
    /// every row where `rests` is empty. Of many rows that lie shuffled, parallel on the current rayon
    /// pool.
    ///
    /// # Panics
    /// If there are rests of another number of rows.
    pub fn shuffle(&mut self, epoch: u64, rests: &[u8]) {
        let widths = if self.lie_shuffled { [BUCKET_ROWS, WORD_ROWS] } else { [1, 1] };
        self.draw(self.n_rows, epoch, widths, rests);
    }

    /// The same for `n` copies of rows.
    ///
    /// # Panics
    /// As [`Order::shuffle`].
    pub fn shuffle_copies(&mut self, n: usize, epoch: u64, rests: &[u8]) {
        let widths = if self.lie_shuffled { [COPY_BUCKET_ROWS, WORD_ROWS] } else { [1, 1] };
        self.draw(n, epoch, widths, rests);
    }

    fn draw(&mut self, n_rows: usize, epoch: u64, widths: [usize; 2], rests: &[u8]) {
        assert!(rests.is_empty() || rests.len() == n_rows, "{} rests of {n_rows} rows", rests.len());
        self.epoch = epoch;
        let mixed = self.seed ^ epoch.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15); // far apart for near epochs
        let random = |k: usize| Xoshiro256PlusPlus::seed_from_u64(mixed.wrapping_add(k as u64));
        let Self { pieces, segments, rows, .. } = self;
        if self.streamed {
            rows.clear();
            let rest = |i: u32| rests.get(i as usize).copied().unwrap_or(1);
            let mut random = random(0);
            let awake: Vec<u32> = (0..n_rows as u32).filter(|&i| is_due(epoch as u8, i, rest(i))).collect();
            for window in awake.chunk_by(|&i, &j| window_of(i as usize) == window_of(j as usize)) {
                let mut buckets: Vec<&[u32]> = window.chunks(BUCKET_ROWS).collect();
                buckets.shuffle(&mut random);
                buckets.into_iter().for_each(|bucket| rows.extend_from_slice(bucket));
            }
            return;
        }
        // A block of what may be sorted is no fair sample.
        let pays = self.lie_shuffled && n_rows >= FEWEST_SHARED;
        let n = if pays { n_rows.div_ceil(PIECE_ROWS).min(MOST_PIECES) } else { n_rows.min(1) };
        let (pieces, segments) = (first(pieces, n), first(segments, n));
        let piece_rows = n_rows.div_ceil(n.max(1)).next_multiple_of(WORD_ROWS);
        let cut = |k: usize| n_rows.min(k * piece_rows);
        pieces.par_iter_mut().enumerate().for_each(|(k, piece)| {
            piece.deal(cut(k)..cut(k + 1), epoch as u8, widths, rests, n, &mut random(n + k));
        });
        let sizes: Vec<usize> = (0..n).map(|k| pieces.iter().map(|piece| piece.n_rows(k)).sum()).collect();
        rows.resize(sizes.iter().sum(), 0);
        let mut left = &mut rows[..];
        let places: Vec<&mut [u32]> = sizes.iter().filter_map(|&size| left.split_off_mut(..size)).collect();
        segments.par_iter_mut().zip(places).enumerate().for_each(|(k, (segment, places))| {
            segment.fill(pieces, k, places, &mut random(k));
        });
    }

    /// Which epoch's order this is, or which round's.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What decides the order besides the epoch.
    pub fn seed(&self) -> u64 {
        self.seed
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

/// Where the window of the disk begins that a row lies in.
pub(super) fn window_of(row: usize) -> usize {
    row - row % WINDOW_ROWS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::bucket::STRETCH_ROWS;

    fn order(n_rows: usize, lie_shuffled: bool) -> Order {
        Order { n_rows, lie_shuffled, seed: 7, ..Order::default() }
    }

    /// The rest of every row.
    fn of_each(n_rows: usize, rest: impl Fn(usize) -> u8) -> Vec<u8> {
        (0..n_rows).map(rest).collect()
    }

    #[test]
    fn an_epoch_visits_every_row_once_and_no_two_epochs_are_alike() {
        for (n, lie_shuffled) in [(1, true), (1000, true), (1000, false), (17, true), (300_000, true), (300_000, false)] {
            let mut order = order(n, lie_shuffled);
            let rows = |order: &Order| order.visits(0..order.n_visits()).map(|visit| visit.row).collect::<Vec<_>>();
            order.shuffle(0, &[]);
            let first = rows(&order);
            let mut sorted = first.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            order.shuffle(1, &[]);
            assert!(n < 100 || first != rows(&order));
            order.shuffle_copies(n.div_ceil(3), 1, &[]); // of fewer, and then of more again
            let mut fewer = rows(&order);
            fewer.sort_unstable();
            assert_eq!(fewer, (0..n.div_ceil(3)).collect::<Vec<_>>());
            order.shuffle(0, &vec![1; n]);
            assert_eq!(first, rows(&order));
            order.shuffle(0, &[]);
            assert_eq!(first, rows(&order));
            order.shuffle(0, &of_each(n, |i| u8::from(i % 3 != 0)));
            let mut awake = rows(&order);
            awake.sort_unstable();
            assert_eq!(awake, (0..n).filter(|i| i % 3 != 0).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_part_of_a_large_set_is_spread_over_the_whole_epoch_and_any_number_of_workers_draws_the_same() {
        let n = 4 * PIECE_ROWS - 100;
        let rests = of_each(n, |i| 1 + u8::from(i % 3 == 0));
        let drawn = |n_threads: usize, lie_shuffled: bool| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("threads");
            let mut order = order(n, lie_shuffled);
            pool.install(|| order.shuffle(3, &rests));
            (0..order.n_visits()).map_while(|place| order.row(place)).collect::<Vec<usize>>()
        };
        for lie_shuffled in [true, false] {
            let rows = drawn(1, lie_shuffled);
            assert!(rows == drawn(4, lie_shuffled));
            // Of what may be sorted, any part is spread; else every piece.
            let n_parts = if lie_shuffled { 4 } else { 32 };
            for quarter in rows.chunks(rows.len().div_ceil(4)) {
                let mut of_part = vec![0usize; n_parts];
                quarter.iter().for_each(|row| of_part[n_parts * row / n] += 1);
                let even = quarter.len() / n_parts;
                assert!(of_part.iter().all(|&count| count.abs_diff(even) < even / 10), "{of_part:?}");
            }
        }
    }

    #[test]
    fn a_row_is_visited_in_every_so_manyth_epoch() {
        let rest = |i: usize| [0, 1, 2, 4, 8, 16, 128][i * 7 % 13 % 7];
        for streamed in [false, true] {
            let mut order = Order { streamed, ..order(1000, true) };
            order.shuffle(0, &[]);
            assert_eq!(order.n_visits(), 1000);
            let mut last = vec![None; 1000];
            for epoch in 200..600u64 {
                order.shuffle(epoch, &of_each(1000, rest));
                for Visit { row, .. } in order.visits(0..order.n_visits()) {
                    let before = last[row].replace(epoch);
                    assert!(before.is_none_or(|before| epoch == before + u64::from(rest(row))), "row {row}, epoch {epoch}");
                }
            }
            assert!((0..1000).all(|i| last[i].is_some_and(|last| last + u64::from(rest(i)) >= 600) == (rest(i) > 0)));
        }
    }

    #[test]
    fn rows_that_are_likely_to_move_are_visited_apart_from_those_that_are_not() {
        let rest = |i: usize| [1, 2, 0][i * 7 % 11 % 3];
        for lie_shuffled in [true, false] {
            let mut order = order(5000, lie_shuffled);
            order.shuffle(4, &of_each(5000, rest));
            let kinds: Vec<u8> = order.visits(0..order.n_visits()).map(|visit| rest(visit.row)).collect();
            for (kind, n) in [(1, 1819), (2, 909), (0, 0)] {
                assert!(kinds.iter().filter(|&&visited| visited == kind).count().abs_diff(n) <= 3, "{kind}");
            }
            let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!((20..=kinds.len() / STRETCH_ROWS + 2).contains(&changes), "{changes} of {}", kinds.len());
            // Both kinds last to the end.
            assert!([1, 2].iter().all(|kind| kinds[kinds.len() * 4 / 5..].contains(kind)));
        }
    }

    #[test]
    fn neighbours_that_move_are_visited_together_where_they_are_a_fair_sample() {
        for (lie_shuffled, together) in [(true, 4300..5000), (false, 0..50)] {
            let mut order = order(5000, lie_shuffled);
            order.shuffle(0, &[]);
            let rows: Vec<usize> = order.visits(0..5000).map(|visit| visit.row).collect();
            let n = rows.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
            assert!(together.contains(&n), "{n}");
        }
    }

    #[test]
    fn rows_on_disk_are_visited_window_after_window_and_in_a_random_order_within() {
        let mut order = Order { streamed: true, ..order(3 * WINDOW_ROWS + 100, true) };
        let mut rows = |epoch| {
            order.shuffle(epoch, &of_each(3 * WINDOW_ROWS + 100, |i| u8::from(i % 2 == 0)));
            order.visits(0..order.n_visits()).map(|visit| visit.row).collect::<Vec<_>>()
        };
        let (first, second) = (rows(0), rows(1));
        assert!(first != second);
        for mut rows in [first, second] {
            assert!(rows.iter().map(|&row| window_of(row)).is_sorted() && !rows.is_sorted());
            rows.sort_unstable();
            assert_eq!(rows, (0..3 * WINDOW_ROWS + 100).step_by(2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn chunks_in_turn_are_the_whole_order() {
        for n_workers in [1, 2, 7, 64] {
            let mut order = order(5003, true);
            order.shuffle(3, &[]);
            let n = order.n_chunks(n_workers);
            let chunks: Vec<Visit> = (0..n).flat_map(|k| order.visits(order.chunk(k, n))).collect();
            assert_eq!(chunks, order.visits(0..order.n_visits()).collect::<Vec<_>>());
            assert!(chunks[0].left == 1.0 && chunks.windows(2).all(|pair| pair[1].left < pair[0].left));
        }
    }
}
