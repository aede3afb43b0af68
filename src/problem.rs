//! Problem = data + loss + penalty:
//!
//! ```text
//! minimise   P(w, b) = (1/n) sum_i phi_i(w·x_i + b) + l2/2 |w|^2 + l1 |w|_1
//! ```
//!
//! with b = 0 unless an intercept is asked for; b is not penalised. Everything computed here is f64, parallel on the current
//! rayon pool, and the same to the last bit whatever the number of threads: sums over rows are made of chunks whose borders
//! the data alone decides.
//!
//! A lower bound is D(a) of [`crate::loss`]; P(w) - D(a) is the duality gap, which no solution can hide from. The a of a
//! problem with intercept must sum to 0 (b is free, so its conjugate is a wall): the heavier of the positive and the
//! negative part is scaled down until they meet. Without l2 the conjugate of the penalty is a wall as well, and a is scaled
//! down until all |v_j| <= l1.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use crate::data::{Cache, Dataset, Rows, advise_huge_pages};
use crate::error::{Error, Result};
use crate::loss::{Loss, Task};
use crate::penalty::Penalty;
use crate::sync::Float;

/// Rows (or weights) in one piece of a sum.
const CHUNK: usize = 2048;
/// A block of rows with a vector of its own has so many non-zeros for each feature, or there is one block only ...
const BLOCK_COST: usize = 16;
/// ... and there are no more than this.
const MOST_BLOCKS: usize = 16;
/// So many rows ahead of its turn a row is asked for.
const AHEAD: usize = 16;
/// How many different labels a message lists.
const LABELS_SHOWN: usize = 12;

/// What is minimised, over which examples.
pub struct Problem<'a> {
    data: &'a Dataset<'a>,
    /// The data's rows, found once: a visit lasts less than 100 ns.
    rows: Rows<'a>,
    loss: &'static dyn Loss,
    penalty: Penalty,
    intercept: bool,
    classes: Option<[f32; 2]>,
    targets: Cow<'a, [f32]>,
    squared_norms: Cow<'a, [f32]>,
}

/// A solution's value, and how far from the best it can be at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certificate {
    /// P(w, b).
    pub objective: f64,
    /// D(a) <= the optimum, if the loss has a conjugate.
    pub dual: Option<f64>,
}

impl Certificate {
    /// (P - D) / P: the relative duality gap.
    pub fn gap(&self) -> Option<f64> {
        self.dual.map(|dual| (self.objective - dual) / self.objective.abs().max(f64::MIN_POSITIVE))
    }
}

impl<'a> Problem<'a> {
    /// Takes the examples and checks every one of them: this is the first pass over a store.
    ///
    /// # Errors
    /// If the labels do not suit the loss (two of them for classification), a strength is negative or not finite, or a row
    /// is damaged.
    pub fn new(data: &'a Dataset<'a>, loss: &'static dyn Loss, penalty: Penalty, intercept: bool) -> Result<Self> {
        check_penalty(penalty)?;
        let (classes, targets) = match loss.task() {
            Task::Regression => (None, Cow::Borrowed(data.targets())),
            Task::Classification => {
                let classes = two_classes(data, loss)?;
                (Some(classes), signs(data.targets(), classes))
            }
        };
        let (squared_norms, uniform) = check_rows(data)?;
        let (rows, squared_norms) = (data.rows().with_uniform(uniform), squared_norms.into());
        Ok(Self { data, rows, loss, penalty, intercept, classes, targets, squared_norms })
    }

