//! What do additions meet? The rows of an epoch are run through as Hogwild! does, but every step adds exactly 1 to each of its
//! features: then what is missing at the end has been lost, and can be counted.
//!
//! Between reading and adding, a worker computes the dot product of its row, so that steps last as long as sgd's do.

use std::hint::black_box;

use crate::lab::Contention;
use crate::problem::Problem;
use crate::strategy::Order;
use crate::sync::{AtomicF64, AtomicUsize, Cell, Ordering, zeros};
use crate::threads::{Team, Ticket};

impl Contention {
    /// Runs one epoch with wild additions and one with atomic ones.
    pub fn of(problem: &Problem, team: &Team) -> Self {
        let additions = problem.data().n_nonzeros() as f64;
        let counts = zeros::<f64>(problem.n_features());
        epoch(problem, team, &counts, |count| {
            count.set(count.get() + 1.0);
            0
        });
        let kept: f64 = counts.iter().map(Cell::get).sum();

        let counts = zeros::<f64>(problem.n_features());
        let retries = epoch(problem, team, &counts, |count| {
            let mut failed = 0;
            loop {
                let now = count.get();
                if count.replace(now, now + 1.0) {
                    return failed;
                }
                failed += 1;
            }
        });
        let share = |part: f64| if additions > 0.0 { part / additions } else { 0.0 };
        Self { threads: team.n_workers(), lost: share(additions - kept), retries: share(retries as f64) }
    }
}

/// Adds to the features of every row in a random order, and returns the sum of what the additions return.
fn epoch(problem: &Problem, team: &Team, counts: &[AtomicF64], add: impl Fn(&AtomicF64) -> usize + Sync) -> usize {
    let mut order = Order::new(problem.data(), 0);
    order.shuffle(0, &[]);
    let n_chunks = order.n_chunks(team.n_workers());
    let (ticket, total) = (Ticket::new(n_chunks), AtomicUsize::new(0));
    team.each(|_| {
        let mut sum = 0;
        while let Some(chunk) = ticket.draw().filter(|_| !team.cancelled()) {
            for visit in order.visits(order.chunk(chunk, n_chunks)) {
                let row = problem.rows().row(visit.row);
                black_box(row.iter().map(|(j, x)| counts[j].get() * f64::from(x)).sum::<f64>());
                sum += row.iter().map(|(j, _)| add(&counts[j])).sum::<usize>();
            }
        }
        total.fetch_add(sum, Ordering::Relaxed); // read when all workers are idle
    });
    total.load(Ordering::Relaxed)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::loss::Squared;
    use crate::penalty::Penalty;

    fn contention(n_rows: usize, n_workers: usize) -> Contention {
        let offsets: Vec<u64> = (0..=n_rows as u64).collect();
        let (indices, values) = (vec![0u32; n_rows], vec![1f32; n_rows]);
        let matrix = sprs::CsMatViewI::new((n_rows, 1), &offsets[..], &indices[..], &values[..]);
        let targets = vec![0.0; n_rows];
        let data = Dataset::from_csmat(matrix, &targets).expect("a matrix");
        let problem = Problem::new(&data, &Squared, Penalty { l2: 1.0, l1: 0.0 }, false).expect("a problem");
        Contention::of(&problem, &Team::new(n_workers, true).expect("threads"))
    }

    #[test]
    fn one_worker_loses_nothing_and_never_retries() {
        assert_eq!(contention(1000, 1), Contention { threads: 1, lost: 0.0, retries: 0.0 });
    }

    #[test]
    fn many_workers_on_one_feature_lose_a_share_at_most() {
        for _ in 0..100 {
            let Contention { lost, retries, .. } = contention(20_000, 4);
            assert!((0.0..1.0).contains(&lost) && retries >= 0.0);
        }
    }
}
