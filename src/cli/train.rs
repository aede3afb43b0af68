//! `unfenced train`: read, check, run, save, report.

mod settings;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::objective::Objective;
use crate::cli::progress::{Bar, reading};
use crate::cli::report::{Report, Summary};
use crate::cli::train::settings::Settings;
pub use crate::cli::train::settings::{GAP, check_writable, default_model};
use crate::cli::{DONE, INTERRUPTED, STOPPED_EARLY, print, warn};
use crate::data::{FeatureNumbers, open};
use crate::error::{Error, Result};
use crate::eval::{HeldOut, metrics};
use crate::model::Model;
use crate::problem::{Certificate, Problem};
use crate::strategy::{self, Compression, Delay, Precision, Sharing, StrategyKind, UpdateKind};
use crate::sync::{Float, Ordering};
use crate::threads::{Team, Topology};
use crate::train::{
    Checkpoints, Fingerprint, History, Observer, Outcome, Patience, Plan, Schedule, StepSize, Stop, resume, train,
};

/// Train a model and save it.
#[derive(Args)]
pub struct Train {
    /// A store, or LIBSVM text (also .gz .bz2 .zst .xz), or a SciPy .npz with an array y.
    data: PathBuf,
    /// Rows to measure accuracy on, not trained on.
    #[arg(long, value_name = "DATA")]
    test: Option<PathBuf>,
    #[command(flatten)]
    objective: Objective,
    /// How workers share the weights.
    #[arg(long, default_value = StrategyKind::Hogwild.name(), value_parser = one_of(StrategyKind::ALL, |kind| kind.name()))]
    strategy: StrategyKind,
    /// What one example changes [default: sdca; sgd for minibatch and averaging]; coordinate has a step of its own.
    #[arg(long, value_parser = one_of(UpdateKind::ALL, |kind| kind.name()))]
    update: Option<UpdateKind>,
    /// What hogwild's workers share [default: replicated].
    #[arg(long, value_parser = one_of(Sharing::ALL, |kind| kind.name()))]
    memory: Option<Sharing>,
    /// Workers [default: the physical cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Leave the workers to the operating system's scheduler.
    #[arg(long)]
    no_pin: bool,
    /// First step size, of every update but sdca [default: from the data]; of coordinate, a share of the safe step [default: 1].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    step_size: Option<f64>,
    /// How the step size shrinks from epoch to epoch, of every update but sdca [default: to suit the method and the loss].
    #[arg(long, value_parser = one_of(Schedule::ALL, |kind| kind.name()))]
    schedule: Option<Schedule>,
    /// Rows in a step of minibatch, or all of them [default: 64].
    #[arg(long, value_name = "N|all", value_parser = batch)]
    batch: Option<usize>,
    /// What minibatch's workers send of their gradients: none (compressed), qsgd:LEVELS, topk:K, topk:K:forget.
    #[arg(long, value_name = "METHOD", value_parser = compression)]
    compress: Option<Compression>,
    /// Of minibatch's --threads, the gradients that a step drops: it takes those of the first N of N + B workers.
    #[arg(long, value_name = "B", default_value_t = 0)]
    backup: u16,
    /// Epochs after which averaging's workers set out from their mean; `never`: each keeps to itself [default: 1].
    #[arg(long, value_name = "K", value_parser = average_every)]
    average_every: Option<AverageEvery>,
    /// Slow a worker down: milliseconds before each of its steps, or in every so many of them; `all` for every worker.
    #[arg(long, value_name = "WORKER:MILLISECONDS[:EVERY]", value_parser = delay)]
    delay: Vec<Delay>,
    /// Fit a constant as well; it is not penalised.
    #[arg(long)]
    intercept: bool,
    /// Number type of the weights.
    #[arg(long, default_value = f32::NAME, value_parser = [f32::NAME, f64::NAME])]
    precision: String,
    /// Decides the order of the rows.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Give the same bits in every run with so many threads (conflict_free: with any number).
    #[arg(long)]
    deterministic: bool,
    /// Stop when the duality gap is this share of the objective; 0 never [default: 1e-3, none with --target-objective].
    #[arg(long, value_name = "G", allow_negative_numbers = true)]
    gap: Option<f64>,
    /// Stop when the objective is this low.
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    target_objective: Option<f64>,
    /// Stop after so many epochs [default: 1000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    epochs: Option<u64>,
    /// Stop after so many seconds; the epoch under way is finished.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<f64>,
    /// Stop when so many evaluations have not improved the test set.
    #[arg(long, value_name = "N", requires = "test", value_parser = clap::value_parser!(u64).range(1..))]
    patience: Option<u64>,
    /// Where to save the model [default: DATA's name up to its first dot, .model, in this folder].
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Write a JSON line for each evaluation.
    #[arg(long, value_name = "FILE.jsonl")]
    history: Option<PathBuf>,
    /// Save the state of the run in this folder, to go on from.
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint.
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// Print one JSON object instead of a summary.
    #[arg(long)]
    json: bool,
    /// No progress bar, no summary.
    #[arg(long)]
    quiet: bool,
}

