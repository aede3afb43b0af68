//! Copies of some rows, one after the other: rows that are visited often and lie apart are many lines of memory, of which the
//! first and the last of each row hold others' non-zeros.

use crate::data::{Cache, Rows, advise_huge_pages};

/// How many rows before its turn a row is asked for.
const AHEAD: usize = 8;

/// Copies of some of a dataset's rows.
#[derive(Debug)]
pub struct Gathered {
    /// Row k is `offsets[k]..offsets[k + 1]` of the other two.
    offsets: Vec<u64>,
    indices: Vec<u32>,
    values: Vec<f32>,
    /// As of the rows.
    uniform: bool,
}

impl Gathered {
    /// Copies these rows, and leaves room for others.
    pub fn new(rows: Rows, which: &[u32]) -> Self {
        let n_nonzeros = which.iter().map(|&i| rows.non_zeros(i as usize).len()).sum();
        let mut gathered = Self {
            offsets: Vec::with_capacity(with_room(which.len() + 1)),
            indices: Vec::with_capacity(with_room(n_nonzeros)),
            values: Vec::with_capacity(with_room(n_nonzeros)),
            uniform: rows.is_uniform(),
        };
        advise_huge_pages(&mut gathered.indices);
        advise_huge_pages(&mut gathered.values);
        gathered.offsets.push(0);
        gathered.append(rows, which);
        gathered
    }

    /// Copies these rows behind the others.
    pub fn append(&mut self, rows: Rows, which: &[u32]) {
        for (k, &i) in which.iter().enumerate() {
            if let Some(&later) = which.get(k + AHEAD) {
                rows.prefetch(Cache::First, later as usize);
            }
            let row = rows.row(i as usize);
            self.indices.extend_from_slice(row.indices);
            self.values.extend_from_slice(row.values);
            self.offsets.push(self.indices.len() as u64);
        }
    }

    /// The copies.
    pub fn rows(&self) -> Rows<'_> {
        let n = self.offsets.len() - 1;
        Rows::new(&self.offsets[..n], &self.offsets[1..], &self.indices, &self.values).with_uniform(self.uniform)
    }
}

/// Room for so many and a quarter more: memory that is not used costs nothing, and memory that is moved costs its first touch
/// again, half a millisecond on debian-libraries.
pub fn with_room(n: usize) -> usize {
    n + n / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_the_rows_in_the_order_asked_for() {
        let offsets = [0, 2, 2, 5, 6];
        let (indices, values) = ([0, 3, 1, 2, 4, 0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let rows = Rows::new(&offsets[..4], &offsets[1..], &indices, &values);
        for uniform in [false, true] {
            let mut gathered = Gathered::new(rows.with_uniform(uniform), &[2, 0]);
            gathered.append(rows, &[1, 3, 2]);
            let copies = gathered.rows();
            assert_eq!(copies.len(), 5);
            for (k, i) in [2, 0, 1, 3, 2].into_iter().enumerate() {
                let (copy, row) = (copies.row(k), rows.row(i));
                assert_eq!((copy.indices, copy.values, copy.uniform), (row.indices, row.values, uniform));
            }
        }
        assert!(Gathered::new(rows, &[]).rows().is_empty());
    }
}
