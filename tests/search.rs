//! Cross-validation: folds are fair, a model on a part of the rows is the model of those rows alone, and the best is the best.

mod examples;

use examples::{choice, fit, problem, random_rows, read, text_like};
use unfenced::lab::Folds;
use unfenced::lab::search::{Configuration, Outcome, Search, Strength, best, search};
use unfenced::loss::{Hinge, Logistic, Loss, Squared, SquaredHinge, Task};
use unfenced::strategy::{Choice, Sharing, StrategyKind, UpdateKind};
use unfenced::sync::{Mutex, Ordering};
use unfenced::train::Limits;
use unfenced::{Dataset, Penalty, Team, eval};

fn configuration(strength: Strength, l1: f64, update: UpdateKind) -> Configuration {
    Configuration { strength, l1, choice: Choice::new(StrategyKind::Hogwild, update), step_size: None }
}

fn of_strengths(loss: &'static dyn Loss, cs: &[f64], n_folds: usize) -> Search {
    let grid = cs.iter().map(|&c| configuration(Strength::C(c), 0.0, UpdateKind::Sdca)).collect();
    let limits = Limits { gap: Some(1e-3), epochs: Some(500), ..Limits::default() };
    Search { loss, intercept: false, grid, n_folds, seed: 1, limits }
}

/// These rows as a dataset of their own, by way of text.
fn alone(data: &Dataset, rows: &[u32]) -> Dataset<'static> {
    let line = |&i: &u32| {
        let mut pairs: Vec<(u32, f32)> = data.row(i as usize).iter().map(|(j, x)| (data.numbering().number(j), x)).collect();
        pairs.sort_by_key(|pair| pair.0);
        let pairs: String = pairs.iter().map(|(number, x)| format!(" {number}:{x}")).collect();
        format!("{}{pairs}\n", data.targets()[i as usize])
    };
    read(&rows.iter().map(line).collect::<String>())
}

#[test]
fn folds_are_a_partition_with_a_fair_share_of_each_class_and_the_seeds_own() {
    for (n, k) in [(100, 2), (101, 5), (57, 10), (12, 3)] {
        let data = random_rows(n, 20, 5, false, 7);
        let folds = Folds::new(&data, &Hinge, k, 3).expect("folds");
        assert_eq!(folds, Folds::new(&data, &Hinge, k, 3).expect("folds"));
        assert!(n < 50 || folds != Folds::new(&data, &Hinge, k, 4).expect("folds"));
        let mut all: Vec<u32> = (0..k).flat_map(|fold| folds.held_out(fold)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..n as u32).collect::<Vec<_>>());
        let positives = data.targets().iter().filter(|y| **y > 0.0).count();
        for fold in 0..k {
            let (held_out, training) = (folds.held_out(fold), folds.training(fold));
            assert!(held_out.is_sorted() && training.is_sorted() && held_out.len() + training.len() == n);
            assert!(training.iter().all(|i| !held_out.contains(i)));
            assert!(held_out.len() == n / k || held_out.len() == n / k + 1);
            let found = held_out.iter().filter(|&&i| data.targets()[i as usize] > 0.0).count();
            assert!(found == positives / k || found == positives / k + 1, "{found} of {positives} in one of {k}");
        }
    }
}

#[test]
fn the_same_rows_fall_into_the_same_folds_however_they_were_shuffled() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), (0..90).map(|i| format!("{} 1:{i}\n", i % 2)).collect::<String>()).expect("written");
    let folds = |seed: u64, k: usize| {
        let data = unfenced::data::open(file.path(), unfenced::data::FeatureNumbers::Auto, seed).expect("rows");
        let folds = Folds::new(&data, &Hinge, 4, 9).expect("folds");
        let mut rows: Vec<usize> = folds.held_out(k).into_iter().map(|i| data.original_row(i as usize)).collect();
        rows.sort_unstable();
        rows
    };
    (0..4).for_each(|k| assert_eq!(folds(1, k), folds(2, k)));
}

