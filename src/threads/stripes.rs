//! Locks for coordinates, many coordinates to a lock: coordinate j belongs to stripe j mod n.
//!
//! Stripes are always taken in rising order, so that two workers can never wait for each other.

use crossbeam::utils::CachePadded;

use crate::sync::{Mutex, MutexGuard};

/// An array of locks, each on a cache line of its own.
#[derive(Debug)]
pub struct Stripes {
    locks: Vec<CachePadded<Mutex<()>>>,
}

impl Stripes {
    /// `n` stripes.
    pub fn new(n: usize) -> Self {
        Self { locks: (0..n).map(|_| CachePadded::new(Mutex::new(()))).collect() }
    }

    /// Locks the stripes of all `coordinates` until the guards are dropped. `scratch` is kept by the caller so that its
    /// memory is used again.
    pub fn lock<'a>(&'a self, coordinates: &[u32], scratch: &mut Vec<usize>) -> Vec<MutexGuard<'a, ()>> {
        scratch.clear();
        scratch.extend(coordinates.iter().map(|&j| j as usize % self.locks.len()));
        scratch.sort_unstable();
        scratch.dedup();
        // A poisoned lock guards no data of its own, and the worker's panic is raised again by the team.
        scratch.iter().map(|&stripe| self.locks[stripe].lock().unwrap_or_else(|poisoned| poisoned.into_inner())).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::{AtomicF32, Cell};
    use crate::threads::Team;

    #[test]
    fn plain_additions_under_the_stripes_are_never_lost_and_never_deadlock() {
        let team = Team::new(4, false).expect("threads");
        for _ in 0..100 {
            let stripes = Stripes::new(3);
            let cells: Vec<AtomicF32> = (0..8).map(|_| Cell::new(0.0)).collect();
            team.each(|worker| {
                let mut scratch = Vec::new();
                for round in 0..100u32 {
                    let j = [(worker as u32 + round) % 8, (3 * round) % 8];
                    let _held = stripes.lock(&j, &mut scratch);
                    for j in j {
                        let cell = &cells[j as usize];
                        Cell::set(cell, Cell::get(cell) + 1.0);
                    }
                }
            });
            assert_eq!(cells.iter().map(Cell::get).sum::<f32>(), 800.0);
        }
    }
}
