//! Coordinate-parallel descent: one worker is the plain method, many come to the same optimum, and too many slow down instead
//! of flying apart.

mod examples;

use std::fmt::Write;

use examples::{Numbers, choice, fit, problem, random_rows, read};
use unfenced::loss::{self, Hinge, Huber, Logistic, Loss, Squared, SquaredHinge, Task};
use unfenced::strategy::{self, Choice, Order, StrategyKind, UpdateKind};
use unfenced::train::Limits;
use unfenced::{Dataset, Penalty, Problem, Team};

const SMOOTH: [&dyn Loss; 4] = [&SquaredHinge, &Logistic, &Squared, &Huber];

fn coordinate(seed: u64) -> Choice {
    Choice { seed, ..choice(StrategyKind::Coordinate, UpdateKind::Sgd) }
}

/// Plain f64 code straight from the head of the strategy, over dense columns.
fn plain_epochs(problem: &Problem, seed: u64, epochs: u64, h: f64) -> (Vec<f64>, f64) {
    let (n, d, Penalty { l2, l1 }) = (problem.n_rows(), problem.n_features(), problem.penalty());
    let (loss, y) = (problem.loss(), |i: usize| f64::from(problem.targets()[i]));
    let s = loss.smoothness().expect("a smooth loss");
    let mut columns = vec![vec![0.0; n]; d];
    (0..n).for_each(|i| problem.rows().row(i).iter().for_each(|(j, x)| columns[j][i] = f64::from(x)));
    let (mut w, mut b, mut z) = (vec![0.0; d], 0.0, vec![0.0; n]);
    let mut order = Order::of(d, seed);
    for epoch in 0..epochs {
        if problem.has_intercept() {
            b -= h * (0..n).map(|i| loss.derivative(z[i] + b, y(i))).sum::<f64>() / n as f64 / s;
        }
        order.shuffle(epoch, &[]);
        for j in (0..d).map(|place| order.row(place).expect("a feature")) {
            let column = &columns[j];
            let curvature = s * column.iter().map(|x| x * x).sum::<f64>() / n as f64 + l2;
            let g = (0..n).map(|i| loss.derivative(z[i] + b, y(i)) * column[i]).sum::<f64>() / n as f64 + l2 * w[j];
            let moved: f64 = w[j] - h * g / curvature;
            let new = moved.signum() * (moved.abs() - h * l1 / curvature).max(0.0);
            (0..n).for_each(|i| z[i] += (new - w[j]) * column[i]);
            w[j] = new;
        }
    }
    (w, b)
}

#[test]
fn one_worker_is_the_method_written_down_plainly() {
    let team = Team::new(1, false).expect("a worker");
    for loss in SMOOTH {
        let data = random_rows(150, 30, 6, loss.task() == Task::Regression, 23);
        for (penalty, intercept) in [
            (Penalty { l2: 0.01, l1: 0.0 }, false),
            (Penalty { l2: 0.02, l1: 0.004 }, true),
            (Penalty { l2: 0.0, l1: 0.01 }, false),
        ] {
            let problem = problem(&data, loss, penalty, intercept);
            for h in [1.0, 0.5] {
                let found = examples::after_epochs::<f64>(&problem, &coordinate(5), &team, 20, h).weights();
                let (w, b) = plain_epochs(&problem, 5, 20, h);
                assert!(w.iter().any(|w_j| *w_j != 0.0) && (!intercept || b != 0.0));
                let same = |x: f64, y: f64| (x - y).abs() <= 1e-12 * (1.0 + y.abs());
                let all = found.0.iter().zip(&w).all(|(&x, &y)| same(x, y)) && same(found.1, b);
                assert!(all, "{} with {penalty:?}, intercept {intercept}, h {h}", loss.name());
            }
        }
    }
}

#[test]
fn one_worker_never_lets_the_objective_rise() {
    let team = Team::new(1, false).expect("a worker");
    for loss in SMOOTH {
        let data = random_rows(200, 20, 10, loss.task() == Task::Regression, 4);
        let problem = problem(&data, loss, Penalty { l2: 1e-3, l1: 1e-3 }, true);
        let mut strategy = strategy::build::<f64>(&problem, &coordinate(1)).expect("a method");
        let mut before = problem.objective_at_zero();
        for epoch in 0..60 {
            strategy.epoch(&problem, &team, 1.0);
            let (w, b) = strategy.weights();
            let now = problem.objective(&w, b);
            assert!(now <= before + 1e-13, "{} in epoch {epoch}: {now} > {before}", loss.name());
            before = now;
        }
    }
}

