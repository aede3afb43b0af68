//! `unfenced search`: the best of a grid by cross-validation, trained again on all rows.

mod report;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;

use crate::cli::objective::suggested_loss;
use crate::cli::progress::{counting, reading};
use crate::cli::search::report::Report;
use crate::cli::train::{GAP, check_writable, default_model, one_of};
use crate::cli::{DONE, INTERRUPTED, STOPPED_EARLY, print, refuse_overwriting, warn};
use crate::data::{Dataset, FeatureNumbers, open};
use crate::error::{Error, Result};
use crate::eval::HeldOut;
use crate::lab::search::{Configuration, Search as Searched, Strength, best, search};
use crate::loss::{self, Loss};
use crate::model::Model;
use crate::problem::Problem;
use crate::strategy::{self, Choice, StrategyKind, UpdateKind};
use crate::sync::Ordering;
use crate::threads::{Team, Topology};
use crate::train::{Limits, Outcome, Plan, StepSize, Stop, train};

/// Epochs after which a model is good enough however it stands.
const MOST_EPOCHS: u64 = 1000;

/// Find the best strengths and steps by cross-validation, and train on all rows with them. Options that take several values take
/// them between commas; every combination is tried.
#[derive(Args)]
pub struct Search {
    /// A store, or LIBSVM text (also .gz .bz2 .zst .xz), or a SciPy .npz with an array y.
    data: PathBuf,
    /// Rows to judge the final model on; the search does not look at them.
    #[arg(long, value_name = "DATA")]
    test: Option<PathBuf>,
    /// What an example costs [default: hinge for two labels, squared for fractions].
    #[arg(long, value_parser = one_of(&loss::ALL, |loss| loss.name()))]
    loss: Option<&'static dyn Loss>,
    /// LIBLINEAR's C, several: l2 = 1/(C n), n being the rows that are trained on [default: 1].
    #[arg(long, value_name = "C,..", value_delimiter = ',', conflicts_with = "l2", allow_negative_numbers = true)]
    c: Vec<f64>,
    /// Strengths of |w|^2 / 2.
    #[arg(long, value_name = "X,..", value_delimiter = ',', allow_negative_numbers = true)]
    l2: Vec<f64>,
    /// Strengths of |w|_1; alone they mean no l2.
    #[arg(long, value_name = "X,..", value_delimiter = ',', allow_negative_numbers = true)]
    l1: Vec<f64>,
    /// How workers share the weights when the best is trained on all rows; one worker alone trains each model of the search.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_value = StrategyKind::Hogwild.name(), value_parser = one_of(StrategyKind::ALL, |kind| kind.name()))]
    strategy: Vec<StrategyKind>,
    /// What one example changes [default: sdca; sgd for minibatch and averaging]; coordinate has a step of its own.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = one_of(UpdateKind::ALL, |kind| kind.name()))]
    update: Vec<UpdateKind>,
    /// First step sizes [default: from the data].
    #[arg(long, value_name = "X,..", value_delimiter = ',', allow_negative_numbers = true)]
    step_size: Vec<f64>,
    /// A bias that is not penalised.
    #[arg(long)]
    intercept: bool,
    /// Each configuration is trained so many times, on all rows but one part in so many.
    #[arg(long, value_name = "K", default_value_t = 5)]
    folds: usize,
    /// Workers, and so models that are trained at a time [default: the physical cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// A model is good enough when the duality gap is this share of the objective [default: 1e-3].
    #[arg(long, value_name = "G", allow_negative_numbers = true)]
    gap: Option<f64>,
    /// Or after so many epochs [default: 1000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    epochs: Option<u64>,
    /// Decides the folds and the order of the rows.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Where to save the model [default: DATA's name up to its first dot, .model, in this folder].
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Write all results as a JSON object.
    #[arg(long, value_name = "FILE.json")]
    out: Option<PathBuf>,
    /// Print that object instead of a table.
    #[arg(long)]
    json: bool,
    /// No progress, no table.
    #[arg(long)]
    quiet: bool,
}

