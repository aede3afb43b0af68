//! SAGA and SVRG: their corrections are without bias, and take constant steps to the optimum itself, where steps on bare
//! gradients stall.

mod examples;

use std::path::PathBuf;
use std::time::Duration;

use examples::{Numbers, choice, fit, problem, random_rows, read, ridge, text_like};
use unfenced::data::{self, FeatureNumbers};
use unfenced::loss::{self, Hinge, Logistic, Loss, Squared, SquaredHinge, Task};
use unfenced::strategy::{Choice, Delay, Sharing, StrategyKind, UpdateKind};
use unfenced::train::Limits;
use unfenced::update::{Saga, Svrg, Update, Visit};
use unfenced::weights::{Memory, Plain};
use unfenced::{Dataset, Penalty, Problem, Team};

const CORRECTED: [UpdateKind; 2] = [UpdateKind::Saga, UpdateKind::Svrg];

/// The mean over all rows of the change that a step on the row makes, all from the same weights and tables.
fn mean_change<U: Update<f64>>(problem: &Problem, mut update: U, seed: u64, h: f64) -> (Vec<f64>, f64, Vec<f64>, f64) {
    let (n, d, team) = (problem.n_rows(), problem.n_features(), Team::new(1, false).expect("a worker"));
    let mut random = Numbers(seed);
    let mut memory = Plain::<f64>::zeros(d);
    memory.store(&random.vector(d), random.next());
    update.begin_epoch(0, problem, &team, &mut memory); // the corrections are those of other weights
    let (w, b) = (random.vector(d), random.next());
    let tables = update.tables();
    let (mut changes, mut change) = (vec![0.0; d], 0.0);
    for row in 0..n {
        memory.store(&w, b);
        assert!(update.set_tables(&tables));
        update.step(problem, Visit { row, left: 1.0 }, memory.view(), h);
        let (moved, moved_b) = memory.load();
        changes.iter_mut().zip(moved.iter().zip(&w)).for_each(|(change, (moved, w))| *change += (moved - w) / n as f64);
        change += (moved_b - b) / n as f64;
    }
    (changes, change, w, b)
}

#[test]
fn the_mean_of_all_rows_corrected_gradients_is_the_gradient() {
    for loss in loss::ALL {
        for seed in 1..6 {
            let data = random_rows(150, 30, 6, loss.task() == Task::Regression, seed);
            let problem = problem(&data, loss, Penalty { l2: 0.0, l1: 0.0 }, true);
            let h = 0.25;
            for (changes, change, w, b) in
                [mean_change(&problem, Saga::new(&problem), seed, h), mean_change(&problem, Svrg::new(&problem), seed, h)]
            {
                let (gradient, slope) = problem.gradient(&w, b);
                for (change, g_j) in changes.iter().zip(&gradient) {
                    assert!((change / -h - g_j).abs() < 1e-13, "{}: {} is not {g_j}", loss.name(), change / -h);
                }
                // The intercept takes a hundredth of a step.
                assert!((change / (-h * 0.01) - slope).abs() < 1e-11, "{}: {change} is not {slope}", loss.name());
            }
        }
    }
}

/// The gap that a method comes to, and how often its steps had to be halved on the way.
fn gap_of(problem: &Problem, choice: &Choice, n_workers: usize, gap: f64, epochs: u64) -> (f64, u32) {
    let team = Team::new(n_workers, true).expect("workers");
    let outcome = fit::<f64>(problem, choice, &team, Limits { gap: Some(gap), epochs: Some(epochs), ..Limits::default() });
    (outcome.best.certificate.gap().expect("a dual"), outcome.halvings)
}

fn corrected_steps_go_where_bare_ones_stall(problem: &Problem, rounds: u64, epochs: u64) {
    for seed in 0..rounds {
        for &sharing in Sharing::ALL {
            for n_workers in [1, 2] {
                let method = |update| Choice { sharing, seed, ..choice(StrategyKind::Hogwild, update) };
                for update in CORRECTED {
                    let (gap, halvings) = gap_of(problem, &method(update), n_workers, 1e-8, epochs);
                    assert!(gap <= 1e-8 && halvings == 0, "{update:?}, {sharing:?}, {n_workers} workers, seed {seed}: {gap}");
                }
                // Two workers have once come to 7e-7 by chance, in some hundred runs.
                if (seed, n_workers) == (0, 1) {
                    let (gap, _) = gap_of(problem, &method(UpdateKind::Sgd), n_workers, 1e-8, epochs);
                    assert!(gap > 1e-6, "sgd came as far: this problem shows nothing");
                }
            }
        }
    }
}

#[test]
fn saga_and_svrg_reach_a_gap_of_1e_8_with_every_memory_where_sgd_stalls() {
    let data = text_like(1500, 1000, 15);
    corrected_steps_go_where_bare_ones_stall(&problem(&data, &Logistic, ridge(&data, 1.0), false), 5, 200);
    corrected_steps_go_where_bare_ones_stall(&problem(&data, &Logistic, ridge(&data, 1.0), true), 2, 300);
}

