//! Replicated memory with a fixed schedule of merges: so many workers give the same bits in every run, whoever is slow.
//!
//! An epoch is cut into rounds. In each, worker k takes the k-th chunk and steps on a copy of all weights, and of the intercept,
//! that nobody else sees. Then all meet, and their changes C_1, C_2, ... come together in the workers' order, each scaled by the
//! line search of [`crate::strategy::climb`]:
//!
//! ```text
//! w <- w + t_1 C_1 + t_2 C_2 + ...          t_k: with O = t_1 C_1 + ... + t_(k-1) C_(k-1)
//! ```
//!
//! Of O that search needs the products C_k·C_m only. The workers compute these, and add the changes, each on a share of the
//! features, so that nobody merges while the others look on. Two things it costs all the same: who is done first waits for the
//! slowest, and a merge runs over all features, where free-running workers share the cold ones as they are.
//!
//! Rounds with private changes are SySCD's (Ioannou, Mendler-Duenner and Parnell, NeurIPS 2019), merges that are searched
//! CoCoA+'s (Ma et al., ICML 2015) made exact.

use crate::strategy::climb::{Climb, FEATURE_COST, FEWEST_ROWS, scale, visit_cost};
use crate::strategy::{Job, Pass, Sequential};
use crate::sync::{AtomicBool, Cell, Float, Mutex, Ordering, RwLock, zeros};
use crate::threads::Barrier;
use crate::update::Update;
use crate::weights::{Meeting, Memory, Plain, Weights};

/// Rounds of an epoch that are wanted at least, whatever their merges cost: what is stale costs epochs.
const ROUNDS_WANTED: usize = 6;
/// Features that are merged at a time: their changes stay in the nearest cache.
const BLOCK: usize = 1024;
/// Sums that run side by side.
const LANES: usize = 16;
/// The share of the time that merges may take.
const MERGE_SHARE: f64 = 0.1;

/// Private copies of all weights, merged in rounds.
pub struct Rounds<F> {
    replicas: Vec<RwLock<Plain<F>>>,
}

impl<F> Default for Rounds<F> {
    /// Copies are made when the number of workers is known.
    fn default() -> Self {
        Self { replicas: Vec::new() }
    }
}

/// What a worker tells the others before a merge: his gain, and the products of all workers' changes on his share.
#[derive(Debug, Default)]
struct Tally {
    gain: f64,
    products: Vec<f64>,
}

impl<F: Float, U: Update<F>> Pass<F, U> for Rounds<F> {
    type Memory = Plain<F>;

