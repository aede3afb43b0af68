//! Hogwild! (Niu, Recht, Re and Wright, NIPS 2011): workers take rows and step, and nobody waits for anybody.
//!
//! While a worker computes w·x_i others write, so it may see any mixture of their steps; where rows are sparse, few of those
//! touch its own features. With `wild` memory an addition can be lost when two workers meet on a coordinate; with `atomic`
//! memory none is, at several times the price. Rows are dealt anew over the whole dataset in every epoch: whoever is free
//! takes the next chunk.

use std::cell::Cell;

use crate::strategy::{Job, Pass};
use crate::sync::Float;
use crate::threads::Ticket;
use crate::update::Update;
use crate::weights::Shared;

/// No locks, one vector.
#[derive(Debug)]
pub struct Hogwild {
    /// Whether additions are made by compare-and-swap, so that none is lost.
    pub atomic: bool,
}

impl<F: Float, U: Update<F>> Pass<F, U> for Hogwild {
    type Memory = Shared<F>;

    fn pass(&mut self, job: Job<'_>, update: &U, weights: &mut Shared<F>, step_size: F) {
        if self.atomic {
            race::<F, U, true>(job, update, weights, step_size);
        } else {
            race::<F, U, false>(job, update, weights, step_size);
        }
    }

    fn repairs_before(&self, epoch: u64, n_workers: usize) -> bool {
        epoch.is_multiple_of(if n_workers > 1 && !self.atomic { 8 } else { 64 })
    }
}

fn race<F: Float, U: Update<F>, const ATOMIC: bool>(job: Job<'_>, update: &U, shared: &Shared<F>, step_size: F) {
    let Job { team, order, .. } = job;
    let n_chunks = order.n_chunks(team.n_workers());
    let ticket = Ticket::new(n_chunks);
    team.each(|worker| {
        let intercept = Cell::new(F::ZERO);
        let w = shared.view::<ATOMIC>(&intercept);
        while let Some(chunk) = ticket.draw().filter(|_| !team.cancelled()) {
            shared.with_intercept(&intercept, || {
                for visit in job.visits(update, order.chunk(chunk, n_chunks)) {
                    job.step(worker, update, visit, w, step_size);
                }
            });
        }
    });
}
