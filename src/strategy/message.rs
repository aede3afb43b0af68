//! A gradient as it is sent, and the worker who makes it: the sums of his share of a batch, feature by feature, and what C of
//! [`crate::strategy::compression`] leaves of them.

use rand_xoshiro::Xoshiro256PlusPlus;

use crate::data::Row;
use crate::strategy::Compression;
use crate::strategy::compression::{Debt, keep_largest, quantise};
use crate::sync::Float;

/// A feature's number in a message that is not coded.
pub const INDEX_BITS: u64 = 32;

/// A gradient as it is sent.
#[derive(Debug, Default)]
pub struct Message<F> {
    /// The step whose weights it was computed with.
    pub step: usize,
    pub n_rows: usize,
    /// (feature, value) of what C leaves of g_k.
    pub entries: Vec<(u32, F)>,
    /// The sum of the rows' derivatives: b's gradient.
    pub slope: F,
    /// How many of the rows hold a feature. Costs no bits: it follows from the order.
    pub occurrences: Vec<(u32, u32)>,
    pub n_nonzeros: u64,
    pub bits: u64,
}

/// What a worker keeps from step to step.
pub struct Worker<F> {
    /// The sums of his share for each feature, 0 between shares: derivatives times values, and rows.
    sums: Vec<F>,
    occurrences: Vec<u32>,
    touched: Vec<u32>,
    /// What he owes, if what he does not send is not forgotten.
    pub debt: Option<Debt<F>>,
    pub message: Message<F>,
}

impl<F: Float> Worker<F> {
    /// Has seen nothing yet.
    pub fn new(n_features: usize, debt: Option<Debt<F>>) -> Self {
        let (sums, occurrences) = (vec![F::ZERO; n_features], vec![0; n_features]);
        Self { sums, occurrences, touched: Vec::new(), debt, message: Message::default() }
    }

    /// Adds a row's gradient to the sums.
    pub fn add(&mut self, row: Row<'_>, derivative: F) {
        for (j, x) in row.iter() {
            if self.occurrences[j] == 0 {
                self.touched.push(j as u32);
            }
            self.occurrences[j] += 1;
            self.sums[j] += derivative * F::from_f32(x);
        }
    }

    /// Makes the sums of so many rows the message of a step. They are 0 again.
    pub fn collect(&mut self, step: usize, n_rows: usize, slope: F) {
        let message = &mut self.message;
        (message.step, message.n_rows, message.slope) = (step, n_rows, slope);
        message.entries.clear();
        message.occurrences.clear();
        for j in self.touched.drain(..) {
            let (sum, rows) = (&mut self.sums[j as usize], &mut self.occurrences[j as usize]);
            message.occurrences.push((j, std::mem::take(rows)));
            if *sum != F::ZERO {
                message.entries.push((j, std::mem::replace(sum, F::ZERO)));
            }
        }
        message.n_nonzeros = message.entries.len() as u64;
    }

    /// Leaves of the message's values, which become parts of the mean over a batch of so many rows, what is sent.
    pub fn compress(&mut self, compression: Compression, batch_rows: usize, random: impl FnOnce() -> Xoshiro256PlusPlus) {
        let (entries, size) = (&mut self.message.entries, F::from_f64(batch_rows as f64));
        entries.iter_mut().for_each(|(_, value)| *value = *value / size);
        let uncoded = |entries: &[(u32, F)]| entries.len() as u64 * (INDEX_BITS + value_bits::<F>());
        self.message.bits = match compression {
            Compression::Whole => uncoded(entries),
            Compression::Qsgd(n_levels) => quantise(entries, n_levels, &mut random()),
            Compression::TopK { k, .. } => {
                match &mut self.debt {
                    Some(debt) => debt.pay(entries, k),
                    None => keep_largest(entries, k),
                }
                uncoded(entries)
            }
        };
    }
}

/// A value in a message that is not coded.
pub fn value_bits<F>() -> u64 {
    8 * size_of::<F>() as u64
}
