//! Hands out 0, 1, 2, ... each number to one worker: whoever is free takes the next piece of work.

use crossbeam::utils::CachePadded;

use crate::sync::{AtomicUsize, Ordering};

/// A counter that workers draw from without waiting.
#[derive(Debug)]
pub struct Ticket {
    next: CachePadded<AtomicUsize>,
    end: usize,
}

impl Ticket {
    /// Tickets 0..`end`.
    pub fn new(end: usize) -> Self {
        Self { next: CachePadded::new(AtomicUsize::new(0)), end }
    }

    /// The next number, or `None` when all are out.
    #[inline]
    pub fn draw(&self) -> Option<usize> {
        // Relaxed: the number is all that travels; what it stands for was published when the workers were started.
        let drawn = self.next.fetch_add(1, Ordering::Relaxed);
        (drawn < self.end).then_some(drawn)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::threads::Team;

    #[test]
    fn every_ticket_goes_to_exactly_one_worker() {
        let team = Team::new(4, false).expect("threads");
        for _ in 0..200 {
            let ticket = Ticket::new(1000);
            let taken: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
            team.each(|_| {
                while let Some(n) = ticket.draw() {
                    taken[n].fetch_add(1, Ordering::Relaxed);
                }
            });
            assert!(taken.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        }
    }
}
