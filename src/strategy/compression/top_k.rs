//! Top-k sparsification: of a gradient only the k entries largest in size are sent (Aji and Heafield, Sparse communication
//! for distributed gradient descent, EMNLP 2017). With error feedback the rest is no loss but a debt:
//!
//! ```text
//! v = m + g        s = the k largest entries of v, sent        m <- v - s
//! ```
//!
//! so that the sum of what was sent and of m is the sum of all gradients, and the steps come to the same optimum (Stich,
//! Cordonnier and Jaggi, Sparsified SGD with memory, NeurIPS 2018). There m holds steps; here it holds gradients, which the
//! step size of the day multiplies when they are sent at last.

use crate::sync::Float;

/// Keeps the `k` entries of largest size; of equal ones those of the lower features.
pub fn keep_largest<F: Float>(entries: &mut Vec<(u32, F)>, k: usize) {
    if k < entries.len() {
        let size = |entry: &(u32, F)| entry.1.to_f64().abs();
        entries.select_nth_unstable_by(k, |a, b| size(b).total_cmp(&size(a)).then(a.0.cmp(&b.0)));
        entries.truncate(k);
    }
}

/// What a worker owes: m.
#[derive(Debug)]
pub struct Debt<F> {
    owed: Vec<F>,
    /// The features of m that are not 0.
    features: Vec<u32>,
    /// The entries of m before the last message was made, where its gradient has changed them; and how many there were.
    before: Vec<(u32, F)>,
    n_before: usize,
    /// The features of the last message.
    sent: Vec<u32>,
}

impl<F: Float> Debt<F> {
    /// None, for `d` features.
    pub fn new(d: usize) -> Self {
        Self::of(&vec![F::ZERO; d])
    }

    /// The debt that [`Debt::owed`] has told of.
    pub fn of(owed: &[F]) -> Self {
        let features = (0..owed.len() as u32).filter(|&j| owed[j as usize] != F::ZERO).collect();
        Self { owed: owed.to_vec(), features, before: Vec::new(), n_before: 0, sent: Vec::new() }
    }

    /// m.
    pub fn owed(&self) -> &[F] {
        &self.owed
    }

    /// Adds the debt of somebody who has left.
    pub fn take_over(&mut self, other: &Self) {
        let sum: Vec<F> = self.owed.iter().zip(&other.owed).map(|(&mine, &theirs)| mine + theirs).collect();
        *self = Self::of(&sum);
    }

    /// Replaces a gradient's entries, each of another feature, by the `k` largest of m and them together. Until
    /// [`Debt::paid`] or [`Debt::refused`] is called it is open what becomes of them.
    pub fn pay(&mut self, entries: &mut Vec<(u32, F)>, k: usize) {
        self.before.clear();
        self.n_before = self.features.len();
        for &(j, gradient) in &*entries {
            let owed = &mut self.owed[j as usize];
            if *owed == F::ZERO {
                self.features.push(j);
            }
            self.before.push((j, *owed));
            *owed += gradient;
        }
        entries.clear();
        entries.extend(self.features.iter().map(|&j| (j, self.owed[j as usize])));
        keep_largest(entries, k);
        self.sent.clear();
        self.sent.extend(entries.iter().map(|entry| entry.0));
    }

    /// What was sent has been used.
    pub fn paid(&mut self) {
        self.sent.iter().for_each(|&j| self.owed[j as usize] = F::ZERO);
        self.features.retain(|&j| self.owed[j as usize] != F::ZERO);
    }

    /// What was sent came too late: m is what it was.
    pub fn refused(&mut self) {
        self.before.drain(..).for_each(|(j, owed)| self.owed[j as usize] = owed);
        self.features.truncate(self.n_before);
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn the_largest_are_kept_and_ties_go_to_the_lower_feature() {
        let entries = vec![(5, 1.0), (1, -3.0), (2, 1.0), (9, 0.5), (0, -1.0)];
        for (k, kept) in
            [(0, vec![]), (1, vec![1]), (2, vec![0, 1]), (3, vec![0, 1, 2]), (5, vec![0, 1, 2, 5, 9]), (9, vec![0, 1, 2, 5, 9])]
        {
            let mut found = entries.clone();
            keep_largest::<f64>(&mut found, k);
            let mut found: Vec<u32> = found.into_iter().map(|entry| entry.0).collect();
            found.sort_unstable();
            assert_eq!(found, kept);
        }
    }

    /// A gradient whose sums are exact.
    fn gradient(random: &mut Xoshiro256PlusPlus) -> Vec<(u32, f64)> {
        let all: Vec<u32> = (0..30).filter(|_| random.random::<f64>() < 0.3).collect();
        all.into_iter()
            .map(|j| (j, (random.random::<f64>() * 64.0 - 32.0).round() / 8.0))
            .filter(|entry| entry.1 != 0.0)
            .collect()
    }

    #[test]
    fn what_was_sent_and_what_is_owed_are_the_sum_of_all_gradients_exactly() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        for k in [1, 3, 10, 30] {
            let (mut debt, mut all, mut sent) = (Debt::new(30), vec![0.0; 30], vec![0.0; 30]);
            for round in 0..500 {
                let mut entries = gradient(&mut random);
                let fresh = entries.clone();
                debt.pay(&mut entries, k);
                assert!(entries.len() <= k);
                if round % 7 == 3 {
                    debt.refused();
                } else {
                    fresh.iter().for_each(|&(j, value)| all[j as usize] += value);
                    entries.iter().for_each(|&(j, value)| sent[j as usize] += value);
                    debt.paid();
                }
                let both: Vec<f64> = sent.iter().zip(debt.owed()).map(|(sent, owed)| sent + owed).collect();
                assert_eq!(both, all, "round {round}, k = {k}");
                let mut features = debt.features.clone();
                features.sort_unstable();
                assert_eq!(features, Debt::of(debt.owed()).features);
            }
            assert!(k < 30 || debt.features.is_empty());
        }
    }

    #[test]
    fn debts_are_taken_over_whole() {
        let mut mine = Debt::of(&[1.0, 0.0, -2.0]);
        mine.take_over(&Debt::of(&[0.0, 4.0, 2.0]));
        assert_eq!((mine.owed(), &mine.features[..]), (&[1.0, 4.0, 0.0][..], &[0, 1][..]));
    }
}
