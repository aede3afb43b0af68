//! The figures that follow from the runs: medians over seeds by method and threads, and who is how much faster than whom.
//!
//! ```text
//! seconds to epsilon = epochs to epsilon (statistical efficiency) x seconds an epoch (hardware efficiency)
//! speed-up(T)        = median seconds of the reference / median seconds at T threads, both to the same epsilon
//! ```
//!
//! The two factors are Zhang & Ré's (DimmWitted, VLDB 2014).

use crate::lab::report::spread::Spread;
use crate::lab::{Results, Run};

/// At most so many lines in a plot.
pub const MOST_LINES: usize = 8;
/// What `unfenced train` does unless told otherwise.
const USUAL: &str = "hogwild+sdca";

/// A method at a number of threads, over its seeds.
pub struct Cell<'a> {
    /// The method.
    pub method: &'a str,
    /// Threads.
    pub threads: usize,
    /// Its runs.
    pub runs: Vec<&'a Run>,
    /// Seconds to the epsilon of the headline.
    pub seconds: Spread,
    /// Epochs to it.
    pub epochs: Spread,
    /// Seconds an epoch.
    pub epoch_seconds: Spread,
    /// The lowest suboptimality of a run.
    pub lowest: Spread,
}

impl Cell<'_> {
    /// How many runs exploded or ended above P(0).
    pub fn n_diverged(&self) -> usize {
        self.runs.iter().filter(|run| run.diverged).count()
    }

    /// Seconds to the epsilon of this place in the plan.
    pub fn seconds_to(&self, place: usize) -> Spread {
        Spread::of(self.runs.iter().map(|run| reached(run, place).0))
    }

    /// "hogwild:wild+sgd at 2 threads".
    pub fn name(&self) -> String {
        format!("{} at {}", self.method, crate::lab::report::number::threads(self.threads))
    }

    /// The run in the middle: by seconds to the epsilon of this place, then by how far it came.
    pub fn middle_run(&self, place: Option<usize>) -> Option<&Run> {
        let mut runs = self.runs.clone();
        let key = |run: &Run| (place.map_or(f64::INFINITY, |place| reached(run, place).0), lowest(run));
        runs.sort_by(|a, b| key(a).0.total_cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)));
        runs.get(runs.len().saturating_sub(1) / 2).copied()
    }
}

/// (seconds, epochs) to an epsilon, infinite if it was not come to.
fn reached(run: &Run, place: usize) -> (f64, f64) {
    match run.reached.get(place) {
        Some(Some(at)) => (at.seconds, at.epochs),
        _ => (f64::INFINITY, f64::INFINITY),
    }
}

fn lowest(run: &Run) -> f64 {
    run.points.iter().map(|point| point.suboptimality).filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min)
}

/// All of it.
pub struct Summary<'a> {
    /// What was found.
    pub results: &'a Results,
    /// The methods, in the order of the plan.
    pub methods: Vec<&'a str>,
    /// Every method at every number of threads; the methods in the order of the plan, the threads rising.
    pub cells: Vec<Cell<'a>>,
    /// The epsilon of the headline and its place in the plan: the smallest that most methods came to or, where most came to
    /// none, the smallest that any did.
    pub epsilon: Option<(usize, f64)>,
}

impl<'a> Summary<'a> {
    /// Of all runs but those of a study.
    pub fn new(results: &'a Results) -> Self {
        let runs = || results.runs.iter().filter(|run| run.varied.is_none());
        let mut methods: Vec<&str> = Vec::new();
        for method in results.plan.methods.iter().map(String::as_str).chain(runs().map(|run| run.method.as_str())) {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        let mut cells = Vec::new();
        for &method in &methods {
            let mut threads: Vec<usize> = runs().filter(|run| run.method == method).map(|run| run.threads).collect();
            threads.sort_unstable();
            threads.dedup();
            cells.extend(threads.into_iter().map(|threads| {
                let runs = runs().filter(|run| run.method == method && run.threads == threads).collect();
                let never = Spread::of([]);
                Cell { method, threads, runs, seconds: never, epochs: never, epoch_seconds: never, lowest: never }
            }));
        }
        let n_came = |place: usize| {
            let came = |method: &&&str| cells.iter().any(|cell| cell.method == **method && cell.seconds_to(place).came());
            methods.iter().filter(came).count()
        };
        let epsilons = results.plan.epsilons.iter().copied().enumerate();
        let smallest = |least: usize| {
            let came = epsilons.clone().filter(|&(place, _)| n_came(place) >= least);
            came.min_by(|a, b| a.1.total_cmp(&b.1))
        };
        let epsilon = smallest(methods.len() / 2 + 1).or_else(|| smallest(1));
        for cell in &mut cells {
            if let Some((place, _)) = epsilon {
                cell.seconds = cell.seconds_to(place);
                cell.epochs = Spread::of(cell.runs.iter().map(|run| reached(run, place).1));
            }
            let an_epoch = |run: &&&Run| if run.epochs > 0 { run.train_seconds / run.epochs as f64 } else { f64::NAN };
            cell.epoch_seconds = Spread::of(cell.runs.iter().map(|run| an_epoch(&run)));
            cell.lowest = Spread::of(cell.runs.iter().map(|run| lowest(run)));
        }
        Self { results, methods, cells, epsilon }
    }

    /// The cells of a method.
    pub fn of(&self, method: &str) -> impl Iterator<Item = &Cell<'a>> {
        self.cells.iter().filter(move |cell| cell.method == method)
    }

