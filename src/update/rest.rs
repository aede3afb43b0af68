//! How long may a row be left alone?
//!
//! Most rows of a classification task end at a bound (a_i = 0, far on the right side), and a visit changes nothing. How long such
//! a row may be left alone depends on its slack, how far its score is from where a visit would move it, and on the drift, how
//! far scores move in an epoch: that is what the rows that do move are off at each visit, and their shares of the gap tell it.
//! A row is visited in every 2^k-th epoch only, at most every 64th, where its slack is [`SLACKS`] of the drift; the first visit
//! that moves it wakes it up.
//!
//! This is the shrinking of LIBLINEAR (Hsieh, Chang, Lin, Keerthi and Sundararajan, ICML 2008), which has such a threshold too,
//! without its end game: no row is ever given up, so nothing has to be taken back.

use rayon::prelude::*;

use crate::data::prefetch;
use crate::sync::{AtomicU8, Cell, Float, Ordering, sole};

/// A row rests 2, 4, .. 64 epochs from where its score may go so many drifts before a visit would move it.
const SLACKS: [f64; 6] = [0.5, 1.0, 1.5, 2.5, 4.0, 6.0];
/// The longest rest.
pub(super) const LONGEST: u8 = 1 << SLACKS.len();
/// How far a score is taken to move in the first epoch: it starts at 0, and ends about where a margin is.
pub(super) const FIRST_DRIFT: f64 = 1.0;
/// Sums that run side by side, so that one addition need not wait for the last.
const LANES: usize = 8;
/// Rows that are looked at together.
const WORD_ROWS: usize = 64;
/// Rows in one piece of a sum: borders that do not depend on the number of workers. Of fewer, the lines that another core must
/// fetch, and that come back, cost more than they save: pieces of 16,384 take 1.01 to 1.04 of the time on debian-libraries.
const CHUNK: usize = 1 << 16;

/// For how many epochs a row that a visit has not moved is left alone.
#[inline(always)]
pub(super) fn epochs(slack: f64, drift: f64) -> u8 {
    1 << SLACKS.iter().map(|&n| u8::from(slack > n * drift)).sum::<u8>()
}

/// How far the score of a row that moves is moved by the others from one visit to the next, where `n_moving` rows add `gap` to
/// n (P(w) - D(a)).
///
/// A row inside of its domain that is off by z adds |z| or less, half of it in the mean; where the loss is smooth,
/// smoothness/2 z^2, of which a few large ones make the root twice what is typical.
pub(super) fn drift(gap: f64, n_moving: usize, smoothness: Option<f64>) -> f64 {
    let mean = gap.max(0.0) / n_moving.max(1) as f64; // not below 0 by rounding
    smoothness.map_or(2.0 * mean, |smoothness| (2.0 * mean / smoothness).sqrt() / 2.0)
}

/// What a row adds to n P(w) and to n (P(w) - D(a)), as its last visit saw it. (Of an l1 penalty only half is in it: the penalty
/// is taken for (v·w)/2, v = (1/n) sum_i a_i x_i.)
pub(super) struct Share<F: Float> {
    pub objective: F::Cell,
    pub gap: F::Cell,
}

/// What all of them add to either; parallel on the current rayon pool.
pub(super) fn sums<F: Float>(shares: &mut [Share<F>]) -> [f64; 2] {
    let piece = |shares: &mut [Share<F>]| {
        let mut sums = [[0.0; 2]; LANES];
        let add = |sums: &mut [[f64; 2]], shares: &mut [Share<F>]| {
            for (sum, share) in sums.iter_mut().zip(shares) {
                sum[0] += share.objective.sole().to_f64();
                sum[1] += share.gap.sole().to_f64();
            }
        };
        let (eights, others) = shares.as_chunks_mut::<LANES>();
        eights.iter_mut().for_each(|eight| add(&mut sums, eight));
        add(&mut sums, others);
        [0, 1].map(|k| sums.iter().map(|sum| sum[k]).sum())
    };
    let sums: Vec<[f64; 2]> = shares.par_chunks_mut(CHUNK).map(piece).collect();
    [0, 1].map(|k| sums.iter().map(|sum| sum[k]).sum())
}

/// Row i is visited in every so-manyth pass over all rows: a power of 2, or 0 for one that is in the working set.
#[derive(Default)]
pub(super) struct Rests(Vec<AtomicU8>);