#[test]
fn so_they_do_on_a9a() {
    let Some(folder) = std::env::var_os("UNFENCED_DATA") else { return };
    let data = data::open(&PathBuf::from(folder).join("a9a.zst"), FeatureNumbers::Auto, 0).expect("readable");
    corrected_steps_go_where_bare_ones_stall(&problem(&data, &Logistic, ridge(&data, 1.0), false), 1, 100);
}

/// Rows over six features that all of them have.
fn hot_rows() -> Dataset<'static> {
    let mut random = Numbers(2);
    let text: String = (0..1200)
        .map(|_| {
            let x = random.vector(6);
            let features: String = x.iter().enumerate().map(|(k, x)| format!(" {}:{:.3}", k + 1, 0.3 * x + 0.6)).collect();
            format!("{}{features}\n", if x[0] - x[3] + 0.4 * x[5] > 0.0 { 1 } else { -1 })
        })
        .collect();
    read(&text)
}

#[test]
fn eight_workers_who_meet_on_hot_features_get_there_without_a_halved_step() {
    let data = hot_rows();
    // Every worker sleeps now and then, so that all are at work even where there are few cores.
    let delays = vec![Delay { worker: None, pause: Duration::from_micros(150), every: 16 }];
    for (loss, rounds) in [(&Logistic as &'static dyn Loss, 6), (&SquaredHinge, 1)] {
        let problem = problem(&data, loss, ridge(&data, 1.0), false);
        for seed in 0..rounds {
            for &sharing in Sharing::ALL {
                for update in CORRECTED {
                    let method = Choice { sharing, seed, delays: delays.clone(), ..choice(StrategyKind::Hogwild, update) };
                    let (gap, halvings) = gap_of(&problem, &method, 8, 1e-8, 600);
                    let what = format!("{}, {update:?}, {sharing:?}, seed {seed}", loss.name());
                    assert!(gap <= 1e-8 && halvings == 0, "{what}: {gap}, {halvings} halvings");
                }
            }
        }
    }
}

#[test]
fn with_l1_they_come_to_the_certified_optimum_and_to_exact_zeros() {
    let data = text_like(1500, 400, 15);
    let n = data.n_rows() as f64;
    for penalty in [Penalty { l2: 0.0, l1: 1.0 / n }, Penalty { l2: 0.3 / n, l1: 0.5 / n }] {
        let problem = problem(&data, &Logistic, penalty, false);
        let team = Team::new(1, false).expect("a worker");
        let limits = Limits { gap: Some(1e-7), epochs: Some(20_000), ..Limits::default() };
        let sdca = fit::<f64>(&problem, &choice(StrategyKind::Sequential, UpdateKind::Sdca), &team, limits).best;
        let zeros = |w: &[f64]| w.iter().filter(|w| **w == 0.0).count();
        for update in CORRECTED {
            for n_workers in [1, 2] {
                let team = Team::new(n_workers, true).expect("workers");
                let limits = Limits { gap: Some(5e-7), epochs: Some(2000), ..Limits::default() };
                let best = fit::<f64>(&problem, &choice(StrategyKind::Hogwild, update), &team, limits).best;
                let above = best.certificate.objective / sdca.certificate.objective - 1.0;
                assert!(above.abs() <= 1e-6, "{update:?}, {n_workers} workers, {penalty:?}: {above}");
                let (found, wanted) = (zeros(&best.weights), zeros(&sdca.weights));
                assert!(found.abs_diff(wanted) <= wanted / 20, "{update:?}: {found} zeros, where sdca has {wanted}");
            }
        }
    }
}

#[test]
fn a_run_taken_up_again_goes_on_exactly() {
    let data = random_rows(300, 40, 8, true, 9);
    let problem = problem(&data, &Squared, Penalty { l2: 0.02, l1: 0.003 }, true);
    let team = Team::new(1, false).expect("a worker");
    for update in CORRECTED {
        let choice = choice(StrategyKind::Sequential, update);
        let whole = examples::after_epochs::<f32>(&problem, &choice, &team, 19, 0.1).state();
        // Beyond a snapshot, within two epochs of one, and on both sides of the epoch in which averages are computed anew.
        for stop in [1, 2, 15, 16, 17] {
            let state = examples::after_epochs::<f32>(&problem, &choice, &team, stop, 0.1).state();
            let mut again = unfenced::strategy::build::<f32>(&problem, &choice).expect("a method");
            again.restore(&state).expect("its own state");
            (stop..19).for_each(|_| _ = again.epoch(&problem, &team, 0.1));
            assert_eq!(again.state(), whole, "{update:?} after {stop} epochs");
        }
    }
}

#[test]
fn on_the_hinge_their_steps_shrink_and_batches_are_refused() {
    let data = text_like(300, 100, 8);
    let problem = problem(&data, &Hinge, ridge(&data, 1.0), false);
    for update in CORRECTED {
        let size = unfenced::train::StepSize::new(&problem, &choice(StrategyKind::Sequential, update), None, None);
        assert!(size.at(100) < size.at(0) / 10.0);
        for strategy in [StrategyKind::Minibatch, StrategyKind::Averaging] {
            let refused = unfenced::strategy::build::<f32>(&problem, &choice(strategy, update)).err().expect("refused");
            assert!(refused.to_string().contains("use --update sgd or adagrad"), "{refused}");
        }
    }
}