#[test]
fn a_part_of_the_rows_is_the_dataset_of_those_rows() {
    let data = random_rows(80, 30, 6, false, 4);
    let rows: Vec<u32> = (0..80).filter(|i| i % 3 != 1).collect();
    let part = data.part(&rows);
    assert!(part.is_part() && !data.is_part());
    assert_eq!((part.n_rows(), part.n_features()), (rows.len(), data.n_features()));
    assert_eq!(part.rows().indices().as_ptr(), data.rows().indices().as_ptr(), "a copy was made");
    let mut counts = vec![0; data.n_features()];
    for (k, &i) in rows.iter().enumerate() {
        let (row, whole) = (part.row(k), data.row(i as usize));
        assert_eq!((row.indices, row.values), (whole.indices, whole.values));
        assert_eq!((part.targets()[k], part.original_row(k)), (data.targets()[i as usize], data.original_row(i as usize)));
        row.indices.iter().for_each(|&j| counts[j as usize] += 1);
    }
    assert_eq!(part.counts(), counts);
    assert_eq!(part.n_nonzeros(), counts.iter().sum::<u32>() as usize);
    // A part of a part, back in the user's order, and what only a whole can do.
    let again = part.part(&[3, 7, 11]);
    assert_eq!(again.row(1).indices, data.row(rows[7] as usize).indices);
    let places: Vec<usize> = (0..part.n_rows()).map(|k| part.original_row(k)).collect();
    assert!(part.in_original_order(&places).is_sorted());
    assert!(part.as_csmat().is_err());
    assert!(unfenced::data::write_store(&part, &std::env::temp_dir().join("never.unf")).is_err());
}

#[test]
fn training_on_a_part_is_training_on_a_file_that_holds_only_those_rows() {
    let team = Team::new(1, false).expect("a worker");
    for loss in [&SquaredHinge as &'static dyn Loss, &Logistic, &Squared] {
        let data = random_rows(200, 60, 6, loss.task() == Task::Regression, 5);
        let folds = Folds::new(&data, loss, 4, 2).expect("folds");
        for fold in 0..4 {
            let rows = folds.training(fold);
            let (part, own) = (data.part(&rows), alone(&data, &rows));
            let penalty = Penalty { l2: 1.0 / rows.len() as f64, l1: 1e-3 };
            for choice in [
                choice(StrategyKind::Sequential, UpdateKind::Sdca),
                choice(StrategyKind::Coordinate, UpdateKind::Sgd),
                Choice { sharing: Sharing::Replicated, ..choice(StrategyKind::Hogwild, UpdateKind::Sdca) },
            ] {
                let objective = |data| {
                    let limits = Limits { gap: Some(1e-7), epochs: Some(20_000), ..Limits::default() };
                    fit::<f64>(&problem(data, loss, penalty, false), &choice, &team, limits).best.certificate.objective
                };
                let (on_part, on_own): (f64, f64) = (objective(&part), objective(&own));
                assert!((on_part - on_own).abs() <= 1e-6 * on_own, "{} by {choice:?}: {on_part} {on_own}", loss.name());
            }
        }
    }
}

