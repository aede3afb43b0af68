//! Every strategy x update comes to the certified optimum, with one worker and with more workers than cores.
//!
//! With `UNFENCED_DATA` naming a folder that holds `rcv1.train.zst` and its kin, the classic set is trained as well; the whole
//! matrix over it takes minutes: `cargo test --release --test convergence -- --ignored`.

mod examples;

use std::ops::ControlFlow;
use std::path::PathBuf;

use examples::{choice, crosses, fit, problem, ridge, serves, text_like, words_that_occur};
use unfenced::data::{self, FeatureNumbers};
use unfenced::loss::{self, Hinge, Logistic, Loss, Squared, SquaredHinge};
use unfenced::strategy::{Choice, Sharing, StrategyKind, UpdateKind};
use unfenced::train::Limits;
use unfenced::{Dataset, Penalty, Problem, Team};

/// A lower bound on the optimum that is tight to 1e-6.
fn certified_bound(problem: &Problem) -> f64 {
    let team = Team::new(1, false).expect("a worker");
    let limits = Limits { gap: Some(1e-6), epochs: Some(5000), ..Limits::default() };
    let certificate = fit::<f64>(problem, &choice(StrategyKind::Sequential, UpdateKind::Sdca), &team, limits).best.certificate;
    assert!(certificate.gap().expect("a dual") <= 1e-6);
    certificate.dual.expect("a dual")
}

fn reaches(problem: &Problem, choice: &Choice, n_workers: usize, target: f64, most_epochs: u64) {
    let team = Team::new(n_workers, true).expect("workers");
    let limits = Limits { objective: Some(target), epochs: Some(most_epochs), ..Limits::default() };
    let outcome = fit::<f32>(problem, choice, &team, limits);
    let objective = outcome.best.certificate.objective;
    assert!(objective <= target, "{choice:?} with {n_workers} workers on {}: {objective} > {target}", problem.loss().name());
    assert!(outcome.best.weights.iter().all(|w| w.is_finite()));
}

fn every_cross_converges(data: &Dataset, loss: &'static dyn Loss, penalty: Penalty, intercept: bool, within: f64) {
    let problem = problem(data, loss, penalty, intercept);
    let bound = certified_bound(&problem);
    // Workers who never hear of each other come near the optimum, not to it.
    for choice in crosses().into_iter().filter(|choice| serves(choice, loss) && choice.average_every.is_some()) {
        // The mean of workers who have each seen a part is a little off the optimum of the whole.
        let within = if choice.strategy == StrategyKind::Averaging { 3.0 * within } else { within };
        for n_workers in [1, 2, 4] {
            if choice.strategy != StrategyKind::Sequential || n_workers == 1 {
                reaches(&problem, &choice, n_workers, bound * (1.0 + within), 3000);
            }
        }
    }
}

#[test]
fn every_cross_comes_to_the_optimum_of_the_hinge() {
    let data = text_like(1500, 1000, 15);
    every_cross_converges(&data, &Hinge, ridge(&data, 1.0), false, 1e-2);
}

#[test]
fn every_cross_comes_to_the_optimum_of_smooth_losses() {
    let data = text_like(1500, 1000, 15);
    for loss in [&SquaredHinge as &'static dyn Loss, &Logistic] {
        every_cross_converges(&data, loss, ridge(&data, 1.0), false, 1e-3);
    }
}

#[test]
fn every_cross_comes_to_the_optimum_of_regression() {
    let data = examples::random_rows(1000, 60, 8, true, 17);
    for loss in [&Squared as &'static dyn Loss, &loss::Huber] {
        every_cross_converges(&data, loss, ridge(&data, 1.0), false, 1e-3);
    }
}

#[test]
fn every_cross_comes_to_the_optimum_with_elastic_net_and_with_intercept() {
    let data = text_like(1500, 1000, 15);
    let n = data.n_rows() as f64;
    // A constant step leaves the l1 prox of a noisy gradient a little beside its aim.
    every_cross_converges(&data, &Logistic, Penalty { l2: 1.0 / n, l1: 0.2 / n }, false, 5e-3);
    every_cross_converges(&data, &Logistic, ridge(&data, 1.0), true, 2e-3);
}

