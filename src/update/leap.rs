//! A leap along the way that the last epochs have gone, as far as the dual rises.
//!
//! Near the optimum an epoch of coordinate steps is nearly the same linear map every time, and what is left of the way
//! shrinks slowest along a few directions. Two epochs show them: with a' and u' where the dual variables and the vector stood
//! at a mark, two epochs ago,
//!
//! ```text
//! a(t) = a + t (a - a')          u(t) = u + t (u - u')          t = 0, 1/2 or 1, whichever makes D(a(t)) the highest
//! ```
//!
//! D(a(t)) costs hardly a look at a row: u(t) is known, and the conjugates are those of the rows that have moved. A row whose
//! dual variable would leave its domain stays where it is, and its part is taken out of u - u'; these few are looked at. One
//! epoch settles what the leap has stirred, then the next mark is set; where no t is better than 0, later. (D is that of u as
//! it stands: where workers have lost additions it is off by as much, until u is next computed anew.)
//!
//! This is the method of parallel tangents (Shah, Buehler and Kempthorne, Some algorithms for minimizing a function of
//! several variables, J. SIAM 12, 1964) on top of coordinate ascent. Nobody leaps before the 15th epoch, by when most smooth
//! problems have ended; nor where a pull makes every epoch another problem (an intercept, no l2); nor where the features are
//! so many that u' costs more than it gives, nor where rows are read from disk.
//!
//! Measured, time with over without (one thread, hinge) to a gap of 1e-3 and of 1e-4: kdd99 0.85 and 0.70, rcv1 1.0 and 0.87,
//! debian-libraries 1.0 and 0.92, 10 million text-like non-zeros 0.95 and 0.89.

use rayon::prelude::*;

use crate::penalty::soft;
use crate::problem::Problem;
use crate::sync::{Cell, Float};
use crate::threads::Team;
use crate::update::sdca::{Example, Sdca};
use crate::update::{Tables, find_tables};
use crate::weights::Memory;

/// The first mark is set before this epoch, ...
const FIRST_MARK: u64 = 12;
/// ... the leap comes so many after its mark, ...
const MARK_TO_LEAP: u64 = 2;
/// ... the next mark one after the leap; or, if there was none, after twice as many as the last time, which are taken for so
/// many at first ...
const FIRST_PAUSE: u64 = 2;
/// ... and so many at most.
const LONGEST_PAUSE: u64 = 32;
/// The data have so many non-zeros for each feature, or nobody leaps.
const WORTH_A_MARK: usize = 16;
/// Where more than this share of the rows that have moved would leave their domains, it is too early to leap.
const MOST_STAY: f64 = 0.1;
/// The t that are tried.
const LENGTHS: [f64; 3] = [0.0, 0.5, 1.0];
/// Features in one piece of a sum: borders that do not depend on the number of workers.
const CHUNK: usize = 2048;
/// Sums that run side by side.
const LANES: usize = 8;

/// Where the dual variables and the vector stood.
pub(super) struct Mark<F> {
    /// a'; empty where nobody leaps.
    duals: Vec<F>,
    /// u'; empty where there is nothing to leap from.
    stored: Vec<F>,
    /// Room for the vector as it is now.
    now: Vec<F>,
    /// Before which epoch it was set, or will be.
    epoch: u64,
    /// Epochs between the last leap and it.
    pause: u64,
    n_features: usize,
}

impl<F: Float> Mark<F> {
    /// None yet. `steady` problems are the same in every epoch.
    pub fn new(problem: &Problem, steady: bool) -> Self {
        let n_features = problem.n_features();
        let data = problem.data();
        let worth = steady && !data.is_streamed() && data.n_nonzeros() >= WORTH_A_MARK * n_features;
        let duals = vec![F::ZERO; if worth { problem.n_rows() } else { 0 }];
        Self { duals, stored: Vec::new(), now: Vec::new(), epoch: FIRST_MARK, pause: FIRST_PAUSE, n_features }
    }

    /// For the part of an update that is a working set's: the whole leaps.
    pub fn none() -> Self {
        Self { duals: Vec::new(), stored: Vec::new(), now: Vec::new(), epoch: 0, pause: 0, n_features: 0 }
    }

    /// Where a dual variable stands that will not move before it is told again.
    pub fn note(&mut self, i: usize, dual: F) {
        if let Some(marked) = self.duals.get_mut(i) {
            *marked = dual;
        }
    }

    /// Where they all stand.
    pub fn note_all(&mut self, duals: impl Iterator<Item = F>) {
        self.duals.iter_mut().zip(duals).for_each(|(marked, dual)| *marked = dual);
    }

    /// Another is set as soon as may be.
    pub fn forget(&mut self) {
        self.stored.clear();
    }

    pub fn tables(&self) -> Tables<F> {
        let when = [self.epoch, self.pause].map(|epochs| F::from_f64(epochs as f64));
        vec![
            ("marked duals".into(), self.duals.clone()),
            ("marked vector".into(), self.stored.clone()),
            ("marked when".into(), when.to_vec()),
        ]
    }

    /// As it was saved, if the tables fit: there was something to leap from then, or there was not.
    pub fn restored(&self, tables: &Tables<F>) -> Option<Self> {
        let find = |n_features| {
            let sizes = [("marked duals", self.duals.len()), ("marked vector", n_features), ("marked when", 2)];
            find_tables(tables, sizes)
        };
        let [duals, stored, when] = find(0).or_else(|| find(self.n_features))?;
        if when.iter().any(|epochs| !(0.0..1e18).contains(&epochs.to_f64())) {
            return None;
        }
        let (duals, stored, now) = (duals.to_vec(), stored.to_vec(), Vec::new());
        let [epoch, pause] = [when[0], when[1]].map(|epochs| epochs.to_f64() as u64);
        Some(Self { duals, stored, now, epoch, pause, n_features: self.n_features })
    }
}

