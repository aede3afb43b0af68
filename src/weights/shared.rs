//! The shared vector: one atomic cell a weight, read and written by every worker without asking the others.

use std::cell::Cell as Private;

use crossbeam::utils::CachePadded;

use crate::sync::{Cell, Float, set_values, zeros};
use crate::weights::{Memory, Weights};

/// Owns the weights that workers share.
pub struct Shared<F: Float> {
    weights: Vec<F::Cell>,
    intercept: CachePadded<F::Cell>,
}

impl<F: Float> Shared<F> {
    /// A worker's view; `intercept` is the worker's own copy. With `ATOMIC` additions are made by compare-and-swap and never
    /// lost; without, by a load and a store: when two workers add to a coordinate at once, one addition may be lost.
    pub fn view<'a, const ATOMIC: bool>(&'a self, intercept: &'a Private<F>) -> View<'a, F, ATOMIC> {
        View { weights: &self.weights, intercept }
    }

    /// Runs `work` on a fresh copy of the intercept and publishes the change that it made. Nobody's change is lost; if nobody
    /// else changed it meanwhile, the very number that `work` left is published, so that one worker does what sequential does.
    pub fn with_intercept(&self, copy: &Private<F>, work: impl FnOnce()) {
        publish::<F>(&self.intercept, copy, work);
    }
}

/// See [`Shared::with_intercept`].
pub(super) fn publish<F: Float>(intercept: &F::Cell, copy: &Private<F>, work: impl FnOnce()) {
    let before = intercept.get();
    copy.set(before);
    work();
    let after = copy.get();
    if after != before && !intercept.replace(before, after) {
        intercept.add(after - before);
    }
}

impl<F: Float> Memory<F> for Shared<F> {
    fn zeros(n: usize) -> Self {
        Self { weights: zeros::<F>(n), intercept: CachePadded::new(F::Cell::new(F::ZERO)) }
    }
    fn load_into(&self, weights: &mut Vec<F>) {
        weights.clear();
        weights.extend(self.weights.iter().map(Cell::get));
    }
    fn intercept(&self) -> F {
        self.intercept.get()
    }
    fn store(&mut self, weights: &[F], intercept: F) {
        set_values(&self.weights, weights);
        self.intercept.set(intercept);
    }
}

/// A worker's view of [`Shared`] weights.
pub struct View<'a, F: Float, const ATOMIC: bool> {
    weights: &'a [F::Cell],
    intercept: &'a Private<F>,
}

impl<F: Float, const ATOMIC: bool> Clone for View<'_, F, ATOMIC> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F: Float, const ATOMIC: bool> Copy for View<'_, F, ATOMIC> {}

impl<F: Float, const ATOMIC: bool> Weights<F> for View<'_, F, ATOMIC> {
    #[inline(always)]
    fn get(self, j: usize) -> F {
        self.weights[j].get()
    }
    #[inline(always)]
    fn add_with(self, j: usize, change: impl FnOnce(F) -> F) {
        let cell = &self.weights[j];
        let w_j = cell.get();
        if ATOMIC {
            cell.add(change(w_j));
        } else {
            cell.set(w_j + change(w_j));
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
    fn atomic_additions_are_never_lost() {
        let team = Team::new(4, false).expect("threads");
        for _ in 0..200 {
            let shared = Shared::<f32>::zeros(3);
            team.each(|_| {
                let copy = Private::new(0.0);
                shared.with_intercept(&copy, || {
                    let w = shared.view::<true>(&copy);
                    (0..300).for_each(|k| w.add_with(k % 3, |_| 1.0));
                    w.add_intercept(5.0);
                });
            });
            assert_eq!(shared.load(), (vec![400.0; 3], 20.0));
        }
    }

    #[test]
    fn wild_additions_may_be_lost_but_values_are_never_torn() {
        let team = Team::new(4, false).expect("threads");
        for _ in 0..200 {
            let shared = Shared::<f64>::zeros(1);
            team.each(|_| {
                let copy = Private::new(0.0);
                let w = shared.view::<false>(&copy);
                for _ in 0..300 {
                    w.add_with(0, |_| 1.0);
                    let seen = w.get(0);
                    assert!(seen.fract() == 0.0 && (1.0..=1200.0).contains(&seen), "{seen}");
                }
            });
            assert!(shared.load().0[0] >= 1.0);
        }
    }
}