#[test]
fn the_lasso_comes_to_a_certified_optimum_without_l2_and_has_zeros() {
    let data = text_like(1500, 400, 15);
    for loss in [&Logistic as &'static dyn Loss, &SquaredHinge] {
        for intercept in [false, true] {
            let problem = problem(&data, loss, Penalty { l2: 0.0, l1: 1.0 / data.n_rows() as f64 }, intercept);
            for n_workers in [1, 2, 4] {
                let team = Team::new(n_workers, true).expect("workers");
                let limits = Limits { gap: Some(1e-3), epochs: Some(3000), ..Limits::default() };
                let outcome = fit::<f32>(&problem, &choice(StrategyKind::Hogwild, UpdateKind::Sdca), &team, limits);
                let gap = outcome.best.certificate.gap().expect("a dual");
                assert!((-1e-9..=1e-3).contains(&gap), "{} with {n_workers} workers, intercept {intercept}: {gap}", loss.name());
                assert!(outcome.best.weights.iter().filter(|w| **w == 0.0).count() > 50, "{} has no zeros", loss.name());
            }
            // Steps on gradients come near it too.
            let bound = fit::<f64>(
                &problem,
                &choice(StrategyKind::Sequential, UpdateKind::Sdca),
                &Team::new(1, false).expect("a worker"),
                Limits { gap: Some(1e-5), epochs: Some(20_000), ..Limits::default() },
            );
            for update in [UpdateKind::Sgd, UpdateKind::Adagrad] {
                reaches(&problem, &choice(StrategyKind::Hogwild, update), 2, bound.best.certificate.objective * 1.01, 2000);
            }
        }
    }
}

/// Every row has the same hot features: the hardest case for additions that are lost.
#[test]
fn hundreds_of_wild_runs_on_hot_features_all_certify() {
    let data = hot_rows();
    let problem = problem(&data, &Hinge, ridge(&data, 1.0), false);
    let team = Team::new(4, true).expect("workers");
    for round in 0..300 {
        for &sharing in Sharing::ALL {
            let choice = Choice { sharing, seed: round, ..choice(StrategyKind::Hogwild, UpdateKind::Sdca) };
            let limits = Limits { gap: Some(1e-3), epochs: Some(3000), ..Limits::default() };
            let outcome = fit::<f32>(&problem, &choice, &team, limits);
            let gap = outcome.best.certificate.gap().expect("a dual");
            assert!((-1e-9..=1e-3).contains(&gap), "round {round}, {sharing:?}: {gap}");
            // What was certified is what a plain recomputation says.
            let again = problem.objective(&outcome.best.weights, outcome.best.intercept);
            assert_eq!(again, outcome.best.certificate.objective);
        }
    }
}

/// Rows over six features that all of them have: every step of every worker meets all others. So few that a crew is never tried,
/// and all are at work in every epoch.
fn hot_rows() -> Dataset<'static> {
    let mut random = examples::Numbers(2);
    let text: String = (0..250)
        .map(|i| {
            let values = random.vector(6);
            let features: String = values.iter().enumerate().map(|(k, x)| format!(" {}:{:.3}", k + 1, 0.5 * x + 0.1)).collect();
            format!("{}{features}\n", if values[0] + 0.3 * values[3] + 0.2 * f64::from(i % 3) > 0.0 { 1 } else { -1 })
        })
        .collect();
    examples::read(&text)
}