impl Rests {
    /// Of so many rows, none of which rests.
    pub fn new(n_rows: usize) -> Self {
        Self((0..n_rows).map(|_| AtomicU8::new(1)).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    pub fn get(&self, i: usize) -> u8 {
        self.0[i].load(Ordering::Relaxed)
    }

    /// Those of all rows.
    pub fn bytes(&mut self) -> Vec<u8> {
        self.0.iter_mut().map(sole).collect()
    }

    #[inline(always)]
    pub fn set(&self, i: usize, rest: u8) {
        self.0[i].store(rest, Ordering::Relaxed);
    }

    #[inline(always)]
    pub fn prefetch(&self, i: usize) {
        prefetch(&self.0, i);
    }

    /// Makes this of every rest.
    pub fn change(&mut self, to: impl Fn(u8) -> u8) {
        self.0.iter_mut().for_each(|rest| *rest = AtomicU8::new(to(sole(rest))));
    }

    pub fn push(&mut self, rest: u8) {
        self.0.push(AtomicU8::new(rest));
    }

    /// Of how many rows this is so.
    pub fn count(&mut self, is_so: impl Fn(u8) -> bool) -> usize {
        // A byte counts to 255, and many of them at once.
        let piece = |rests: &mut [AtomicU8]| rests.iter_mut().map(|rest| u8::from(is_so(sole(rest)))).sum::<u8>();
        self.0.chunks_mut(255).map(|rests| usize::from(piece(rests))).sum()
    }

    /// The rows of which this is so; fast where it is so of few.
    pub fn rows_where(&mut self, is_so: impl Fn(u8) -> bool) -> Vec<u32> {
        let mut rows = Vec::new();
        for (k, rests) in self.0.chunks_mut(WORD_ROWS).enumerate() {
            if rests.iter_mut().fold(false, |any, rest| any | is_so(sole(rest))) {
                let so = (0..rests.len()).filter(|&i| is_so(sole(&mut rests[i])));
                rows.extend(so.map(|i| (k * WORD_ROWS + i) as u32));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_rests_longer_the_farther_it_is_from_moving_and_not_at_all_where_that_is_not_known() {
        let rests = [0.0, 0.4, 0.6, 1.2, 2.0, 3.0, 5.0, 7.0, f64::INFINITY].map(|slack| epochs(2.0 * slack, 2.0));
        assert_eq!(rests, [1, 1, 2, 4, 8, 16, 32, 64, 64]);
        assert_eq!(LONGEST, 64);
        // Nothing moves any more; nobody knows how far scores move.
        assert_eq!([epochs(0.0, 0.0), epochs(0.1, 0.0), epochs(0.1, f64::NAN), epochs(0.1, f64::INFINITY)], [1, 64, 1, 1]);
    }

    #[test]
    fn the_drift_is_what_moving_rows_are_off() {
        assert_eq!(drift(30.0, 100, None), 0.6);
        assert_eq!(drift(100.0 * 0.04, 100, Some(2.0)), 0.1);
        assert_eq!([drift(-1e-18, 3, Some(2.0)), drift(0.0, 0, None)], [0.0, 0.0]);
    }

    #[test]
    fn shares_of_many_rows_are_summed_whole() {
        let share =
            |i: usize| Share::<f32> { objective: <f32 as Float>::Cell::new(1.0), gap: <f32 as Float>::Cell::new(i as f32) };
        let mut shares: Vec<_> = (0..CHUNK + 11).map(share).collect();
        let n = shares.len() as f64;
        assert_eq!(sums(&mut shares), [n, n * (n - 1.0) / 2.0]);
    }

    #[test]
    fn rows_are_found_and_counted_by_their_rest() {
        let mut rests = Rests::new(0);
        let rest = |i: usize| [1, 2, 64, 0][i * 7 % 13 % 4];
        for n in 0..1000 {
            let so: Vec<u32> = (0..n).filter(|&i| rest(i) > 1).map(|i| i as u32).collect();
            assert_eq!((rests.count(|rest| rest > 1), rests.rows_where(|rest| rest > 1)), (so.len(), so));
            assert_eq!(rests.bytes(), (0..n).map(rest).collect::<Vec<u8>>());
            rests.push(rest(n));
        }
        rests.change(|rest| rest / 2);
        assert_eq!(rests.bytes(), (0..1000).map(|n| rest(n) / 2).collect::<Vec<u8>>());
        assert_eq!(Rests::new(100_000).count(|rest| rest == 1), 100_000);
    }
}
