//! One worker, one step after the other, on plain memory: the reference that every speed-up is measured against.

use crate::strategy::{Job, Pass};
use crate::sync::Float;
use crate::update::Update;
use crate::weights::Plain;

/// No sharing at all.
#[derive(Debug)]
pub struct Sequential;

impl<F: Float, U: Update<F>> Pass<F, U> for Sequential {
    type Memory = Plain<F>;

    fn pass(&mut self, job: Job<'_>, update: &U, weights: &mut Plain<F>, step_size: F) {
        let Job { team, order, .. } = job;
        let n_chunks = order.n_chunks(1);
        // The first worker's core, which is pinned, runs it; `Local` cannot leave its thread, so it is made there.
        team.install(|| {
            let w = weights.view();
            for chunk in (0..n_chunks).take_while(|_| !team.cancelled()) {
                for visit in job.visits(update, order.chunk(chunk, n_chunks)) {
                    job.step(0, update, visit, w, step_size);
                }
            }
        });
    }
}