impl<F: Float> Sdca<F> {
    /// Sets a mark, or leaps, if it is time for either.
    pub(super) fn mark_or_leap(&mut self, epoch: u64, problem: &Problem, team: &Team, memory: &mut dyn Memory<F>) {
        if self.mark.duals.is_empty() {
            return;
        }
        if self.mark.stored.is_empty() && epoch >= self.mark.epoch {
            self.set_mark(memory);
            self.mark.epoch = epoch;
        } else if !self.mark.stored.is_empty() && epoch >= self.mark.epoch + MARK_TO_LEAP {
            let higher = team.install(|| self.leap(problem, memory));
            self.mark.forget();
            self.mark.pause = if higher { 1 } else { (2 * self.mark.pause).min(LONGEST_PAUSE) };
            self.mark.epoch = epoch + self.mark.pause;
        }
    }

    fn set_mark(&mut self, memory: &dyn Memory<F>) {
        match &self.working {
            None => self.mark.note_all(self.examples.iter().map(|example| example.dual.get())),
            Some(set) => {
                for (&i, example) in set.members.iter().zip(&set.update.examples) {
                    self.mark.note(i as usize, example.dual.get());
                }
            }
        }
        memory.load_into(&mut self.mark.stored);
    }

    /// Tells whether D has risen.
    fn leap(&mut self, problem: &Problem, memory: &mut dyn Memory<F>) -> bool {
        let Some(loss) = problem.loss().dual() else { return false };
        let Mark { duals, stored: way, now, .. } = &mut self.mark;
        // Since the mark no others have moved than those of the working set, if there is one.
        let (live, rests) =
            self.working.as_ref().map_or((&self.examples, &self.rests), |set| (&set.update.examples, &set.update.rests));
        let row = |k: usize| self.working.as_ref().map_or(k, |set| set.members[k] as usize);
        // Row and a_i - a'_i of those who leap, and of those who stay.
        let (mut leap, mut stay, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (k, example) in live.iter().enumerate() {
            let change = example.dual.get() - duals[row(k)];
            if change == F::ZERO {
                continue;
            }
            if loss.conjugate(example.after(1.0, change).to_f64(), f64::from(example.target)).is_finite() {
                leap.push((k, change));
                targets.push(example.target);
            } else {
                stay.push((k, change));
            }
        }
        if stay.len() as f64 > MOST_STAY * (leap.len() + stay.len()) as f64 {
            return false;
        }
        memory.load_into(now);
        way.par_iter_mut().zip(&*now).with_min_len(CHUNK).for_each(|(way_j, &u_j)| *way_j = u_j - *way_j);
        for (k, change) in stay {
            let back = F::from_f64(-change.to_f64() * self.scale);
            problem.rows().row(row(k)).iter().for_each(|(j, x)| way[j] += back * F::from_f32(x));
        }

        // n D(a(t)), but for what is the same for every t: the conjugates, and l2 n/2 |w|^2.
        let conjugates = LENGTHS.map(|t| {
            let duals: Vec<f64> = leap.iter().map(|&(k, change)| live[k].after(t, change).to_f64()).collect();
            loss.total_conjugate(&duals, &targets)
        });
        let squares = squares_along(now, way, self.threshold);
        let value = |k: usize| -conjugates[k] - squares[k] / (2.0 * self.scale);
        let best = (0..LENGTHS.len()).fold(0, |best, k| if value(k) > value(best) { k } else { best });
        if best == 0 {
            return false;
        }
        for (k, change) in leap {
            let example = &live[k];
            example.dual.set(example.after(LENGTHS[best], change));
            example.lag.set(F::ZERO); // the mean of an epoch that had another a_i
            rests.set(k, 1);
        }
        let t = F::from_f64(LENGTHS[best]);
        now.par_iter_mut().zip(&*way).with_min_len(CHUNK).for_each(|(u_j, &way_j)| *u_j += t * way_j);
        memory.store(now, memory.intercept());
        true
    }
}

/// |w|^2 for every t, where w_j = soft(u_j + t way_j, threshold). The sums run side by side, in an order of their own.
fn squares_along<F: Float>(now: &[F], way: &[F], threshold: F) -> [f64; LENGTHS.len()] {
    let piece = |(now, way): (&[F], &[F])| {
        let ((nows, last_now), (ways, last_way)) = (now.as_chunks::<LANES>(), way.as_chunks::<LANES>());
        LENGTHS.map(F::from_f64).map(|t| {
            let square = |(&u_j, &way_j): (&F, &F)| soft(u_j + t * way_j, threshold).to_f64().powi(2);
            let mut sums = [0.0; LANES];
            for (now, way) in nows.iter().zip(ways) {
                for (sum, pair) in sums.iter_mut().zip(now.iter().zip(way)) {
                    *sum += square(pair);
                }
            }
            sums.iter().sum::<f64>() + last_now.iter().zip(last_way).map(square).sum::<f64>()
        })
    };
    let pieces: Vec<_> = now.par_chunks(CHUNK).zip(way.par_chunks(CHUNK)).map(piece).collect();
    pieces.iter().fold([0.0; LENGTHS.len()], |sums, piece| std::array::from_fn(|k| sums[k] + piece[k]))
}

impl<F: Float> Example<F> {
    /// a + t (a - a').
    fn after(&self, t: f64, change: F) -> F {
        self.dual.get() + F::from_f64(t) * change
    }
}
