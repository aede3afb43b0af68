//! What is watched, and what is spoilt on purpose, while workers step: sampled staleness, and injected delays.
//!
//! A step reads the weights, decides, and writes. Its *staleness* is how many steps of other workers are done and not in
//! what it has read when it writes: Hogwild!'s tau is the largest. Each worker counts its steps in a cell of its own; in
//! every [`SAMPLE_STEPS`]-th of its steps it adds up the others' before and after. Where workers write to copies of their own,
//! what counts is how many steps the others have done beyond those that they had merged when the copy was last made, the whole
//! of it: what is merged more often (`replicated`'s hot features) is fresher than that.
//!
//! A *delay* makes a worker sleep, or spin where it is short, while it decides: a slow machine, or a gradient that costs
//! more than a dot product.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::utils::CachePadded;

use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};
use crate::threads::Team;

/// A worker's staleness is looked at in every so many of its steps. Prime, so as not to fall in with the length of a chunk.
const SAMPLE_STEPS: usize = 251;
/// Samples kept for each worker; the first ones of a long run, which has shown its habits by then.
const MOST_SAMPLES: usize = 1 << 16;
/// The operating system wakes a sleeper this late; what is shorter is waited for awake.
const SHORTEST_SLEEP: Duration = Duration::from_micros(100);
/// A sleeper looks up so often whether the run is cancelled.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// A worker that is slowed down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay {
    /// Which; all if `None`.
    pub worker: Option<usize>,
    /// For how long.
    pub pause: Duration,
    /// In every so many steps; at least 1.
    pub every: usize,
}

/// What a pass reports to while its workers step.
#[derive(Debug, Default)]
pub struct Watch {
    delays: Vec<Delay>,
    workers: Vec<CachePadded<Worker>>,
    probes: bool,
    /// The team's flag: who sleeps looks at it now and then.
    cancelled: Arc<AtomicBool>,
}

/// What is known of one worker. Only he writes to his counters, which are numbers of steps.
#[derive(Debug, Default)]
struct Worker {
    begun: AtomicUsize,
    /// Those that are written.
    steps: AtomicUsize,
    /// Those that were merged, where he works on a copy.
    merged: AtomicUsize,
    /// The others' merged steps when his copy was last made.
    copied: AtomicUsize,
    samples: Mutex<Vec<u32>>,
}

/// The others' steps when a sampled step read the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen(Option<usize>);

impl Watch {
    /// Nothing is watched unless `probes` is set, and nothing is spoilt without `delays`.
    pub fn new(delays: Vec<Delay>, probes: bool) -> Self {
        Self { delays, workers: Vec::new(), probes, cancelled: Arc::default() }
    }

    /// Called before an epoch, every worker idle.
    pub(super) fn begin_epoch(&mut self, team: &Team) {
        self.workers.resize_with(team.n_workers(), CachePadded::default);
        self.cancelled = team.cancel_flag();
    }

    /// A worker is about to read the weights for a step.
    #[inline(always)]
    pub fn reads(&self, worker: usize) -> Seen {
        if self.delays.is_empty() && !self.probes {
            return Seen(None);
        }
        let begun = self.workers[worker].begun.load(Ordering::Relaxed);
        self.workers[worker].begun.store(begun + 1, Ordering::Relaxed);
        // What every step does must cost next to nothing; what few do stands apart.
        if self.delays.is_empty() && !begun.is_multiple_of(SAMPLE_STEPS) {
            return Seen(None);
        }
        self.looks(worker, begun)
    }

    #[inline(never)]
    fn looks(&self, worker: usize, begun: usize) -> Seen {
        let sampled = self.probes && begun.is_multiple_of(SAMPLE_STEPS);
        let seen = Seen(sampled.then(|| self.others(worker, |other| &other.steps)));
        for delay in &self.delays {
            if delay.worker.is_none_or(|slow| slow == worker) && begun.is_multiple_of(delay.every) {
                self.wait(delay.pause);
            }
        }
        seen
    }

