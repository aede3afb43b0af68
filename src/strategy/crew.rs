//! How many workers are worth it? Two workers on a small set may be slower than one, and so are two on a machine where
//! another program holds a core. The clock decides: in the second epoch, and in every [`PROBE_EPOCHS`]-th after it, crews of
//! several sizes take equal parts of the visits in turn, and the fastest takes what is left of them and the epochs that
//! follow. Each is tried [`TRIES`] times and judged by its best, for what else goes on in a machine only ever takes time. What
//! takes it all the time, such as another program on one of the cores, may leave a short try alone: an epoch that takes far
//! longer than fewer workers would have is the last of that size, until sizes are tried again a few epochs later. An epoch that
//! is too short to be tried is too short to be shared: one worker takes it.

use std::ops::Range;
use std::time::Instant;

/// In so many epochs the crew's size is looked at again.
const PROBE_EPOCHS: u64 = 16;
/// Twice as many workers want so many times the visits, as they see less of each other's: 1.0 to 1.2 on four sets.
const STALENESS: f64 = 1.15;
/// How often a size is tried in one epoch.
const TRIES: usize = 2;
/// Tries share an epoch evenly where they have fewer visits each; else half of it, but no more than twice as many visits each,
/// and the fastest takes the rest.
const ENOUGH_VISITS: usize = 16_384;
/// Tries are as long, in seconds of one worker: to bring work, and the weights, to another core takes several microseconds. Tries
/// of any length: 1.03 of the time on debian-libraries, two workers.
const SHORTEST_TRY: f64 = 50e-6;
/// A try, or an epoch, with fewer visits says nothing, and changes nothing.
const FEWEST_VISITS: usize = 64;

/// An epoch that costs so many times what it would have cost with fewer workers is far longer, ...
const FAR_LONGER: f64 = 1.25;
/// ... and may have been so by chance: sizes are tried again after so many epochs.
const SECOND_LOOK: u64 = 4;

/// The sizes a crew may have, from all workers to one, and the one that was the fastest when they were last tried.
#[derive(Debug, Clone)]
pub struct Crew {
    sizes: Vec<usize>,
    /// Seconds a visit when they were last tried, as if every visit were worth as much as one's who is alone.
    costs: Vec<f64>,
    chosen: usize,
    /// Seconds a visit in the last epoch that was not tried, times the workers it had.
    work: f64,
    epochs: u64,
    /// In which epoch they are tried again.
    next_probe: u64,
}

impl Crew {
    /// Up to `most` workers: all, half of them, a quarter ... one.
    pub fn new(most: usize) -> Self {
        let sizes: Vec<usize> = std::iter::successors(Some(most), |&n| (n > 1).then_some(n / 2)).collect();
        Self { costs: vec![f64::INFINITY; sizes.len()], sizes, chosen: 0, work: 0.0, epochs: 0, next_probe: 1 }
    }

    /// How many workers are at work now.
    pub fn size(&self) -> usize {
        self.sizes[self.chosen]
    }

    /// Shares out an epoch of `n_visits`: `work` runs a range of places with a crew of that size.
    pub fn run(&mut self, n_visits: usize, mut work: impl FnMut(Range<usize>, usize)) {
        self.run_timed(n_visits, |places, size| {
            let started = Instant::now();
            work(places, size);
            started.elapsed().as_secs_f64()
        });
    }

    /// The same, with seconds that `work` tells.
    fn run_timed(&mut self, n_visits: usize, mut work: impl FnMut(Range<usize>, usize) -> f64) {
        // All sizes at first; later the chosen one and its neighbours.
        let first = self.costs.iter().all(|cost| cost.is_infinite());
        let tried: Vec<usize> = (0..self.sizes.len()).filter(|k| first || k.abs_diff(self.chosen) <= 1).collect();
        let n_tries = TRIES * tried.len();
        let due = self.epochs >= self.next_probe && tried.len() > 1 && n_visits >= FEWEST_VISITS * n_tries;
        let long = n_visits as f64 * self.work >= SHORTEST_TRY * n_tries as f64;
        self.epochs += 1;
        if due && !long {
            self.chosen = self.sizes.len() - 1; // and the next epoch that is long enough is tried
        }
        if !(due && long) {
            let seconds = work(0..n_visits, self.size());
            if n_visits >= FEWEST_VISITS {
                self.work = seconds * self.size() as f64 / n_visits as f64;
            }
            let cost = self.cost(self.chosen, seconds, n_visits);
            let fewer = (self.chosen + 1..self.sizes.len()).min_by(|&a, &b| self.costs[a].total_cmp(&self.costs[b]));
            if let Some(k) = fewer.filter(|&k| n_visits >= FEWEST_VISITS && cost > FAR_LONGER * self.costs[k]) {
                (self.chosen, self.next_probe) = (k, self.epochs + SECOND_LOOK);
            }
            return;
        }
        self.next_probe = self.epochs - 1 + PROBE_EPOCHS;
        let share = (n_visits / (2 * n_tries)).clamp(ENOUGH_VISITS, 2 * ENOUGH_VISITS).min(n_visits / n_tries);
        tried.iter().for_each(|&k| self.costs[k] = f64::INFINITY);
        for (place, &k) in tried.iter().cycle().take(n_tries).enumerate() {
            let seconds = work(place * share..(place + 1) * share, self.sizes[k]);
            self.costs[k] = self.costs[k].min(self.cost(k, seconds, share));
        }
        self.chosen = tried.into_iter().min_by(|&a, &b| self.costs[a].total_cmp(&self.costs[b])).unwrap_or(0);
        let end = n_tries * share;
        if end < n_visits {
            work(end..n_visits, self.size());
        }
    }