#[test]
fn every_smooth_loss_and_penalty_comes_to_the_optimum_that_sdca_certifies_with_any_number_of_workers() {
    let one = Team::new(1, false).expect("a worker");
    let teams: Vec<Team> = [1, 2, 8].map(|n| Team::new(n, true).expect("workers")).into();
    for loss in SMOOTH {
        let data = random_rows(400, 60, 8, loss.task() == Task::Regression, 17);
        let n = data.n_rows() as f64;
        for (l2, l1) in [(1.0 / n, 0.0), (0.0, 1.0 / n), (0.5 / n, 0.5 / n)] {
            for intercept in [false, true] {
                let problem = problem(&data, loss, Penalty { l2, l1 }, intercept);
                let limits = Limits { gap: Some(1e-5), epochs: Some(20_000), ..Limits::default() };
                let sdca = fit::<f64>(&problem, &choice(StrategyKind::Sequential, UpdateKind::Sdca), &one, limits).best;
                let bound = sdca.certificate.dual.expect("a dual");
                let what = format!("{} with l2 {l2}, l1 {l1}, intercept {intercept}", loss.name());
                assert!(sdca.certificate.objective <= bound * (1.0 + 1e-5), "{what}: no reference");
                for team in &teams {
                    let limits = Limits { objective: Some(bound * (1.0 + 1e-4)), epochs: Some(5000), ..Limits::default() };
                    let best = fit::<f64>(&problem, &coordinate(3), team, limits).best;
                    let (objective, n_workers) = (best.certificate.objective, team.n_workers());
                    assert!(objective <= bound * (1.0 + 1e-4), "{what}, {n_workers} workers: {objective} > {bound}");
                    assert!(best.certificate.dual.is_some_and(|dual| dual <= sdca.certificate.objective * (1.0 + 1e-9)));
                }
            }
        }
    }
}

#[test]
fn what_it_claims_is_certified_from_the_weights() {
    let team = Team::new(2, true).expect("workers");
    let data = random_rows(500, 40, 6, false, 8);
    for penalty in [Penalty { l2: 1e-3, l1: 0.0 }, Penalty { l2: 1e-3, l1: 1e-3 }, Penalty { l2: 0.0, l1: 2e-3 }] {
        for loss in [&Logistic as &'static dyn Loss, &SquaredHinge] {
            let problem = problem(&data, loss, penalty, false);
            let limits = Limits { gap: Some(1e-6), epochs: Some(5000), ..Limits::default() };
            let best = fit::<f64>(&problem, &coordinate(2), &team, limits).best;
            let gap = best.certificate.gap().expect("a dual");
            assert!((-1e-9..=1e-6).contains(&gap), "{} with {penalty:?}: {gap}", loss.name());
            assert_eq!(problem.objective(&best.weights, best.intercept), best.certificate.objective);
        }
    }
}

#[test]
fn the_estimated_gap_of_steps_that_go_nowhere_is_the_certified_one() {
    let team = Team::new(3, false).expect("workers");
    for loss in SMOOTH {
        let data = random_rows(300, 30, 6, loss.task() == Task::Regression, 6);
        for l1 in [0.0, 0.003] {
            let problem = problem(&data, loss, Penalty { l2: 0.01, l1 }, false);
            let mut strategy = examples::after_epochs::<f64>(&problem, &coordinate(2), &team, 3, 1.0);
            strategy.epoch(&problem, &team, 0.0);
            let (w, b) = strategy.weights();
            let (seen, exact) = (strategy.estimate().expect("an estimate"), problem.certify(&w, b));
            let gap = exact.objective - exact.dual.expect("a dual");
            assert!((seen.gap - gap).abs() < 1e-9 && (seen.objective - exact.objective).abs() < 1e-9, "{}", loss.name());
        }
    }
}

