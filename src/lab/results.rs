//! What an experiment has found: every run, and what is needed to believe it. This is `results.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The format's version.
pub const VERSION: u32 = 1;

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`VERSION`].
    pub version: u32,
    /// The words that the program was called with.
    pub command: Vec<String>,
    /// Seconds since 1970 when it began.
    pub started: u64,
    /// Where.
    pub machine: Machine,
    /// On what.
    pub data: Data,
    /// What was minimised.
    pub problem: Minimised,
    /// What was asked for.
    pub plan: Plan,
    /// How step sizes were chosen.
    pub tunings: Vec<Tuning>,
    /// Every run, in the order in which they were made.
    pub runs: Vec<Run>,
    /// What wild and atomic additions meet, for each number of threads.
    pub contention: Vec<Contention>,
    /// How the conflict graph of a batch falls apart, if conflict_free was tried.
    pub components: Option<Components>,
    /// By how much sampling the staleness slows an epoch: 0.01 is one percent. A median of alternating epochs.
    pub probe_cost: Option<f64>,
    /// A study's curves, if it is one.
    pub study: Option<Study>,
    /// What the user should know before believing: a busy machine, more threads than cores, runs left out.
    pub warnings: Vec<String>,
}

/// The machine, as far as it tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// The operating system and architecture.
    pub system: String,
    /// Physical cores that this process may use.
    pub n_cores: usize,
    /// Hardware threads that this process may use.
    pub n_cpus: usize,
    /// Sizes of the caches as the system names them, such as `L1d 32K`.
    pub caches: Vec<String>,
    /// GiB of memory.
    pub memory_gib: Option<f64>,
    /// How many programs wanted a core in the minute before the experiment.
    pub load: Option<f64>,
    /// GB/s read from memory in order, for each number of threads: (threads, GB/s).
    pub bandwidth: Vec<(usize, f64)>,
    /// The processor that each worker of the largest team is pinned to.
    pub pinning: Vec<Option<usize>>,
}

/// The data, and the numbers on which Hogwild!'s theorem rests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Its name.
    pub name: String,
    /// n.
    pub n_rows: usize,
    /// d.
    pub n_features: usize,
    /// All of them.
    pub n_nonzeros: u64,
    /// The largest row.
    pub omega: f64,
    /// The largest share of rows that one feature is in.
    pub delta: f64,
    /// The largest share of rows that one row meets.
    pub rho: f64,
    /// The share of rows that the usual row meets.
    pub mean_rho: f64,
}

/// The objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Minimised {
    /// The loss's name.
    pub loss: String,
    /// Strength of |w|^2 / 2.
    pub l2: f64,
    /// Strength of |w|_1.
    pub l1: f64,
    /// The best P(w) known.
    pub optimum: f64,
    /// By what share of it a better one may at most be lower (certified).
    pub optimum_gap: f64,
    /// P(0).
    pub at_zero: f64,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Numbers of threads.
    pub threads: Vec<usize>,
    /// The methods, such as `hogwild:wild+sgd`.
    pub methods: Vec<String>,
    /// Relative suboptimalities (P - P*) / P* to come to, falling.
    pub epsilons: Vec<f64>,
    /// How many seeds.
    pub seeds: u64,
    /// A run ends after so many seconds of training ...
    pub seconds: f64,
    /// ... or so many epochs.
    pub epochs: u64,
}

/// How a method's step size was chosen for a number of threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The method.
    pub method: String,
    /// Threads.
    pub threads: usize,
    /// Step sizes tried, and what each came to.
    pub grid: Vec<Trial>,
    /// The one taken.
    pub chosen: f64,
}

/// One step size tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The step size of the first epoch.
    pub step_size: f64,
    /// The lowest (P - P*) / P* within the budget; none if it exploded.
    pub suboptimality: Option<f64>,
    /// Seconds to the smallest epsilon that it came to within the budget, if it did.
    pub seconds: Option<f64>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The method, as in [`Plan::methods`].
    pub method: String,
    /// Threads asked for.
    pub threads: usize,
    /// Workers at work at the end, where the strategy has found fewer to be faster.
    pub workers: usize,
    /// The seed.
    pub seed: u64,
    /// In a study, the value of what is varied; else none.
    pub varied: Option<f64>,
    /// The step size of the first epoch.
    pub step_size: f64,
    /// Whether it exploded or ended above P(0).
    pub diverged: bool,
    /// Epochs run.
    pub epochs: u64,
    /// Rows visited.
    pub updates: u64,
    /// Non-zeros visited: updates times the mean row.
    pub nonzeros: f64,
    /// Bytes of rows read.
    pub bytes: f64,
    /// Seconds in epochs.
    pub train_seconds: f64,
    /// Seconds in evaluations, which are not part of any time to epsilon.
    pub eval_seconds: f64,
    /// After each evaluation.
    pub points: Vec<Point>,
    /// For each epsilon, when it was come to; none if it was not.
    pub reached: Vec<Option<Reached>>,
    /// What the strategy has to tell besides, by name.
    pub figures: BTreeMap<String, f64>,
    /// Of steps, in steps of other workers; none with one worker or where it was not sampled.
    pub staleness: Option<Staleness>,
}

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Epochs so far.
    pub epoch: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// (P - P*) / P*.
    pub suboptimality: f64,
}

/// When an epsilon was come to: interpolated between the evaluations around it, on the logarithm of the suboptimality.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// Seconds of training.
    pub seconds: f64,
    /// Epochs.
    pub epochs: f64,
}

/// Samples of staleness.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Staleness {
    /// How many.
    pub samples: usize,
    /// Their mean.
    pub mean: f64,
    /// What half of them do not exceed.
    pub p50: u32,
    /// What 99 of 100 do not exceed.
    pub p99: u32,
    /// The largest: an estimate of Hogwild!'s tau from below.
    pub max: u32,
}

/// What additions meet when so many threads run through the rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Contention {
    /// Threads.
    pub threads: usize,
    /// The share of wild additions that are lost.
    pub lost: f64,
    /// Failed compare-and-swaps for each atomic addition.
    pub retries: f64,
}

/// Conflict components of CYCLADES' batches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Components {
    /// Rows in a batch.
    pub batch: usize,
    /// Components in a batch, in the mean.
    pub mean_count: f64,
    /// Rows in a component, in the mean.
    pub mean_rows: f64,
    /// The share of its batch that the largest component takes, in the mean.
    pub largest_share: f64,
}

/// Curves over something that is varied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// `gradient-cost` or `skew`.
    pub name: String,
    /// What is varied, with its unit.
    pub varied: String,
    /// What is measured, with its unit.
    pub measured: String,
    /// One curve a method.
    pub curves: Vec<Curve>,
}

/// A method's curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The method.
    pub name: String,
    /// (what is varied, lower quartile, median, upper quartile).
    pub points: Vec<(f64, f64, f64, f64)>,
}
