//! Averaging: what it computes is the mean of runs that share nothing, the same in every run, and it can be taken up again.

mod examples;

use examples::{after_epochs, choice, problem, random_rows, text_like};
use unfenced::loss::{Logistic, Squared};
use unfenced::strategy::{Choice, Order, StrategyKind, UpdateKind, build};
use unfenced::{Dataset, Penalty, Problem, Team};

const ON_GRADIENTS: [UpdateKind; 2] = [UpdateKind::Sgd, UpdateKind::Adagrad];
const EVERY: [Option<u64>; 4] = [Some(1), Some(2), Some(3), None];

fn averaging(update: UpdateKind, average_every: Option<u64>) -> Choice {
    Choice { average_every, ..choice(StrategyKind::Averaging, update) }
}

/// One worker's weights and AdaGrad's sums, stepping as the papers say.
#[derive(Clone)]
struct Plain {
    w: Vec<f64>,
    squares: Vec<f64>,
}

impl Plain {
    fn step(&mut self, problem: &Problem, data: &Dataset, i: usize, update: UpdateKind, h: f64) {
        let row = data.row(i);
        let score: f64 = row.iter().map(|(j, x)| self.w[j] * f64::from(x)).sum();
        let slope = problem.loss().derivative(score, f64::from(problem.targets()[i]));
        for (j, x) in row.iter() {
            let gradient = slope * f64::from(x);
            self.squares[j] += gradient * gradient;
            let step = match update {
                UpdateKind::Adagrad if self.squares[j] == 0.0 => continue,
                UpdateKind::Adagrad => h / self.squares[j].sqrt(),
                _ => h,
            };
            let strength = step * (data.n_rows() as f64 / f64::from(data.counts()[j])) * problem.penalty().l2;
            self.w[j] = (self.w[j] - step * gradient) / (1.0 + strength);
        }
    }
}

/// The averages after each epoch, worker by worker on one thread.
fn plain_averages(problem: &Problem, data: &Dataset, choice: &Choice, n_workers: usize, epochs: u64, h: f64) -> Vec<Vec<f64>> {
    let d = data.n_features();
    let mut workers = vec![Plain { w: vec![0.0; d], squares: vec![0.0; d] }; n_workers];
    let share =
        |order: &Order, k: usize| -> Vec<usize> { order.visits(order.chunk(k, n_workers)).map(|visit| visit.row).collect() };
    let mut dealt = Order::new(data, choice.seed);
    dealt.shuffle(0, &[]);
    let mut means = Vec::new();
    for epoch in 0..epochs {
        let mut order = Order::new(data, choice.seed);
        for (k, worker) in workers.iter_mut().enumerate() {
            let rows = if choice.average_every.is_some() {
                order.shuffle(epoch, &[]);
                share(&order, k)
            } else {
                let mine = share(&dealt, k);
                let rests: Vec<u8> = (0..data.n_rows()).map(|i| u8::from(mine.contains(&i))).collect();
                order.shuffle(epoch, &rests);
                order.visits(0..order.n_visits()).map(|visit| visit.row).collect()
            };
            assert!(rows.len().abs_diff(data.n_rows() / n_workers) <= 1);
            rows.into_iter().for_each(|i| worker.step(problem, data, i, choice.update, h));
        }
        let mean: Vec<f64> = (0..d).map(|j| workers.iter().map(|worker| worker.w[j]).sum::<f64>() / n_workers as f64).collect();
        if choice.average_every.is_some_and(|every| (epoch + 1) % every == 0) {
            workers.iter_mut().for_each(|worker| worker.w.clone_from(&mean));
        }
        means.push(mean);
    }
    means
}