/// Reads `WORKER:MILLISECONDS[:EVERY]`.
pub fn delay(given: &str) -> std::result::Result<Delay, String> {
    let wanted = || "WORKER:MILLISECONDS[:EVERY] is wanted, such as 0:1.5 or all:2:100".to_owned();
    let parts: Vec<&str> = given.split(':').collect();
    let (worker, milliseconds, every) = match parts[..] {
        [worker, milliseconds] => (worker, milliseconds, "1"),
        [worker, milliseconds, every] => (worker, milliseconds, every),
        _ => return Err(wanted()),
    };
    let worker = if worker == "all" { None } else { Some(worker.parse().map_err(|_| wanted())?) };
    let milliseconds = milliseconds.parse::<f64>().ok().filter(|&time| (0.0..=3.6e6).contains(&time)).ok_or_else(wanted)?;
    let every = every.parse().ok().filter(|&every| every > 0).ok_or_else(wanted)?;
    Ok(Delay { worker, pause: Duration::from_secs_f64(milliseconds / 1e3), every })
}

/// Reads a number of rows, or `all`.
fn batch(given: &str) -> std::result::Result<usize, String> {
    if given == "all" {
        return Ok(usize::MAX);
    }
    given.parse().map_err(|_| "a number of rows is wanted, or all".to_owned())
}

fn compression(given: &str) -> std::result::Result<Compression, String> {
    given.parse()
}

/// K of averaging.
#[derive(Clone, Copy)]
pub enum AverageEvery {
    Epochs(u64),
    Never,
}

/// Reads a number of epochs, or `never`.
fn average_every(given: &str) -> std::result::Result<AverageEvery, String> {
    let epochs = || given.parse().ok().filter(|&epochs| epochs > 0).map(AverageEvery::Epochs);
    let every = if given == "never" { Some(AverageEvery::Never) } else { epochs() };
    every.ok_or_else(|| "a number of epochs is wanted, 1 or more, or never".to_owned())
}

/// Takes one of these, by its name.
pub fn one_of<T: Copy + Send + Sync>(all: &'static [T], name: impl Fn(T) -> &'static str) -> impl TypedValueParser<Value = T> {
    let named: Vec<(&str, T)> = all.iter().map(|&one| (name(one), one)).collect();
    PossibleValuesParser::new(named.iter().map(|&(name, _)| name)).try_map(move |given| {
        named.iter().find(|(name, _)| *name == given).map(|&(_, one)| one).ok_or("is no name that is known")
    })
}

