//! Who is visited when: buckets of neighbouring rows in a random order, new in every epoch.
//!
//! The price of a visit is memory, and branches that the processor foresees wrongly: on rows of a dozen non-zeros it lost
//! half of the time to loops that end sooner or later than the last one did, and to rows that move where the last did not. So
//! neighbours have about the same length (`data/arrange.rs` lays them so), and the rows that moved at their last visit, which
//! will nearly all move again, are visited in stretches apart from those that did not, which will nearly all stay.
//!
//! Where the rows lie shuffled in memory, buckets of 16 neighbours (of 64 neighbours those that stay, which are few) in a random
//! order are nearly as fair as single rows (but for their length), and are read at a third of the price. Rows that do not fit in memory are visited window after window as
//! they lie on the disk, which has no other way to be fast; buckets are shuffled inside of a window. Rows that lie as the
//! caller had them may be sorted, and are visited one by one.

use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::data::Dataset;
use crate::update::Visit;

/// Neighbouring rows that are visited together.
const BUCKET_ROWS: usize = 16;
/// Of copies, which lie near: smaller buckets are fairer, and cost little there.
const COPY_BUCKET_ROWS: usize = 8;
/// Rows that lie together on the disk and are in memory at the same time.
pub(super) const WINDOW_ROWS: usize = 4096;
/// Rows that are parted at a time: whole buckets, and enough to be worth another worker's while.
const PIECE_ROWS: usize = 8192 * BUCKET_ROWS;
/// Visits of one kind in a row, at least: those that are likely to move, or those that are not.
const STRETCH_ROWS: usize = 16;
/// Rows of which a bit each fills a word.
const WORD_ROWS: usize = u64::BITS as usize;
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

    /// Draws the order of an epoch. Row i is visited in every `rests[i]`-th epoch, a power of 2, and in none where that is 0;
    /// every row where `rests` is empty. Of many rows, parallel on the current rayon pool.
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
        let mut random = Xoshiro256PlusPlus::seed_from_u64(mixed);
        let Self { pieces, rows, .. } = self;
        rows.clear();
        if self.streamed {
            let rest = |i: u32| rests.get(i as usize).copied().unwrap_or(1);
            let awake: Vec<u32> = (0..n_rows as u32).filter(|&i| is_due(epoch as u8, i, rest(i))).collect();
            for window in awake.chunk_by(|&i, &j| window_of(i as usize) == window_of(j as usize)) {
                let mut buckets: Vec<&[u32]> = window.chunks(BUCKET_ROWS).collect();
                buckets.shuffle(&mut random);
                buckets.into_iter().for_each(|bucket| rows.extend_from_slice(bucket));
            }
            return;
        }
        pieces.resize_with(n_rows.div_ceil(PIECE_ROWS), Piece::default);
        let part = |(k, piece): (usize, &mut Piece)| {
            piece.part(k * PIECE_ROWS..((k + 1) * PIECE_ROWS).min(n_rows), epoch as u8, widths, rests);
        };
        match pieces.len() {
            0 | 1 => pieces.iter_mut().enumerate().for_each(part),
            _ => pieces.par_iter_mut().enumerate().for_each(part),
        }
        let [first, others @ ..] = &mut pieces[..] else { return };
        for piece in others {
            first.moving.append(&mut piece.moving);
            first.still.append(&mut piece.still);
        }
        first.moving.shuffle(&mut random);
        first.still.shuffle(&mut random);
        append_stretches(&first.moving, &first.still, rows, &mut random);
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

/// Rows of a stretch of the dataset.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    start: u32,
    /// Bit k stands for row `start` + k.
    rows: u64,
}

impl Bucket {
    fn len(self) -> usize {
        self.rows.count_ones() as usize
    }