#[test]
fn what_is_evaluated_is_the_mean_of_workers_who_run_one_after_the_other() {
    let data = random_rows(200, 25, 3, false, 31); // 3 non-zeros a row are summed in the same order
    let problem = problem(&data, &Logistic, Penalty { l2: 0.01, l1: 0.0 }, false);
    for update in ON_GRADIENTS {
        for every in EVERY {
            for n_workers in [1, 2, 3, 4] {
                let (choice, team) = (averaging(update, every), Team::new(n_workers, false).expect("workers"));
                let mut strategy = build::<f64>(&problem, &choice).expect("a method");
                for (epoch, mean) in plain_averages(&problem, &data, &choice, n_workers, 7, 0.3).iter().enumerate() {
                    strategy.epoch(&problem, &team, 0.3);
                    for (found, expected) in strategy.weights().0.iter().zip(mean) {
                        let what = format!("{update:?}, every {every:?}, {n_workers} workers, epoch {epoch}");
                        assert!((found - expected).abs() < 1e-13, "{what}: {found} is not {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_run_with_as_many_workers_gives_the_same_bits() {
    let data = text_like(600, 300, 10);
    let problem = problem(&data, &Logistic, Penalty { l2: 1e-3, l1: 1e-4 }, true);
    for every in EVERY {
        for n_workers in [2, 4] {
            let state = || {
                let team = Team::new(n_workers, false).expect("workers");
                after_epochs::<f32>(&problem, &averaging(UpdateKind::Adagrad, every), &team, 4, 0.3).state()
            };
            let first = state();
            (0..25).for_each(|_| assert_eq!(state(), first, "{n_workers} workers, every {every:?}"));
        }
    }
}

#[test]
fn a_run_taken_up_again_goes_on_exactly() {
    let data = random_rows(300, 40, 8, true, 9);
    let problem = problem(&data, &Squared, Penalty { l2: 0.02, l1: 0.003 }, true);
    for update in ON_GRADIENTS {
        for every in EVERY {
            for n_workers in [1, 2, 4] {
                let (choice, team) = (averaging(update, every), Team::new(n_workers, false).expect("workers"));
                let whole = after_epochs::<f32>(&problem, &choice, &team, 7, 0.1).state();
                for stop in 0..7 {
                    let state = after_epochs::<f32>(&problem, &choice, &team, stop, 0.1).state();
                    // A new strategy, and one that has gone somewhere else meanwhile.
                    for mut again in
                        [build::<f32>(&problem, &choice).expect("a method"), after_epochs(&problem, &choice, &team, 4, 0.2)]
                    {
                        again.restore(&state).expect("its own state");
                        (stop..7).for_each(|_| _ = again.epoch(&problem, &team, 0.1));
                        assert_eq!(again.state(), whole, "{update:?}, every {every:?}, {n_workers} workers, after {stop}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_state_that_lacks_a_worker_s_table_or_has_one_too_many_is_refused() {
    let data = random_rows(100, 20, 5, false, 4);
    let problem = problem(&data, &Logistic, Penalty { l2: 0.01, l1: 0.0 }, false);
    let team = Team::new(3, false).expect("workers");
    let choice = averaging(UpdateKind::Adagrad, None);
    let state = after_epochs::<f32>(&problem, &choice, &team, 2, 0.1).state();
    assert_eq!(state.tables.len(), 1 + 3 * 3);
    for spoil in 0..state.tables.len() {
        let mut spoilt = state.clone();
        spoilt.tables.remove(spoil);
        assert!(
            build::<f32>(&problem, &choice).expect("a method").restore(&spoilt).is_err(),
            "without {:?}",
            state.tables[spoil].0
        );
        let mut spoilt = state.clone();
        spoilt.tables[spoil].1.push(0.0);
        assert!(
            build::<f32>(&problem, &choice).expect("a method").restore(&spoilt).is_err(),
            "longer {:?}",
            state.tables[spoil].0
        );
    }
    let other = Choice { strategy: StrategyKind::Sequential, ..choice };
    assert!(build::<f32>(&problem, &other).expect("a method").restore(&state).is_err());
}

#[test]
fn workers_who_never_meet_come_near_the_optimum_and_those_who_do_come_nearer() {
    let data = text_like(3000, 300, 15);
    let problem = problem(&data, &Logistic, examples::ridge(&data, 1.0), false);
    let team = Team::new(4, false).expect("workers");
    let objective = |every| {
        let limits = unfenced::train::Limits { epochs: Some(60), ..Default::default() };
        examples::fit::<f64>(&problem, &averaging(UpdateKind::Sgd, every), &team, limits).best.certificate.objective
    };
    let alone = Choice { strategy: StrategyKind::Sequential, ..averaging(UpdateKind::Sdca, None) };
    let limits = unfenced::train::Limits { gap: Some(1e-8), epochs: Some(5000), ..Default::default() };
    let best = examples::fit::<f64>(&problem, &alone, &Team::new(1, false).expect("a worker"), limits).best.certificate.objective;
    let (once, often) = (objective(None), objective(Some(1)));
    assert!(often < once && often < 1.01 * best && once < 1.5 * best, "{once} {often} {best}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let data = random_rows(50, 10, 4, false, 4);
    let problem = problem(&data, &Logistic, Penalty { l2: 0.01, l1: 0.0 }, false);
    let refused = |choice| build::<f32>(&problem, &choice).err().expect("refused").to_string();
    assert!(refused(averaging(UpdateKind::Sgd, Some(0))).contains("1 or more is wanted, or never"));
    assert!(refused(averaging(UpdateKind::Sdca, None)).contains("use --update sgd or adagrad"));
}
