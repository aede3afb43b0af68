//! Who is judged by whom: rows dealt into folds, for cross-validation (Stone, Cross-validatory choice and assessment of
//! statistical predictions, Journal of the Royal Statistical Society B 36, 1974).
//!
//! Rows are dealt like cards, shuffled by the seed; for classification class after class, so that every fold has its share of
//! each. The user's own order of the rows is what is shuffled: the same file and seed give the same folds, whether it is
//! text or a store.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::loss::{Loss, Task};

/// The fold of every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    of: Vec<u32>,
    n: usize,
}

impl Folds {
    /// Deals a dataset's rows into `n` folds whose sizes differ by at most 1.
    ///
    /// # Errors
    /// If there are fewer than two folds or more than rows, or a class has fewer rows than there are folds: a fold without
    /// it could not be judged.
    pub fn new(data: &Dataset, loss: &dyn Loss, n: usize, seed: u64) -> Result<Self> {
        let n_rows = data.n_rows();
        if n < 2 || n > n_rows {
            let what = format!("--folds {n}: from 2 to {n_rows} are wanted, for {} has {n_rows} rows", data.name());
            return Err(Error::Usage(what));
        }
        let mut rows: Vec<usize> = (0..n_rows).collect();
        rows.sort_unstable_by_key(|&i| data.original_row(i));
        rows.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        if loss.task() == Task::Classification {
            let label = |i: usize| data.targets()[i] + 0.0; // -0 is 0
            rows.sort_by(|&a, &b| label(a).total_cmp(&label(b))); // stable: each class stays shuffled
            if let Some(class) = rows.chunk_by(|&a, &b| label(a) == label(b)).find(|class| class.len() < n) {
                return Err(Error::Usage(format!(
                    "{}: label {} has {} rows, and every one of {n} folds wants one; use fewer --folds",
                    data.name(),
                    label(class[0]),
                    class.len()
                )));
            }
        }
        let mut of = vec![0; n_rows];
        rows.into_iter().enumerate().for_each(|(place, i)| of[i] = (place % n) as u32);
        Ok(Self { of, n })
    }

    /// How many folds there are.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The rows of fold k, rising.
    pub fn held_out(&self, k: usize) -> Vec<u32> {
        self.rows(|fold| fold as usize == k)
    }

    /// All other rows, rising.
    pub fn training(&self, k: usize) -> Vec<u32> {
        self.rows(|fold| fold as usize != k)
    }

    fn rows(&self, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        (0u32..).zip(&self.of).filter(|&(_, &fold)| wanted(fold)).map(|(i, _)| i).collect()
    }
}