#[test]
fn five_hundred_runs_of_eight_workers_who_merge_on_hot_features_all_certify() {
    let data = hot_rows();
    for (loss, rounds) in [(&Hinge as &'static dyn Loss, 300), (&SquaredHinge, 100), (&Logistic, 100)] {
        let problem = problem(&data, loss, ridge(&data, 10.0), false);
        let team = Team::new(8, true).expect("workers");
        for seed in 0..rounds {
            let choice = Choice { sharing: Sharing::Replicated, seed, ..choice(StrategyKind::Hogwild, UpdateKind::Sdca) };
            let limits = Limits { gap: Some(1e-3), epochs: Some(3000), ..Limits::default() };
            let gap = fit::<f32>(&problem, &choice, &team, limits).best.certificate.gap().expect("a dual");
            assert!((-1e-9..=1e-3).contains(&gap), "{}, seed {seed}: {gap}", loss.name());
        }
    }
}

#[test]
fn a_merge_never_lets_the_dual_fall_nor_w_part_from_it_however_many_workers_share_features() {
    let losses = [&Hinge as &'static dyn Loss, &SquaredHinge, &Logistic, &Squared];
    let sets = [(hot_rows(), 60), (warm_rows(), 10)];
    for ((data, seeds), loss) in sets.iter().flat_map(|set| losses.map(|loss| (set, loss))) {
        let problem = problem(data, loss, ridge(data, 10.0), false);
        for n_workers in [2, 8] {
            let team = Team::new(n_workers, true).expect("workers");
            for seed in 0..*seeds {
                let merged = Choice { sharing: Sharing::Replicated, seed, ..choice(StrategyKind::Hogwild, UpdateKind::Sdca) };
                let choice = Choice { deterministic: seed % 2 == 1, ..merged }; // whoever comes first, or in turn
                let mut strategy = unfenced::strategy::build::<f64>(&problem, &choice).expect("a method");
                let mut before = 0.0;
                for epoch in 0..20 {
                    strategy.epoch(&problem, &team, 1.0);
                    let state = strategy.state();
                    let duals = state.tables.iter().find(|table| table.0 == "duals").expect("dual variables").1.clone();
                    let v = problem.transposed(&duals);
                    let apart = v.iter().zip(&state.weights).map(|(v_j, w_j)| (v_j / problem.penalty().l2 - w_j).abs());
                    let apart = apart.fold(0.0, f64::max);
                    assert!(apart < 1e-9, "{}, {n_workers} workers, epoch {epoch}: w is not w(a) by {apart}", loss.name());
                    let dual = problem.certify_dual(&state.weights, 0.0, duals, &v).dual.expect("a dual");
                    assert!(dual >= before - 1e-12, "{}, {n_workers} workers, epoch {epoch}: {dual} < {before}", loss.name());
                    before = dual;
                }
            }
        }
    }
}

/// Rows over six features that half of them have, behind 600 more frequent ones of which all but three have tiny values: workers
/// meet where they merge often, and where they do not.
fn warm_rows() -> Dataset<'static> {
    let mut random = examples::Numbers(3);
    let text: String = (0..200)
        .map(|_| {
            let mut row = String::new();
            let mut sum = 0.0;
            for j in 1..=606 {
                let (share, size) = match j {
                    1..=3 => (0.9, 0.4),
                    4..=600 => (0.7, 1e-3),
                    _ => (0.5, 0.5),
                };
                if (random.next() + 1.0) / 2.0 < share {
                    let x = size * (random.next() + 0.2);
                    sum += x * f64::from(j % 3 - 1);
                    row += &format!(" {j}:{x:.6}");
                }
            }
            format!("{}{row}\n", if sum > 0.0 { 1 } else { -1 })
        })
        .collect();
    examples::read(&text)
}

#[test]
fn what_any_number_of_workers_certify_is_what_a_plain_recomputation_finds() {
    let (values, words) = (text_like(3000, 500, 12), words_that_occur(3000, 500, 12));
    let hinge: &'static dyn Loss = &Hinge;
    for (data, loss) in [(&values, hinge), (&values, &SquaredHinge), (&values, &Logistic), (&words, hinge)] {
        let problem = problem(data, loss, ridge(data, 1.0), false);
        assert_eq!(problem.rows().row(0).common_value().is_some(), std::ptr::eq(data, &words));
        let optimum = certified_bound(&problem);
        for n_workers in [1, 2, 4, 8] {
            let team = Team::new(n_workers, true).expect("workers");
            for &sharing in Sharing::ALL {
                let choice = Choice { sharing, ..choice(StrategyKind::Hogwild, UpdateKind::Sdca) };
                let limits = Limits { gap: Some(1e-4), epochs: Some(3000), ..Limits::default() };
                let best = fit::<f32>(&problem, &choice, &team, limits).best;
                let plain: f64 = (0..data.n_rows())
                    .map(|i| {
                        let score: f64 = data.row(i).iter().map(|(j, x)| f64::from(best.weights[j]) * f64::from(x)).sum();
                        loss.value(score, f64::from(problem.targets()[i]))
                    })
                    .sum::<f64>()
                    / data.n_rows() as f64
                    + problem.penalty().l2 / 2.0 * best.weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>();
                let dual = best.certificate.dual.expect("a dual");
                assert!((plain - best.certificate.objective).abs() < 1e-12, "{n_workers} workers, {sharing:?}");
                assert!(dual <= optimum * (1.0 + 1e-6), "{n_workers} workers, {sharing:?}: a bound above the optimum");
                assert!(plain - dual <= 1e-4 * plain);
            }
        }
    }
}

#[test]
fn evaluations_are_rare_unless_somebody_asks() {
    struct Count(u64, bool);
    impl unfenced::train::Observer<f32> for Count {
        fn wants(&mut self, _passed: &unfenced::train::Passed) -> bool {
            self.1
        }
        fn observe(&mut self, _now: &unfenced::train::Snapshot<f32>) -> unfenced::Result<ControlFlow<unfenced::train::Stop>> {
            self.0 += 1;
            Ok(ControlFlow::Continue(()))
        }
    }
    let data = text_like(500, 300, 10);
    let problem = problem(&data, &Hinge, ridge(&data, 1.0), false);
    let team = Team::new(1, false).expect("a worker");
    for (update, asks, most) in
        [(UpdateKind::Sdca, false, 3), (UpdateKind::Sdca, true, 100), (UpdateKind::Sgd, false, 13), (UpdateKind::Sgd, true, 100)]
    {
        let choice = choice(StrategyKind::Sequential, update);
        let mut strategy = unfenced::strategy::build::<f32>(&problem, &choice).expect("a method");
        let plan = unfenced::train::Plan::new(unfenced::train::StepSize::new(&problem, &choice, None, None));
        let (mut count, mut limits) = (Count(0, asks), Limits { epochs: Some(100), ..Limits::default() });
        let outcome = unfenced::train::train(&problem, strategy.as_mut(), &team, plan, None, &mut [&mut count, &mut limits])
            .expect("a run");
        assert_eq!(outcome.progress.epoch, 100);
        assert!(count.0 <= most && (!asks || count.0 == 100), "{update:?}, asked {asks}: {} evaluations", count.0);
    }
}

#[test]
fn steps_far_too_long_are_halved_until_they_serve_or_refused_but_never_end_in_nan() {
    let data = text_like(300, 100, 8);
    let problem = problem(&data, &Squared, Penalty { l2: 1e-3, l1: 0.0 }, false);
    for strategy in [StrategyKind::Sequential, StrategyKind::Hogwild, StrategyKind::Minibatch] {
        let choice = choice(strategy, UpdateKind::Sgd);
        let team = Team::new(if strategy == StrategyKind::Sequential { 1 } else { 2 }, false).expect("workers");
        let mut method = unfenced::strategy::build::<f32>(&problem, &choice).expect("a method");
        let mut size = unfenced::train::StepSize::new(&problem, &choice, Some(1e4), None);
        size.schedule = unfenced::train::Schedule::Constant;
        let plan = unfenced::train::Plan::new(size);
        let mut limits = Limits { epochs: Some(50), ..Limits::default() };
        let outcome =
            unfenced::train::train(&problem, method.as_mut(), &team, plan, None, &mut [&mut limits]).expect("it recovers");
        assert!(outcome.halvings > 3, "{strategy:?} was not halved");
        assert!(outcome.best.certificate.objective.is_finite() && outcome.best.weights.iter().all(|w| w.is_finite()));
        assert!(outcome.best.certificate.objective < 2.0 * problem.objective_at_zero());

        size.first = 1e30;
        let plan = unfenced::train::Plan::new(size);
        let mut method = unfenced::strategy::build::<f32>(&problem, &choice).expect("a method");
        let refused = unfenced::train::train(&problem, method.as_mut(), &team, plan, None, &mut [&mut limits]);
        assert!(refused.expect_err("beyond 20 halvings").to_string().contains("use --update sdca"), "{strategy:?}");
    }
}

#[test]
fn what_a_run_comes_to_is_the_best_that_it_has_seen() {
    struct Seen(Vec<f64>, Vec<f64>);
    impl unfenced::train::Observer<f32> for Seen {
        fn wants(&mut self, _passed: &unfenced::train::Passed) -> bool {
            true
        }
        fn observe(&mut self, now: &unfenced::train::Snapshot<f32>) -> unfenced::Result<ControlFlow<unfenced::train::Stop>> {
            self.0.push(now.certificate.objective);
            self.1.push(now.certificate.dual.expect("a dual"));
            Ok(ControlFlow::Continue(()))
        }
    }
    let data = text_like(600, 200, 10);
    // With a large C the objective of a dual method rises and falls on its way.
    let problem = problem(&data, &Hinge, ridge(&data, 1000.0), false);
    let team = Team::new(1, false).expect("a worker");
    let choice = choice(StrategyKind::Sequential, UpdateKind::Sdca);
    let mut strategy = unfenced::strategy::build::<f32>(&problem, &choice).expect("a method");
    let plan = unfenced::train::Plan::new(unfenced::train::StepSize::new(&problem, &choice, None, None));
    let (mut seen, mut limits) = (Seen(vec![], vec![]), Limits { epochs: Some(25), ..Limits::default() });
    let outcome =
        unfenced::train::train(&problem, strategy.as_mut(), &team, plan, None, &mut [&mut seen, &mut limits]).expect("a run");
    let Seen(objectives, bounds) = seen;
    assert!(objectives.windows(2).any(|pair| pair[1] > pair[0]), "the objective never rose: this test shows nothing");
    assert!(bounds.windows(2).all(|pair| pair[1] >= pair[0]) && bounds[0] >= 0.0, "bounds do not expire");
    let best = &outcome.best;
    assert_eq!(best.certificate.objective, objectives.iter().copied().fold(f64::INFINITY, f64::min));
    assert_eq!(best.certificate.dual, bounds.last().copied());
    assert_eq!(problem.objective(&best.weights, best.intercept), best.certificate.objective);
}

/// rcv1's optima at C = 1 without intercept, from LIBLINEAR at its tightest tolerance.
const RCV1: [(&dyn Loss, f64); 3] = [(&Hinge, 0.0915650783), (&SquaredHinge, 0.0717674844), (&Logistic, 0.199378977)];

fn real(name: &str) -> Option<Dataset<'static>> {
    let path = PathBuf::from(std::env::var_os("UNFENCED_DATA")?).join(name);
    path.exists().then(|| data::open(&path, FeatureNumbers::Auto, 0).expect("readable"))
}

