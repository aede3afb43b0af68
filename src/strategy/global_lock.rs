//! One lock around every step: what Hogwild! does without. Each step sees all earlier ones, in the order in which the lock
//! was won.

use std::cell::Cell;

use crate::strategy::{Job, Pass};
use crate::sync::{Float, Mutex};
use crate::threads::Ticket;
use crate::update::Update;
use crate::weights::Shared;

/// One lock for all weights.
#[derive(Debug, Default)]
pub struct GlobalLock(Mutex<()>);

impl<F: Float, U: Update<F>> Pass<F, U> for GlobalLock {
    type Memory = Shared<F>;

    fn pass(&mut self, job: Job<'_>, update: &U, shared: &mut Shared<F>, step_size: F) {
        let Job { team, order, .. } = job;
        let n_chunks = order.n_chunks(team.n_workers());
        let (ticket, lock, shared) = (Ticket::new(n_chunks), &self.0, &*shared);
        team.each(|worker| {
            let intercept = Cell::new(F::ZERO);
            let w = shared.view::<false>(&intercept);
            while let Some(chunk) = ticket.draw().filter(|_| !team.cancelled()) {
                for visit in job.visits(update, order.chunk(chunk, n_chunks)) {
                    let _held = lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    shared.with_intercept(&intercept, || job.step(worker, update, visit, w, step_size));
                }
            }
        });
    }
}