impl Train {
    pub fn run(self) -> Result<u8> {
        let n_cores = Topology::of_this_machine().n_cores();
        let sequential = self.strategy == StrategyKind::Sequential;
        let n_workers = self.threads.map_or(if sequential { 1 } else { n_cores }, usize::from);
        self.check_alone(sequential, n_workers)?;
        self.check_messages(n_workers)?;
        let team = Team::new(n_workers, !self.no_pin)?;
        if n_workers > n_cores {
            warn(&format!("{n_workers} threads on {n_cores} cores: they take turns, and timings say little about sharing"));
        }

        let started = Instant::now();
        let reading = reading(self.quiet, &self.data);
        let data = team.install(|| open(&self.data, FeatureNumbers::Auto, self.seed))?;
        Model::check_size(&data)?;
        if data.is_streamed() {
            let course = if self.deterministic { ", which a machine with more memory does not take" } else { "" };
            warn(&format!("{} does not fit in memory: its rows are read from disk, in the store's order{course}", data.name()));
        }
        let settings = self.settings(&data, n_workers)?;
        let test = self.test.as_ref().map(|path| team.install(|| open(path, FeatureNumbers::Auto, self.seed))).transpose()?;
        let problem = team.install(|| Problem::new(&data, settings.loss, settings.penalty, self.intercept))?;
        let held_out = test.as_ref().map(|test| HeldOut::new(test, &data, problem.loss(), problem.classes())).transpose()?;
        let load_seconds = started.elapsed().as_secs_f64();
        reading.finish_and_clear();
        check_writable(&settings.model)?;

        let run = match self.precision.as_str() {
            "f64" => Self::fit::<f64>,
            _ => Self::fit::<f32>,
        };
        run(&self, &problem, &settings, &team, held_out.as_ref(), load_seconds)
    }

    fn fit<F: Precision>(
        &self,
        problem: &Problem,
        settings: &Settings,
        team: &Team,
        held_out: Option<&HeldOut>,
        load_seconds: f64,
    ) -> Result<u8> {
        let mut strategy = strategy::build::<F>(problem, &settings.choice)?;
        let mut plan = Plan::new(team.install(|| StepSize::new(problem, &settings.choice, self.step_size, self.schedule)));
        let schedule = plan.step_size.schedule;
        let checkpoint =
            self.checkpoint.as_ref().map(|folder| (folder, self.fingerprint::<F>(problem, settings, schedule, team)));
        if let Some((folder, fingerprint)) = checkpoint.as_ref().filter(|_| self.resume) {
            let checkpoint = resume::<F>(folder, fingerprint)?;
            strategy.restore(&checkpoint.state)?;
            let step_size = StepSize { first: checkpoint.step_size, ..plan.step_size };
            plan = Plan { step_size, so_far: checkpoint.so_far, best: Some(checkpoint.best) };
        }
        let mut limits = settings.limits;
        let mut patience = self.patience.map(Patience::new);
        let mut history =
            self.history.as_ref().map(|path| History::open(path, self.resume.then_some(plan.so_far.epoch))).transpose()?;
        let mut checkpoints =
            checkpoint.map(|(folder, fingerprint)| Checkpoints::new(folder, fingerprint, self.resume)).transpose()?;
        if self.deterministic {
            checkpoints = checkpoints.map(Checkpoints::by_epochs);
        }
        let mut bar = Bar::new(self.quiet, limits.gap.unwrap_or(GAP));
        let mut observers: Vec<&mut dyn Observer<F>> = vec![&mut limits, &mut bar];
        observers.extend(patience.as_mut().map(|watch| watch as &mut dyn Observer<F>));
        observers.extend(history.as_mut().map(|watch| watch as &mut dyn Observer<F>));
        observers.extend(checkpoints.as_mut().map(|watch| watch as &mut dyn Observer<F>));

        let cancel = team.cancel_flag();
        // A second handler in one process is refused, which only a test that runs two commands can meet.
        let _ = ctrlc::set_handler(move || cancel.store(true, Ordering::Relaxed));
        let outcome = train(problem, strategy.as_mut(), team, plan, held_out, &mut observers)?;
        self.report(problem, settings, team, &outcome, load_seconds)
    }

    /// What a resumed run must share with the run that wrote the checkpoint.
    fn fingerprint<F: Float>(&self, problem: &Problem, settings: &Settings, schedule: Schedule, team: &Team) -> Fingerprint {
        let choice = &settings.choice;
        let mut all = vec![
            ("strategy", choice.strategy.name().to_owned()),
            ("update", choice.update_name().unwrap_or("its own").to_owned()),
            ("precision", F::NAME.to_owned()),
            ("seed", choice.seed.to_string()),
            ("schedule", schedule.name().to_owned()),
        ];
        if choice.strategy == StrategyKind::Minibatch {
            all.push(("batch", choice.batch.to_string()));
        }
        if choice.strategy == StrategyKind::Averaging {
            all.push(("average-every", choice.average_every.map_or("never".to_owned(), |epochs| epochs.to_string())));
            all.push(("threads", team.n_workers().to_string()));
        }
        all.push(("step-size", self.step_size.map_or("from the data".to_owned(), |step_size| step_size.to_string())));
        if choice.strategy == StrategyKind::Minibatch {
            all.push(("compress", choice.compression.map_or("nothing".to_owned(), |compression| compression.to_string())));
            all.push(("backup", choice.backup.to_string()));
            // What a worker sends is of his own share of the batch, so their number counts.
            all.push(("threads", if choice.sends_gradients() { team.n_workers().to_string() } else { "any".to_owned() }));
        }
        // Workers who merge on a fixed schedule come to what depends on how many they are.
        let merged = choice.deterministic && choice.strategy == StrategyKind::Hogwild;
        all.push(("deterministic", if merged { format!("with {} threads", team.n_workers()) } else { "no matter".to_owned() }));
        Fingerprint::new(problem, &all)
    }

