//! What do large weights cost? The elastic net
//!
//! ```text
//! penalty(w) = l2/2 |w|^2 + l1 |w|_1
//! ```
//!
//! with l2 alone (ridge, the support vector machine), l1 alone (lasso) or both.

use crate::sync::Float;

/// The strengths of the two penalties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalty {
    /// Strength of |w|^2 / 2.
    pub l2: f64,
    /// Strength of |w|_1.
    pub l1: f64,
}

impl Penalty {
    /// penalty(w).
    pub fn value<F: Float>(&self, w: &[F]) -> f64 {
        let sizes = if self.l1 > 0.0 { self.l1 * sum(w, f64::abs) } else { 0.0 };
        self.l2 / 2.0 * sum(w, |w_j| w_j * w_j) + sizes
    }

    /// penalty*(v) = 1/(2 l2) sum_j max(|v_j| - l1, 0)^2; without l2 it is 0 where all |v_j| <= l1, else infinite.
    pub fn conjugate(&self, v: &[f64]) -> f64 {
        let excess = |v_j: f64| (v_j.abs() - self.l1).max(0.0);
        if self.l2 > 0.0 {
            sum(v, |v_j| excess(v_j) * excess(v_j)) / (2.0 * self.l2)
        } else if v.iter().all(|&v_j| excess(v_j) == 0.0) {
            0.0
        } else {
            f64::INFINITY
        }
    }
}

/// Sums that run side by side, so that one addition need not wait for the last.
const LANES: usize = 8;

/// The sum of f(x), in an order of its own.
fn sum<F: Float>(numbers: &[F], f: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f(x.to_f64());
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| f(x.to_f64())).sum::<f64>()
}

/// Soft thresholding: v moved towards 0 by `by`, at most to 0. It is the prox of by |w|_1.
#[inline(always)]
pub fn soft<F: Float>(v: F, by: F) -> F {
    let kept = v.abs() - by;
    // No jump: the sign of v is as good as random to a processor that guesses. A NaN stays one.
    let kept = if kept < F::ZERO { F::ZERO } else { kept };
    kept.copysign(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conjugate_is_the_maximum_that_defines_it() {
        for penalty in [Penalty { l2: 0.5, l1: 0.0 }, Penalty { l2: 2.0, l1: 0.3 }] {
            for v in [-2.0, -0.2, 0.0, 0.7] {
                let searched = (-8000..=8000)
                    .map(|k| f64::from(k) / 1000.0)
                    .map(|w| v * w - penalty.value(&[w]))
                    .fold(f64::NEG_INFINITY, f64::max);
                assert!((searched - penalty.conjugate(&[v])).abs() < 1e-6);
                let w = soft(v, penalty.l1) / penalty.l2; // where the maximum is
                assert!((v * w - penalty.value(&[w]) - penalty.conjugate(&[v])).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn without_l2_the_conjugate_is_a_wall() {
        let lasso = Penalty { l2: 0.0, l1: 1.0 };
        assert_eq!(lasso.conjugate(&[0.5, -1.0]), 0.0);
        assert_eq!(lasso.conjugate(&[0.5, -1.1]), f64::INFINITY);
    }
}
