//! What a merge meets: a worker's change C and that of the others O, since they last had the same weights. C·O and |C|^2 are
//! what the line search along a merged change wants (`src/strategy/climb.rs`).

use crate::sync::Float;

/// What a worker has changed since the last merge, next to what the others have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meeting {
    /// own change · the others' change.
    pub overlap: f64,
    /// |own change|^2.
    pub length: f64,
}

/// Adds what was changed to the shared weights, and tells what it met there. Many sums side by side, each over few enough terms
/// for the weights' own precision.
pub(super) fn add_change<F: Float>(shared: &mut [F], common: &[F], own: &[F]) -> Meeting {
    const LANES: usize = 16;
    const BLOCK: usize = 64 * LANES;
    debug_assert!(shared.len() == common.len() && common.len() == own.len());
    let mut met = Meeting { overlap: 0.0, length: 0.0 };
    for ((shared, common), own) in shared.chunks_mut(BLOCK).zip(common.chunks(BLOCK)).zip(own.chunks(BLOCK)) {
        let (mut overlap, mut length) = ([F::ZERO; LANES], [F::ZERO; LANES]);
        let mut add = |k: usize, shared: &mut F, common: F, own: F| {
            let change = own - common;
            overlap[k] += change * (*shared - common);
            length[k] += change * change;
            *shared += change;
        };
        let (shared, last_shared) = shared.as_chunks_mut::<LANES>();
        let ((common, last_common), (own, last_own)) = (common.as_chunks::<LANES>(), own.as_chunks::<LANES>());
        for ((shared, common), own) in shared.iter_mut().zip(common).zip(own) {
            (0..LANES).for_each(|k| add(k, &mut shared[k], common[k], own[k]));
        }
        for (k, ((shared, &common), &own)) in last_shared.iter_mut().zip(last_common).zip(last_own).enumerate() {
            add(k, shared, common, own);
        }
        met.overlap += overlap.iter().map(|sum| sum.to_f64()).sum::<f64>();
        met.length += length.iter().map(|sum| sum.to_f64()).sum::<f64>();
    }
    met
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_any_length_is_added_and_measured_whole() {
        for n in [0, 1, 15, 16, 17, 1023, 1024, 1040, 2 * 1024 + 21] {
            let number = |j: usize, k: usize| ((j * (k + 2) + k) % 23) as f64 - 11.0;
            let [mut shared, common, own] = [0, 1, 2].map(|k| (0..n).map(|j| number(j, k)).collect::<Vec<_>>());
            let changes: Vec<f64> = own.iter().zip(&common).map(|(own, common)| own - common).collect();
            let added: Vec<f64> = shared.iter().zip(&changes).map(|(w_j, change)| w_j + change).collect();
            let overlap =
                changes.iter().zip(shared.iter().zip(&common)).map(|(change, (w_j, common))| change * (w_j - common)).sum();
            let length = changes.iter().map(|change| change * change).sum();
            assert_eq!((add_change(&mut shared, &common, &own), shared), (Meeting { overlap, length }, added), "{n}");
        }
    }
}
