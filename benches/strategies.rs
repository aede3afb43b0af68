//! How long does each strategy take to a target, by threads? Seconds from zero weights until P(w) <= (1 + epsilon) P*, on a
//! support vector machine (C = 1) over the repository's real rows, or over generated ones where those are missing.
//!
//! P* is found first, by sdca to a relative gap of 1e-5. Only the epochs are timed, not the evaluations between them, so the
//! time is epochs needed times seconds an epoch; the line after each figure says how many epochs it took. Dividing the time
//! of `sequential/1` by a strategy's is its speed-up over the best that one thread does. sdca runs to epsilon = 1e-2. Steps on
//! gradients come slowly to that: sgd, beside which minibatch (64 rows a step) stands, runs to 1e-1. Compare within an update.
//! A machine that does other work at the same time shows it most in the strategies whose workers wait for each other.
//!
//! ```text
//! cargo bench --bench strategies                       all of it, about 1 minute on 2 cores
//! cargo bench --bench strategies -- sdca               one update
//! cargo bench --bench strategies -- hogwild/2 --quick  one strategy at 2 threads, roughly
//! ```

mod data;

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use unfenced::strategy::{self, Choice, StrategyKind, UpdateKind};
use unfenced::train::{Limits, Outcome, Plan, StepSize, Stop, train};
use unfenced::{Problem, Team};

/// What is compared: an update, how near to P* it must come, and the strategies that share its work.
const RACES: [(UpdateKind, f64, &[StrategyKind]); 2] = [
    (
        UpdateKind::Sdca,
        1e-2,
        &[
            StrategyKind::Sequential,
            StrategyKind::Hogwild,
            StrategyKind::GlobalLock,
            StrategyKind::StripedLock,
            StrategyKind::RoundRobin,
        ],
    ),
    (UpdateKind::Sgd, 1e-1, &[StrategyKind::Sequential, StrategyKind::Hogwild, StrategyKind::Minibatch]),
];
const BATCH: usize = 64;
/// A run that has not arrived by then is given up; its figure is then a lower bound, and is said to be one.
const MOST_EPOCHS: u64 = 200;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let dataset = data::debian_libraries().unwrap_or_else(data::text_like);
    let problem = data::hinge(&dataset);
    let teams: Vec<Team> = data::thread_counts().into_iter().map(|n| Team::new(n, true).expect("threads")).collect();

    let precise = Limits { gap: Some(1e-5), ..Limits::default() };
    let optimum = run(&problem, &teams[0], StrategyKind::Sequential, UpdateKind::Sdca, precise).best.certificate.objective;
    for (update, epsilon, strategies) in RACES {
        let arrived = Limits { objective: Some((1.0 + epsilon) * optimum), epochs: Some(MOST_EPOCHS), ..Limits::default() };
        let mut group = criterion.benchmark_group(format!("{} to {epsilon:.0e}", update.name()));
        group.sampling_mode(SamplingMode::Flat);
        for &strategy in strategies {
            let n_teams = if strategy == StrategyKind::Sequential { 1 } else { teams.len() };
            for team in &teams[..n_teams] {
                let mut outcomes: Vec<Outcome<f32>> = Vec::new();
                let name = format!("{}/{}", strategy.name(), team.n_workers());
                group.bench_function(&name, |bencher| {
                    bencher.iter_custom(|n| {
                        let start = outcomes.len();
                        outcomes.extend((0..n).map(|_| run(&problem, team, strategy, update, arrived)));
                        Duration::from_secs_f64(outcomes[start..].iter().map(|run| run.progress.train_seconds).sum())
                    });
                });
                print_epochs(&outcomes);
            }
        }
        group.finish();
    }
    criterion.final_summary();
}

/// From zero weights until a limit is reached.
fn run(problem: &Problem, team: &Team, strategy: StrategyKind, update: UpdateKind, mut limits: Limits) -> Outcome<f32> {
    let choice = Choice { batch: BATCH, ..Choice::new(strategy, update) };
    let step_size = team.install(|| StepSize::new(problem, &choice, None, None));
    let mut strategy = strategy::build::<f32>(problem, &choice).expect("a cross that exists");
    let plan = Plan::new(step_size);
    train(problem, strategy.as_mut(), team, plan, None, &mut [&mut limits]).expect("a run that does not explode")
}

fn print_epochs(outcomes: &[Outcome<f32>]) {
    let epochs = || outcomes.iter().map(|run| run.progress.epoch);
    if let (Some(fewest), Some(most)) = (epochs().min(), epochs().max()) {
        let given_up = outcomes.iter().filter(|run| run.stop == Stop::Epochs).count();
        let note = if given_up > 0 { format!("; {given_up} of {} did not arrive", outcomes.len()) } else { String::new() };
        println!("{:24}epochs: {fewest} to {most}{note}", "");
    }
}