    fn pass(&mut self, job: Job<'_>, update: &U, weights: &mut Plain<F>, step_size: F) {
        let Job { problem, team, order, watch } = job;
        let (n_workers, d) = (team.n_workers(), problem.n_features());
        if n_workers == 1 {
            return Sequential.pass(job, update, weights, step_size);
        }
        if self.replicas.len() != n_workers {
            self.replicas = (0..n_workers).map(|_| RwLock::new(Plain::zeros(d))).collect();
        }
        let n_rounds = n_rounds(order.n_visits(), n_workers, d, visit_cost(problem));

        let (common, intercept) = weights.parts();
        let share_length = d.div_ceil(n_workers).max(1);
        let mut shares: Vec<RwLock<&mut [F]>> = common.chunks_mut(share_length).map(RwLock::new).collect();
        shares.resize_with(n_workers, || RwLock::new(Default::default())); // fewer features than workers
        let (replicas, shares, start) = (&self.replicas, &shares, *intercept);
        let moves = zeros::<F>(n_workers); // each worker's change of the intercept
        let tallies: Vec<Mutex<Tally>> = (0..n_workers).map(|_| Mutex::default()).collect();
        let (barrier, cancelled, end) = (Barrier::new(n_workers), AtomicBool::new(false), F::Cell::new(start));
        team.each(|worker| {
            let (mut climb, mut b) = (Climb::default(), start);
            // What steps that are taken back change besides the dual variables: an intercept, and no weights.
            let mut moved = Plain::zeros(0);
            for round in 0..n_rounds {
                {
                    let mut replica = replicas[worker].write().unwrap_or_else(|poisoned| poisoned.into_inner());
                    let (own, own_b) = replica.parts();
                    copy(shares, share_length, own);
                    *own_b = b;
                    watch.merged(worker);
                    let w = replica.view();
                    for visit in job.visits(update, order.chunk(round * n_workers + worker, n_rounds * n_workers)) {
                        climb.step(job, worker, update, visit, w, step_size);
                    }
                    moved.store(&[], w.intercept() - b);
                }
                barrier.wait();

                let mine = (worker * share_length).min(d)..((worker + 1) * share_length).min(d);
                let read: Vec<_> =
                    replicas.iter().map(|replica| replica.read().unwrap_or_else(|poisoned| poisoned.into_inner())).collect();
                let changed: Vec<&[F]> = read.iter().map(|replica| &replica.weights()[mine.clone()]).collect();
                let mut scales = vec![F::ONE; n_workers];
                if update.dual_curvature().is_some() {
                    {
                        let common = shares[worker].read().unwrap_or_else(|poisoned| poisoned.into_inner());
                        let mut tally = tallies[worker].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                        *tally = Tally { gain: climb.gain(), products: products(&common, &changed) };
                    }
                    barrier.wait();
                    scales = searched(update, &tallies);
                }
                merge(&mut shares[worker].write().unwrap_or_else(|poisoned| poisoned.into_inner()), &changed, &scales);
                drop(read);
                climb.settle(job, update, moved.view(), scales[worker], 0..d);
                moves[worker].set(moved.intercept());
                watch.merged(worker); // that the others may count them; what is copied is counted when all have come here
                // All must agree on whether to go on: one asks, and all read the answer between the same two barriers.
                if worker == 0 {
                    cancelled.store(team.cancelled(), Ordering::Relaxed);
                }
                barrier.wait();
                b = moves.iter().fold(b, |b, change| b + change.get());
                if cancelled.load(Ordering::Relaxed) {
                    break;
                }
            }
            if worker == 0 {
                end.set(b);
            }
        });
        *intercept = end.get();
    }
}

/// As many as keep merges cheap, but enough of them, of chunks that are not too short.
fn n_rounds(n_visits: usize, n_workers: usize, n_features: usize, visit_cost: f64) -> usize {
    let affordable = MERGE_SHARE * visit_cost * (n_visits / n_workers) as f64 / (FEATURE_COST * n_features as f64);
    (affordable as usize).max(ROUNDS_WANTED).min(n_visits / (n_workers * FEWEST_ROWS)).max(1)
}

/// The common weights, all shares of them.
fn copy<F: Float>(shares: &[RwLock<&mut [F]>], share_length: usize, to: &mut [F]) {
    for (share, to) in shares.iter().zip(to.chunks_mut(share_length)) {
        to.copy_from_slice(&share.read().unwrap_or_else(|poisoned| poisoned.into_inner()));
    }
}

/// C_k·C_m for all m <= k, in rows: over a share of the features.
fn products<F: Float>(common: &[F], changed: &[&[F]]) -> Vec<f64> {
    let n = changed.len();
    let mut sums = vec![0.0; n * (n + 1) / 2];
    let mut changes = vec![[F::ZERO; BLOCK]; n];
    for start in (0..common.len()).step_by(BLOCK) {
        let common = &common[start..(start + BLOCK).min(common.len())];
        for (change, own) in changes.iter_mut().zip(changed) {
            for ((change, &own), &common) in change.iter_mut().zip(&own[start..]).zip(common) {
                *change = own - common;
            }
        }
        let mut sum = sums.iter_mut();
        for k in 0..n {
            for (m, sum) in (0..=k).zip(&mut sum) {
                *sum += product(&changes[k][..common.len()], &changes[m][..common.len()]);
            }
        }
    }
    sums
}

