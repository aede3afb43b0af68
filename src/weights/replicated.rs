//! A shared vector of which every worker keeps a copy of the hot part.
//!
//! A cache line last written by another core costs as much as dozens of additions to one's own, and where features are hot
//! every line is such a line. So the *head*, the features in many rows, is private to each worker, who merges what he
//! changed into the shared head now and then; the *tail*, in which two workers seldom meet, is shared as it is, with plain
//! loads and stores. Features are numbered by falling frequency, so the head is a range and comes first in every row.
//!
//! A merge holds a lock for as long as it takes to run through the head twice. Nobody waits for it: who finds it taken goes on
//! with his rows and asks again later.

use std::cell::Cell as Private;

use crossbeam::utils::CachePadded;

use crate::sync::{Cell, Float, Mutex, MutexGuard, set_values, zeros};
use crate::weights::shared::publish;
use crate::weights::{Memory, Weights};

/// The head that all workers' changes come together in.
#[derive(Debug, Default)]
pub struct Head<F> {
    weights: Vec<F>,
    /// How many merges there have been.
    merges: u64,
}

/// Owns the weights: the shared head and the tail.
pub struct Replicated<F: Float> {
    head: Mutex<Head<F>>,
    tail: Vec<F::Cell>,
    intercept: CachePadded<F::Cell>,
}

/// A worker's private copy of the head, and the shared head as it was when they were last the same.
#[derive(Debug, Default)]
pub struct Replica<F> {
    own: Vec<F>,
    common: Vec<F>,
    merges: u64,
}

/// What a worker has changed since the last merge, next to what the others have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meeting {
    /// own change · the others' change.
    pub overlap: f64,
    /// |own change|^2.
    pub length: f64,
}

impl<F: Float> Replicated<F> {
    /// Sets how many of the weights are the head. Called while no worker runs.
    pub fn set_head(&mut self, n: usize) {
        let (weights, _) = self.load();
        let head = self.head.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        head.weights = weights[..n].to_vec();
        self.tail = weights[n..].iter().map(|&w_j| F::Cell::new(w_j)).collect();
    }

    /// Brings a replica up to the shared head, whatever it was.
    pub fn refresh(&self, replica: &mut Replica<F>) {
        let head = self.lock();
        replica.own.clone_from(&head.weights);
        replica.common.clone_from(&head.weights);
        replica.merges = head.merges;
    }

    /// Merges a replica's changes, scaled by what `scale` makes of the meeting: both heads are the sum afterwards. Returns
    /// the scale, or `None` if another worker was at it and `wait` is not asked for.
    pub fn merge(&self, replica: &mut Replica<F>, wait: bool, scale: impl FnOnce(Meeting) -> F) -> Option<F> {
        let mut head = if wait { self.lock() } else { self.head.try_lock().ok()? };
        let Replica { own, common, merges } = replica;
        let scale = if head.merges == *merges {
            head.weights.copy_from_slice(own); // nobody else was here: the very numbers, without rounding
            F::ONE
        } else {
            let scale = scale(meeting(&head.weights, common, own));
            for ((w_j, common), own) in head.weights.iter_mut().zip(&*common).zip(&*own) {
                *w_j += scale * (*own - *common);
            }
            own.copy_from_slice(&head.weights);
            scale
        };
        common.copy_from_slice(own);
        head.merges += 1;
        *merges = head.merges;
        Some(scale)
    }

    fn lock(&self) -> MutexGuard<'_, Head<F>> {
        self.head.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// A worker's view; `intercept` is the worker's own copy.
    pub fn view<'a>(&'a self, replica: &'a mut Replica<F>, intercept: &'a Private<F>) -> ReplicaView<'a, F> {
        ReplicaView { head: Private::from_mut(replica.own.as_mut_slice()).as_slice_of_cells(), tail: &self.tail, intercept }
    }

    /// Lets one worker work on the shared head itself, while no other is at work: nothing to copy, nothing to merge.
    pub fn alone<T>(&self, intercept: &Private<F>, work: impl FnOnce(ReplicaView<'_, F>) -> T) -> T {
        let mut head = self.lock();
        head.merges += 1;
        let head = Private::from_mut(head.weights.as_mut_slice()).as_slice_of_cells();
        work(ReplicaView { head, tail: &self.tail, intercept })
    }

    /// As [`crate::weights::Shared::with_intercept`].
    pub fn with_intercept(&self, copy: &Private<F>, work: impl FnOnce()) {
        publish::<F>(&self.intercept, copy, work);
    }
}

/// Many sums side by side, each over few enough terms for the weights' own precision.
fn meeting<F: Float>(shared: &[F], common: &[F], own: &[F]) -> Meeting {
    const LANES: usize = 16;
    const BLOCK: usize = 64 * LANES;
    let mut met = Meeting { overlap: 0.0, length: 0.0 };
    for ((shared, common), own) in shared.chunks(BLOCK).zip(common.chunks(BLOCK)).zip(own.chunks(BLOCK)) {
        let (mut overlap, mut length) = ([F::ZERO; LANES], [F::ZERO; LANES]);
        for ((shared, common), own) in shared.chunks(LANES).zip(common.chunks(LANES)).zip(own.chunks(LANES)) {
            for (k, ((&shared, &common), &own)) in shared.iter().zip(common).zip(own).enumerate() {
                let change = own - common;
                overlap[k] += change * (shared - common);
                length[k] += change * change;
            }
        }
        met.overlap += overlap.iter().map(|sum| sum.to_f64()).sum::<f64>();
        met.length += length.iter().map(|sum| sum.to_f64()).sum::<f64>();
    }
    met
}

