//! RR, Hogwild!'s first baseline (Langford, Smola and Zinkevich, Slow learners are fast, NIPS 2009): workers decide at the
//! same time, but write strictly in turn, row after row. With T workers a step is decided on weights that lack at most the
//! last T - 1 steps.

use std::cell::Cell;

use crossbeam::utils::{Backoff, CachePadded};

use crate::strategy::{Job, Pass};
use crate::sync::{AtomicUsize, Float, Ordering};
use crate::update::Update;
use crate::weights::Shared;

/// Writes in turn.
#[derive(Debug)]
pub struct RoundRobin;

impl<F: Float, U: Update<F>> Pass<F, U> for RoundRobin {
    type Memory = Shared<F>;

    fn pass(&mut self, Job { problem, team, order, watch }: Job<'_>, update: &U, shared: &mut Shared<F>, step_size: F) {
        let (n_workers, shared) = (team.n_workers(), &*shared);
        let turn = CachePadded::new(AtomicUsize::new(0));
        team.each(|worker| {
            let intercept = Cell::new(F::ZERO);
            let w = shared.view::<false>(&intercept);
            for (place, visit) in order.visits(0..order.n_visits()).enumerate().skip(worker).step_by(n_workers) {
                let (mut decision, seen) = (F::ZERO, watch.reads(worker));
                shared.with_intercept(&intercept, || decision = update.decide(problem, visit.row, w));
                let backoff = Backoff::new();
                // Acquire: the steps before mine are seen whole before I add mine.
                while turn.load(Ordering::Acquire) != place {
                    if team.cancelled() {
                        return;
                    }
                    backoff.snooze();
                }
                shared.with_intercept(&intercept, || update.apply(problem, visit, w, decision, step_size));
                watch.wrote(worker, seen);
                turn.store(place + 1, Ordering::Release); // Release: what I wrote goes with the turn
            }
        });
    }
}