#[test]
fn a_search_judges_every_fold_as_a_plain_loop_does_with_any_number_of_workers() {
    for (loss, regression) in [(&Logistic as &'static dyn Loss, false), (&Squared, true)] {
        let data = random_rows(240, 30, 6, regression, 6);
        let mut searched = of_strengths(loss, &[0.01, 1.0, 100.0], 3);
        searched.grid.push(configuration(Strength::L2(0.0), 1e-2, UpdateKind::Adagrad));
        searched.grid.push(Configuration {
            choice: Choice::new(StrategyKind::Coordinate, UpdateKind::Sgd),
            ..configuration(Strength::L2(1e-2), 0.0, UpdateKind::Sgd)
        });
        searched.limits.epochs = Some(60);
        let folds = Folds::new(&data, loss, 3, 1).expect("folds");
        let one = Team::new(1, false).expect("a worker");
        for n_workers in [1, 2, 5] {
            let team = Team::new(n_workers, true).expect("workers");
            let told = Mutex::new(vec![0; 5]);
            let outcomes = search(&data, &searched, &team, |k, _| told.lock().expect("a count")[k] += 1).expect("a search");
            assert_eq!(*told.lock().expect("counts"), [3; 5]);
            for (k, outcome) in outcomes.iter().enumerate() {
                assert_eq!(outcome.configuration, k);
                for (fold, found) in outcome.fits.iter().enumerate() {
                    let (training, held_out) = (data.part(&folds.training(fold)), data.part(&folds.held_out(fold)));
                    let configuration = &searched.grid[k];
                    let strategy = match configuration.choice.strategy {
                        StrategyKind::Hogwild => StrategyKind::Sequential,
                        other => other,
                    };
                    let choice = Choice { strategy, ..configuration.choice.clone() };
                    let problem = problem(&training, loss, configuration.penalty(training.n_rows()), false);
                    let best = fit::<f32>(&problem, &choice, &one, searched.limits).best;
                    let scores = eval::scores(&held_out, &best.weights, 0.0);
                    let targets = eval::class_signs(&held_out, problem.classes()).expect("its classes");
                    let found = found.expect("a model");
                    assert_eq!(found.metrics, eval::metrics(loss, &scores, &targets), "configuration {k}, fold {fold}");
                    assert_eq!(found.objective, best.certificate.objective);
                }
            }
        }
    }
}

#[test]
fn the_best_has_the_highest_mean_and_the_first_of_equals_is_taken() {
    let data = text_like(400, 200, 8);
    let team = Team::new(2, false).expect("workers");
    let searched = of_strengths(&Hinge, &[1e-9, 1.0, 1e-9, 1.0], 4);
    let outcomes = search(&data, &searched, &team, |_, _| ()).expect("a search");
    let accuracy = |outcome: &Outcome| outcome.mean(|metrics| metrics.accuracy).expect("a mean").mean;
    assert!(accuracy(&outcomes[1]) > accuracy(&outcomes[0]) && accuracy(&outcomes[1]) == accuracy(&outcomes[3]));
    assert_eq!(best(&outcomes, Task::Classification).expect("a best").configuration, 1);
    let by_hand: f64 =
        outcomes[1].fits.iter().map(|fit| fit.expect("a model").metrics.accuracy.expect("shares")).sum::<f64>() / 4.0;
    assert!((accuracy(&outcomes[1]) - by_hand).abs() < 1e-15);
    // Of regression, the lowest error.
    let mut random = examples::Numbers(5);
    let line = |_| {
        let (x, z) = (random.next(), random.next());
        format!("{} 1:{x} 2:{z}\n", 3.0 * x - z)
    };
    let data = read(&(0..300).map(line).collect::<String>());
    let outcomes = search(&data, &of_strengths(&Squared, &[1e-9, 1.0], 3), &team, |_, _| ()).expect("a search");
    assert_eq!(best(&outcomes, Task::Regression).expect("a best").configuration, 1);
}

#[test]
fn what_explodes_is_never_the_best() {
    let data = random_rows(120, 20, 6, true, 9);
    let team = Team::new(2, false).expect("workers");
    let mut searched = of_strengths(&Squared, &[1.0], 3);
    searched.limits.epochs = Some(20);
    let wild = Configuration { step_size: Some(1e30), ..configuration(Strength::L2(1e-3), 0.0, UpdateKind::Sgd) };
    searched.grid.insert(0, wild.clone());
    let outcomes = search(&data, &searched, &team, |_, _| ()).expect("a search");
    assert!(outcomes[0].fits.iter().all(Option::is_none) && outcomes[0].goodness(Task::Regression).is_none());
    assert_eq!(best(&outcomes, Task::Regression).expect("a best").configuration, 1);
    searched.grid = vec![wild];
    assert!(best(&search(&data, &searched, &team, |_, _| ()).expect("a search"), Task::Regression).is_none());
}

#[test]
fn a_cancelled_search_keeps_what_is_finished() {
    let data = text_like(300, 100, 6);
    let team = Team::new(1, false).expect("a worker");
    let searched = of_strengths(&Hinge, &[1.0, 0.1, 0.01], 3);
    let (flag, n) = (team.cancel_flag(), Mutex::new(0));
    let stop_after_4 = |_: usize, _: Option<&_>| {
        let mut n = n.lock().expect("a count");
        *n += 1;
        flag.store(*n == 4, Ordering::Relaxed);
    };
    let outcomes = search(&data, &searched, &team, stop_after_4).expect("a search");
    // The weakest penalty is begun first.
    assert_eq!(outcomes.iter().map(|outcome| outcome.configuration).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_search_that_can_not_be_is_refused_with_one_sentence() {
    let data = read("1 1:1\n1 2:1\n1 3:1\n-1 1:2\n-1 2:2\n");
    let team = Team::new(2, false).expect("workers");
    let refused = |searched: &Search, word: &str| {
        let error = search(&data, searched, &team, |_, _| ()).expect_err("refused").to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(&of_strengths(&Hinge, &[], 2), "without a configuration");
    for n_folds in [0, 1, 6] {
        refused(&of_strengths(&Hinge, &[1.0], n_folds), "from 2 to 5 are wanted");
    }
    refused(&of_strengths(&Hinge, &[1.0], 3), "label -1 has 2 rows");
    for c in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let searched = of_strengths(&Hinge, &[1.0, c], 2);
        if c == f64::INFINITY {
            refused(&searched, "a penalty"); // l2 = 0
        } else {
            refused(&searched, "a strength is wanted");
        }
    }
    let mut searched = of_strengths(&Hinge, &[1.0], 2);
    searched.grid.push(Configuration {
        choice: Choice::new(StrategyKind::Minibatch, UpdateKind::Sdca),
        ..configuration(Strength::C(1.0), 0.0, UpdateKind::Sdca)
    });
    refused(&searched, "minibatch");
    searched.grid[1].choice = Choice::new(StrategyKind::Coordinate, UpdateKind::Sgd);
    refused(&searched, "has a corner");
}