    fn cost(&self, k: usize, seconds: f64, n_visits: usize) -> f64 {
        seconds / n_visits as f64 * STALENESS.powf((self.sizes[k] as f64).log2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Visits by crew size in an epoch where a visit takes so long with so many workers.
    fn epoch(crew: &mut Crew, n_visits: usize, cost: impl Fn(usize) -> f64) -> Vec<(Range<usize>, usize)> {
        let mut parts = Vec::new();
        crew.run_timed(n_visits, |places, size| {
            parts.push((places.clone(), size));
            cost(size) * places.len() as f64
        });
        parts
    }

    #[test]
    fn the_fastest_crew_takes_most_of_an_epoch_and_no_visit_is_left_out() {
        for (cost, best) in
            [((|n| 1.0 / n as f64) as fn(usize) -> f64, 8), (|n| n as f64, 1), (|n| (n as f64 - 4.0).abs() + 1.0, 4)]
        {
            let mut crew = Crew::new(8);
            for k in 0..40u64 {
                let n_visits = if k / 16 % 2 == 0 { 16_003 } else { 400_000 };
                let parts = epoch(&mut crew, n_visits, cost);
                let mut next = 0;
                for (places, _) in &parts {
                    assert_eq!(places.start, next);
                    next = places.end;
                }
                assert_eq!(next, n_visits);
                assert!(k == 0 || crew.size() == best);
                let by_best: usize = parts.iter().filter(|(_, size)| *size == best).map(|(places, _)| places.len()).sum();
                let split = n_visits < ENOUGH_VISITS && k % PROBE_EPOCHS == 1; // evenly
                assert!(k == 0 || split || 2 * by_best > n_visits, "{by_best} of {n_visits}");
            }
        }
    }

    #[test]
    fn a_crew_grows_and_shrinks_when_the_machine_changes() {
        let mut crew = Crew::new(4);
        for (cost, best) in [((|n| 1.0 / n as f64) as fn(usize) -> f64, 4), (|n| n as f64, 1), (|n| 1.0 / n as f64, 4)] {
            (0..48).for_each(|_| _ = epoch(&mut crew, 10_000, cost));
            assert_eq!(crew.size(), best);
        }
    }

    #[test]
    fn twice_as_many_workers_must_gain_what_they_lose_by_seeing_less() {
        for (gain, size) in [(0.95 * STALENESS, 1), (1.05 * STALENESS, 2)] {
            let mut crew = Crew::new(2);
            (0..3).for_each(|_| _ = epoch(&mut crew, 10_000, |n| if n == 2 { 1.0 } else { gain }));
            assert_eq!(crew.size(), size);
        }
    }

    #[test]
    fn a_try_that_was_disturbed_does_not_decide() {
        for disturbed in 0..4 {
            let (mut crew, mut tries) = (Crew::new(2), 0);
            crew.run_timed(100_000, |places, _| places.len() as f64);
            crew.run_timed(100_000, |places, size| {
                let cost = if tries == disturbed { 10.0 } else { 1.0 / size as f64 };
                tries += 1;
                cost * places.len() as f64
            });
            assert_eq!((crew.size(), tries), (2, 5), "{disturbed}");
        }
    }

    #[test]
    fn an_epoch_that_takes_far_longer_than_its_tries_is_the_last_with_so_many() {
        let mut crew = Crew::new(4);
        epoch(&mut crew, 10_000, |n| 1.0 / n as f64);
        epoch(&mut crew, 10_000, |n| 1.0 / n as f64);
        crew.run_timed(0, |_, _| 1e-6); // costs nothing, and what the clock shows
        for (slow, size) in [(1.0, 4), (2.5, 2), (1.0, 2), (4.0, 1), (9.0, 1)] {
            epoch(&mut crew, 10_000, |n| slow / n as f64);
            assert_eq!(crew.size(), size, "{slow}");
        }
        // It may have been by chance.
        (0..4).for_each(|_| _ = epoch(&mut crew, 10_000, |n| 1.0 / n as f64));
        assert_eq!(crew.size(), 2);
    }

    #[test]
    fn an_epoch_too_short_to_be_tried_is_one_workers_and_the_next_long_one_is_tried() {
        let mut crew = Crew::new(4);
        let cost = |n: usize| 0.5e-6 / n as f64;
        for n_visits in [10_000, 50] {
            epoch(&mut crew, n_visits, cost); // so few say nothing
            assert_eq!(crew.size(), 4);
        }
        for _ in 0..3 {
            assert_eq!(epoch(&mut crew, 500, cost), [(0..500, 1)]);
            assert_eq!(crew.size(), 1);
        }
        let tried: Vec<usize> = epoch(&mut crew, 10_000, cost).into_iter().map(|(_, size)| size).collect();
        assert_eq!((&tried[..6], crew.size()), (&[4, 2, 1, 4, 2, 1][..], 4));
    }

    #[test]
    fn one_worker_is_never_probed() {
        let mut crew = Crew::new(1);
        (0..40).for_each(|_| assert_eq!(epoch(&mut crew, 100_000, |_| 1.0), [(0..100_000, 1)]));
    }
}
