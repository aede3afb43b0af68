//! The mathematics of problems: gradients against finite differences, gaps that are never negative and go to 0.

mod examples;

use examples::{Numbers, choice, fit, problem, random_rows, read, ridge};
use unfenced::loss::{self, Hinge, Logistic, Loss, Squared, SquaredHinge, Task};
use unfenced::strategy::{StrategyKind, UpdateKind};
use unfenced::train::Limits;
use unfenced::{Penalty, Team};

fn rows_for(loss: &dyn Loss, seed: u64) -> unfenced::Dataset<'static> {
    random_rows(120, 15, 6, loss.task() == Task::Regression, seed)
}

#[test]
fn gradients_agree_with_finite_differences() {
    for loss in loss::ALL {
        let data = rows_for(loss, 5);
        let problem = problem(&data, loss, Penalty { l2: 0.3, l1: 0.0 }, true);
        let mut random = Numbers(8);
        for _ in 0..5 {
            let (w, b) = (random.vector(data.n_features()), random.next());
            let (gradient, slope) = problem.gradient(&w, b);
            let h = 1e-6;
            for (j, g_j) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut w = w.clone();
                    w[j] += by;
                    problem.objective(&w, b)
                };
                let difference = (moved(h) - moved(-h)) / (2.0 * h);
                assert!((difference - g_j).abs() < 1e-5, "{}: {difference} is not {g_j}", loss.name());
            }
            let difference = (problem.objective(&w, b + h) - problem.objective(&w, b - h)) / (2.0 * h);
            assert!((difference - slope).abs() < 1e-5, "{}: {difference} is not {slope}", loss.name());
        }
    }
}

#[test]
fn the_objective_is_the_formula_written_down() {
    let data = rows_for(&Squared, 6);
    let problem = problem(&data, &Squared, Penalty { l2: 0.3, l1: 0.2 }, true);
    let w: Vec<f64> = Numbers(3).vector(data.n_features());
    let mean: f64 = (0..data.n_rows())
        .map(|i| data.row(i).iter().map(|(j, x)| w[j] * f64::from(x)).sum::<f64>() + 0.5 - f64::from(data.targets()[i]))
        .map(|error| error * error / 2.0)
        .sum::<f64>()
        / data.n_rows() as f64;
    let penalty: f64 = w.iter().map(|w_j| 0.15 * w_j * w_j + 0.2 * w_j.abs()).sum();
    assert!((problem.objective(&w, 0.5) - mean - penalty).abs() < 1e-12);
}

#[test]
fn one_value_stands_for_a_row_only_where_it_does_for_every_row() {
    for (last, uniform) in [("1 2:0.5 3:0.5", true), ("1 2:0.5 3:0.25", false), ("1", true)] {
        let data = read(&format!("1 1:1 2:1\n-1 3:0.7\n{last}\n"));
        let problem = problem(&data, &Hinge, Penalty { l2: 0.1, l1: 0.0 }, false);
        for row in (0..3).map(|i| problem.rows().row(i)) {
            assert_eq!(row.common_value(), row.values.first().copied().filter(|_| uniform), "{last}");
        }
    }
}

#[test]
fn no_weights_and_no_duals_have_a_negative_gap() {
    for loss in loss::ALL {
        for (seed, penalty) in
            [(1, Penalty { l2: 0.1, l1: 0.0 }), (2, Penalty { l2: 0.1, l1: 0.05 }), (3, Penalty { l2: 0.0, l1: 0.1 })]
        {
            for intercept in [false, true] {
                let data = rows_for(loss, seed);
                let problem = problem(&data, loss, penalty, intercept);
                let mut random = Numbers(seed + 40);
                for size in [0.0, 0.01, 1.0, 100.0] {
                    let w: Vec<f64> = random.vector(data.n_features()).iter().map(|w_j| size * w_j).collect();
                    let b = if intercept { random.next() } else { 0.0 };
                    let gap = problem.certify(&w, b).gap().expect("every loss has a dual");
                    assert!(gap >= -1e-12, "{} with {penalty:?}: {gap}", loss.name());
                }
            }
        }
    }
}

