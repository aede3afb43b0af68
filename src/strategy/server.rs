//! Where the gradients of a step arrive, and the step on what has arrived: see [`crate::strategy::parameter_server`].

use std::cell::Cell as Private;

use crate::problem::Problem;
use crate::strategy::Figures;
use crate::strategy::message::{INDEX_BITS, Message, value_bits};
use crate::sync::Float;
use crate::update::{GradientUpdate, Stochastic};
use crate::weights::{Shared, Weights};

/// Where gradients arrive.
pub(super) struct Server<F> {
    /// The step that they are for.
    pub step: usize,
    /// Whose are there.
    arrived: Vec<usize>,
    /// By worker.
    messages: Vec<Message<F>>,
    /// The sums of the step for each feature, 0 between steps: entries and rows; and which are not.
    sums: Vec<F>,
    occurrences: Vec<u32>,
    is_touched: Vec<bool>,
    touched: Vec<usize>,
    pub tally: Tally,
}

/// What the run has sent so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sent: u64,
    used: u64,
    pub late: u64,
    bits: u64,
    n_nonzeros: u64,
}

impl Tally {
    /// `bits_per_update`: what a worker sends for a step, in the mean; beside it what his whole gradient would take with
    /// every feature (`dense`) or with the non-zeros and their numbers (`sparse`). `dropped_share`: of the gradients that
    /// workers have begun, those that came too late or were given up.
    pub fn figures<F: Float>(&self, n_features: usize) -> Figures {
        let &Self { sent, used, late, bits, n_nonzeros } = self;
        let mean = |sum: u64, n: u64| sum as f64 / n.max(1) as f64;
        let value_bits = value_bits::<F>();
        vec![
            ("bits_per_update", mean(bits, sent)),
            ("dense_bits_per_update", (value_bits * n_features as u64) as f64),
            ("sparse_bits_per_update", mean(n_nonzeros * (INDEX_BITS + value_bits), sent)),
            ("dropped_share", mean(late, used + late)),
        ]
    }
}

impl<F: Float> Server<F> {
    /// For gradients with so many features.
    pub fn new(n_features: usize) -> Self {
        Self {
            step: 0,
            arrived: Vec::new(),
            messages: Vec::new(),
            sums: vec![F::ZERO; n_features],
            occurrences: vec![0; n_features],
            is_touched: vec![false; n_features],
            touched: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Begins an epoch of so many workers.
    pub fn begin(&mut self, n_workers: usize) {
        self.messages.resize_with(n_workers, Message::default);
        self.arrived.clear();
        self.step = 0;
    }

    /// Takes a worker's message, in exchange for his last one. False if its step is over.
    pub fn receive(&mut self, message: &mut Message<F>, worker: usize) -> bool {
        self.tally.sent += 1;
        self.tally.bits += message.bits;
        self.tally.n_nonzeros += message.n_nonzeros;
        if message.step != self.step {
            self.tally.late += 1;
            return false;
        }
        std::mem::swap(&mut self.messages[worker], message);
        self.arrived.push(worker);
        true
    }

    /// How many gradients are there.
    pub fn n_arrived(&self) -> usize {
        self.arrived.len()
    }

    /// Gives a message back whose step nobody will complete. False if it is over all the same.
    pub fn withdraw(&mut self, step: usize, worker: usize) -> bool {
        let open = self.step == step;
        if open {
            self.arrived.retain(|&arrived| arrived != worker);
        }
        open
    }

    /// The step on what has arrived, of a batch of so many rows; the next one begins.
    pub fn take_step<G: GradientUpdate<F>>(
        &mut self,
        problem: &Problem,
        update: &Stochastic<G>,
        shared: &Shared<F>,
        batch_rows: usize,
        step_size: F,
    ) {
        let Self { step, arrived, messages, sums, occurrences, is_touched, touched, tally } = self;
        arrived.sort_unstable(); // the order in which they are added
        let (mut n_rows, mut slope) = (0, F::ZERO);
        let mut touch = |j: usize| {
            if !std::mem::replace(&mut is_touched[j], true) {
                touched.push(j);
            }
        };
        for message in arrived.iter().map(|&worker| &messages[worker]) {
            n_rows += message.n_rows;
            slope += message.slope;
            for &(j, value) in &message.entries {
                touch(j as usize);
                sums[j as usize] += value;
            }
            for &(j, rows) in &message.occurrences {
                touch(j as usize);
                occurrences[j as usize] += rows;
            }
        }
        let size = F::from_f64(n_rows as f64);
        let scale = F::from_f64(batch_rows as f64) / size;
        let (update, rarities, intercept) = (&update.0, update.0.rarities(), Private::new(F::ZERO));
        let w = shared.view::<false>(&intercept);
        for j in touched.drain(..) {
            is_touched[j] = false;
            let gradient = std::mem::replace(&mut sums[j], F::ZERO) * scale;
            let penalty_share = rarities[j] * (F::from_f64(f64::from(std::mem::take(&mut occurrences[j]))) / size);
            w.add_with(j, |w_j| update.change(j, w_j, gradient, penalty_share, step_size));
        }
        if problem.has_intercept() {
            shared.with_intercept(&intercept, || {
                w.add_intercept(update.intercept_change(slope / size, n_rows, step_size));
            });
        }
        tally.used += arrived.len() as u64;
        arrived.clear();
        *step += 1;
    }
}
