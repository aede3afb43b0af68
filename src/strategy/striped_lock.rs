//! AIG, Hogwild!'s second baseline: a step decides on what it reads without a lock, and locks the coordinates of its row
//! while it writes. Coordinates share [`N_STRIPES`] locks; hot features have the smallest numbers and so a lock of their own.

use std::cell::Cell;

use crate::strategy::{Job, Pass};
use crate::sync::Float;
use crate::threads::{Stripes, Ticket};
use crate::update::Update;
use crate::weights::Shared;

/// How many locks there are.
const N_STRIPES: usize = 4096;

/// Locks on the coordinates that a step writes.
#[derive(Debug)]
pub struct StripedLock(Stripes);

impl Default for StripedLock {
    fn default() -> Self {
        Self(Stripes::new(N_STRIPES))
    }
}

impl<F: Float, U: Update<F>> Pass<F, U> for StripedLock {
    type Memory = Shared<F>;

    fn pass(&mut self, job: Job<'_>, update: &U, shared: &mut Shared<F>, step_size: F) {
        let Job { problem, team, order, watch } = job;
        let n_chunks = order.n_chunks(team.n_workers());
        let (ticket, stripes, shared) = (Ticket::new(n_chunks), &self.0, &*shared);
        team.each(|worker| {
            let intercept = Cell::new(F::ZERO);
            let w = shared.view::<false>(&intercept);
            let mut scratch = Vec::new();
            while let Some(chunk) = ticket.draw().filter(|_| !team.cancelled()) {
                for visit in job.visits(update, order.chunk(chunk, n_chunks)) {
                    shared.with_intercept(&intercept, || {
                        let seen = watch.reads(worker);
                        let decision = update.decide(problem, visit.row, w);
                        let _held = stripes.lock(problem.rows().row(visit.row).indices, &mut scratch);
                        update.apply(problem, visit, w, decision, step_size);
                        watch.wrote(worker, seen);
                    });
                }
            }
        });
    }
}
