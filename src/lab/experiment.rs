//! Methods side by side: every method at every number of threads with every seed, on one problem, to the same P(w).
//!
//! The order is made so that what is compared runs close together in time: all methods with the first seed, then all with the
//! second. Before a method is timed its step size is chosen at that number of threads, with the same budget for every method;
//! staleness is sampled in runs of its own, so that sampling slows nothing that is timed. After every task the results are
//! handed over, to be kept; an experiment that was interrupted goes on where it stopped.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::lab::outset::{begin, fitting};
use crate::lab::timing::Timing;
use crate::lab::tuning::tune;
use crate::lab::{Components, Contention, Method, Results, Run, Tuning};
use crate::problem::Problem;
use crate::strategy::{self, Choice, Sharing, StrategyKind, UpdateKind};
use crate::threads::Team;
use crate::train::StepSize;

/// A trial of a step size has this share of a run's budget.
const TUNING_SHARE: f64 = 0.25;
/// Epochs of a run in which staleness is sampled.
const PROBED_EPOCHS: u64 = 4;
/// Pairs of epochs, with and without sampling, that the probe's cost is measured by, and seconds after which they must do.
const PROBE_PAIRS: (usize, f64) = (201, 4.0);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The words that the program was called with, for the report.
    pub command: Vec<String>,
    /// Seconds since 1970.
    pub started: u64,
    /// Methods; those that do not exist for the problem are left out, and the report says so.
    pub methods: Vec<Method>,
    /// Relative suboptimalities to come to.
    pub epsilons: Vec<f64>,
    /// How many seeds.
    pub seeds: u64,
    /// Seconds of training for each run; to suit the problem if `None`.
    pub seconds: Option<f64>,
    /// Epochs for each run.
    pub epochs: u64,
}

/// How far an experiment has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// What is under way.
    pub task: String,
    /// Tasks done, and all there are.
    pub done: usize,
    /// All tasks.
    pub total: usize,
    /// Seconds that are left, going by what like tasks have taken.
    pub seconds_left: Option<f64>,
}

/// What looks on, and keeps what there is.
pub trait Watcher {
    /// A task begins.
    fn begins(&mut self, status: &Status);
    /// A task has ended.
    ///
    /// # Errors
    /// Ends the experiment, as when a disk is full.
    fn keeps(&mut self, results: &Results) -> Result<()>;
}

