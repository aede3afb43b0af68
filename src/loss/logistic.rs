//! Logistic regression: log(1 + exp(-yz)). Its conjugate at -a, with b = ya, is b log b + (1 - b) log(1 - b) on 0 <= b <= 1.
//!
//! The dual step has no closed form. In terms of t = log(c / (1 - c)) the new c = sigma(t) solves
//!
//! ```text
//! f(t) = t + yz + q (sigma(t) - b) = 0,      1 <= f' = 1 + q c (1 - c) <= 1 + q/4
//! ```
//!
//! which is nearly straight: from where |f| <= 1, as at t = -yz wherever q <= 1, one step of Halley's method comes so near that
//! D gains 99.98 % of what it can, and the nearer the shorter the step is: at the optimum steps are exact. Where q is large,
//! steps kept between bounds and shrinking by half at least come before it
//! (the same root as in Yu, Huang and Lin, Dual coordinate descent methods for logistic regression, Machine Learning 85,
//! 2011, who search it in c, where f is steep at both ends). What an example adds to the gap is the Kullback-Leibler
//! divergence of b from sigma(-yz), for which stands half its chi-square.

use crate::loss::{DualLoss, DualStep, Loss, Task};

/// log(1 + exp(-yz)).
#[derive(Debug)]
pub struct Logistic;

/// From where |f| is at most this, one step is enough.
const NEAR: f64 = 1.0;
/// So many steps towards there are tried: by halves alone they would come from anywhere.
const MOST_STEPS: u32 = 1200;

/// log(1 + e) to one percent, for e between 0 and 1.
fn softplus_of(e: f64) -> f64 {
    e * (6.0 + e) / (6.0 + 4.0 * e)
}

/// So many factors of at most 2 have a product that is a number still.
const FACTORS: usize = 512;

/// The sums of log(1 + e) and of r over examples, where (e, r) is a function of y times the example's number and 0 <= e <= 1.
/// Logarithms are what a total costs: for many factors there is one. The product is kept less 1, so that small e count.
fn sums(numbers: &[f64], targets: &[f32], part: impl Fn(f64) -> (f64, f64)) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for (numbers, targets) in numbers.chunks(FACTORS).zip(targets.chunks(FACTORS)) {
        let mut product_less_1 = 0.0;
        for (number, &y) in numbers.iter().zip(targets) {
            let (e, r) = part(number * f64::from(y));
            product_less_1 += e + product_less_1 * e;
            sums.1 += r;
        }
        sums.0 += f64::ln_1p(product_less_1);
    }
    sums
}

/// b log b, which is 0 at 0.
fn entropy(b: f64) -> f64 {
    if b > 0.0 { b * b.ln() } else { 0.0 }
}

impl Loss for Logistic {
    fn name(&self) -> &'static str {
        "logistic"
    }
    fn task(&self) -> Task {
        Task::Classification
    }
    fn value(&self, score: f64, y: f64) -> f64 {
        let margin = y * score;
        (-margin.abs()).exp().ln_1p() + (-margin).max(0.0)
    }
    fn total(&self, scores: &[f64], targets: &[f32]) -> f64 {
        let (logs, rest) = sums(scores, targets, |margin| ((-margin.abs()).exp(), (-margin).max(0.0)));
        logs + rest
    }
    fn derivative(&self, score: f64, y: f64) -> f64 {
        -y / (1.0 + (y * score).exp())
    }
    fn smoothness(&self) -> Option<f64> {
        Some(0.25)
    }
    fn dual(&self) -> Option<&dyn DualLoss> {
        Some(self)
    }
}

impl DualLoss for Logistic {
    fn conjugate(&self, a: f64, y: f64) -> f64 {
        let b = a * y;
        if (0.0..=1.0).contains(&b) { entropy(b) + entropy(1.0 - b) } else { f64::INFINITY }
    }

    /// With e = b / (1 - b) it is b log e - log(1 + e), and the same for 1 - b.
    fn total_conjugate(&self, duals: &[f64], targets: &[f32]) -> f64 {
        let part = |b: f64| {
            let b = b.min(1.0 - b); // at most 1/2, and below 0 outside the domain
            let e = b / (1.0 - b);
            if b > 0.0 { (e, b * e.ln()) } else { (0.0, if b == 0.0 { 0.0 } else { f64::INFINITY }) }
        };
        let (logs, rest) = sums(duals, targets, part);
        rest - logs
    }

    #[inline(always)]
    fn step(&self, a: f64, score: f64, y: f64, curvature: f64) -> DualStep {
        let (b, margin) = (a * y, y * score);
        let start = Sigmoid::at(-margin);
        let c = start.value();
        let value = (-margin).max(0.0) + softplus_of(start.e);
        let excess = (b - c) * (b - c) / (2.0 * (c * (1.0 - c)).max(1e-3));
        let f = curvature * (start.top - b * start.bottom);
        let (near, f) = if f.abs() <= NEAR * start.bottom { (start, f) } else { approach(b, margin, curvature) };
        DualStep { best: y * near.after(near.halley(curvature, f)), value, excess, slack: 0.0 }
    }
}