    /// A method at a number of threads.
    pub fn cell(&self, method: &str, threads: usize) -> Option<&Cell<'a>> {
        self.of(method).find(|cell| cell.threads == threads)
    }

    /// A method where it is fastest to the epsilon or, if it never comes there, where it comes nearest.
    pub fn best(&self, method: &str) -> Option<&Cell<'a>> {
        self.of(method).min_by(|a, b| order(a, b))
    }

    /// Every method where it is fastest, the fastest first.
    pub fn ranking(&self) -> Vec<&Cell<'a>> {
        let mut best: Vec<&Cell> = self.methods.iter().filter_map(|method| self.best(method)).collect();
        best.sort_by(|a, b| order(a, b));
        best
    }

    /// The fastest of all, if any method came to any epsilon.
    pub fn fastest(&self) -> Option<&Cell<'a>> {
        self.ranking().first().copied().filter(|cell| cell.seconds.came())
    }

    /// The fastest single thread of any method.
    pub fn best_single(&self) -> Option<&Cell<'a>> {
        self.cells.iter().filter(|cell| cell.threads == 1 && cell.seconds.came()).min_by(|a, b| order(a, b))
    }

    /// The number of threads, from 2, at which a method first beats the best single thread of any.
    pub fn beats_single_at(&self, method: &str) -> Option<usize> {
        let best = self.best_single()?.seconds.middle;
        self.of(method).find(|cell| cell.threads > 1 && cell.seconds.middle < best).map(|cell| cell.threads)
    }

    /// Our own plain sequential code with the same update.
    pub fn sequential(&self, method: &str) -> Option<&Cell<'a>> {
        self.cell(&format!("sequential+{}", update(method)?), 1)
    }

    /// How many times as fast a cell is as a reference, with quartiles (of the cell); none where either did not come.
    pub fn speed_up(reference: Option<&Cell>, cell: &Cell) -> Option<Spread> {
        let reference = reference.filter(|reference| reference.seconds.came())?.seconds.middle;
        let Spread { low, middle, high } = cell.seconds;
        let spread = Spread { low: reference / high, middle: reference / middle, high: reference / low };
        (middle.is_finite() && spread.high.is_finite()).then_some(spread)
    }

    /// Whether so many threads are more than the machine has physical cores.
    pub fn over_cores(&self, threads: usize) -> bool {
        threads > self.results.machine.n_cores
    }

    /// The numbers of threads that occur.
    pub fn threads(&self) -> Vec<usize> {
        let mut threads: Vec<usize> = self.cells.iter().map(|cell| cell.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        threads
    }

    /// At most [`MOST_LINES`] of some methods, the fastest first: the usual method, plain sequential code with the update of the
    /// fastest and Hogwild! as it was published are never left out, and otherwise the slowest are.
    pub fn telling(&self, wanted: impl Fn(&str) -> bool) -> Vec<&'a str> {
        let ranked: Vec<&str> = self.ranking().iter().map(|cell| cell.method).filter(|method| wanted(method)).collect();
        let sequential = ranked.first().and_then(|first| update(first)).map(|update| format!("sequential+{update}"));
        let kept = |method: &str| method == USUAL || method == "hogwild:wild+sgd" || sequential.as_deref() == Some(method);
        let mut room = MOST_LINES.saturating_sub(ranked.iter().filter(|method| kept(method)).count());
        let mut takes = |method: &&str| {
            let taken = kept(method) || room > 0;
            room = room.saturating_sub(usize::from(taken && !kept(method)));
            taken
        };
        ranked.into_iter().filter(|method| takes(method)).collect()
    }
}

/// By seconds to the epsilon, then by the lowest suboptimality, then by threads.
fn order(a: &Cell, b: &Cell) -> std::cmp::Ordering {
    let seconds = a.seconds.middle.total_cmp(&b.seconds.middle);
    seconds.then(a.lowest.middle.total_cmp(&b.lowest.middle)).then(a.threads.cmp(&b.threads))
}

/// The update of a method, without its settings: sgd of `minibatch:64+sgd(topk:10)`.
fn update(method: &str) -> Option<&str> {
    let name = method.rsplit_once('+')?.1;
    Some(name.split(['(', ' ']).next().unwrap_or(name))
}
