//! How sparse are the examples? The three numbers on which Hogwild!'s theorem rests (Niu et al., NIPS 2011, section 4):
//!
//! ```text
//! Omega = max_i |row_i|                                  the largest row
//! Delta = max_j n_j / n                                  the largest share of rows that one feature is in
//! rho   = max_i |{k : row_k and row_i share a feature}| / n   the largest share of rows that one row meets
//! ```
//!
//! A maximum says little of a whole, so the mean and the 99th percentile stand beside each. The mean of the last is the
//! chance that two random rows collide. It is estimated from samples of rows.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use serde::Serialize;

use crate::data::Dataset;

/// Rows for which rho is estimated, and rows that each is compared with.
const SAMPLE: (usize, usize) = (400, 2000);
/// A feature in this share of the rows is hot.
const HOT: f64 = 0.01;

/// The largest, the mean, and what 99 of 100 do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The largest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len();
        let rank = (n * 99).div_ceil(100).max(1) - 1;
        let at = |k: usize| values.get(k).copied().unwrap_or(0.0);
        Self { max: at(n.saturating_sub(1)), mean: values.iter().sum::<f64>() / n.max(1) as f64, p99: at(rank) }
    }
}

/// How sparse a dataset is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sparsity {
    /// Non-zeros of the rows; the largest is Omega.
    pub omega: Spread,
    /// Shares of rows that the features are in; the largest is Delta.
    pub delta: Spread,
    /// Shares of rows that a row meets, by sampling; the largest seen is an estimate of rho from below.
    pub rho: Spread,
    /// The chance that two random rows share a feature.
    pub collision_rate: f64,
    /// Rows without a feature.
    pub empty_rows: usize,
    /// Features in at least one row of a hundred.
    pub hot_features: usize,
    /// The share of all non-zeros that those hold.
    pub hot_share: f64,
}

impl Sparsity {
    /// Measures a dataset whose rows have been checked; parallel on the current rayon pool.
    pub fn of(data: &Dataset, seed: u64) -> Self {
        let (n, rows) = (data.n_rows(), data.rows());
        let lengths: Vec<f64> = (0..n).map(|i| rows.row(i).len() as f64).collect();
        let shares: Vec<f64> = data.counts().iter().map(|&count| f64::from(count) / n as f64).collect();
        let hot = shares.iter().take_while(|&&share| share >= HOT).count();
        let hot_nonzeros: u64 = data.counts()[..hot].iter().map(|&count| u64::from(count)).sum();

        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut all: Vec<usize> = (0..n).collect();
        let (sampled, _) = all.partial_shuffle(&mut random, SAMPLE.0.min(n));
        let met: Vec<f64> = sampled
            .par_iter()
            .map_init(
                || vec![false; data.n_features()],
                |marked, &i| {
                    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ (i as u64 + 1));
                    let row = rows.row(i);
                    row.indices.iter().for_each(|&j| marked[j as usize] = true);
                    // Every row where there are few, else as many random ones; the row itself is left out.
                    let others: Vec<usize> = if n - 1 <= SAMPLE.1 {
                        (0..n).filter(|&k| k != i).collect()
                    } else {
                        (0..SAMPLE.1).map(|_| random.random_range(0..n - 1)).map(|k| k + usize::from(k >= i)).collect()
                    };
                    let meets = |k: &&usize| rows.row(**k).indices.iter().any(|&j| marked[j as usize]);
                    let met = others.iter().filter(meets).count() as f64 / others.len().max(1) as f64;
                    row.indices.iter().for_each(|&j| marked[j as usize] = false);
                    met
                },
            )
            .collect();
        let rho = Spread::of(met);
        Self {
            omega: Spread::of(lengths),
            delta: Spread::of(shares),
            collision_rate: rho.mean,
            rho,
            empty_rows: (0..n).filter(|&i| rows.row(i).is_empty()).count(),
            hot_features: hot,
            hot_share: hot_nonzeros as f64 / (data.n_nonzeros() as f64).max(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::FeatureNumbers;
    use crate::data::arrange::arrange;
    use crate::data::block::Block;
    use crate::data::census::Census;

    #[test]
    fn a_small_hypergraph_is_measured_as_by_hand() {
        // Rows {1,2}, {2,3}, {4}, {}: the first two meet each other and nobody else.
        let rows: [&[(u32, f32)]; 4] = [&[(1, 1.0), (2, 1.0)], &[(2, 1.0), (3, 1.0)], &[(4, 1.0)], &[]];
        let block = Block::of(&rows.map(|row| (1.0, row)));
        let mut census = Census::default();
        census.add(&block.pairs);
        let data = arrange("small".into(), vec![block], census, FeatureNumbers::Auto, None, 0).expect("arranged");
        let sparsity = Sparsity::of(&data, 0);
        assert_eq!(sparsity.omega, Spread { max: 2.0, mean: 1.25, p99: 2.0 });
        assert_eq!(sparsity.delta, Spread { max: 0.5, mean: 0.3125, p99: 0.5 });
        assert_eq!(sparsity.rho.max, 1.0 / 3.0);
        assert!((sparsity.collision_rate - 2.0 / 12.0).abs() < 1e-12);
        assert_eq!((sparsity.empty_rows, sparsity.hot_features), (1, 4));
    }
}
