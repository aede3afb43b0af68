//! Who is visited when: buckets of neighbouring rows in a random order, new in every epoch.
//!
//! The price of a visit is memory, and branches that the processor foresees wrongly: on rows of a dozen non-zeros it lost
//! half of the time to loops that end sooner or later than the last one did, and to rows that move where the last did not. So
//! neighbours have about the same length (`data/arrange.rs` lays them so), and the rows that moved at their last visit, which
//! will nearly all move again, are visited in stretches apart from those that did not, which will nearly all stay.
//!
//! Where the rows lie shuffled in memory, buckets of 16 neighbours in a random order are nearly as fair as single rows (but for
//! their length), and are read at a third of the price. Rows that do not fit in memory are visited window after window as
//! they lie on the disk, which has no other way to be fast; buckets are shuffled inside of a window. Rows that lie as the
//! caller had them may be sorted, and are visited one by one.

use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::data::Dataset;
use crate::update::{Turn, Visit};

/// Neighbouring rows that are visited together.
const BUCKET_ROWS: usize = 16;
/// Rows that lie together on the disk and are in memory at the same time.
pub(super) const WINDOW_ROWS: usize = 4096;
/// Rows that are parted at a time: whole buckets, and enough to be worth another worker's while.
const PIECE_ROWS: usize = 8192 * BUCKET_ROWS;
/// Visits of one kind in a row: those that are likely to move, or those that are not.
const STRETCH_ROWS: usize = 16;
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
    /// The rows of both kinds, piece by piece.
    pieces: Vec<Piece>,
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

    /// Draws the order of an epoch, of the rows that do not rest; of many rows, parallel on the current rayon pool.
    pub fn shuffle(&mut self, epoch: u64, turn: impl Fn(usize) -> Turn + Sync) {
        self.epoch = epoch;
        let mixed = self.seed ^ epoch.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15); // far apart for near epochs
        let mut random = Xoshiro256PlusPlus::seed_from_u64(mixed);
        let Self { n_rows, pieces, rows, .. } = self;
        rows.clear();
        if self.streamed {
            let awake: Vec<u32> = (0..*n_rows as u32).filter(|&i| turn(i as usize) != Turn::Rests).collect();
            for window in awake.chunk_by(|&i, &j| window_of(i as usize) == window_of(j as usize)) {
                append_shuffled(window.chunks(BUCKET_ROWS), rows, &mut random);
            }
            return;
        }
        pieces.resize_with(n_rows.div_ceil(PIECE_ROWS), Piece::default);
        let part = |(k, piece): (usize, &mut Piece)| piece.part(k * PIECE_ROWS..((k + 1) * PIECE_ROWS).min(*n_rows), &turn);
        match pieces.len() {
            0 | 1 => pieces.iter_mut().enumerate().for_each(part),
            _ => pieces.par_iter_mut().enumerate().for_each(part),
        }
        let mut moving = Vec::with_capacity(pieces.iter().map(|piece| piece.moving.len()).sum());
        if self.lie_shuffled {
            let neighbours = |&i: &u32, &j: &u32| i as usize / BUCKET_ROWS == j as usize / BUCKET_ROWS;
            let buckets = pieces.iter().flat_map(|piece| piece.moving.chunk_by(neighbours));
            append_shuffled(buckets, &mut moving, &mut random);
        } else {
            pieces.iter().for_each(|piece| moving.extend_from_slice(&piece.moving));
            moving.shuffle(&mut random);
        }
        let mut still = Vec::with_capacity(pieces.iter().map(|piece| piece.still.len()).sum());
        pieces.iter().for_each(|piece| still.extend_from_slice(&piece.still));
        if !self.lie_shuffled {
            still.shuffle(&mut random);
        }
        append_shuffled(moving.chunks(STRETCH_ROWS).chain(still.chunks(STRETCH_ROWS)), rows, &mut random);
    }

    /// Which epoch's order this is.
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

/// Appends these rows in a random order of the pieces.
fn append_shuffled<'a>(pieces: impl Iterator<Item = &'a [u32]>, rows: &mut Vec<u32>, random: &mut impl Rng) {
    let mut pieces: Vec<&[u32]> = pieces.collect();
    pieces.shuffle(random);
    pieces.into_iter().for_each(|piece| rows.extend_from_slice(piece));
}

/// The rows of a stretch of the dataset that move, and those that stay.
#[derive(Debug, Default)]
struct Piece {
    moving: Vec<u32>,
    still: Vec<u32>,
}