    fn report<F: Float>(
        &self,
        problem: &Problem,
        settings: &Settings,
        team: &Team,
        outcome: &Outcome<F>,
        load_seconds: f64,
    ) -> Result<u8> {
        let best = &outcome.best;
        Model::new(problem, &best.weights, best.intercept)?.save(&settings.model)?;
        let scores = team.install(|| problem.scores(&best.weights, best.intercept));
        let summary = Summary {
            problem,
            choice: &settings.choice,
            team,
            outcome,
            train: metrics(problem.loss(), &scores, problem.targets()),
            load_seconds,
            model: &settings.model,
        };
        if self.json {
            let report = serde_json::to_string(&Report::new(&summary)).map_err(|error| Error::Data(error.to_string()))?;
            print(&format!("{report}\n"))?;
        } else if !self.quiet {
            print(&summary.text())?;
        }
        Ok(match outcome.stop {
            Stop::Interrupted => {
                let go_on = match &self.checkpoint {
                    Some(folder) => format!("--checkpoint {} --resume goes on from here", folder.display()),
                    None => "with --checkpoint DIR a run can go on with --resume".to_owned(),
                };
                warn(&format!("interrupted: the model is the best so far; {go_on}"));
                INTERRUPTED
            }
            Stop::Unreachable => {
                let (bound, asked) = (best.certificate.dual.unwrap_or(0.0), settings.limits.objective.unwrap_or(0.0));
                warn(&format!("no weights have an objective below {bound}, and {asked} was asked by --target-objective"));
                STOPPED_EARLY
            }
            Stop::Epochs | Stop::Time if settings.tolerance_asked => {
                warn(&too_early::<F>(best.certificate, settings));
                STOPPED_EARLY
            }
            _ => DONE,
        })
    }
}

fn too_early<F: Float>(reached: Certificate, settings: &Settings) -> String {
    let gap = reached.gap();
    let stopped = match (settings.limits.objective, gap) {
        (Some(objective), _) => format!("stopped at an objective of {}, where {objective} was asked", reached.objective),
        (None, Some(gap)) => {
            format!("stopped at a relative gap of {gap:.1e}, where {:.1e} was asked", settings.limits.gap.unwrap_or(0.0))
        }
        (None, None) => "stopped before the asked tolerance, with no bound on how far the best is".to_owned(),
    };
    let choice = &settings.choice;
    let advice = match choice.update {
        _ if choice.strategy.has_own_step() => "more --epochs or --time, --precision f64 or --strategy hogwild help",
        UpdateKind::Sdca if F::NAME == f32::NAME && gap.is_some_and(|gap| gap < 1e-5) => {
            "a gap so small wants --precision f64, and perhaps more --epochs"
        }
        UpdateKind::Sdca if choice.strategy == StrategyKind::Hogwild && choice.sharing == Sharing::Wild => {
            "--memory replicated where features are in many rows, more --epochs or --time, a larger --l2 (smaller --c) or \
             features scaled to about 1 help"
        }
        UpdateKind::Sdca => "more --epochs or --time, a larger --l2 (smaller --c) or features scaled to about 1 help",
        _ if settings.loss.smoothness().is_none() => {
            "steps on gradients cannot certify the hinge's corner, though their objective may be good: use --update sdca, or stop \
             by --target-objective"
        }
        _ => "more --epochs, another --step-size, or --update sdca help",
    };
    format!("{stopped}; {advice}")
}
