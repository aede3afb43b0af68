//! A barrier that spins before it yields: a batch lasts microseconds, and a futex would cost as much as the batch.

use crossbeam::utils::{Backoff, CachePadded};

use crate::sync::{AtomicUsize, Ordering};

/// Lets `n` workers go on only when all have come. It can be used again at once.
#[derive(Debug)]
pub struct Barrier {
    n: usize,
    waiting: CachePadded<AtomicUsize>,
    generation: CachePadded<AtomicUsize>,
}

impl Barrier {
    /// A barrier for `n` workers.
    pub fn new(n: usize) -> Self {
        Self { n, waiting: CachePadded::new(AtomicUsize::new(0)), generation: CachePadded::new(AtomicUsize::new(0)) }
    }

    /// Waits until all `n` workers have called this. What each wrote before is seen by all after.
    pub fn wait(&self) {
        // Acquire here and Release below order the counter's reset before the next round's arrivals.
        let generation = self.generation.load(Ordering::Acquire);
        // AcqRel: the last to come has seen the writes of all others ...
        if self.waiting.fetch_add(1, Ordering::AcqRel) + 1 == self.n {
            self.waiting.store(0, Ordering::Relaxed);
            // ... and Release passes them on to everyone who reads the new generation.
            self.generation.store(generation.wrapping_add(1), Ordering::Release);
        } else {
            let backoff = Backoff::new();
            while self.generation.load(Ordering::Acquire) == generation {
                backoff.snooze(); // spins first, then yields: with more workers than cores it must let others run
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::threads::Team;

    #[test]
    fn nobody_passes_before_all_have_come() {
        let (n, rounds) = (4, 500);
        let team = Team::new(n, false).expect("threads");
        let (barrier, arrived) = (Barrier::new(n), AtomicUsize::new(0));
        team.each(|_| {
            for round in 1..=rounds {
                arrived.fetch_add(1, Ordering::Relaxed);
                barrier.wait();
                assert!(arrived.load(Ordering::Relaxed) >= n * round);
                barrier.wait();
            }
        });
        assert_eq!(arrived.load(Ordering::Relaxed), n * rounds);
    }
}