/// All methods that an experiment compares unless asked otherwise, most telling first.
pub fn usual_methods() -> Vec<Method> {
    let mut all = Vec::new();
    for &update in UpdateKind::ALL {
        all.push(Method::new(StrategyKind::Sequential, update));
        all.extend(Sharing::ALL.iter().map(|&sharing| Method::hogwild(sharing, update)));
    }
    let others = StrategyKind::ALL.iter().filter(|kind| !matches!(kind, StrategyKind::Hogwild | StrategyKind::Sequential));
    all.extend(others.map(|&strategy| Method::new(strategy, UpdateKind::Sgd)));
    let more = [
        "hogwild:deterministic+sdca",
        "conflict_free+sdca",
        "minibatch:all+sgd",
        "minibatch:qsgd:16+sgd",
        "minibatch:topk:100+sgd",
    ];
    all.extend(more.iter().chain(&["averaging:never+sgd"]).filter_map(|name| name.parse().ok()));
    all
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
enum Task {
    Tune(Method, usize),
    Run(Method, usize, u64),
    Probe(Method, usize),
    Contention(usize),
    ProbeCost,
}

impl Task {
    /// What it is called, and what tasks take about as long.
    fn name(&self) -> String {
        match self {
            Self::Tune(method, threads) => format!("choosing the step size of {method} at {threads} threads"),
            Self::Run(method, threads, _) => format!("{method} at {threads} threads"),
            Self::Probe(method, threads) => format!("staleness of {method} at {threads} threads"),
            Self::Contention(threads) => format!("lost additions at {threads} threads"),
            Self::ProbeCost => "what sampling the staleness costs".to_owned(),
        }
    }
}

/// Runs an experiment with a team for each number of threads, in rising order, or goes on with one.
///
/// # Errors
/// If the optimum cannot be found (no penalty, no conjugate), `so_far` is another experiment's, or the watcher fails.
pub fn experiment(
    problem: &Problem,
    teams: &[Team],
    asked: &Asked,
    so_far: Option<Results>,
    watcher: &mut dyn Watcher,
) -> Result<Results> {
    let mut seconds = BTreeMap::<String, Vec<f64>>::new();
    let first = |task: &str| Status { task: task.to_owned(), done: 0, total: 0, seconds_left: None };
    let mut results = match so_far {
        Some(results) => fitting(results, problem, teams, asked)?,
        None => {
            watcher.begins(&first("looking at the machine and the data"));
            begin(problem, teams, asked, |task| watcher.begins(&first(task)))?
        }
    };
    let methods = possible(problem, asked, &mut results);
    if methods.is_empty() {
        return Err(Error::Usage(format!(
            "no method is left to compare: {}",
            results.warnings.last().map_or("", String::as_str)
        )));
    }
    let tasks = tasks(&methods, teams, asked.seeds);
    for (done, task) in tasks.iter().enumerate() {
        if is_done(task, &results) {
            continue;
        }
        if teams.iter().any(Team::cancelled) {
            break;
        }
        let left = seconds_left(&tasks[done..], &seconds);
        watcher.begins(&Status { task: task.name(), done, total: tasks.len(), seconds_left: left });
        let (started, before) = (Instant::now(), results.clone());
        perform(task, problem, teams, &mut results)?;
        if teams.iter().any(Team::cancelled) {
            results = before; // what was under way is not whole
            break;
        }
        seconds.entry(task.name()).or_default().push(started.elapsed().as_secs_f64());
        watcher.keeps(&results)?;
    }
    Ok(results)
}

/// The methods that exist for this problem; the results say why others do not.
fn possible(problem: &Problem, asked: &Asked, results: &mut Results) -> Vec<Method> {
    let mut methods = Vec::new();
    for method in &asked.methods {
        match strategy::build::<f32>(problem, &method.choice(0)) {
            Ok(_) => methods.push(method.clone()),
            Err(error) => {
                let left_out = format!("{method} is left out: {error}.");
                if !results.warnings.contains(&left_out) {
                    results.warnings.push(left_out);
                }
            }
        }
    }
    // What a speed-up is measured against is always there.
    for method in methods.clone() {
        let sequential = method.sequential();
        if !methods.contains(&sequential) && strategy::build::<f32>(problem, &sequential.choice(0)).is_ok() {
            methods.push(sequential);
        }
    }
    methods
}

fn tasks(methods: &[Method], teams: &[Team], seeds: u64) -> Vec<Task> {
    let mut crosses = Vec::new();
    for method in methods {
        let sizes = teams.iter().map(Team::n_workers);
        crosses.extend(sizes.filter(|&n| n == 1 || method.strategy() != StrategyKind::Sequential).map(|n| (method.clone(), n)));
    }
    let mut tasks: Vec<Task> = teams.iter().map(|team| Task::Contention(team.n_workers())).collect();
    tasks.push(Task::ProbeCost);
    for seed in 0..seeds {
        for (method, threads) in crosses.iter().cloned() {
            if seed == 0 && method.has_step_size() {
                tasks.push(Task::Tune(method.clone(), threads));
            }
            tasks.push(Task::Run(method.clone(), threads, seed));
            if seed == 0 && threads > 1 {
                tasks.push(Task::Probe(method, threads));
            }
        }
    }
    tasks
}

fn is_done(task: &Task, results: &Results) -> bool {
    let run = |method: &Method, threads: usize, seed: u64| {
        results.runs.iter().find(|run| run.method == method.to_string() && run.threads == threads && run.seed == seed)
    };
    match *task {
        Task::Tune(ref method, threads) => tuned(results, method, threads).is_some(),
        Task::Run(ref method, threads, seed) => run(method, threads, seed).is_some(),
        Task::Probe(ref method, threads) => run(method, threads, 0).is_some_and(|run| run.staleness.is_some()),
        Task::Contention(threads) => results.contention.iter().any(|met| met.threads == threads),
        Task::ProbeCost => results.probe_cost.is_some(),
    }
}

fn tuned<'a>(results: &'a Results, method: &Method, threads: usize) -> Option<&'a Tuning> {
    results.tunings.iter().find(|tuning| tuning.method == method.to_string() && tuning.threads == threads)
}