    /// A worker has written its step into the weights that all see.
    #[inline(always)]
    pub fn wrote(&self, worker: usize, seen: Seen) {
        if self.probes {
            if let Some(seen) = seen.0 {
                self.samples(worker, seen);
            }
            let me = &self.workers[worker];
            me.steps.store(me.begun.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// A worker has written its step into a copy of its own.
    #[inline(always)]
    pub fn wrote_to_copy(&self, worker: usize, seen: Seen) {
        if self.probes {
            self.wrote(worker, Seen(seen.0.map(|_| self.workers[worker].copied.load(Ordering::Relaxed))));
        }
    }

    #[inline(never)]
    fn samples(&self, worker: usize, seen: usize) {
        let missed = self.others(worker, |other| &other.steps).saturating_sub(seen);
        let mut samples = self.workers[worker].samples.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if samples.len() < MOST_SAMPLES {
            samples.push(u32::try_from(missed).unwrap_or(u32::MAX));
        }
    }

    /// A worker has merged its copy: the others' merged steps are in it, and its own are there for the others.
    pub fn merged(&self, worker: usize) {
        if self.probes {
            let me = &self.workers[worker];
            me.merged.store(me.steps.load(Ordering::Relaxed), Ordering::Relaxed);
            me.copied.store(self.others(worker, |other| &other.merged), Ordering::Relaxed);
        }
    }

    fn wait(&self, pause: Duration) {
        let started = Instant::now();
        while let Some(left) = pause.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
            if pause < SHORTEST_SLEEP {
                std::hint::spin_loop();
            } else if self.cancelled.load(Ordering::Relaxed) {
                return;
            } else {
                std::thread::sleep(left.min(LONGEST_SLEEP));
            }
        }
    }

    fn others(&self, worker: usize, count: impl Fn(&Worker) -> &AtomicUsize) -> usize {
        let others = self.workers.iter().enumerate().filter(|&(k, _)| k != worker);
        others.map(|(_, other)| count(other).load(Ordering::Relaxed)).sum()
    }

    /// All samples of staleness so far, in steps.
    pub fn staleness(&self) -> Vec<u32> {
        let samples =
            |worker: &CachePadded<Worker>| worker.samples.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        self.workers.iter().flat_map(samples).collect()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn watch(n_workers: usize) -> Watch {
        let mut watch = Watch::new(Vec::new(), true);
        watch.begin_epoch(&Team::new(n_workers, false).expect("threads"));
        watch
    }

    fn step(watch: &Watch, worker: usize) {
        watch.wrote(worker, watch.reads(worker));
    }

    #[test]
    fn a_schedule_made_by_hand_is_measured_as_it_is() {
        let watch = watch(3);
        let seen = watch.reads(0); // the first step is sampled
        (0..5).for_each(|_| step(&watch, 1));
        (0..2).for_each(|_| step(&watch, 2));
        watch.wrote(0, seen);
        // Of worker 1's five steps the first was sampled, when nobody had written; so was worker 2's, after those five.
        assert_eq!(watch.staleness(), [7, 0, 0]);
    }

    #[test]
    fn few_steps_are_sampled() {
        let watch = watch(2);
        (0..3 * SAMPLE_STEPS).for_each(|_| step(&watch, 0));
        assert_eq!(watch.staleness(), [0, 0, 0]);
    }

    #[test]
    fn a_copy_misses_what_others_did_since_they_merged() {
        let watch = watch(2);
        (0..10).for_each(|_| watch.wrote_to_copy(1, watch.reads(1)));
        watch.merged(1);
        watch.merged(0); // worker 0 knows of 10 steps
        (0..4).for_each(|_| watch.wrote_to_copy(1, watch.reads(1)));
        watch.wrote_to_copy(0, watch.reads(0));
        assert_eq!(watch.staleness(), [4, 0]);
    }

    #[test]
    fn a_delay_slows_the_worker_it_names_as_often_as_it_says() {
        let pause = Duration::from_micros(200);
        let mut watch = Watch::new(vec![Delay { worker: Some(1), pause, every: 3 }], false);
        watch.begin_epoch(&Team::new(2, false).expect("threads"));
        let started = Instant::now();
        (0..9).for_each(|_| step(&watch, 1));
        assert!(started.elapsed() >= 3 * pause);
        assert_eq!(watch.workers[0].begun.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn unwatched_steps_leave_no_trace() {
        let watch = Watch::default(); // and no counters: an access would panic
        watch.wrote(7, watch.reads(7));
        watch.merged(7);
        assert!(watch.staleness().is_empty());
    }
}