    /// By fours, of which those that are too many are taken off: how many there are is foreseen more often than how many rows.
    fn append_to(mut self, rows: &mut Vec<u32>) {
        let end = rows.len() + self.len();
        while self.rows != 0 {
            let four = [(); 4].map(|()| {
                let row = self.start.wrapping_add(self.rows.trailing_zeros());
                self.rows &= self.rows.wrapping_sub(1);
                row
            });
            rows.extend_from_slice(&four);
        }
        rows.truncate(end);
    }
}

/// Appends the rows of both kinds: a stretch of one kind, a stretch of either kind, and so on, as chance will have it, but so
/// that both last to the end.
fn append_stretches(moving: &[Bucket], still: &[Bucket], rows: &mut Vec<u32>, random: &mut impl Rng) {
    let mut kinds = [moving, still].map(|buckets| (buckets.iter(), buckets.iter().map(|bucket| bucket.len()).sum::<usize>()));
    rows.reserve(kinds[0].1 + kinds[1].1 + 3); // and what the last four are too many
    while kinds[0].1 + kinds[1].1 > 0 {
        let moves = random.random_range(0..kinds[0].1 + kinds[1].1) < kinds[0].1;
        let (buckets, left) = &mut kinds[usize::from(!moves)];
        let start = rows.len();
        while rows.len() < start + STRETCH_ROWS
            && let Some(bucket) = buckets.next()
        {
            bucket.append_to(rows);
        }
        *left -= rows.len() - start;
    }
}

/// The rows of a stretch of the dataset that move, and those that stay.
#[derive(Debug, Default)]
struct Piece {
    moving: Vec<Bucket>,
    still: Vec<Bucket>,
}

impl Piece {
    /// Parts these rows, into buckets of so many neighbours. Most of them rest in later epochs: a look at a row leaves a bit,
    /// and only bits that are set are gone through. There is no branch a row, which would be guessed wrongly too often.
    fn part(&mut self, rows: Range<usize>, epoch: u8, [width, still_width]: [usize; 2], rests: &[u8]) {
        let Self { moving, still } = self;
        moving.clear();
        still.clear();
        for start in rows.clone().step_by(WORD_ROWS) {
            let (mut own, end) = ([0; WORD_ROWS], rows.end.min(start + WORD_ROWS));
            match rests.get(start..end) {
                Some(rests) => own[..rests.len()].copy_from_slice(rests),
                None => own[..end - start].fill(1),
            }
            let start = start as u32;
            append_set(bits(|k| own[k] == 1), start, width, moving);
            append_set(bits(|k| own[k] > 1 && is_due(epoch, start + k as u32, own[k])), start, still_width, still);
        }
    }
}

/// Appends what is set, in buckets of so many neighbours, but for the empty ones.
fn append_set(bits: u64, start: u32, width: usize, buckets: &mut Vec<Bucket>) {
    for first in (0..WORD_ROWS).step_by(width) {
        let rows = bits >> first & (u64::MAX >> (WORD_ROWS - width));
        buckets.push(Bucket { start: start + first as u32, rows });
        buckets.truncate(buckets.len() - usize::from(rows == 0)); // no branch here either
    }
}

/// Whether row i, which is visited in every `rest`-th epoch, is visited in this one: neighbours in the same, so that they are
/// read together. All that counts are the lowest bits.
#[inline(always)]
fn is_due(epoch: u8, i: u32, rest: u8) -> bool {
    rest > 0 && epoch.wrapping_add((i as usize / BUCKET_ROWS) as u8) & (rest - 1) == 0
}

/// A word of which bit k is set if this is so.
#[inline(always)]
fn bits(is_set: impl Fn(usize) -> bool) -> u64 {
    // Bytes first: on vectors they are had, and gathered to bits, in a few instructions.
    let flags: [u8; WORD_ROWS] = std::array::from_fn(|k| u8::from(is_set(k)));
    let (eights, _) = flags.as_chunks::<8>();
    // The factor brings bit 0 of byte k to bit 56 + k.
    let gathered = |eight: &[u8; 8]| u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    eights.iter().rev().fold(0, |bits, eight| bits << 8 | gathered(eight))
}

#[cfg(test)]
mod tests {
    use super::*;

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
