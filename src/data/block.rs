//! A stretch of examples as a reader leaves them, before they are arranged.

/// Examples in the file's order, with the user's feature numbers.
#[derive(Debug, Default)]
pub struct Block {
    pub targets: Vec<f32>,
    /// Where each row ends in the two vectors below.
    pub ends: Vec<usize>,
    pub numbers: Vec<u32>,
    pub values: Vec<f32>,
}

impl Block {
    /// The (number, value) slices of row r.
    pub fn row(&self, r: usize) -> (&[u32], &[f32]) {
        let start = if r == 0 { 0 } else { self.ends[r - 1] };
        let non_zeros = start..self.ends[r];
        (&self.numbers[non_zeros.clone()], &self.values[non_zeros])
    }
}