#[test]
fn rcv1_comes_to_the_reference_optimum_by_every_strategy() {
    let Some(data) = real("rcv1.train.zst") else { return };
    for (loss, reference) in RCV1 {
        let problem = problem(&data, loss, ridge(&data, 1.0), false);
        for choice in crosses().into_iter().filter(|choice| choice.update == UpdateKind::Sdca) {
            let n_workers = if choice.strategy == StrategyKind::Sequential { 1 } else { 2 };
            reaches(&problem, &choice, n_workers, reference * 1.001, 500);
        }
    }
}

#[test]
#[ignore = "takes minutes"]
fn rcv1_comes_to_the_reference_optimum_by_every_cross() {
    let Some(data) = real("rcv1.train.zst") else { return };
    for (loss, reference) in RCV1 {
        let problem = problem(&data, loss, ridge(&data, 1.0), false);
        for choice in crosses().into_iter().filter(|choice| serves(choice, loss) && choice.average_every.is_some()) {
            for n_workers in [1, 2] {
                if choice.strategy != StrategyKind::Sequential || n_workers == 1 {
                    reaches(&problem, &choice, n_workers, reference * 1.001, 1000);
                }
            }
        }
    }
}

#[test]
fn l1_logistic_comes_to_the_optimum_of_liblinear() {
    let Some(data) = real("rcv1.train.zst") else { return };
    // LIBLINEAR 2.50, -s 6 -c 1 -e 1e-8, in this crate's scale (divided by C n).
    let reference = 0.194044907434;
    let problem = problem(&data, &Logistic, Penalty { l2: 0.0, l1: 1.0 / data.n_rows() as f64 }, false);
    reaches(&problem, &choice(StrategyKind::Hogwild, UpdateKind::Sdca), 2, reference * 1.00001, 500);
    for update in [UpdateKind::Sgd, UpdateKind::Adagrad] {
        reaches(&problem, &choice(StrategyKind::Hogwild, update), 2, reference * 1.01, 500);
    }
}