impl Search {
    pub fn run(self) -> Result<u8> {
        let model = self.model.clone().unwrap_or_else(|| default_model(&self.data));
        self.check_alone(&model)?;
        let n_cores = Topology::of_this_machine().n_cores();
        let team = Team::new(self.threads.map_or(n_cores, usize::from), true)?;
        let reading = reading(self.quiet, &self.data);
        let data = team.install(|| open(&self.data, FeatureNumbers::Auto, self.seed))?;
        Model::check_size(&data)?;
        let test = self.test.as_ref().map(|path| team.install(|| open(path, FeatureNumbers::Auto, self.seed))).transpose()?;
        reading.finish_and_clear();
        check_writable(&model)?;

        let cancel = team.cancel_flag();
        // A second handler in one process is refused, which only a test that runs two commands can meet.
        let _ = ctrlc::set_handler(move || cancel.store(true, Ordering::Relaxed));
        self.search(&data, test.as_ref(), &team, model)
    }

    /// Refuses what no data could make right.
    fn check_alone(&self, model: &Path) -> Result<()> {
        let usage = |what: &str| Err(Error::Usage(what.into()));
        for output in [Some(model), self.out.as_deref()].into_iter().flatten() {
            refuse_overwriting(output, &[Some(&self.data), self.test.as_deref()])?;
        }
        if self.out.as_deref() == Some(model) {
            return usage("--out and the model have the same name");
        }
        let positive = |values: &[f64]| values.iter().all(|value| *value > 0.0 && value.is_finite());
        if !positive(&self.c) || !positive(&self.step_size) {
            return usage("--c and --step-size want numbers above 0");
        }
        if self.l2.iter().chain(&self.l1).any(|strength| !strength.is_finite() || *strength < 0.0) {
            return usage("--l2 and --l1 want finite numbers of 0 or more");
        }
        if !self.gap.is_none_or(|gap| gap > 0.0 && gap < 1.0) {
            return usage("--gap wants a share between 0 and 1, such as 1e-3");
        }
        if self.folds < 2 {
            return usage("--folds wants 2 or more: each part is judged by a model of the others");
        }
        let coordinate = self.strategy.contains(&StrategyKind::Coordinate);
        if coordinate && (self.strategy.len() > 1 || !self.update.is_empty()) {
            return usage("coordinate has a step of its own: search it alone, without --update");
        }
        if coordinate && self.step_size.iter().any(|&step_size| step_size > 1.0) {
            return usage("--step-size of coordinate is a share of the safe step: above 0 and at most 1 is wanted");
        }
        if !self.step_size.is_empty()
            && self.methods().iter().any(|&(kind, update)| !kind.has_own_step() && update == UpdateKind::Sdca)
        {
            return usage(
                "--step-size is for steps on gradients; sdca's steps are exact: search sdca apart, or add --update sgd",
            );
        }
        Ok(())
    }

    /// Every strategy with every update.
    fn methods(&self) -> Vec<(StrategyKind, UpdateKind)> {
        let updates = |strategy: StrategyKind| match (self.update.as_slice(), strategy) {
            ([], StrategyKind::Minibatch | StrategyKind::Averaging | StrategyKind::Coordinate) => vec![UpdateKind::Sgd],
            ([], _) => vec![UpdateKind::Sdca],
            (updates, _) => updates.to_vec(),
        };
        self.strategy.iter().flat_map(|&strategy| updates(strategy).into_iter().map(move |update| (strategy, update))).collect()
    }

    fn grid(&self) -> Vec<Configuration> {
        let strengths: Vec<Strength> = if !self.c.is_empty() {
            self.c.iter().map(|&c| Strength::C(c)).collect()
        } else if !self.l2.is_empty() {
            self.l2.iter().map(|&l2| Strength::L2(l2)).collect()
        } else {
            vec![if self.l1.is_empty() { Strength::C(1.0) } else { Strength::L2(0.0) }]
        };
        let l1s = if self.l1.is_empty() { vec![0.0] } else { self.l1.clone() };
        let step_sizes = match self.step_size.as_slice() {
            [] => vec![None],
            given => given.iter().map(|&step_size| Some(step_size)).collect(),
        };
        let mut grid = Vec::new();
        for (strategy, update) in self.methods() {
            for &step_size in &step_sizes {
                for &l1 in &l1s {
                    for &strength in &strengths {
                        let choice = Choice { seed: self.seed, ..Choice::new(strategy, update) };
                        grid.push(Configuration { strength, l1, choice, step_size });
                    }
                }
            }
        }
        grid
    }

