//! Text-like data made to measure: rows of unit length whose features follow Zipf's law, and a linear target.
//!
//! Feature k (from 1) is drawn with a probability in proportion to k^-s; its value is drawn from (0, 1] and rarer features
//! weigh more, as in tf-idf: log(2 D/k) + 1. The target is the sign of the row's product with hidden weights, turned over
//! with the probability `noise`; with K > 2 classes it is the largest of K products.

use std::io::Write;

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::error::{Error, Result};

/// Rows made from one random stream, so that they are the same whatever the number of threads.
const BLOCK_ROWS: usize = 1024;
/// The most hidden weights: 8 GB of them.
const MOST_HIDDEN: usize = 1 << 31;

/// What to make.
#[derive(Debug, Clone)]
pub struct Generator {
    /// How many rows.
    pub n_rows: usize,
    /// How many features there are to draw from.
    pub n_features: usize,
    /// How many different features a row has.
    pub n_nonzeros: usize,
    /// Zipf's exponent: 0 is uniform, 1 is like words.
    pub zipf: f64,
    /// The share of targets that are wrong.
    pub noise: f64,
    /// How many classes; 2 are written as +1 and -1, more as 1, 2, ...
    pub n_classes: usize,
    /// The same seed makes the same file.
    pub seed: u64,
}

impl Generator {
    /// Writes LIBSVM text. [`Generator::check`] must have passed.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        // Cumulative weights for drawing by binary search, and the hidden weights.
        let cumulative: Vec<f64> = (1..=self.n_features)
            .scan(0.0, |sum, k| {
                *sum += (k as f64).powf(-self.zipf);
                Some(*sum)
            })
            .collect();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let n_outputs = if self.n_classes == 2 { 1 } else { self.n_classes };
        let hidden: Vec<f32> = (0..n_outputs * self.n_features).map(|_| random.random::<f32>() * 2.0 - 1.0).collect();
        let (n_blocks, group) = (self.n_rows.div_ceil(BLOCK_ROWS), 8 * rayon::current_num_threads());
        for start in (0..n_blocks).step_by(group) {
            let blocks = start..start.saturating_add(group).min(n_blocks);
            let texts: Vec<Vec<u8>> = blocks.into_par_iter().map(|block| self.block(block, &cumulative, &hidden)).collect();
            for text in texts {
                out.write_all(&text)?;
            }
        }
        Ok(())
    }

    /// Refuses numbers that make no sense together.
    ///
    /// # Errors
    /// Names what is wanted: at least one row, no more non-zeros than features, a share from 0 to 1, ...
    pub fn check(&self) -> Result<()> {
        let usage = |what: &str| Err(Error::Usage(what.into()));
        if self.n_rows == 0 || self.n_features == 0 || self.n_nonzeros == 0 {
            return usage("--rows, --features and --nonzeros want 1 or more");
        }
        if self.n_features > crate::data::MAX_FEATURE as usize {
            return usage("--features wants at most 2^32 - 2");
        }
        if self.n_nonzeros > self.n_features {
            return usage("--nonzeros wants at most as many as --features: no feature occurs twice in a row");
        }
        if !(0.0..=1.0).contains(&self.noise) || !(0.0..=10.0).contains(&self.zipf) {
            return usage("--noise wants a share from 0 to 1, --zipf an exponent from 0 to 10");
        }
        if self.n_classes < 2 {
            return usage("--classes wants 2 or more");
        }
        if self.n_classes.checked_mul(self.n_features).is_none_or(|n_weights| n_weights > MOST_HIDDEN) {
            return usage("--classes times --features want at most 2^31: each class has a hidden weight for each feature");
        }
        Ok(())
    }

    fn block(&self, block: usize, cumulative: &[f64], hidden: &[f32]) -> Vec<u8> {
        let stream = self.seed ^ (block as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15); // a seed of its own for each block
        let mut random = Xoshiro256PlusPlus::seed_from_u64(stream);
        let rows = (self.n_rows - block * BLOCK_ROWS).min(BLOCK_ROWS);
        let mut text = Vec::with_capacity(rows * self.n_nonzeros * 16);
        for _ in 0..rows {
            let features = self.features(cumulative, &mut random);
            let weight = |k: usize| ((2.0 * self.n_features as f64 / (k + 1) as f64).ln() + 1.0) as f32;
            let mut values: Vec<f32> = features.iter().map(|&k| (1.0 - random.random::<f32>()) * weight(k)).collect();
            let length = values.iter().map(|x| x * x).sum::<f32>().sqrt();
            values.iter_mut().for_each(|x| *x /= length);
            let target = self.target(&features, &values, hidden, &mut random);
            let _ = write!(text, "{target}"); // writing to a Vec cannot fail
            for (k, x) in features.iter().zip(&values) {
                let _ = write!(text, " {}:{:.5}", k + 1, x);
            }
            text.push(b'\n');
        }
        text
    }

    /// Different features, rising. Drawn again where one occurs twice; when the law is so steep that this takes too long,
    /// filled up with the hottest that are missing.
    fn features(&self, cumulative: &[f64], random: &mut Xoshiro256PlusPlus) -> Vec<usize> {
        let total = cumulative[cumulative.len() - 1];
        let mut features: Vec<usize> = Vec::with_capacity(self.n_nonzeros + 8);
        for _ in 0..16 {
            while features.len() < self.n_nonzeros {
                let point = random.random::<f64>() * total;
                features.push(cumulative.partition_point(|&sum| sum <= point).min(self.n_features - 1));
            }
            features.sort_unstable();
            features.dedup();
            if features.len() == self.n_nonzeros {
                return features;
            }
        }
        let missing: Vec<usize> =
            (0..self.n_features).filter(|k| features.binary_search(k).is_err()).take(self.n_nonzeros - features.len()).collect();
        features.extend(missing);
        features.sort_unstable();
        features
    }

    fn target(&self, features: &[usize], values: &[f32], hidden: &[f32], random: &mut Xoshiro256PlusPlus) -> i64 {
        let score =
            |output: usize| -> f32 { features.iter().zip(values).map(|(&k, &x)| hidden[output * self.n_features + k] * x).sum() };
        let wrong = random.random::<f64>() < self.noise;
        if self.n_classes == 2 {
            return if (score(0) > 0.0) == wrong { -1 } else { 1 };
        }
        let best = (0..self.n_classes).max_by(|&a, &b| score(a).total_cmp(&score(b))).unwrap_or(0);
        let class = if wrong { random.random_range(0..self.n_classes) } else { best };
        class as i64 + 1
    }
}
