//! One example, and all of them.

use std::ops::Range;

use crate::data::{prefetch, prefetch_range};
use crate::sync::Float;

/// The non-zeros of one example: features in rising order, and their values.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Feature numbers inside this dataset, rising, no two the same.
    pub indices: &'a [u32],
    /// The values, one for each index.
    pub values: &'a [f32],
    /// Whether they are known to be all the same, so that only one need be read.
    pub uniform: bool,
}

impl<'a> Row<'a> {
    /// (feature, value) pairs.
    #[inline(always)]
    pub fn iter(self) -> impl Iterator<Item = (usize, f32)> + 'a {
        self.indices.iter().zip(self.values).map(|(&j, &x)| (j as usize, x))
    }

    /// Hands over all features with their values, four at a time, and the last ones singly. Of a uniform row one value is read:
    /// where there are many non-zeros a row, half of what a visit has to fetch.
    #[inline(always)]
    pub fn in_fours(self, mut four: impl FnMut([u32; 4], [f32; 4]), mut one: impl FnMut(u32, f32)) {
        let (features, last_features) = self.indices.as_chunks::<4>();
        if self.uniform
            && let Some(&x) = self.values.first()
        {
            features.iter().for_each(|&features| four(features, [x; 4]));
            last_features.iter().for_each(|&j| one(j, x));
        } else {
            let (values, last_values) = self.values.as_chunks::<4>();
            features.iter().zip(values).for_each(|(&features, &values)| four(features, values));
            last_features.iter().zip(last_values).for_each(|(&j, &x)| one(j, x));
        }
    }

    /// w·x in f64, for what is reported. Four sums run side by side, in an order that depends on the row alone.
    pub fn dot<F: Float>(self, w: &[F]) -> f64 {
        let product = |j: u32, x: f32| w[j as usize].to_f64() * f64::from(x);
        let (mut sums, mut rest) = ([0.0; 4], 0.0);
        let four = |features: [u32; 4], values: [f32; 4]| {
            for (sum, (j, x)) in sums.iter_mut().zip(features.into_iter().zip(values)) {
                *sum += product(j, x);
            }
        };
        self.in_fours(four, |j, x| rest += product(j, x));
        (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
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
    pub fn prefetch(self, i: usize) {
        let non_zeros = self.non_zeros(i);
        prefetch_range(self.indices, non_zeros.clone());
        if self.uniform {
            prefetch(self.values, non_zeros.start);
        } else {
            prefetch_range(self.values, non_zeros);
        }
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
    fn between_cuts_a_row_by_feature() {
        let row = Row { indices: &[1, 4, 6, 9], values: &[1.0, 2.0, 3.0, 4.0], uniform: false };
        assert_eq!(row.between(2, 9).indices, [4, 6]);
        assert_eq!(row.between(4, 5).values, [2.0]);
        assert!(row.between(10, 20).is_empty());
        assert_eq!(row.between(0, 100).len(), 4);
    }
}