impl<F: Float> Memory<F> for Replicated<F> {
    /// All of them tail until [`Replicated::set_head`].
    fn zeros(n: usize) -> Self {
        Self { head: Mutex::default(), tail: zeros::<F>(n), intercept: F::Cell::new(F::ZERO).into() }
    }
    fn load_into(&self, weights: &mut Vec<F>) {
        weights.clone_from(&self.lock().weights);
        weights.extend(self.tail.iter().map(Cell::get));
    }
    fn intercept(&self) -> F {
        self.intercept.get()
    }
    fn store(&mut self, weights: &[F], intercept: F) {
        let head = self.head.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (first, rest) = weights.split_at(head.weights.len());
        head.weights.copy_from_slice(first);
        set_values(&self.tail, rest);
        self.intercept.set(intercept);
    }
}

/// A worker's view of [`Replicated`] weights.
pub struct ReplicaView<'a, F: Float> {
    head: &'a [Private<F>],
    tail: &'a [F::Cell],
    intercept: &'a Private<F>,
}

impl<F: Float> Clone for ReplicaView<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F: Float> Copy for ReplicaView<'_, F> {}

impl<F: Float> Weights<F> for ReplicaView<'_, F> {
    #[inline(always)]
    fn get(self, j: usize) -> F {
        match self.head.get(j) {
            Some(cell) => cell.get(),
            None => self.tail[j - self.head.len()].get(),
        }
    }
    #[inline(always)]
    fn add_with(self, j: usize, change: impl FnOnce(F) -> F) {
        match self.head.get(j) {
            Some(cell) => cell.set(cell.get() + change(cell.get())),
            None => {
                let cell = &self.tail[j - self.head.len()];
                let w_j = cell.get();
                cell.set(w_j + change(w_j));
            }
        }
    }
    /// A row's features rise: where the last one is private, all are, and one look at it tells.
    #[inline(always)]
    fn get_four(self, features: [u32; 4]) -> [F; 4] {
        match self.head.get(..=features[3] as usize) {
            Some(head) => features.map(|j| head[j as usize].get()),
            None => features.map(|j| self.get(j as usize)),
        }
    }
    #[inline(always)]
    fn add_four(self, features: [u32; 4], changes: [F; 4]) {
        match self.head.get(..=features[3] as usize) {
            Some(head) => {
                for (j, change) in features.into_iter().zip(changes) {
                    let cell = &head[j as usize];
                    cell.set(cell.get() + change);
                }
            }
            None => {
                for (j, change) in features.into_iter().zip(changes) {
                    self.add_with(j as usize, |_| change);
                }
            }
        }
    }
    fn intercept_cell(&self) -> &Private<F> {
        self.intercept
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::threads::Team;

    #[test]
    fn changes_of_many_workers_come_together_whole() {
        let team = Team::new(4, false).expect("threads");
        for round in 0..200 {
            let mut shared = Replicated::<f64>::zeros(5);
            shared.set_head(3);
            let shared = &shared;
            team.each(|worker| {
                let (mut replica, intercept) = (Replica::default(), Private::new(0.0));
                shared.refresh(&mut replica);
                for step in 0..40 {
                    shared.view(&mut replica, &intercept).add_with(step % 3, |_| 1.0);
                    if (step + worker + round) % 7 == 0 {
                        shared.merge(&mut replica, false, |_| 1.0);
                    }
                }
                shared.merge(&mut replica, true, |_| 1.0);
            });
            assert_eq!(shared.load().0, [56.0, 52.0, 52.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn a_merge_knows_what_met_and_takes_only_its_share() {
        let mut shared = Replicated::<f32>::zeros(40);
        shared.set_head(40);
        let (mut mine, mut yours, none) = (Replica::default(), Replica::default(), Private::new(0.0));
        shared.refresh(&mut mine);
        shared.refresh(&mut yours);
        shared.view(&mut mine, &none).add_with(0, |_| 2.0);
        shared.view(&mut mine, &none).add_with(39, |_| 1.0);
        shared.view(&mut yours, &none).add_with(39, |_| 3.0);
        assert_eq!(shared.merge(&mut yours, true, |_| panic!("nobody else was here")), Some(1.0));
        let merged = shared.merge(&mut mine, true, |met| {
            assert_eq!(met, Meeting { overlap: 3.0, length: 5.0 });
            0.5
        });
        assert_eq!(merged, Some(0.5));
        let (weights, _) = shared.load();
        assert_eq!((weights[0], weights[39]), (1.0, 3.5));
        assert_eq!(shared.view(&mut mine, &none).get(39), 3.5);
        assert_eq!(shared.view(&mut yours, &none).get(39), 3.0, "a replica hears of others when it merges");
    }

    #[test]
    fn head_and_tail_are_one_vector() {
        let mut shared = Replicated::<f32>::zeros(4);
        shared.store(&[1.0, 2.0, 3.0, 4.0], 0.5);
        for n in [2, 4, 0, 3] {
            shared.set_head(n);
            assert_eq!(shared.load(), (vec![1.0, 2.0, 3.0, 4.0], 0.5));
            let (mut replica, none) = (Replica::default(), Private::new(0.0));
            shared.refresh(&mut replica);
            let w = shared.view(&mut replica, &none);
            assert_eq!((0..4).map(|j| w.get(j)).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
        }
    }
}