    /// The same with other strengths, on the same memory: no row is looked at again.
    ///
    /// # Errors
    /// If a strength is negative or not finite.
    pub fn with_penalty(&self, penalty: Penalty) -> Result<Problem<'_>> {
        check_penalty(penalty)?;
        let &Problem { data, rows, loss, intercept, classes, .. } = self;
        let (targets, squared_norms) = (Cow::Borrowed(&*self.targets), Cow::Borrowed(&*self.squared_norms));
        Ok(Problem { data, rows, loss, penalty, intercept, classes, targets, squared_norms })
    }

    /// The same, whose [`Problem::rows`] are copies of some, for an update that knows the rest about them itself: targets, norms
    /// and objective stay those of all.
    pub(crate) fn with_rows<'b>(&'b self, rows: Rows<'b>) -> Problem<'b> {
        let &Problem { data, loss, penalty, intercept, classes, .. } = self;
        let (targets, squared_norms) = (Cow::Borrowed(&*self.targets), Cow::Borrowed(&*self.squared_norms));
        Problem { data, rows, loss, penalty, intercept, classes, targets, squared_norms }
    }

    /// The examples.
    pub fn data(&self) -> &'a Dataset<'a> {
        self.data
    }

    /// All rows.
    #[inline(always)]
    pub fn rows(&self) -> Rows<'a> {
        self.rows
    }

    /// The loss.
    pub fn loss(&self) -> &'static dyn Loss {
        self.loss
    }

    /// The penalty.
    pub fn penalty(&self) -> Penalty {
        self.penalty
    }

    /// Whether there is an intercept.
    pub fn has_intercept(&self) -> bool {
        self.intercept
    }

    /// The user's labels for -1 and +1, if this is classification.
    pub fn classes(&self) -> Option<[f32; 2]> {
        self.classes
    }

    /// The targets: -1 and +1, or the user's numbers.
    #[inline(always)]
    pub fn targets(&self) -> &[f32] {
        &self.targets
    }

    /// |x_i|^2 of every row.
    #[inline(always)]
    pub fn squared_norms(&self) -> &[f32] {
        &self.squared_norms
    }

    /// n.
    pub fn n_rows(&self) -> usize {
        self.data.n_rows()
    }

    /// d: the features that occur.
    pub fn n_features(&self) -> usize {
        self.data.n_features()
    }

    /// n/n_j for every feature: how much rarer than every row it is. A sparse step on a row that holds feature j applies
    /// the penalty on w_j this many times, so that over an epoch it is applied n times, as if every step did.
    pub fn rarities<F: Float>(&self) -> Vec<F> {
        let n = self.n_rows() as f64;
        self.data.counts().iter().map(|&count| F::from_f64(n / f64::from(count.max(1)))).collect()
    }

    /// w·x_i + b for every row.
    pub fn scores<F: Float>(&self, w: &[F], b: F) -> Vec<f64> {
        let rows = self.rows;
        (0..rows.len()).into_par_iter().with_min_len(64).map(|i| rows.row(i).dot(w) + b.to_f64()).collect()
    }

    /// P(w, b).
    pub fn objective<F: Float>(&self, w: &[F], b: F) -> f64 {
        let rows = self.rows;
        self.mean_loss(|i| rows.row(i).dot(w) + b.to_f64()) + self.penalty_of(w)
    }

    /// P(0, 0): what no weights at all cost.
    pub fn objective_at_zero(&self) -> f64 {
        self.mean_loss(|_| 0.0)
    }

    /// The gradient of the mean loss and of l2/2 |w|^2 at (w, b): over w, and over b. The l1 penalty has none.
    pub fn gradient<F: Float>(&self, w: &[F], b: F) -> (Vec<f64>, f64) {
        let derivatives: Vec<f64> = self.negative_derivatives(&self.scores(w, b)).into_iter().map(|a| -a).collect();
        let mut gradient = self.transposed(&derivatives);
        gradient.iter_mut().zip(w).for_each(|(g_j, w_j)| *g_j += self.penalty.l2 * w_j.to_f64());
        (gradient, self.mean(&derivatives))
    }

    /// v = (1/n) sum_i a_i x_i. The rows are cut into blocks with a vector each, as many as keep the vectors small beside the
    /// data, and the vectors are added in order.
    pub fn transposed(&self, a: &[f64]) -> Vec<f64> {
        let (n, d) = (self.n_rows(), self.n_features());
        let n_blocks = (self.data.n_nonzeros() / (BLOCK_COST * d.max(1))).clamp(1, MOST_BLOCKS);
        let block = |k: usize| {
            let mut sum = Vec::with_capacity(d);
            advise_huge_pages(&mut sum);
            sum.resize(d, 0.0);
            for i in n * k / n_blocks..n * (k + 1) / n_blocks {
                if a.get(i + AHEAD).is_some_and(|&a_i| a_i != 0.0) {
                    self.rows.prefetch(Cache::First, i + AHEAD);
                }
                if a[i] != 0.0 {
                    self.rows.row(i).add_to(&mut sum, a[i]);
                }
            }
            sum
        };
        let mut blocks: Vec<Vec<f64>> = (0..n_blocks).into_par_iter().map(block).collect();
        let mut mean = blocks.remove(0);
        mean.par_chunks_mut(CHUNK).enumerate().for_each(|(k, mean)| {
            for block in &blocks {
                mean.iter_mut().zip(&block[k * CHUNK..]).for_each(|(sum, other)| *sum += other);
            }
            mean.iter_mut().for_each(|sum| *sum /= n as f64);
        });
        mean
    }

    /// The certificate of (w, b) from w alone: a_i = -phi_i'(w·x_i + b). Its gap goes to 0 with w for losses without
    /// corners; for the hinge it need not, and methods that keep dual variables certify with [`Problem::certify_dual`].
    pub fn certify<F: Float>(&self, w: &[F], b: F) -> Certificate {
        let scores = self.scores(w, b);
        let objective = self.mean_loss(|i| scores[i]) + self.penalty_of(w);
        let dual = self.loss.dual().map(|_| self.dual_value(self.negative_derivatives(&scores), None));
        Certificate { objective, dual }
    }

    /// The certificate of (w, b) with the dual variables a that a method has kept, and v = [`Problem::transposed`] of them.
    pub fn certify_dual<F: Float>(&self, w: &[F], b: F, a: Vec<f64>, v: &[f64]) -> Certificate {
        Certificate { objective: self.objective(w, b), dual: Some(self.dual_value(a, Some(v))) }
    }

    /// D(a), after a has been moved to where D is finite.
    fn dual_value(&self, mut a: Vec<f64>, v: Option<&[f64]>) -> f64 {
        let Some(loss) = self.loss.dual() else { return f64::NEG_INFINITY };
        let moved = self.intercept && balance(&mut a);
        let mut v = match v {
            Some(v) if !moved => Cow::Borrowed(v),
            _ => Cow::Owned(self.transposed(&a)),
        };
        if self.penalty.l2 == 0.0 {
            let highest = v.iter().fold(0.0f64, |high, v_j| high.max(v_j.abs()));
            // The last factor keeps the scaled entries below l1 despite rounding.
            let scale = if highest > self.penalty.l1 { self.penalty.l1 / highest * (1.0 - 1e-12) } else { 1.0 };
            a.iter_mut().for_each(|a_i| *a_i *= scale);
            v.to_mut().iter_mut().for_each(|v_j| *v_j *= scale);
        }
        let targets = self.targets();
        let conjugates = ordered_sum(a.len(), |rows| loss.total_conjugate(&a[rows.clone()], &targets[rows]));
        -conjugates / self.n_rows() as f64 - ordered_sum(v.len(), |part| self.penalty.conjugate(&v[part]))
    }

    fn negative_derivatives(&self, scores: &[f64]) -> Vec<f64> {
        let targets = self.targets();
        let derivative = |i: usize| -self.loss.derivative(scores[i], f64::from(targets[i]));
        (0..scores.len()).into_par_iter().with_min_len(256).map(derivative).collect()
    }

    fn mean_loss(&self, score: impl Fn(usize) -> f64 + Sync) -> f64 {
        let targets = self.targets();
        let total = |rows: Range<usize>| {
            let scores: Vec<f64> = rows.clone().map(&score).collect();
            self.loss.total(&scores, &targets[rows])
        };
        ordered_sum(self.n_rows(), total) / self.n_rows() as f64
    }

    fn mean(&self, values: &[f64]) -> f64 {
        ordered_sum(values.len(), |part| values[part].iter().sum()) / values.len() as f64
    }

    fn penalty_of<F: Float>(&self, w: &[F]) -> f64 {
        ordered_sum(w.len(), |part| self.penalty.value(&w[part]))
    }
}

