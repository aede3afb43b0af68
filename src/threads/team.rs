//! A fixed team of workers, each pinned to a core of its own: a rayon pool.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::sync::{AtomicBool, Ordering};
use crate::threads::Topology;

/// The workers. [`Team::each`] runs one closure on every worker at once; [`Team::install`] runs rayon's parallel
/// iterators on the same threads. Between two calls every worker is idle.
#[derive(Debug)]
pub struct Team {
    pool: rayon::ThreadPool,
    cpus: Vec<Option<usize>>,
    cancelled: Arc<AtomicBool>,
}

impl Team {
    /// Starts `n` workers. With `pin`, worker k is bound to the k-th processor of [`Topology`], so that distinct physical
    /// cores are used while there are any; workers beyond the processors are left to the scheduler.
    ///
    /// # Errors
    /// If `n` is 0 or the threads cannot be started.
    pub fn new(n: usize, pin: bool) -> Result<Self> {
        if n == 0 {
            return Err(Error::Usage("0 threads do no work; ask for 1 or more".into()));
        }
        let topology = Topology::of_this_machine();
        let cpus = (0..n).map(|worker| if pin { topology.cpus().get(worker).copied() } else { None }).collect();
        Self::start(cpus, Arc::new(AtomicBool::new(false)))
    }

    /// A team of one in the place of this team's worker: on his processor, and cancelled with this team. He can wait for it
    /// inside [`Team::each`], and so train a model of his own.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn alone(&self, worker: usize) -> Result<Self> {
        Self::start(vec![self.cpus[worker]], self.cancel_flag())
    }

    fn start(cpus: Vec<Option<usize>>, cancelled: Arc<AtomicBool>) -> Result<Self> {
        let n = cpus.len();
        let bound: Arc<Vec<AtomicBool>> = Arc::new((0..n).map(|_| AtomicBool::new(false)).collect());
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .thread_name(|worker| format!("unfenced-{worker}"))
            .start_handler({
                let (cpus, bound) = (cpus.clone(), Arc::clone(&bound));
                move |worker| {
                    if let Some(id) = cpus[worker] {
                        let done = core_affinity::set_for_current(core_affinity::CoreId { id });
                        bound[worker].store(done, Ordering::Release);
                    }
                }
            })
            .build()
            .map_err(|error| Error::Threads(error.to_string()))?;
        pool.broadcast(|_| ()); // every start handler has run
        let cpus = cpus.iter().zip(bound.iter()).map(|(&cpu, done)| cpu.filter(|_| done.load(Ordering::Acquire))).collect();
        Ok(Self { pool, cpus, cancelled })
    }

    /// How many workers there are.
    pub fn n_workers(&self) -> usize {
        self.cpus.len()
    }

    /// The processor that each worker is pinned to; `None` where it is not.
    pub fn cpus(&self) -> &[Option<usize>] {
        &self.cpus
    }

    /// Runs `work(worker)` on every worker at once and returns when all are idle again.
    pub fn each(&self, work: impl Fn(usize) + Sync) {
        self.pool.broadcast(|context| work(context.index()));
    }

    /// Runs `work(0)` to `work(n - 1)` on workers that are free, and returns when all have. Unlike [`Team::each`] it waits for
    /// nobody who sleeps or whose core is taken by another program: whoever is awake takes the next number.
    pub fn share(&self, n: usize, work: impl Fn(usize) + Sync) {
        let work = &work;
        self.install(|| {
            rayon::scope(|scope| {
                (1..n).for_each(|worker| scope.spawn(move |_| work(worker)));
                work(0);
            });
        });
    }

    /// Runs `work` where rayon's parallel iterators use this team's threads.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// The flag that asks a running pass to end early; a signal handler may hold it.
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// Whether the pass should end early.
    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::AtomicUsize;

    #[test]
    fn each_worker_runs_once_and_at_the_same_time() {
        let team = Team::new(5, true).expect("threads");
        let seen: Vec<AtomicUsize> = (0..5).map(|_| AtomicUsize::new(0)).collect();
        let barrier = crate::threads::Barrier::new(5); // passes only if all five run together
        team.each(|worker| {
            barrier.wait();
            seen[worker].fetch_add(1, Ordering::Relaxed);
        });
        assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn pinned_workers_sit_on_distinct_processors() {
        let team = Team::new(Topology::of_this_machine().cpus().len().max(1), true).expect("threads");
        let mut pinned: Vec<usize> = team.cpus().iter().flatten().copied().collect();
        let n = pinned.len();
        pinned.sort_unstable();
        pinned.dedup();
        assert_eq!(pinned.len(), n);
    }

    #[test]
    fn shared_work_is_done_whole_by_any_number() {
        let team = Team::new(3, false).expect("threads");
        for n in [1, 2, 3, 10] {
            let seen: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            team.share(n, |k| _ = seen[k].fetch_add(1, Ordering::Relaxed));
            assert!(seen.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn teams_of_one_work_side_by_side_in_the_places_of_a_teams_workers() {
        let team = Team::new(3, true).expect("threads");
        let barrier = crate::threads::Barrier::new(3);
        team.each(|worker| {
            let alone = team.alone(worker).expect("a thread");
            assert_eq!((alone.n_workers(), alone.cpus()), (1, &team.cpus()[worker..=worker]));
            alone.install(|| barrier.wait()); // passes only if all three run together
            barrier.wait();
            team.cancel_flag().store(true, Ordering::Relaxed);
            assert!(alone.cancelled());
        });
    }

    #[test]
    fn no_worker_is_an_error() {
        assert!(Team::new(0, true).is_err());
    }
}
