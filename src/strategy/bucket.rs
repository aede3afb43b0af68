//! Buckets of neighbouring rows, and how they come into a random order on all workers: see [`crate::strategy::Order`].

use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// Neighbouring rows that are visited together.
pub(super) const BUCKET_ROWS: usize = 16;
/// Visits of one kind in a row, at least: those that are likely to move, or those that are not.
pub(super) const STRETCH_ROWS: usize = 16;
/// Rows of which a bit each fills a word.
pub(super) const WORD_ROWS: usize = u64::BITS as usize;

/// Rows of a stretch of the dataset.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    start: u32,
    /// Bit k stands for row `start` + k.
    rows: u64,
}

impl Bucket {
    /// Writes its rows to this place and on, by fours, of which those that are too many will be written over: how many fours
    /// there are is foreseen more often than how many rows. Tells the place after them.
    #[inline(always)]
    fn write_to(self, rows: &mut [u32], mut place: usize) -> usize {
        let (mut left, end) = (self.rows, place + self.rows.count_ones() as usize);
        while left != 0 {
            let four = [(); 4].map(|()| {
                let row = self.start.wrapping_add(left.trailing_zeros());
                left &= left.wrapping_sub(1);
                row
            });
            match rows.get_mut(place..place + 4) {
                Some(places) => places.copy_from_slice(&four),
                None => rows[place..].iter_mut().zip(four).for_each(|(place, row)| *place = row),
            }
            place += 4;
        }
        end
    }
}

/// Buckets of one kind, those that move or those that stay, and how many rows are in them.
#[derive(Debug, Default)]
struct Kind {
    buckets: Vec<Bucket>,
    n_rows: usize,
}

impl Kind {
    fn clear(&mut self) {
        self.buckets.clear();
        self.n_rows = 0;
    }

    /// Appends what is set, in buckets of so many neighbours, but for the empty ones.
    #[inline(always)]
    fn append_set(&mut self, bits: u64, start: u32, width: usize) {
        self.n_rows += bits.count_ones() as usize;
        for first in (0..WORD_ROWS).step_by(width) {
            let rows = bits >> first & (u64::MAX >> (WORD_ROWS - width));
            self.buckets.push(Bucket { start: start + first as u32, rows });
            self.buckets.truncate(self.buckets.len() - usize::from(rows == 0)); // no branch here either
        }
    }

    /// So many of its buckets as a stretch has, in the mean.
    fn stretch(&self) -> usize {
        (STRETCH_ROWS * self.buckets.len()).div_ceil(self.n_rows.max(1)).max(1)
    }
}

/// Which buckets of a piece's kind one segment gets, and how many rows are in them.
#[derive(Debug)]
struct Share {
    buckets: Range<usize>,
    n_rows: usize,
}

/// A piece of the dataset: the rows that move, and those that stay, ...
#[derive(Debug, Default)]
pub(super) struct Piece {
    kinds: [Kind; 2],
    /// ... and what each segment of the epoch gets of both.
    shares: Vec<[Share; 2]>,
}

impl Piece {
    /// Parts the rows of a stretch that are due, into buckets of so many neighbours, and deals out a block of the stretch to each
    /// segment. Most rows rest in later epochs: a look at a row leaves a bit, and only bits that are set are gone through. There
    /// is no branch a row, which would be guessed wrongly too often.
    pub fn deal(
        &mut self,
        rows: Range<usize>,
        epoch: u8,
        [width, still_width]: [usize; 2],
        rests: &[u8],
        n_segments: usize,
        random: &mut impl Rng,
    ) {
        let Self { kinds, shares } = self;
        kinds.iter_mut().for_each(Kind::clear);
        shares.clear();
        let block_rows = rows.len().div_ceil(n_segments).next_multiple_of(WORD_ROWS);
        for block in (0..n_segments).map(|k| rows.start + k * block_rows) {
            let before = [0, 1].map(|of| (kinds[of].buckets.len(), kinds[of].n_rows));
            let [moving, still] = &mut *kinds;
            for start in (block..rows.end.min(block + block_rows)).step_by(WORD_ROWS) {
                let (mut own, end) = ([0; WORD_ROWS], rows.end.min(start + WORD_ROWS));
                match rests.get(start..end) {
                    Some(rests) => own[..rests.len()].copy_from_slice(rests),
                    None => own[..end - start].fill(1),
                }
                let start = start as u32;
                moving.append_set(bits(|k| own[k] == 1), start, width);
                still.append_set(bits(|k| own[k] > 1 && is_due(epoch, start + k as u32, own[k])), start, still_width);
            }
            shares.push([0, 1].map(|of| {
                let (Kind { buckets, n_rows }, (first, rows_before)) = (&kinds[of], before[of]);
                Share { buckets: first..buckets.len(), n_rows: n_rows - rows_before }
            }));
        }
        shares.shuffle(random);
    }

    /// How many rows segment k gets.
    pub fn n_rows(&self, k: usize) -> usize {
        self.shares[k].iter().map(|share| share.n_rows).sum()
    }
}

/// A segment of the epoch: what it was dealt, of either kind.
#[derive(Debug, Default)]
pub(super) struct Segment([Kind; 2]);

impl Segment {
    /// Shuffles what the pieces have dealt to segment k into these places: a stretch of one kind, a stretch of either kind, and
    /// so on, as chance will have it, but so that both last to the end.
    pub fn fill(&mut self, pieces: &[Piece], k: usize, rows: &mut [u32], random: &mut impl Rng) {
        let Self(kinds) = self;
        for (of, kind) in kinds.iter_mut().enumerate() {
            kind.clear();
            for Piece { kinds, shares } in pieces {
                let Share { buckets, n_rows } = &shares[k][of];
                kind.buckets.extend_from_slice(&kinds[of].buckets[buckets.clone()]);
                kind.n_rows += n_rows;
            }
            kind.buckets.shuffle(random);
        }
        let [mut moving, mut still] = [&kinds[0], &kinds[1]].map(|kind| kind.buckets.chunks(kind.stretch()));
        let (mut place, mut n_moving) = (0, kinds[0].n_rows);
        while place < rows.len() {
            let start = place;
            if random.random_range(0..rows.len() - place) < n_moving {
                for bucket in moving.next().unwrap_or_default() {
                    place = bucket.write_to(rows, place);
                }
                n_moving -= place - start;
            } else {
                for bucket in still.next().unwrap_or_default() {
                    place = bucket.write_to(rows, place);
                }
            }
        }
    }
}

/// The first n, of which an order of more rows may have left more: their memory is kept.
pub(super) fn first<T: Default>(all: &mut Vec<T>, n: usize) -> &mut [T] {
    all.resize_with(n.max(all.len()), T::default);
    &mut all[..n]
}

/// Whether row i, which is visited in every `rest`-th epoch, is visited in this one: neighbours in the same, so that they are
/// read together. All that counts are the lowest bits.
#[inline(always)]
pub(super) fn is_due(epoch: u8, i: u32, rest: u8) -> bool {
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
