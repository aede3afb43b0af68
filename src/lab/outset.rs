//! What stands before the first run: the machine, the data, the optimum that all runs are measured against, and the budget.

use crate::data::Sparsity;
use crate::error::{Error, Result};
use crate::lab::{Asked, Data, Machine, Method, Minimised, Plan, Results, VERSION};
use crate::problem::Problem;
use crate::strategy::{self, Choice, Precision, StrategyKind, UpdateKind};
use crate::threads::{Team, Topology};
use crate::train::{self, Limits, Outcome, StepSize, train};

/// The relative gap at which P* is certified.
const OPTIMUM_GAP: f64 = 1e-8;
/// Seconds and epochs after which the best P(w) so far must do for P*.
const OPTIMUM_LIMITS: (f64, u64) = (60.0, 20_000);
/// Unless asked otherwise a run may take so many times what plain sequential sdca takes to the smallest epsilon ...
const USUAL_BUDGET: f64 = 20.0;
/// ... but no less and no more than this many seconds.
const BUDGETS: (f64, f64) = (1.0, 60.0);
/// A machine on which more programs than this want a core is busy.
const BUSY_LOAD: f64 = 0.5;

/// The machine, the data and the optimum.
pub(super) fn begin(problem: &Problem, teams: &[Team], asked: &Asked, mut says: impl FnMut(&str)) -> Result<Results> {
    let largest = teams.last().ok_or_else(|| Error::Usage("--threads names no number of threads".into()))?;
    let machine = Machine::of(teams);
    let data = largest.install(|| Data::of(problem));
    says("looking for the optimum");
    let (optimum, optimum_gap) = optimum(problem, largest)?;
    if teams.iter().any(Team::cancelled) {
        return Err(Error::Data("interrupted before the optimum was known; nothing is kept".into()));
    }
    let warnings = warnings(&machine, teams);
    let method = |method: &Method| method.to_string();
    let plan = Plan {
        threads: teams.iter().map(Team::n_workers).collect(),
        methods: asked.methods.iter().map(method).collect(),
        epsilons: asked.epsilons.clone(),
        seeds: asked.seeds,
        seconds: match asked.seconds {
            Some(seconds) => seconds,
            None => usual_budget(problem, teams, asked, optimum)?,
        },
        epochs: asked.epochs,
    };
    let penalty = problem.penalty();
    let at_zero = largest.install(|| problem.objective_at_zero());
    Ok(Results {
        version: VERSION,
        command: asked.command.clone(),
        started: asked.started,
        machine,
        data,
        problem: Minimised {
            loss: problem.loss().name().to_owned(),
            l2: penalty.l2,
            l1: penalty.l1,
            optimum,
            optimum_gap,
            at_zero,
        },
        plan,
        tunings: Vec::new(),
        runs: Vec::new(),
        contention: Vec::new(),
        components: None,
        probe_cost: None,
        study: None,
        warnings,
    })
}

/// What was begun, if it is the same experiment.
pub(super) fn fitting(results: Results, problem: &Problem, teams: &[Team], asked: &Asked) -> Result<Results> {
    let data = problem.data();
    let threads: Vec<usize> = teams.iter().map(Team::n_workers).collect();
    let methods: Vec<String> = asked.methods.iter().map(Method::to_string).collect();
    let Results { plan, data: Data { name, n_rows, n_nonzeros, .. }, problem: minimised, .. } = &results;
    let same = [
        ("version", results.version == VERSION),
        ("data", (name.as_str(), *n_rows, *n_nonzeros) == (data.name(), data.n_rows(), data.n_nonzeros() as u64)),
        (
            "problem",
            (minimised.loss.as_str(), minimised.l2, minimised.l1)
                == (problem.loss().name(), problem.penalty().l2, problem.penalty().l1),
        ),
        ("optimum", minimised.optimum.is_finite() && minimised.optimum_gap.abs() < 1.0),
        ("--threads", plan.threads == threads),
        ("--methods", plan.methods == methods),
        ("--epsilon", plan.epsilons == asked.epsilons),
        ("--seeds", plan.seeds == asked.seeds),
        ("--epochs", plan.epochs == asked.epochs),
        ("--seconds", asked.seconds.is_none_or(|seconds| seconds == plan.seconds)),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((what, _)) => Err(Error::Usage(format!(
            "--resume goes on with the experiment that was begun, and its {what} was another; leave --resume out to begin anew"
        ))),
        None => Ok(results),
    }
}

/// P* and the share of it by which a better one may at most be lower.
pub(super) fn optimum(problem: &Problem, team: &Team) -> Result<(f64, f64)> {
    let (seconds, epochs) = OPTIMUM_LIMITS;
    let limits = Limits { gap: Some(OPTIMUM_GAP), epochs: Some(epochs), seconds: Some(seconds), objective: None };
    let best = fit::<f64>(problem, team, &Choice::new(StrategyKind::Hogwild, UpdateKind::Sdca), limits)?.best.certificate;
    Ok((best.objective, best.gap().unwrap_or(f64::INFINITY)))
}

fn usual_budget(problem: &Problem, teams: &[Team], asked: &Asked, optimum: f64) -> Result<f64> {
    let alone = &teams[0];
    let epsilon = asked.epsilons.last().copied().unwrap_or(0.0);
    let limits = Limits { objective: Some(optimum + epsilon * optimum.abs()), epochs: Some(asked.epochs), ..Limits::default() };
    let outcome = fit::<f32>(problem, alone, &Choice::new(StrategyKind::Sequential, UpdateKind::Sdca), limits)?;
    Ok((USUAL_BUDGET * outcome.progress.train_seconds).clamp(BUDGETS.0, BUDGETS.1))
}

fn fit<F: Precision>(problem: &Problem, team: &Team, choice: &Choice, mut limits: Limits) -> Result<Outcome<F>> {
    let mut strategy = strategy::build::<F>(problem, choice)?;
    let plan = train::Plan::new(team.install(|| StepSize::new(problem, choice, None, None)));
    train(problem, strategy.as_mut(), team, plan, None, &mut [&mut limits])
}

fn warnings(machine: &Machine, teams: &[Team]) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(load) = machine.load.filter(|&load| load > BUSY_LOAD) {
        all.push(format!("The machine was busy when the experiment began (load {load:.2}): times are too long, and vary."));
    }
    let n_cores = Topology::of_this_machine().n_cores();
    for n in teams.iter().map(Team::n_workers).filter(|&n| n > n_cores) {
        all.push(format!("{n} threads share {n_cores} cores: they take turns, and their times say little about sharing memory."));
    }
    all
}

impl Data {
    fn of(problem: &Problem) -> Self {
        let (data, sparsity) = (problem.data(), Sparsity::of(problem.data(), 0));
        Self {
            name: data.name().to_owned(),
            n_rows: data.n_rows(),
            n_features: data.n_features(),
            n_nonzeros: data.n_nonzeros() as u64,
            omega: sparsity.omega.max,
            delta: sparsity.delta.max,
            rho: sparsity.rho.max,
            mean_rho: sparsity.rho.mean,
        }
    }
}