#[test]
fn gaps_go_to_0_for_every_loss_and_penalty_that_sdca_serves() {
    let team = Team::new(1, false).expect("a worker");
    for loss in loss::ALL {
        for (l1, intercept) in [(0.0, false), (0.005, false), (0.0, true), (0.005, true)] {
            let data = rows_for(loss, 12);
            let problem = problem(&data, loss, Penalty { l2: 0.02, l1 }, intercept);
            let limits = Limits { gap: Some(1e-9), epochs: Some(20_000), ..Limits::default() };
            let outcome = fit::<f64>(&problem, &choice(StrategyKind::Sequential, UpdateKind::Sdca), &team, limits);
            let gap = outcome.best.certificate.gap().expect("a dual");
            assert!((-1e-12..=1e-9).contains(&gap), "{} with l1 {l1}, intercept {intercept}: {gap}", loss.name());
        }
    }
}

#[test]
fn at_the_optimum_the_gradient_vanishes() {
    let team = Team::new(1, false).expect("a worker");
    for loss in [&Logistic as &'static dyn Loss, &SquaredHinge, &Squared] {
        for intercept in [false, true] {
            let data = rows_for(loss, 21);
            let problem = problem(&data, loss, ridge(&data, 1.0), intercept);
            let limits = Limits { gap: Some(1e-13), epochs: Some(20_000), ..Limits::default() };
            let outcome = fit::<f64>(&problem, &choice(StrategyKind::Sequential, UpdateKind::Sdca), &team, limits);
            let (gradient, slope) = problem.gradient(&outcome.best.weights, outcome.best.intercept);
            let largest = gradient.iter().fold(0.0f64, |largest, g_j| largest.max(g_j.abs()));
            assert!(largest < 1e-6, "{}: {largest}", loss.name());
            assert!(!intercept || slope.abs() < 1e-6, "{}: the intercept's slope is {slope}", loss.name());
        }
    }
}

#[test]
fn a_certificate_from_the_weights_alone_becomes_tight_for_smooth_losses() {
    let team = Team::new(1, false).expect("a worker");
    let data = rows_for(&Logistic, 33);
    for l1 in [0.0, 0.004] {
        let problem = problem(&data, &Logistic, Penalty { l2: 0.02, l1 }, false);
        let limits = Limits { gap: Some(1e-12), epochs: Some(20_000), ..Limits::default() };
        let outcome = fit::<f64>(&problem, &choice(StrategyKind::Sequential, UpdateKind::Sdca), &team, limits);
        let gap = problem.certify(&outcome.best.weights, outcome.best.intercept).gap().expect("a dual");
        assert!((-1e-12..1e-6).contains(&gap), "{gap}");
    }
}

#[test]
fn impossible_labels_and_strengths_are_refused_with_what_was_found() {
    let refusal = |text: &str, loss, penalty| {
        let data = examples::read(text);
        unfenced::Problem::new(&data, loss, penalty, false).map(drop).expect_err("refused").to_string()
    };
    let ridge = Penalty { l2: 1.0, l1: 0.0 };
    let one_class = refusal("1 1:1\n1 2:1\n", &Hinge, ridge);
    assert!(one_class.contains("the labels found are 1,") && one_class.contains("both classes"), "{one_class}");
    let three = refusal("1 1:1\n2 2:1\n3 1:1\n", &Logistic, ridge);
    assert!(three.contains("the labels found are 1, 2, 3"), "{three}");
    for penalty in [Penalty { l2: -1.0, l1: 0.0 }, Penalty { l2: 1.0, l1: f64::NAN }, Penalty { l2: f64::INFINITY, l1: 0.0 }] {
        assert!(refusal("1 1:1\n-1 2:1\n", &Hinge, penalty).contains("a strength is wanted"));
    }
}