/// The sum over 0..n of pieces whose borders do not depend on the number of threads, added in order.
fn ordered_sum(n: usize, piece: impl Fn(Range<usize>) -> f64 + Sync) -> f64 {
    let pieces = (0..n.div_ceil(CHUNK)).into_par_iter().map(|k| piece(k * CHUNK..((k + 1) * CHUNK).min(n)));
    pieces.collect::<Vec<f64>>().into_iter().sum()
}

/// Cuts the features into at most `n` ranges of about as many non-zeros each.
pub fn shares_of_features(counts: &[u32], n: usize) -> Vec<Range<usize>> {
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    let (mut shares, mut start, mut passed) = (Vec::with_capacity(n), 0, 0u64);
    for (j, &count) in counts.iter().enumerate() {
        passed += u64::from(count);
        if passed * n as u64 >= total * (shares.len() as u64 + 1) && shares.len() + 1 < n {
            shares.push(start..j + 1);
            start = j + 1;
        }
    }
    shares.push(start..counts.len());
    shares
}

/// Scales the heavier of the positive and the negative part of a down, so that a sums to 0. Tells whether a changed.
fn balance(a: &mut [f64]) -> bool {
    let positive: f64 = a.iter().filter(|a_i| **a_i > 0.0).sum();
    let negative: f64 = -a.iter().filter(|a_i| **a_i < 0.0).sum::<f64>();
    if positive == negative {
        return false;
    }
    let (sign, scale) = if positive > negative { (1.0, negative / positive) } else { (-1.0, positive / negative) };
    a.iter_mut().filter(|a_i| **a_i * sign > 0.0).for_each(|a_i| *a_i *= scale);
    true
}