impl Piece {
    /// Parts these rows. Most of them rest in later epochs: a look at a row leaves a bit, and only bits that are set are gone
    /// through. There is no branch a row, which would be guessed wrongly too often.
    fn part(&mut self, rows: Range<usize>, turn: impl Fn(usize) -> Turn) {
        let Self { moving, still } = self;
        moving.clear();
        still.clear();
        for start in rows.clone().step_by(u64::BITS as usize) {
            let (mut moves, mut stays) = (0u64, 0u64);
            for (bit, i) in (start..rows.end).take(u64::BITS as usize).enumerate() {
                let turn = turn(i);
                moves |= u64::from(turn == Turn::Moves) << bit;
                stays |= u64::from(turn == Turn::Stays) << bit;
            }
            append_set(moves, start as u32, moving);
            append_set(stays, start as u32, still);
        }
    }
}

/// Appends `start` + k for every bit k that is set.
fn append_set(mut bits: u64, start: u32, rows: &mut Vec<u32>) {
    rows.reserve(bits.count_ones() as usize);
    while bits != 0 {
        rows.push(start + bits.trailing_zeros());
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n_rows: usize, lie_shuffled: bool) -> Order {
        Order { n_rows, lie_shuffled, seed: 7, ..Order::default() }
    }

    fn moves_unless(rests: bool) -> Turn {
        if rests { Turn::Rests } else { Turn::Moves }
    }

    #[test]
    fn an_epoch_visits_every_row_once_and_no_two_epochs_are_alike() {
        for (n, lie_shuffled) in [(1, true), (1000, true), (1000, false), (17, true), (300_000, true), (300_000, false)] {
            let mut order = order(n, lie_shuffled);
            let rows = |order: &Order| order.visits(0..order.n_visits()).map(|visit| visit.row).collect::<Vec<_>>();
            order.shuffle(0, |_| Turn::Moves);
            let first = rows(&order);
            let mut sorted = first.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            order.shuffle(1, |_| Turn::Moves);
            assert!(n < 100 || first != rows(&order));
            order.shuffle(0, |_| Turn::Moves);
            assert_eq!(first, rows(&order));
            order.shuffle(0, |i| moves_unless(i % 3 == 0));
            let mut awake = rows(&order);
            awake.sort_unstable();
            assert_eq!(awake, (0..n).filter(|i| i % 3 != 0).collect::<Vec<_>>());
        }
    }

    #[test]
    fn rows_that_are_likely_to_move_are_visited_apart_from_those_that_are_not() {
        let turn = |i: usize| [Turn::Moves, Turn::Stays, Turn::Rests][i * 7 % 11 % 3];
        for lie_shuffled in [true, false] {
            let mut order = order(5000, lie_shuffled);
            order.shuffle(4, turn);
            let kinds: Vec<Turn> = order.visits(0..order.n_visits()).map(|visit| turn(visit.row)).collect();
            for kind in [Turn::Moves, Turn::Stays] {
                let n = kinds.iter().filter(|&&visited| visited == kind).count();
                assert_eq!(n, (0..5000).filter(|&i| turn(i) == kind).count());
            }
            assert!(!kinds.contains(&Turn::Rests));
            let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!((20..=kinds.len() / STRETCH_ROWS + 2).contains(&changes), "{changes} of {}", kinds.len());
        }
    }

    #[test]
    fn neighbours_that_move_are_visited_together_where_they_are_a_fair_sample() {
        for (lie_shuffled, together) in [(true, 4300..5000), (false, 0..50)] {
            let mut order = order(5000, lie_shuffled);
            order.shuffle(0, |_| Turn::Moves);
            let rows: Vec<usize> = order.visits(0..5000).map(|visit| visit.row).collect();
            let n = rows.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
            assert!(together.contains(&n), "{n}");
        }
    }

    #[test]
    fn rows_on_disk_are_visited_window_after_window_and_in_a_random_order_within() {
        let mut order = Order { streamed: true, ..order(3 * WINDOW_ROWS + 100, true) };
        let mut rows = |epoch| {
            order.shuffle(epoch, |i| moves_unless(i % 2 == 1));
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
            order.shuffle(3, |_| Turn::Moves);
            let n = order.n_chunks(n_workers);
            let chunks: Vec<Visit> = (0..n).flat_map(|k| order.visits(order.chunk(k, n))).collect();
            assert_eq!(chunks, order.visits(0..order.n_visits()).collect::<Vec<_>>());
            assert!(chunks[0].left == 1.0 && chunks.windows(2).all(|pair| pair[1].left < pair[0].left));
        }
    }
}