    fn search(&self, data: &Dataset, test: Option<&Dataset>, team: &Team, model: PathBuf) -> Result<u8> {
        let loss = self.loss.map_or_else(|| suggested_loss(data), Ok)?;
        let limits =
            Limits { gap: Some(self.gap.unwrap_or(GAP)), epochs: Some(self.epochs.unwrap_or(MOST_EPOCHS)), ..Limits::default() };
        let searched =
            Searched { loss, intercept: self.intercept, grid: self.grid(), n_folds: self.folds, seed: self.seed, limits };
        let penalty = searched.grid[0].penalty(data.n_rows());
        let whole = team.install(|| Problem::new(data, loss, penalty, self.intercept))?;
        let held_out = test.map(|test| HeldOut::new(test, data, loss, whole.classes())).transpose()?;
        let started = Instant::now();
        let bar = counting(self.quiet, (searched.grid.len() * self.folds) as u64);
        let outcomes = search(data, &searched, team, |_, _| bar.inc(1));
        bar.finish_and_clear();
        let outcomes = outcomes?;
        let mut report = Report::new(data, &searched, &outcomes, team, started.elapsed().as_secs_f64());
        let chosen = best(&outcomes, loss.task()).map(|outcome| outcome.configuration);
        let mut code = DONE;
        if team.cancelled() {
            let (n, all) = (outcomes.len(), searched.grid.len());
            warn(&format!("interrupted: {n} of {all} configurations are finished and shown; no model was saved"));
            code = INTERRUPTED;
        } else if let Some(chosen) = chosen {
            let outcome = refit(&whole, &searched.grid[chosen], limits, team, held_out.as_ref(), &model)?;
            report.refitted(&outcome, &model);
            code = ended(outcome.stop);
        }
        let json = serde_json::to_string(&report).map_err(|error| Error::Data(error.to_string()))?;
        if let Some(out) = &self.out {
            crate::file::write(out, |file| writeln!(file, "{json}"))?;
        }
        if self.json {
            print(&format!("{json}\n"))?;
        } else if !self.quiet {
            print(&report.text())?;
        }
        if chosen.is_none() && code == DONE {
            return Err(Error::Diverged(format!(
                "{}: every configuration exploded; smaller --step-size, or --update sdca, which needs none",
                data.name()
            )));
        }
        Ok(code)
    }
}

/// Trains a configuration on all rows with all workers, and saves the model.
fn refit(
    whole: &Problem,
    configuration: &Configuration,
    mut limits: Limits,
    team: &Team,
    held_out: Option<&HeldOut>,
    model: &Path,
) -> Result<Outcome<f32>> {
    let problem = whole.with_penalty(configuration.penalty(whole.n_rows()))?;
    let choice = &configuration.choice;
    let mut strategy = team.install(|| strategy::build::<f32>(&problem, choice))?;
    let plan = Plan::new(team.install(|| StepSize::new(&problem, choice, configuration.step_size, None)));
    let outcome = train(&problem, strategy.as_mut(), team, plan, held_out, &mut [&mut limits])?;
    Model::new(&problem, &outcome.best.weights, outcome.best.intercept)?.save(model)?;
    Ok(outcome)
}

/// The exit code of the last training, with a warning if it was cut short.
fn ended(stop: Stop) -> u8 {
    match stop {
        Stop::Interrupted => {
            warn("interrupted: the model is the best so far of the best configuration");
            INTERRUPTED
        }
        Stop::Epochs => {
            warn("the model was stopped before the asked --gap; more --epochs help");
            STOPPED_EARLY
        }
        _ => DONE,
    }
}
