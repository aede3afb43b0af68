//! Minibatch with gradients that are sent: whole, quantised, sparsified, and with backup workers.

mod examples;

use examples::{after_epochs, choice, fit, problem, ridge, text_like};
use unfenced::loss::{Hinge, Logistic, Loss};
use unfenced::strategy::Precision;
use unfenced::strategy::{Choice, Compression, State, StrategyKind, UpdateKind};
use unfenced::train::Limits;
use unfenced::{Dataset, Penalty, Team};

const TOP_3: Compression = Compression::TopK { k: 3, forget: false };

fn sends(update: UpdateKind, batch: usize, compression: Compression) -> Choice {
    Choice { batch, compression: Some(compression), ..choice(StrategyKind::Minibatch, update) }
}

fn state<F: Precision>(data: &Dataset, choice: &Choice, n_workers: usize, intercept: bool) -> State<F> {
    let problem = problem(data, &Logistic, Penalty { l2: 1e-3, l1: 1e-4 }, intercept);
    let team = Team::new(n_workers, false).expect("workers");
    after_epochs::<F>(&problem, choice, &team, 3, 0.5).state()
}

fn one_worker_equals_minibatch<F: Precision>() {
    let data = text_like(500, 300, 12);
    for update in [UpdateKind::Sgd, UpdateKind::Adagrad] {
        for (batch, intercept) in [(1, false), (16, true), (100, false), (usize::MAX, true)] {
            let exact = Choice { batch, ..choice(StrategyKind::Minibatch, update) };
            let sent = sends(update, batch, Compression::Whole);
            assert_eq!(state::<F>(&data, &sent, 1, intercept), state(&data, &exact, 1, intercept), "{update:?}, batch {batch}");
        }
    }
}

#[test]
fn one_worker_who_sends_all_equals_minibatch_bit_for_bit() {
    one_worker_equals_minibatch::<f32>();
    one_worker_equals_minibatch::<f64>();
}

fn near(a: &State<f64>, b: &State<f64>, within: f64) -> bool {
    a.weights.iter().zip(&b.weights).all(|(a, b)| (a - b).abs() <= within) && (a.intercept - b.intercept).abs() <= within
}

#[test]
fn many_workers_who_send_all_equal_minibatch_up_to_rounding() {
    let data = text_like(500, 300, 12);
    for n in [2, 3, 5] {
        for batch in [2, 16, 77, usize::MAX] {
            let exact = Choice { batch, ..choice(StrategyKind::Minibatch, UpdateKind::Sgd) };
            let sent = state::<f64>(&data, &sends(UpdateKind::Sgd, batch, Compression::Whole), n, true);
            assert!(near(&sent, &state(&data, &exact, n, true), 1e-12), "{n} workers, batch {batch}");
        }
    }
}

#[test]
fn k_of_all_features_and_many_levels_are_no_compression() {
    let data = text_like(500, 300, 12);
    for n in [1, 2, 4] {
        let whole = state::<f64>(&data, &sends(UpdateKind::Sgd, 16, Compression::Whole), n, true);
        for forget in [false, true] {
            let all = state::<f64>(&data, &sends(UpdateKind::Sgd, 16, Compression::TopK { k: 300, forget }), n, true);
            assert_eq!((&all.weights, all.intercept), (&whole.weights, whole.intercept), "{n} workers");
            assert!(all.tables.iter().all(|(_, owed)| owed.iter().all(|&owed| owed == 0.0)));
        }
        let fine = state::<f64>(&data, &sends(UpdateKind::Sgd, 16, Compression::Qsgd(1 << 30)), n, true);
        assert!(near(&fine, &whole, 1e-6) && fine != whole, "{n} workers");
        assert!(!near(&state(&data, &sends(UpdateKind::Sgd, 16, Compression::Qsgd(4)), n, true), &whole, 1e-3));
    }
}

#[test]
fn a_run_is_the_same_twice_and_from_the_middle_on() {
    let data = text_like(500, 300, 12);
    let problem = problem(&data, &Logistic, ridge(&data, 1.0), true);
    for compression in [Compression::Whole, Compression::Qsgd(4), TOP_3] {
        for n in [1, 3] {
            let (team, choice) = (Team::new(n, false).expect("workers"), sends(UpdateKind::Adagrad, 32, compression));
            let whole = after_epochs::<f32>(&problem, &choice, &team, 5, 0.1).state();
            assert_eq!(after_epochs::<f32>(&problem, &choice, &team, 5, 0.1).state(), whole, "{compression}");
            let mut half = after_epochs::<f32>(&problem, &choice, &team, 3, 0.1).state();
            half.tables.reverse(); // a file keeps them in an order of its own
            let mut resumed = unfenced::strategy::build::<f32>(&problem, &choice).expect("a method");
            resumed.restore(&half).expect("a state of its own");
            (0..2).for_each(|_| _ = resumed.epoch(&problem, &team, 0.1));
            assert_eq!(resumed.state(), whole, "{compression} with {n} workers");
            assert_eq!(
                whole.tables.iter().filter(|table| table.0 != "squares").count(),
                if compression == TOP_3 { n } else { 0 }
            );
        }
    }
}