/// What is left takes as long as its like have, or as the mean of all.
fn seconds_left(tasks: &[Task], seconds: &BTreeMap<String, Vec<f64>>) -> Option<f64> {
    let (n, sum) = seconds.values().flatten().fold((0, 0.0), |(n, sum), seconds| (n + 1, sum + seconds));
    let usual = (n > 0).then(|| sum / f64::from(n))?;
    let like = |task: &Task| seconds.get(&task.name()).map_or(usual, |like| like.iter().sum::<f64>() / like.len() as f64);
    Some(tasks.iter().map(like).sum())
}

fn perform(task: &Task, problem: &Problem, teams: &[Team], results: &mut Results) -> Result<()> {
    let team = |threads: usize| teams.iter().find(|team| team.n_workers() == threads).unwrap_or(&teams[0]);
    let timing = |results: &Results, method: &Method, threads: usize, seed: u64| Timing {
        method: method.clone(),
        seed,
        step_size: tuned(results, method, threads).map(|tuning| tuning.chosen),
        delays: Vec::new(),
        probes: false,
        optimum: results.problem.optimum,
        epsilons: results.plan.epsilons.clone(),
        seconds: results.plan.seconds,
        epochs: results.plan.epochs,
    };
    match *task {
        Task::Contention(threads) => results.contention.push(Contention::of(problem, team(threads))),
        Task::ProbeCost => results.probe_cost = Some(probe_cost(problem, &teams[teams.len() - 1])?),
        Task::Tune(ref method, threads) => {
            let timing = Timing { seconds: TUNING_SHARE * results.plan.seconds, ..timing(results, method, threads, 0) };
            results.tunings.push(tune(&timing, problem, team(threads))?);
        }
        Task::Run(ref method, threads, seed) => {
            let run = timing(results, method, threads, seed).run(problem, team(threads))?;
            if results.components.is_none() {
                results.components = Components::of(&run);
            }
            results.runs.push(run);
        }
        Task::Probe(ref method, threads) => {
            let timing =
                Timing { probes: true, epochs: PROBED_EPOCHS, epsilons: Vec::new(), ..timing(results, method, threads, 0) };
            let staleness = timing.run(problem, team(threads))?.staleness;
            let timed = |run: &&mut Run| run.method == method.to_string() && run.threads == threads && run.seed == 0;
            if let Some(run) = results.runs.iter_mut().find(timed) {
                run.staleness = staleness;
            }
        }
    }
    Ok(())
}

/// By how much sampling slows an epoch of Hogwild!: epochs with and without it in turn, the ratio of medians less 1.
fn probe_cost(problem: &Problem, team: &Team) -> Result<f64> {
    let method = Method::hogwild(Sharing::Wild, UpdateKind::Sgd);
    let step_size = team.install(|| StepSize::new(problem, &method.choice(0), None, None)).first;
    let build = |probes: bool| strategy::build::<f32>(problem, &Choice { probes, ..method.choice(0) });
    let mut kinds = [build(false)?, build(true)?];
    let mut seconds = [Vec::new(), Vec::new()];
    let (pairs, most) = PROBE_PAIRS;
    let started = Instant::now();
    for pair in 0..pairs {
        for k in [pair % 2, 1 - pair % 2] {
            let began = Instant::now();
            team.install(|| kinds[k].epoch(problem, team, step_size as f32));
            seconds[k].push(began.elapsed().as_secs_f64());
        }
        if started.elapsed().as_secs_f64() > most || team.cancelled() {
            break;
        }
    }
    let median = |seconds: &mut Vec<f64>| {
        seconds.sort_unstable_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let [without, with] = seconds.each_mut().map(median);
    Ok(with / without - 1.0)
}

impl Components {
    fn of(run: &Run) -> Option<Self> {
        let figure = |name: &str| run.figures.get(name).copied();
        Some(Self {
            batch: figure("batch_rows")? as usize,
            mean_count: figure("components_a_batch")?,
            mean_rows: figure("component_rows")?,
            largest_share: figure("largest_share")?,
        })
    }
}
