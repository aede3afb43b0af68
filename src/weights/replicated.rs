//! A shared vector of which every worker keeps a copy of the frequent part.
//!
//! A cache line last written by another core costs as much as dozens of additions to one's own, and where features are hot
//! every line is such a line. So the *head*, the features in many rows, is private to each worker, who merges what he
//! changed into the shared head now and then; the *tail*, in which two workers seldom meet, is shared as it is, with plain
//! loads and stores. Features are numbered by falling frequency, so the head is a range and comes first in every row.
//!
//! The first few hundred features of the head are *hot*: it is in them that workers get into each other's way. They are merged
//! many times while the others, which are *warm*, are merged once.
//!
//! A merge holds a lock for as long as it takes to run through its features twice. Nobody waits for it: who finds it taken goes
//! on with his rows and asks again later.

use std::cell::Cell as Private;

use crossbeam::utils::CachePadded;

use crate::data::{Row, prefetch};
use crate::sync::{Cell, Float, Mutex, MutexGuard, set_values, values, zeros};
use crate::weights::meeting::{Meeting, add_change};
use crate::weights::shared::publish;
use crate::weights::{Memory, Weights};

/// Which features of the head?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The first of them, the most frequent: merged often.
    Hot,
    /// The others: merged seldom.
    Warm,
}

/// Weights that all workers' changes come together in.
#[derive(Debug, Default)]
pub struct Common<F> {
    weights: Vec<F>,
    /// How many merges there have been.
    merges: u64,
}

/// Owns the weights: the shared head, in two levels, and the tail.
pub struct Replicated<F: Float> {
    hot: Mutex<Common<F>>,
    /// As long as the head, so that who is alone has one slice to work on; the hot weights in it are not up to date.
    warm: Mutex<Common<F>>,
    n_hot: usize,
    /// Room for all weights, of which the head's are not up to date.
    tail: Vec<F::Cell>,
    intercept: CachePadded<F::Cell>,
}

/// A worker's private copy of the head, and the shared head as it was when they were last the same.
#[derive(Debug, Default)]
pub struct Replica<F> {
    own: Vec<F>,
    common: Vec<F>,
    /// Of each level.
    merges: [u64; 2],
}

impl<F: Float> Replicated<F> {
    /// Sets how many of the weights are hot, and how many are the head. Called while no worker runs.
    pub fn set_head(&mut self, n_hot: usize, n_head: usize) {
        let (hot, warm) = (owned(&mut self.hot), owned(&mut self.warm));
        set_values(&self.tail[..warm.weights.len()], &warm.weights);
        set_values(&self.tail[..hot.weights.len()], &hot.weights);
        hot.weights = values(&self.tail[..n_hot]);
        warm.weights = values(&self.tail[..n_head]);
        self.n_hot = n_hot;
    }

    /// Brings a replica up to the shared head, whatever it was.
    pub fn refresh(&self, replica: &mut Replica<F>) {
        let Replica { own, common, merges } = replica;
        let (hot, warm) = (lock(&self.hot), lock(&self.warm));
        own.resize(warm.weights.len(), F::ZERO);
        common.resize(warm.weights.len(), F::ZERO);
        copy_twice(&warm.weights, own, common);
        copy_twice(&hot.weights, &mut own[..self.n_hot], &mut common[..self.n_hot]);
        *merges = [hot.merges, warm.merges];
    }

    /// Merges a replica's changes of one level, scaled by what `scale` makes of the meeting: both heads are the sum
    /// afterwards. Returns the scale and the meeting, or `None` if another worker was at it and `wait` is not asked for.
    pub fn merge(
        &self,
        level: Level,
        replica: &mut Replica<F>,
        wait: bool,
        scale: impl FnOnce(Meeting) -> F,
    ) -> Option<(F, Meeting)> {
        let (shared, features, start) = match level {
            Level::Hot => (&self.hot, 0..self.n_hot, 0),
            Level::Warm => (&self.warm, self.n_hot..replica.own.len(), self.n_hot),
        };
        let mut shared = if wait { lock(shared) } else { shared.try_lock().ok()? };
        let Common { weights, merges } = &mut *shared;
        let weights = &mut weights[start..];
        let (own, common) = (&mut replica.own[features.clone()], &mut replica.common[features]);
        let seen = &mut replica.merges[level as usize];
        let merged = if merges == seen {
            // Nobody else was here: the very numbers, without rounding.
            copy_twice(own, weights, common);
            (F::ONE, Meeting { overlap: 0.0, length: 0.0 })
        } else {
            // Most changes are taken whole: so they are added before it is known.
            let met = add_change(weights, common, own);
            let scale = scale(met);
            if scale != F::ONE {
                for ((w_j, common), own) in weights.iter_mut().zip(&*common).zip(&*own) {
                    *w_j += (scale - F::ONE) * (*own - *common);
                }
            }
            copy_twice(weights, own, common);
            (scale, met)
        };
        *merges += 1;
        *seen = *merges;
        Some(merged)
    }