fn check_penalty(penalty: Penalty) -> Result<()> {
    for (name, strength) in [("l2", penalty.l2), ("l1", penalty.l1)] {
        if !strength.is_finite() || strength < 0.0 {
            return Err(Error::Usage(format!("{name} = {strength}; a strength is wanted: a finite number of 0 or more")));
        }
    }
    Ok(())
}

/// The two labels of a dataset, the smaller first.
fn two_classes(data: &Dataset, loss: &dyn Loss) -> Result<[f32; 2]> {
    let labels = data.labels(LABELS_SHOWN);
    if let Some(&[negative, positive]) = labels.as_deref() {
        return Ok([negative, positive]);
    }
    let found = match &labels {
        Some(labels) => labels.iter().map(f32::to_string).collect::<Vec<_>>().join(", "),
        None => {
            let first = data.targets().iter().take(3).map(f32::to_string).collect::<Vec<_>>().join(", ");
            format!("more than {LABELS_SHOWN} different ones, such as {first}")
        }
    };
    let advice = match labels.map_or(0, |labels| labels.len()) {
        1 => "examples of both classes are wanted",
        _ => "two labels are wanted for a binary loss; for targets that are numbers use --loss squared or huber",
    };
    Err(Error::Data(format!("{}: the labels found are {found}, which {} cannot separate; {advice}", data.name(), loss.name())))
}

/// The targets as -1 and +1.
fn signs<'a>(targets: &'a [f32], [_, positive]: [f32; 2]) -> Cow<'a, [f32]> {
    let sign = |&target: &f32| if target == positive { 1.0 } else { -1.0 };
    if targets.iter().all(|target| *target == sign(target)) { Cow::Borrowed(targets) } else { targets.iter().map(sign).collect() }
}

/// |x_i|^2 of every row, once its features are found to rise below d and its values to be finite; and whether the values of
/// a row are all the same, in every row, as those of counted words or of yes and no are after scaling to unit length.
fn check_rows(data: &Dataset) -> Result<(Vec<f32>, bool)> {
    let (rows, d) = (data.rows(), data.n_features());
    // One straight pass, without a branch an entry: what is not finite, or not in order, makes the norm so.
    let squared_norm = |i: usize| {
        let row = rows.row(i);
        let rising = row.indices.iter().zip(row.indices.iter().skip(1)).fold(true, |rising, (a, b)| rising & (a < b));
        let norm = row.values.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>() as f32;
        let norm = if rising && row.indices.last().is_none_or(|&j| (j as usize) < d) { norm } else { f32::NAN };
        (norm, row.values.iter().all(|x| x.to_bits() == row.values[0].to_bits()))
    };
    let (norms, uniform): (Vec<f32>, Vec<bool>) = (0..rows.len()).into_par_iter().with_min_len(64).map(squared_norm).unzip();
    if let Some(i) = norms.iter().position(|norm| !norm.is_finite()) {
        data.checked_row(i)?;
        return Err(Error::Data(format!(
            "{}: row {} holds values too large to be squared; values of about 1 are wanted: scale the data",
            data.name(),
            data.original_row(i) + 1
        )));
    }
    Ok((norms, uniform.into_iter().all(|uniform| uniform)))
}
