//! How often each number occurs that the user gives a feature, and the features numbered anew by that: hot ones first.

use std::collections::HashMap;

use crate::data::FeatureNumbers;
use crate::data::block::Pair;

/// Entries of a table that any data may have.
const SMALL_TABLE: usize = 1 << 20;
/// Entries of a table for each non-zero.
const ENTRIES_PER_PAIR: usize = 16;

/// A number for each feature number that the user may write: a table of the low ones, as long as is small beside the data,
/// and a map of the others.
#[derive(Debug, Default)]
struct PerNumber {
    table: Vec<u32>,
    map: HashMap<u32, u32>,
}

/// In how many rows each feature number occurs, of the rows that were added.
#[derive(Debug, Default)]
pub struct Census {
    occurrences: PerNumber,
    n_pairs: usize,
}

/// The feature of each number that occurs.
pub struct Features {
    by: PerNumber,
    n: usize,
}

/// The features that occur, numbered 0, 1, 2, ... by falling frequency; those of the same frequency by the user's number.
pub struct Numbers {
    /// The user's number of each feature.
    pub numbers: Vec<u32>,
    /// In how many rows each feature is.
    pub counts: Vec<u32>,
    /// The features in the order of the user's numbers.
    pub by_number: Vec<u32>,
}

impl Census {
    /// Counts the features of some rows.
    pub fn add(&mut self, pairs: &[Pair]) {
        self.n_pairs += pairs.len();
        let PerNumber { table, map } = &mut self.occurrences;
        let limit = SMALL_TABLE + ENTRIES_PER_PAIR * self.n_pairs;
        for number in pairs.iter().map(|pair| pair.number()) {
            if let Some(count) = table.get_mut(number as usize) {
                *count += 1;
            } else if (number as usize) < limit {
                table.resize((number as usize + 1).next_power_of_two(), 0);
                table[number as usize] = 1;
            } else {
                *map.entry(number).or_default() += 1;
            }
        }
    }

    /// Counts what another has counted.
    pub fn merge(mut self, mut other: Self) -> Self {
        if self.occurrences.table.len() < other.occurrences.table.len() {
            std::mem::swap(&mut self, &mut other);
        }
        self.n_pairs += other.n_pairs;
        let PerNumber { table, map } = &mut self.occurrences;
        table.iter_mut().zip(other.occurrences.table).for_each(|(count, more)| *count += more);
        other.occurrences.map.into_iter().for_each(|(number, more)| *map.entry(number).or_default() += more);
        self
    }

    /// Numbers the features.
    pub fn features(self) -> (Features, Numbers) {
        let PerNumber { mut table, mut map } = self.occurrences;
        // What went to the map before the table was long enough.
        map.retain(|&number, &mut count| table.get_mut(number as usize).map(|entry| *entry += count).is_none());
        let mut high: Vec<(u32, u32)> = map.iter().map(|(&number, &count)| (number, count)).collect();
        high.sort_unstable();

        // Counting sort. Where the features of each frequency start: after all that are hotter.
        let hottest = table.iter().copied().fold(0, u32::max).max(high.iter().map(|entry| entry.1).fold(0, u32::max));
        let mut starts = vec![0u32; hottest as usize + 1];
        table.iter().copied().chain(high.iter().map(|entry| entry.1)).for_each(|count| starts[count as usize] += 1);
        starts[0] = 0;
        let n_features = starts.iter().map(|&n| n as usize).sum();
        let mut counts = Vec::with_capacity(n_features);
        for (count, start) in starts.iter_mut().enumerate().rev() {
            let end = counts.len() + *start as usize;
            *start = counts.len() as u32;
            counts.resize(end, count as u32);
        }
        let mut numbers = vec![0; n_features];
        let mut by_number = Vec::with_capacity(n_features);
        let mut place = |number: u32, count: u32| {
            let feature = starts[count as usize];
            starts[count as usize] += 1;
            numbers[feature as usize] = number;
            by_number.push(feature);
            feature
        };
        for (number, entry) in (0u32..).zip(&mut table).filter(|(_, count)| **count > 0) {
            *entry = place(number, *entry);
        }
        for (number, count) in high {
            map.insert(number, place(number, count));
        }
        (Features { by: PerNumber { table, map }, n: n_features }, Numbers { numbers, counts, by_number })
    }
}

impl Features {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.n
    }

    /// The feature of a number that occurs.
    #[inline(always)]
    pub fn feature(&self, number: u32) -> u32 {
        self.by.table.get(number as usize).copied().unwrap_or_else(|| self.by.map[&number])
    }
}

impl Numbers {
    /// The user's first number, and how many numbers there are from it to the highest that occurs.
    pub fn columns(&self, numbers: FeatureNumbers) -> (u32, u64) {
        let number = |&feature: &u32| self.numbers[feature as usize];
        let span = self.by_number.first().map(number).zip(self.by_number.last().map(number));
        let first = match numbers {
            FeatureNumbers::Auto => u32::from(span.is_none_or(|(lowest, _)| lowest != 0)),
            FeatureNumbers::OneBased => 1,
            FeatureNumbers::ZeroBased => 0,
        };
        (first, span.map_or(0, |(_, highest)| u64::from(highest) + 1 - u64::from(first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(numbers: &[u32]) -> Vec<Pair> {
        numbers.iter().map(|&number| Pair::new(number, 1.0)).collect()
    }

    #[test]
    fn features_fall_in_frequency_and_then_rise_in_number() {
        let mut census = Census::default();
        census.add(&pairs(&[7, 3, 9, 3, 9, 3, 5]));
        let (features, found) = census.features();
        assert_eq!((found.numbers.as_slice(), found.counts.as_slice()), ([3, 9, 5, 7].as_slice(), [3, 2, 1, 1].as_slice()));
        assert_eq!(found.by_number, [0, 2, 3, 1]);
        assert_eq!([3, 9, 5, 7].map(|number| features.feature(number)), [0, 1, 2, 3]);
        assert_eq!(found.columns(FeatureNumbers::Auto), (1, 9));
        assert_eq!(found.columns(FeatureNumbers::ZeroBased), (0, 10));
    }

    #[test]
    fn numbers_that_outgrow_the_table_are_counted_once_and_for_all() {
        // 3,000,000 goes to the map at first, and is in the table when there is more data.
        let far = SMALL_TABLE as u32 * 3;
        let mut census = Census::default();
        census.add(&pairs(&[1, far, far + 1]));
        census.add(&pairs(&vec![2; 200_000]));
        census.add(&pairs(&[far, u32::MAX - 1]));
        let mut other = Census::default();
        other.add(&pairs(&[far, 1, far + 1]));
        let (features, found) = census.merge(other).features();
        assert_eq!(found.numbers, [2, far, 1, far + 1, u32::MAX - 1]);
        assert_eq!(found.counts, [200_000, 3, 2, 2, 1]);
        assert_eq!(found.by_number, [2, 0, 1, 3, 4]);
        assert_eq!(features.feature(u32::MAX - 1), 4);
    }
}
