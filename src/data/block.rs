//! A stretch of examples as a reader leaves them, before they are arranged.

/// A feature's number and its value as one integer, the number in the high half: sorts by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair(u64);

impl Pair {
    #[inline(always)]
    pub fn new(number: u32, value: f32) -> Self {
        Self(u64::from(number) << 32 | u64::from(value.to_bits()))
    }

    /// The integer.
    #[inline(always)]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// A pair of its integer.
    #[inline(always)]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub fn number(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline(always)]
    pub fn value(self) -> f32 {
        f32::from_bits(self.0 as u32)
    }
}

/// Examples in the file's order, with the user's feature numbers.
#[derive(Debug, Default)]
pub struct Block {
    pub targets: Vec<f32>,
    /// Where each row ends in the pairs.
    pub ends: Vec<usize>,
    pub pairs: Vec<Pair>,
}

impl Block {
    /// The pairs of each row.
    pub fn rows(&self) -> impl Iterator<Item = &[Pair]> {
        self.ends.iter().scan(0, |start, &end| Some(&self.pairs[std::mem::replace(start, end)..end]))
    }

    /// How many pairs each row has.
    pub fn lengths(&self) -> impl Iterator<Item = usize> {
        self.ends.iter().scan(0, |start, &end| Some(end - std::mem::replace(start, end)))
    }

    /// The rows of a test.
    #[cfg(test)]
    pub fn of(rows: &[(f32, &[(u32, f32)])]) -> Self {
        let mut block = Self::default();
        for (target, pairs) in rows {
            block.targets.push(*target);
            block.pairs.extend(pairs.iter().map(|&(number, value)| Pair::new(number, value)));
            block.ends.push(block.pairs.len());
        }
        block
    }
}