/// How far above the optimum a method comes in so many epochs, as a share of it.
fn excess(data: &Dataset, loss: &'static dyn Loss, choice: &Choice, n_workers: usize, target: f64, epochs: u64) -> f64 {
    let problem = problem(data, loss, ridge(data, 1.0), false);
    let team = Team::new(n_workers, true).expect("workers");
    let bound = fit::<f64>(
        &problem,
        &examples::choice(StrategyKind::Sequential, UpdateKind::Sdca),
        &Team::new(1, false).expect("a worker"),
        Limits { gap: Some(1e-6), epochs: Some(5000), ..Limits::default() },
    );
    let optimum = bound.best.certificate.dual.expect("a dual");
    let limits = Limits { objective: Some(optimum * (1.0 + target)), epochs: Some(epochs), ..Limits::default() };
    fit::<f32>(&problem, choice, &team, limits).best.certificate.objective / optimum - 1.0
}

#[test]
fn compressed_gradients_and_backup_workers_come_near_the_optimum() {
    let data = text_like(1500, 1000, 15);
    for n in [1, 2, 4] {
        for update in [UpdateKind::Sgd, UpdateKind::Adagrad] {
            for compression in [Compression::Qsgd(16), Compression::TopK { k: 40, forget: false }] {
                for backup in [0, 1] {
                    let choice = Choice { backup, ..sends(update, 16, compression) };
                    // Whose gradients arrive first is chance, and no fair sample: shorter rows are sooner done.
                    let near = if backup == 0 { 0.02 } else { 0.1 };
                    for loss in [&Logistic as &'static dyn Loss, &Hinge] {
                        let found = excess(&data, loss, &choice, n, near, 1500);
                        assert!(
                            found <= near,
                            "{update:?}, {compression}, {n} workers, backup {backup}, {}: {found}",
                            loss.name()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn error_feedback_comes_nearer_than_forgetting() {
    let data = text_like(800, 300, 12);
    let top = |forget| sends(UpdateKind::Sgd, usize::MAX, Compression::TopK { k: 5, forget });
    let (kept, forgotten) =
        (excess(&data, &Logistic, &top(false), 2, 0.0, 400), excess(&data, &Logistic, &top(true), 2, 0.0, 400));
    assert!(kept < 0.1 * forgotten, "{kept} with error feedback, {forgotten} without");
}

#[test]
fn figures_count_the_bits_that_are_sent() {
    let data = text_like(600, 300, 12);
    let problem = problem(&data, &Logistic, ridge(&data, 1.0), false);
    let team = Team::new(2, false).expect("workers");
    let figures = |compression| {
        let figures = after_epochs::<f32>(&problem, &sends(UpdateKind::Sgd, 60, compression), &team, 2, 0.1).figures();
        let figure = |name| figures.iter().find(|figure| figure.0 == name).expect("a figure").1;
        assert_eq!((figure("dense_bits_per_update"), figure("dropped_share")), (32.0 * data.n_features() as f64, 0.0));
        (figure("bits_per_update"), figure("sparse_bits_per_update"))
    };
    let (whole, sparse) = figures(Compression::Whole);
    assert!(whole == sparse && whole > 64.0 * 12.0 && whole <= 64.0 * 30.0 * 12.0);
    assert_eq!(figures(TOP_3).0, 3.0 * 64.0);
    let (one, four, many) =
        (figures(Compression::Qsgd(1)).0, figures(Compression::Qsgd(4)).0, figures(Compression::Qsgd(1 << 20)).0);
    assert!(33.0 < one && one < four && four < sparse / 4.0 && four < many, "{one}, {four}, {many} beside {sparse}");
}

#[test]
fn a_batch_of_nothing_is_refused_and_a_batch_smaller_than_the_team_is_dealt_to_some() {
    let data = text_like(50, 30, 5);
    let problem = problem(&data, &Logistic, ridge(&data, 1.0), false);
    let build = |choice: &Choice| unfenced::strategy::build::<f32>(&problem, choice).map(drop);
    assert!(build(&sends(UpdateKind::Sgd, 0, TOP_3)).expect_err("no rows").to_string().contains("--batch 0"));
    assert!(
        build(&sends(UpdateKind::Sdca, 8, TOP_3)).expect_err("no gradients").to_string().contains("sdca steps on single rows")
    );
    let few = Choice { backup: 5, ..sends(UpdateKind::Sgd, 3, Compression::Whole) };
    assert!(state::<f32>(&data, &few, 7, true).weights.iter().any(|&w| w != 0.0));
}