/// Rows whose features are all nearly the same number: every step of every worker meets all others head on.
fn correlated_rows(n_features: usize, regression: bool) -> Dataset<'static> {
    let mut random = Numbers(11);
    let mut text = String::new();
    for i in 0..200 {
        let x = random.next();
        let target = if regression { 3.0 * x } else { f64::from(2 * i8::from(x + 0.3 * random.next() > 0.0) - 1) };
        let target = if !regression && i < 2 { [1.0, -1.0][i] } else { target };
        write!(text, "{target:.3}").expect("text");
        (1..=n_features).for_each(|k| write!(text, " {k}:{:.4}", x + 0.01 * random.next()).expect("text"));
        text.push('\n');
    }
    read(&text)
}

#[test]
fn hundreds_of_runs_of_eight_workers_on_hot_features_all_certify() {
    let team = Team::new(8, true).expect("workers");
    for (loss, rounds) in [(&Logistic as &'static dyn Loss, 100), (&SquaredHinge, 100), (&Squared, 100), (&Huber, 100)] {
        for n_features in [6, 40] {
            let data = correlated_rows(n_features, loss.task() == Task::Regression);
            for (l2, l1) in [(1e-2, 0.0), (1e-2, 1e-2)] {
                let problem = problem(&data, loss, Penalty { l2, l1 }, false);
                for seed in 0..rounds / 4 {
                    let limits = Limits { gap: Some(1e-3), epochs: Some(3000), ..Limits::default() };
                    let outcome = fit::<f32>(&problem, &coordinate(seed), &team, limits);
                    let gap = outcome.best.certificate.gap().expect("a dual");
                    assert!((-1e-9..=1e-3).contains(&gap), "{}, {n_features} features, seed {seed}: {gap}", loss.name());
                }
            }
        }
    }
}

#[test]
fn atomic_additions_keep_the_scores_those_of_the_weights() {
    let team = Team::new(8, true).expect("workers");
    let data = correlated_rows(30, false);
    let problem = problem(&data, &Logistic, Penalty { l2: 1e-2, l1: 0.0 }, false);
    for seed in 0..200 {
        // Fewer epochs than there are between two recomputations.
        let state = examples::after_epochs::<f64>(&problem, &coordinate(seed), &team, 6, 0.2).state();
        for (kept, score) in state.tables[0].1.iter().zip(problem.scores(&state.weights, 0.0)) {
            assert!((kept - score).abs() < 1e-9, "seed {seed}: {kept} is not {score}");
        }
    }
}

#[test]
fn a_run_goes_on_from_its_state_as_if_it_had_not_stopped() {
    let team = Team::new(1, false).expect("a worker");
    let data = random_rows(100, 20, 5, false, 3);
    let problem = problem(&data, &Logistic, Penalty { l2: 1e-3, l1: 1e-3 }, true);
    let whole = examples::after_epochs::<f32>(&problem, &coordinate(4), &team, 40, 1.0).state();
    let half = examples::after_epochs::<f32>(&problem, &coordinate(4), &team, 19, 1.0).state();
    let mut rest = strategy::build::<f32>(&problem, &coordinate(4)).expect("a method");
    rest.restore(&half).expect("its own state");
    (19..40).for_each(|_| _ = rest.epoch(&problem, &team, 1.0));
    assert_eq!(rest.state(), whole);
    let other = random_rows(90, 20, 5, false, 3);
    let other = examples::problem(&other, &Logistic, Penalty { l2: 1e-3, l1: 0.0 }, true);
    assert!(strategy::build::<f32>(&other, &coordinate(4)).expect("a method").restore(&half).is_err());
}

#[test]
fn a_loss_with_a_corner_is_refused_with_what_to_use_instead() {
    let data = random_rows(50, 10, 5, false, 3);
    let problem = problem(&data, &Hinge, Penalty { l2: 1e-3, l1: 0.0 }, false);
    let refusal = strategy::build::<f32>(&problem, &coordinate(0)).map(drop).expect_err("refused").to_string();
    assert!(refusal.contains("--loss squared_hinge") && refusal.contains("--update sdca"), "{refusal}");
    assert_eq!(loss::ALL.iter().filter(|loss| loss.smoothness().is_some()).count(), SMOOTH.len(), "a loss is left out here");
}