    /// A worker's view; `intercept` is the worker's own copy.
    pub fn view<'a>(&'a self, replica: &'a mut Replica<F>, intercept: &'a Private<F>) -> ReplicaView<'a, F> {
        ReplicaView { head: Private::from_mut(replica.own.as_mut_slice()).as_slice_of_cells(), tail: &self.tail, intercept }
    }

    /// Lets one worker work on the shared head itself, while no other is at work: nothing to copy but the hot weights, nothing
    /// to merge.
    pub fn alone<T>(&self, intercept: &Private<F>, work: impl FnOnce(ReplicaView<'_, F>) -> T) -> T {
        let (mut hot, mut warm) = (lock(&self.hot), lock(&self.warm));
        hot.merges += 1;
        warm.merges += 1;
        warm.weights[..self.n_hot].copy_from_slice(&hot.weights);
        let head = Private::from_mut(warm.weights.as_mut_slice()).as_slice_of_cells();
        let done = work(ReplicaView { head, tail: &self.tail, intercept });
        hot.weights.copy_from_slice(&warm.weights[..self.n_hot]);
        done
    }

    /// As [`crate::weights::Shared::with_intercept`].
    pub fn with_intercept(&self, copy: &Private<F>, work: impl FnOnce()) {
        publish::<F>(&self.intercept, copy, work);
    }
}

fn lock<F>(common: &Mutex<Common<F>>) -> MutexGuard<'_, Common<F>> {
    common.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What nobody else can hold at the moment.
fn owned<F>(common: &mut Mutex<Common<F>>) -> &mut Common<F> {
    common.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Slices of one length.
fn copy_twice<F: Float>(from: &[F], first: &mut [F], second: &mut [F]) {
    for ((&from, first), second) in from.iter().zip(first).zip(second) {
        (*first, *second) = (from, from);
    }
}

impl<F: Float> Memory<F> for Replicated<F> {
    /// All of them tail until [`Replicated::set_head`].
    fn zeros(n: usize) -> Self {
        Self {
            hot: Mutex::default(),
            warm: Mutex::default(),
            n_hot: 0,
            tail: zeros::<F>(n),
            intercept: F::Cell::new(F::ZERO).into(),
        }
    }
    fn load_into(&self, weights: &mut Vec<F>) {
        let (hot, warm) = (lock(&self.hot), lock(&self.warm));
        weights.clone_from(&warm.weights);
        weights[..self.n_hot].copy_from_slice(&hot.weights);
        weights.extend(self.tail[warm.weights.len()..].iter().map(Cell::get));
    }
    fn intercept(&self) -> F {
        self.intercept.get()
    }
    fn store(&mut self, weights: &[F], intercept: F) {
        let warm = owned(&mut self.warm);
        let (first, rest) = weights.split_at(warm.weights.len());
        warm.weights.copy_from_slice(first);
        owned(&mut self.hot).weights.copy_from_slice(&first[..self.n_hot]);
        set_values(&self.tail[first.len()..], rest);
        self.intercept.set(intercept);
    }
}

/// A worker's view of [`Replicated`] weights.
pub struct ReplicaView<'a, F: Float> {
    head: &'a [Private<F>],
    tail: &'a [F::Cell],
    intercept: &'a Private<F>,
}