/// sigma(t) as the fraction that it is, with e = exp(-|t|): a step is done with before the division is.
#[derive(Clone, Copy)]
struct Sigmoid {
    e: f64,
    /// 1 or e.
    top: f64,
    /// 1 + e.
    bottom: f64,
}

impl Sigmoid {
    #[inline(always)]
    fn at(t: f64) -> Self {
        let e = (-t.abs()).exp();
        Self { e, top: if t < 0.0 { e } else { 1.0 }, bottom: 1.0 + e }
    }

    #[inline(always)]
    fn value(self) -> f64 {
        self.top / self.bottom
    }

    /// Halley's step of t, -f f' / (f'^2 - f f''/2), where `f` is f times the bottom.
    #[inline(always)]
    fn halley(self, q: f64, f: f64) -> f64 {
        let Self { e, top, bottom } = self;
        let slope = bottom * bottom + q * e;
        -bottom * f * slope / (slope * slope - f * (q * e) * (bottom / 2.0 - top))
    }

    /// sigma(t + h): three terms of the Taylor series stand for another exponential.
    #[inline(always)]
    fn after(self, h: f64) -> f64 {
        let c = self.value();
        let variance = c * (1.0 - c);
        let first = variance * h;
        (c + first) + first * h * ((0.5 - c) + h * (1.0 / 6.0 - variance))
    }
}

/// A t that is near the root, as sigma(t), and f(t) times its bottom. Where q is so large that no number is so near, the nearest,
/// and 0 for f.
#[cold]
fn approach(b: f64, margin: f64, q: f64) -> (Sigmoid, f64) {
    let (mut t, mut sigmoid) = (-margin, Sigmoid::at(-margin));
    let (mut low, mut high, mut last) = (t - q * (1.0 - b), t + q * b, f64::INFINITY);
    for _ in 0..MOST_STEPS {
        let f = t + margin + q * (sigmoid.value() - b);
        if f.abs() <= NEAR {
            return (sigmoid, f * sigmoid.bottom);
        }
        if f > 0.0 {
            high = t;
        } else {
            low = t;
        }
        let mut h = sigmoid.halley(q, f * sigmoid.bottom);
        if !(low..=high).contains(&(t + h)) || h.abs() > last {
            h = (low + high) / 2.0 - t;
        }
        if h.is_nan() || t + h == t {
            break;
        }
        last = h.abs() / 2.0;
        t += h;
        sigmoid = Sigmoid::at(t);
    }
    (sigmoid, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// The root, by bisection.
    fn root(b: f64, margin: f64, q: f64) -> f64 {
        let (mut low, mut high) = (-margin - q, -margin + q);
        for _ in 0..200 {
            let t = (low + high) / 2.0;
            *if t + margin + q * (sigmoid(t) - b) > 0.0 { &mut high } else { &mut low } = t;
        }
        sigmoid((low + high) / 2.0)
    }

    #[test]
    fn a_step_gains_nearly_all_it_can_and_at_the_optimum_all() {
        let steps = |from: f64, to: f64, n: u32| (0..=n).map(move |k| from + (to - from) * f64::from(k) / f64::from(n));
        for y in [-1.0, 1.0] {
            for q in [1e-6, 0.01, 0.3, 1.0, 5.0, 100.0, 1e4] {
                for b in steps(0.0, 1.0, 40) {
                    for margin in steps(-12.0, 12.0, 200) {
                        let gain = |c: f64| {
                            let entropies = entropy(b) + entropy(1.0 - b) - entropy(c) - entropy(1.0 - c);
                            entropies - margin * (c - b) - q / 2.0 * (c - b) * (c - b)
                        };
                        let (c, best) = (y * Logistic.step(y * b, y * margin, y, q).best, root(b, margin, q));
                        assert!((0.0..=1.0).contains(&c), "margin {margin}, b {b}, q {q}: {c}");
                        assert!(gain(c) >= 0.9998 * gain(best) - 1e-12, "margin {margin}, b {b}, q {q}: {c}, not {best}");
                        // What a merge's line search is told that a step has gained at least.
                        assert!(gain(c) >= q / 2.0 * (c - b) * (c - b) - 1e-12, "margin {margin}, b {b}, q {q}: {c}");
                        if q * (sigmoid(-margin) - b).abs() < 1e-2 {
                            assert!(
                                (c - best).abs() <= 1e-4 * (best - b).abs() + 1e-15,
                                "margin {margin}, b {b}, q {q}: {c}, not {best}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_step_from_nowhere_ends() {
        for (margin, q) in [(f64::NAN, 1.0), (1e300, 1e300), (-1e300, 1e-300), (1.0, 1e300), (f64::INFINITY, 1.0)] {
            let best = Logistic.step(0.3, margin, 1.0, q).best;
            let finite = (0.0..=1.0).contains(&best);
            assert!(finite != margin.is_nan() && finite != best.is_nan(), "margin {margin}, q {q}: {best}");
            assert!(q < 1e300 || margin > 1.0 || (best - 0.3).abs() < 1e-12, "no way is worth its price: {best}");
        }
    }
}
