//! One example, and all of them.

use std::ops::Range;

use crate::data::{Cache, prefetch, prefetch_range};
use crate::sync::Float;

/// Runs a loop over the values of a row, in fours and the last ones singly: one of them again and again where they are known to
/// be all the same, which is half of what a visit fetches where rows are long. The loop is compiled for both; a closure handed
/// to two loops would be called, once for every four non-zeros.
macro_rules! with_values {
    ($row:expr, |$values:ident, $last_values:ident| $loops:block) => {
        match $row.common_value() {
            Some(x) => {
                let same = [x; 4];
                let ($values, $last_values) = (std::iter::repeat(&same), std::iter::repeat(&x));
                $loops
            }
            None => {
                let (values, last_values) = $row.values.as_chunks::<4>();
                let ($values, $last_values) = (values.iter(), last_values.iter());
                $loops
            }
        }
    };
}
pub(crate) use with_values;

/// The non-zeros of one example: features in rising order, and their values.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Feature numbers inside this dataset, rising, no two the same.
    pub indices: &'a [u32],
    /// The values, one for each index.
    pub values: &'a [f32],
    /// Whether they are known to be all the same, so that only one need be read. [`Row::iter`] reads all.
    pub(crate) uniform: bool,
}

impl<'a> Row<'a> {
    /// (feature, value) pairs.
    #[inline(always)]
    pub fn iter(self) -> impl Iterator<Item = (usize, f32)> + 'a {
        self.indices.iter().zip(self.values).map(|(&j, &x)| (j as usize, x))
    }

    /// The value of all non-zeros, if it is known to be the same and there is one.
    #[inline(always)]
    pub fn common_value(self) -> Option<f32> {
        self.values.first().copied().filter(|_| self.uniform)
    }

    /// w·x in f64, for what is reported. Four sums run side by side, in an order that depends on the row alone.
    pub fn dot<F: Float>(self, w: &[F]) -> f64 {
        let (features, last_features) = self.indices.as_chunks::<4>();
        let product = |(&j, &x): (&u32, &f32)| w[j as usize].to_f64() * f64::from(x);
        let (mut sums, mut rest) = ([0.0; 4], 0.0);
        with_values!(self, |values, last_values| {
            for pair in last_features.iter().zip(last_values) {
                rest += product(pair);
            }
            for (features, values) in features.iter().zip(values) {
                for (sum, pair) in sums.iter_mut().zip(features.iter().zip(values)) {
                    *sum += product(pair);
                }
            }
        });
        (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
    }

    /// sum += scale x.
    pub fn add_to(self, sum: &mut [f64], scale: f64) {
        let (features, last_features) = self.indices.as_chunks::<4>();
        with_values!(self, |values, last_values| {
            for (features, values) in features.iter().zip(values) {
                for (&j, &x) in features.iter().zip(values) {
                    sum[j as usize] += scale * f64::from(x);
                }
            }
            for (&j, &x) in last_features.iter().zip(last_values) {
                sum[j as usize] += scale * f64::from(x);
            }
        });
    }

    /// The part of the row whose features lie in `from..to`.
    pub fn between(self, from: u32, to: u32) -> Row<'a> {
        let start = self.indices.partition_point(|&j| j < from);
        let end = start + self.indices[start..].partition_point(|&j| j < to);
        Row { indices: &self.indices[start..end], values: &self.values[start..end], ..self }
    }

    /// How many non-zeros there are.
    pub fn len(self) -> usize {
        self.indices.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.indices.is_empty()
    }
}

/// The examples as slices (compressed sparse rows): row i is `starts[i]..ends[i]` of the other two. Where all rows of a matrix
/// are meant, one ends where the next begins, and both are the same slice but for one entry.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    starts: &'a [u64],
    ends: &'a [u64],
    indices: &'a [u32],
    values: &'a [f32],
    /// Whether the values of a row are known to be all the same, in every row.
    uniform: bool,
}

impl<'a> Rows<'a> {
    /// One entry a row of where it starts and ends, inside the other slices.
    pub(crate) fn new(starts: &'a [u64], ends: &'a [u64], indices: &'a [u32], values: &'a [f32]) -> Self {
        Self { starts, ends, indices, values, uniform: false }
    }

    /// The same rows, with what is known of their values: whether those of a row are all the same, in every row.
    pub(crate) fn with_uniform(self, uniform: bool) -> Self {
        Self { uniform, ..self }
    }

    /// Whether the values of a row are known to be all the same, in every row.
    pub(crate) fn is_uniform(self) -> bool {
        self.uniform
    }

    /// How many rows there are.
    pub fn len(self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Row i.
    #[inline(always)]
    pub fn row(self, i: usize) -> Row<'a> {
        let non_zeros = self.non_zeros(i);
        Row { indices: &self.indices[non_zeros.clone()], values: &self.values[non_zeros], uniform: self.uniform }
    }

    /// Where row i's non-zeros stand.
    #[inline(always)]
    pub fn non_zeros(self, i: usize) -> Range<usize> {
        self.starts[i] as usize..self.ends[i] as usize
    }

    /// Asks for the place of row i.
    #[inline(always)]
    pub fn prefetch_place(self, i: usize) {
        prefetch(self.starts, i);
        prefetch(self.ends, i);
    }

    /// Asks for the features and values of row i, whose place should be near by now.
    #[inline(always)]
    pub fn prefetch(self, cache: Cache, i: usize) {
        let Range { start, end } = self.non_zeros(i);
        prefetch_range(cache, self.indices, start..end);
        prefetch_range(cache, self.values, start..if self.uniform { start + 1 } else { end });
    }

    /// How many bytes of features and values a visit reads for each non-zero.
    pub fn bytes_a_nonzero(self) -> usize {
        size_of::<u32>() + if self.uniform { 0 } else { size_of::<f32>() }
    }

    /// Where each row starts in [`Rows::indices`] and [`Rows::values`].
    pub fn starts(self) -> &'a [u64] {
        self.starts
    }

    /// Where each row ends in them.
    pub fn ends(self) -> &'a [u64] {
        self.ends
    }

    /// All feature numbers, row after row.
    pub fn indices(self) -> &'a [u32] {
        self.indices
    }

    /// All values, row after row.
    pub fn values(self) -> &'a [f32] {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_uniform_row_one_value_is_read_and_the_bits_are_the_same() {
        let (indices, w): (Vec<u32>, Vec<f32>) = (0..11).map(|j| (j, 0.1 + j as f32 / 3.0)).unzip();
        for n in 0..11 {
            let read = Row { indices: &indices[..n], values: &[0.3; 11][..n], uniform: false };
            // What is not read may be anything.
            let mut values = [f32::NAN; 11];
            values[0] = 0.3;
            let uniform = Row { values: &values[..n], uniform: true, ..read };
            assert_eq!(uniform.dot(&w).to_bits(), read.dot(&w).to_bits());
            let [mut sum, mut same] = [[0.7; 11]; 2];
            uniform.add_to(&mut sum, 0.9);
            read.add_to(&mut same, 0.9);
            assert_eq!(sum, same);
        }
    }

    #[test]
    fn between_cuts_a_row_by_feature() {
        let row = Row { indices: &[1, 4, 6, 9], values: &[1.0, 2.0, 3.0, 4.0], uniform: false };
        assert_eq!(row.between(2, 9).indices, [4, 6]);
        assert_eq!(row.between(4, 5).values, [2.0]);
        assert!(row.between(10, 20).is_empty());
        assert_eq!(row.between(0, 100).len(), 4);
    }
}