impl<F: Float> ReplicaView<'_, F> {
    /// Asks for a row's weights of the tail: another core may have written them last, and their way is long.
    #[inline(always)]
    pub fn prefetch_tail(self, row: Row<'_>) {
        // A row's features rise, so they are its last.
        for &j in row.indices.iter().rev().take_while(|&&j| j as usize >= self.head.len()) {
            prefetch(self.tail, j as usize);
        }
    }
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
            None => self.tail[j].get(),
        }
    }
    #[inline(always)]
    fn add_with(self, j: usize, change: impl FnOnce(F) -> F) {
        match self.head.get(j) {
            Some(cell) => cell.set(cell.get() + change(cell.get())),
            None => {
                let cell = &self.tail[j];
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
            None => {
                let [first, second, third, fourth] = features; // a closure over `self` would put it on the stack, every time
                [self.get(first as usize), self.get(second as usize), self.get(third as usize), self.get(fourth as usize)]
            }
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
            shared.set_head(round % 4, 3);
            let shared = &shared;
            team.each(|worker| {
                let (mut replica, intercept) = (Replica::default(), Private::new(0.0));
                shared.refresh(&mut replica);
                for step in 0..40 {
                    shared.view(&mut replica, &intercept).add_with(step % 3, |_| 1.0);
                    if (step + worker + round) % 7 == 0 {
                        shared.merge(Level::Warm, &mut replica, false, |_| 1.0);
                    }
                    if (step + worker + round) % 3 == 0 {
                        shared.merge(Level::Hot, &mut replica, false, |_| 1.0);
                    }
                }
                for level in [Level::Hot, Level::Warm] {
                    shared.merge(level, &mut replica, true, |_| 1.0);
                }
            });
            assert_eq!(shared.load().0, [56.0, 52.0, 52.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn a_merge_knows_what_met_and_takes_only_its_share() {
        for level in [Level::Hot, Level::Warm] {
            let mut shared = Replicated::<f32>::zeros(90);
            // The same 40 features, as either level.
            let (n_hot, n_head, first) = if level == Level::Hot { (40, 90, 0) } else { (50, 90, 50) };
            shared.set_head(n_hot, n_head);
            let (mut mine, mut yours, none) = (Replica::default(), Replica::default(), Private::new(0.0));
            shared.refresh(&mut mine);
            shared.refresh(&mut yours);
            (0..90).for_each(|j| shared.view(&mut mine, &none).add_with(j, |_| if j == first { 2.0 } else { 0.0 }));
            shared.view(&mut mine, &none).add_with(first + 39, |_| 1.0);
            shared.view(&mut yours, &none).add_with(first + 39, |_| 3.0);
            let (scale, _) = shared.merge(level, &mut yours, true, |_| panic!("nobody else was here")).expect("a merge");
            assert_eq!(scale, 1.0);
            let merged = shared.merge(level, &mut mine, true, |_| 0.5);
            assert_eq!(merged, Some((0.5, Meeting { overlap: 3.0, length: 5.0 })));
            let (weights, _) = shared.load();
            assert_eq!((weights[first], weights[first + 39]), (1.0, 3.5));
            assert_eq!(shared.view(&mut mine, &none).get(first + 39), 3.5);
            assert_eq!(shared.view(&mut yours, &none).get(first + 39), 3.0, "a replica hears of others when it merges");
        }
    }

    #[test]
    fn a_refreshed_replica_has_what_anybody_wrote() {
        let mut shared = Replicated::<f32>::zeros(50);
        shared.set_head(20, 45);
        let (mut mine, mut yours, none) = (Replica::default(), Replica::default(), Private::new(0.0));
        shared.refresh(&mut mine);
        let up_to_date = |shared: &Replicated<f32>, replica: &mut Replica<f32>| {
            shared.refresh(replica);
            let (weights, w) = (shared.load().0, shared.view(replica, &none));
            assert!((0..50).all(|j| w.get(j) == weights[j]), "{weights:?}");
            assert_eq!((&replica.common, weights.iter().sum()), (&replica.own, weights[0] * 50.0));
        };
        // Another one merges one level, and then the other.
        for level in [Level::Hot, Level::Warm] {
            shared.refresh(&mut yours);
            let features = if level == Level::Hot { 0..20 } else { 20..45 };
            features.for_each(|j| shared.view(&mut yours, &none).add_with(j, |_| 1.0));
            shared.merge(level, &mut yours, true, |_| 1.0).expect("a merge");
            shared.refresh(&mut mine);
            assert_eq!((mine.own[0], mine.own[44]), (1.0, if level == Level::Hot { 0.0 } else { 1.0 }));
        }
        (45..50).for_each(|j| shared.view(&mut yours, &none).add_with(j, |_| 1.0));
        up_to_date(&shared, &mut mine);
        // One who was alone, and who owns it.
        shared.alone(&none, |w| (0..50).for_each(|j| w.add_with(j, |_| 1.0)));
        up_to_date(&shared, &mut mine);
        shared.store(&[7.0; 50], 0.0);
        up_to_date(&shared, &mut mine);
        up_to_date(&shared, &mut yours);
    }

    #[test]
    fn hot_warm_and_tail_are_one_vector() {
        let mut shared = Replicated::<f32>::zeros(4);
        shared.store(&[1.0, 2.0, 3.0, 4.0], 0.5);
        for (n_hot, n_head) in [(0, 2), (2, 4), (0, 0), (3, 3), (1, 2)] {
            shared.set_head(n_hot, n_head);
            assert_eq!(shared.load(), (vec![1.0, 2.0, 3.0, 4.0], 0.5));
            let (mut replica, none) = (Replica::default(), Private::new(0.0));
            shared.refresh(&mut replica);
            let w = shared.view(&mut replica, &none);
            assert_eq!((0..4).map(|j| w.get(j)).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
            shared.alone(&none, |w| (0..4).for_each(|j| w.add_with(j, |w_j| w_j)));
            assert_eq!(shared.load().0, [2.0, 4.0, 6.0, 8.0]);
            // As another head's they are still there.
            shared.set_head(1, 3);
            assert_eq!(shared.load().0, [2.0, 4.0, 6.0, 8.0], "{n_hot}, {n_head}");
            shared.store(&[1.0, 2.0, 3.0, 4.0], 0.5);
        }
    }
}