/// Few enough terms in each of many sums for the weights' own precision.
fn product<F: Float>(x: &[F], y: &[F]) -> f64 {
    let ((x, last_x), (y, last_y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    let mut sums = [F::ZERO; LANES];
    for (x, y) in x.iter().zip(y) {
        (0..LANES).for_each(|k| sums[k] += x[k] * y[k]);
    }
    for (sum, (&x, &y)) in sums.iter_mut().zip(last_x.iter().zip(last_y)) {
        *sum += x * y;
    }
    sums.iter().map(|sum| sum.to_f64()).sum()
}

/// t_1, t_2, ...: the same for every worker who asks. A change that meets none of those before it is taken whole.
fn searched<F: Float, U: Update<F>>(update: &U, tallies: &[Mutex<Tally>]) -> Vec<F> {
    let n = tallies.len();
    let (mut gains, mut products) = (Vec::with_capacity(n), vec![0.0; n * (n + 1) / 2]);
    for tally in tallies {
        let tally = tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        gains.push(tally.gain);
        products.iter_mut().zip(&tally.products).for_each(|(sum, part)| *sum += part);
    }
    let mut scales: Vec<F> = Vec::with_capacity(n);
    for (k, gain) in gains.into_iter().enumerate() {
        let row = &products[k * (k + 1) / 2..][..=k];
        let overlap: f64 = scales.iter().zip(row).map(|(t, product)| t.to_f64() * product).sum();
        let met = Meeting { overlap, length: row[k] };
        scales.push(if overlap == 0.0 { F::ONE } else { scale(update, gain, met, n) });
    }
    scales
}

/// w <- w + sum_k t_k C_k, over a share of the features.
fn merge<F: Float>(common: &mut [F], changed: &[&[F]], scales: &[F]) {
    let mut moved = [F::ZERO; BLOCK];
    for (block, common) in common.chunks_mut(BLOCK).enumerate() {
        moved.fill(F::ZERO);
        for (own, &scale) in changed.iter().zip(scales) {
            for ((moved, &own), &common) in moved.iter_mut().zip(&own[block * BLOCK..]).zip(&*common) {
                *moved += scale * (own - common);
            }
        }
        common.iter_mut().zip(&moved).for_each(|(common, &moved)| *common += moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_and_merges_are_the_formulas_written_down() {
        let mut state = 1u64;
        let mut number = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
        };
        for d in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 5] {
            let mut vector = || (0..d).map(|_| number()).collect::<Vec<f64>>();
            let (mut common, changed) = (vector(), [vector(), vector(), vector()]);
            let changed = [&changed[0][..], &changed[1], &changed[2]];
            let change = |k: usize, j: usize, common: &[f64]| changed[k][j] - common[j];
            let mut pairs = products(&common, &changed).into_iter();
            for (k, m) in [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)] {
                let plain: f64 = (0..d).map(|j| change(k, j, &common) * change(m, j, &common)).sum();
                let found = pairs.next().expect("a product of each pair");
                assert!((found - plain).abs() < 1e-10, "{k}·{m} of {d}: {found} is not {plain}");
            }
            let scales = [1.0, 0.25, 0.5];
            let moved = |j: usize| (0..3).map(|k| scales[k] * change(k, j, &common)).sum::<f64>();
            let expected: Vec<f64> = (0..d).map(|j| common[j] + moved(j)).collect();
            merge(&mut common, &changed, &scales);
            assert!(common.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-12));
        }
    }

    #[test]
    fn rounds_are_as_many_as_are_cheap_and_never_none() {
        assert_eq!(n_rounds(100_000, 2, 1_000_000, 50.0), ROUNDS_WANTED, "too few would be stale");
        assert_eq!(n_rounds(100_000, 2, 500, 50.0), 1000, "a tenth of 50,000 rows of 50 for 500 features at a half");
        assert_eq!(n_rounds(100, 4, 10, 50.0), 1, "no chunk is shorter than {FEWEST_ROWS} rows");
        assert_eq!(n_rounds(0, 8, 10, 0.0), 1);
    }
}
