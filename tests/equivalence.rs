//! What must be equal is equal to the last bit: one worker to no sharing at all, many threads to one, the fast path to a
//! slow and plain reference.

mod examples;

use std::time::Duration;

use examples::{after_epochs, choice, crosses, problem, random_rows, ridge, text_like};
use unfenced::loss::{self, Hinge, Huber, Logistic, Loss, Squared, SquaredHinge, Task};
use unfenced::strategy::Precision;
use unfenced::strategy::{Choice, Delay, Order, Sharing, State, Strategy, StrategyKind, UpdateKind, build};
use unfenced::train::{Limits, Plan, StepSize, train};
use unfenced::{Dataset, Penalty, Problem, Team};

fn one_worker_equals_sequential<F: Precision>(loss: &'static dyn Loss, penalty: Penalty, intercept: bool) {
    let data = random_rows(300, 40, 8, loss.task() == Task::Regression, 9);
    let problem = problem(&data, loss, penalty, intercept);
    let team = Team::new(1, false).expect("a worker");
    for choice in crosses().into_iter().filter(|choice| !choice.strategy.has_own_step()) {
        let choice = Choice { batch: 1, ..choice };
        let state = |choice: &Choice| after_epochs::<F>(&problem, choice, &team, 3, 0.25).state();
        let reference = state(&Choice { strategy: StrategyKind::Sequential, ..choice.clone() });
        assert!(reference.weights.iter().any(|w| *w != F::ZERO), "{choice:?} does nothing");
        assert_eq!(state(&choice), reference, "{choice:?} on {}", loss.name());
    }
}

#[test]
fn every_strategy_with_one_worker_equals_sequential() {
    for loss in [&Hinge as &dyn Loss, &SquaredHinge, &Logistic, &Squared, &Huber] {
        one_worker_equals_sequential::<f32>(loss, Penalty { l2: 0.01, l1: 0.0 }, false);
    }
}

#[test]
fn with_intercept_elastic_net_and_f64_it_does_too() {
    one_worker_equals_sequential::<f32>(&Logistic, Penalty { l2: 0.01, l1: 0.0 }, true);
    one_worker_equals_sequential::<f32>(&Hinge, Penalty { l2: 0.02, l1: 0.003 }, true);
    one_worker_equals_sequential::<f64>(&Squared, Penalty { l2: 0.02, l1: 0.003 }, true);
}

#[test]
fn sequential_runs_are_the_same_twice_and_differ_by_seed() {
    let data = text_like(500, 300, 10);
    let problem = problem(&data, &Hinge, ridge(&data, 1.0), false);
    let team = Team::new(1, false).expect("a worker");
    let state = |seed| {
        let choice = Choice { seed, ..choice(StrategyKind::Sequential, UpdateKind::Sdca) };
        after_epochs::<f32>(&problem, &choice, &team, 2, 1.0).state()
    };
    assert_eq!(state(1), state(1));
    assert_ne!(state(1), state(2));
}

#[test]
fn minibatch_is_the_same_with_any_number_of_workers() {
    let data = text_like(800, 300, 12);
    for update in [UpdateKind::Sgd, UpdateKind::Adagrad] {
        for (batch, intercept) in [(1, false), (16, true), (100, false), (usize::MAX, true)] {
            let problem = problem(&data, &Logistic, Penalty { l2: 1e-3, l1: 1e-4 }, intercept);
            let choice = Choice { batch, ..choice(StrategyKind::Minibatch, update) };
            let state = |n| {
                let team = Team::new(n, false).expect("workers");
                after_epochs::<f32>(&problem, &choice, &team, 3, 0.5).state()
            };
            let reference = state(1);
            for n in [2, 3, 4, 8] {
                assert_eq!(state(n), reference, "{n} workers, batch {batch}");
            }
        }
    }
}

/// The rows of a run of conflict_free that were shared out among workers, as a share of all.
fn shared_out(strategy: &dyn Strategy<impl Precision>) -> f64 {
    1.0 - strategy.figures().iter().find(|figure| figure.0 == "serial_share").expect("a share").1
}

fn conflict_free_equals_sequential<F: Precision>(data: &Dataset, update: UpdateKind, seed: u64, teams: &[Team]) -> f64 {
    let problem = problem(data, &Logistic, Penalty { l2: 0.01, l1: 0.001 }, false);
    let choice = Choice { seed, ..choice(StrategyKind::ConflictFree, update) };
    let sequential = Choice { strategy: StrategyKind::Sequential, ..choice.clone() };
    let reference = after_epochs::<F>(&problem, &sequential, &teams[0], 3, 0.3).state();
    let mut least = 1.0f64;
    for team in teams {
        let found = after_epochs::<F>(&problem, &choice, team, 3, 0.3);
        assert!(found.state() == reference, "{choice:?} with {} workers", team.n_workers());
        if team.n_workers() > 1 {
            least = least.min(shared_out(found.as_ref()));
        }
    }
    least
}

#[test]
fn conflict_free_equals_its_serial_order_bit_for_bit_in_hundreds_of_rounds() {
    let teams: Vec<Team> = [1, 2, 4, 8].map(|n| Team::new(n, false).expect("workers")).into();
    let few_collisions = random_rows(700, 4000, 6, false, 3);
    let (few_features, all_alike) = (random_rows(700, 300, 4, false, 4), text_like(300, 100, 12));
    for seed in 0..40 {
        for &update in UpdateKind::ALL {
            for (data, least, most) in [(&few_collisions, 1.0, 1.0), (&few_features, 0.0, 1.0), (&all_alike, 0.0, 0.9)] {
                let shared_out = if seed % 4 == 0 {
                    conflict_free_equals_sequential::<f64>(data, update, seed, &teams)
                } else {
                    conflict_free_equals_sequential::<f32>(data, update, seed, &teams)
                };
                assert!((least..=most).contains(&shared_out), "{shared_out} of the rows were shared out");
            }
        }
    }
}

#[test]
fn conflict_free_leaves_rows_that_all_have_an_intercept_to_one_worker_and_says_so() {
    let data = random_rows(500, 2000, 6, false, 3);
    let problem = problem(&data, &Logistic, ridge(&data, 1.0), true);
    let team = Team::new(4, false).expect("workers");
    for &update in UpdateKind::ALL {
        let state = |strategy| after_epochs::<f32>(&problem, &choice(strategy, update), &team, 3, 0.3);
        let found = state(StrategyKind::ConflictFree);
        assert_eq!(found.figures(), [("serial_share", 1.0)]);
        assert!(found.state() == state(StrategyKind::Sequential).state());
    }
}

#[test]
fn the_figures_of_conflict_free_are_those_of_a_batch_made_by_hand() {
    // Two features, and each row has one of them: every batch has two components.
    let data = examples::read(&(0..640).map(|i| format!("{} {}:1\n", i % 2, 1 + i / 3 % 2)).collect::<String>());
    let problem = problem(&data, &Hinge, ridge(&data, 1.0), false);
    let choice = choice(StrategyKind::ConflictFree, UpdateKind::Sgd);
    let mut order = Order::new(&data, choice.seed);
    order.shuffle(0, &[]);
    let batch = |k: usize| {
        let ones = order.visits(32 * k..32 * (k + 1)).filter(|visit| data.row(visit.row).indices == [0]).count();
        ones.max(32 - ones) as f64 / 32.0
    };
    let largest_share = (batch(0) + batch(1)) / 2.0;
    assert!(largest_share > 0.5, "another seed is wanted");
    let team = Team::new(2, false).expect("workers");
    let figures = after_epochs::<f32>(&problem, &choice, &team, 1, 0.1).figures();
    // Two batches of the fewest rows, one for each worker; then the rest of the epoch is one worker's.
    let expected = [
        ("batch_rows", 32.0),
        ("components_a_batch", 2.0),
        ("component_rows", 16.0),
        ("largest_share", largest_share),
        ("serial_share", 0.9),
    ];
    assert_eq!(figures, expected);
}

#[test]
fn merges_on_a_fixed_schedule_give_the_same_bits_whoever_is_slow() {
    let data = text_like(400, 150, 10);
    for n_workers in [2, 4, 8] {
        let team = Team::new(n_workers, false).expect("workers");
        for (update, loss, intercept) in [
            (UpdateKind::Sdca, &Hinge as &'static dyn Loss, false),
            (UpdateKind::Sdca, &Logistic, true),
            (UpdateKind::Sgd, &Logistic, true),
        ] {
            let problem = problem(&data, loss, Penalty { l2: 1e-3, l1: 1e-4 }, intercept);
            let choice = Choice { sharing: Sharing::Replicated, deterministic: true, ..choice(StrategyKind::Hogwild, update) };
            let state = |choice: &Choice| after_epochs::<f32>(&problem, choice, &team, 3, 0.5).state();
            let reference = state(&choice);
            for round in 0..100 {
                let pause = Duration::from_micros(1 + 7 * (round % 9));
                let delays = vec![Delay { worker: Some(round as usize % n_workers), pause, every: 1 + round as usize % 5 }];
                let delays = if round % 4 == 3 { Vec::new() } else { delays };
                assert!(state(&Choice { delays, ..choice.clone() }) == reference, "{n_workers} workers, round {round}");
            }
        }
    }
}

#[test]
fn what_chance_decides_is_not_called_deterministic() {
    let data = text_like(100, 50, 5);
    let problem = problem(&data, &Hinge, ridge(&data, 1.0), false);
    for choice in crosses() {
        let refused = unfenced::strategy::build::<f32>(&problem, &Choice { deterministic: true, ..choice.clone() }).err();
        let ordered = [StrategyKind::Sequential, StrategyKind::Minibatch, StrategyKind::Averaging, StrategyKind::ConflictFree];
        let ordered = ordered.contains(&choice.strategy);
        let merged = choice.sharing == Sharing::Replicated && [UpdateKind::Sdca, UpdateKind::Sgd].contains(&choice.update);
        assert_eq!(refused.is_none(), ordered || merged, "{choice:?}");
        assert!(refused.is_none_or(|error| error.to_string().contains("use --strategy conflict_free")));
    }
}

#[test]
fn objective_gradient_and_gap_are_the_same_with_any_number_of_threads() {
    let data = text_like(5000, 2000, 12);
    let mut random = examples::Numbers(4);
    let w: Vec<f64> = random.vector(data.n_features());
    let a: Vec<f64> = random.vector(data.n_rows());
    for loss in loss::ALL {
        let problem = problem(&data, loss, Penalty { l2: 1e-3, l1: 1e-4 }, true);
        let bits = |n: usize| {
            let team = Team::new(n, false).expect("threads");
            team.install(|| {
                let certificate = problem.certify(&w, 0.3);
                let (gradient, slope) = problem.gradient(&w, 0.3);
                let mut all = vec![certificate.objective, certificate.dual.expect("a dual"), slope];
                all.extend(gradient);
                all.extend(problem.transposed(&a));
                all.into_iter().map(f64::to_bits).collect::<Vec<_>>()
            })
        };
        let reference = bits(1);
        for n in [2, 3, 7, 16] {
            assert!(bits(n) == reference, "{} with {n} threads", loss.name());
        }
    }
}

/// The leap of crate::update::leap from where a and u stand, away from where they stood.
fn plain_leap(
    problem: &Problem,
    data: &Dataset,
    (a, u, rests): (&mut [f64], &mut [f64], &mut [u8]),
    (a0, u0): (&[f64], &[f64]),
) -> bool {
    let (n, Penalty { l2, l1 }, loss) = (a.len(), problem.penalty(), problem.loss().dual().expect("a dual"));
    let conjugate = |i: usize, a_i: f64| loss.conjugate(a_i, f64::from(problem.targets()[i]));
    let moved: Vec<usize> = (0..n).filter(|&i| a[i] != a0[i]).collect();
    let (go, stay): (Vec<usize>, Vec<usize>) = moved.iter().partition(|&&i| conjugate(i, 2.0 * a[i] - a0[i]).is_finite());
    if stay.len() as f64 > 0.1 * moved.len() as f64 {
        return false;
    }
    let mut way: Vec<f64> = u.iter().zip(u0).map(|(u, u0)| u - u0).collect();
    for &i in &stay {
        data.row(i).iter().for_each(|(j, x)| way[j] -= (a[i] - a0[i]) / (l2 * n as f64) * f64::from(x));
    }
    let dual = |t: f64| {
        let conjugates: f64 = go.iter().map(|&i| conjugate(i, a[i] + t * (a[i] - a0[i]))).sum();
        let square = |(u, way): (&f64, &f64)| ((u + t * way).abs() - l1 / l2).max(0.0).powi(2);
        -conjugates / n as f64 - l2 / 2.0 * u.iter().zip(&way).map(square).sum::<f64>()
    };
    let t = [0.5, 1.0].into_iter().fold(0.0, |best, t| if dual(t) > dual(best) { t } else { best });
    go.iter().for_each(|&i| a[i] += t * (a[i] - a0[i]));
    u.iter_mut().zip(&way).for_each(|(u, way)| *u += t * way);
    if t > 0.0 {
        go.iter().for_each(|&i| rests[i] = 1);
    }
    t > 0.0
}

/// Plain f64 code straight from the papers. Rows have at most 3 non-zeros, which the engine sums in the same order, so that
/// even the rounding agrees.
fn plain_epochs(problem: &Problem, data: &Dataset, choice: &Choice, epochs: u64, h: f64) -> (Vec<f64>, Vec<f64>) {
    let (n, d, Penalty { l2, l1 }) = (data.n_rows(), data.n_features(), problem.penalty());
    let (mut w, mut squares, mut a) = (vec![0.0; d], vec![0.0; d], vec![0.0; n]);
    let (mut s, mut average) = (vec![0.0; n], vec![0.0; d]);
    let (mut rests, mut excess, mut drift) = (vec![1u8; n], vec![0.0; n], 1.0);
    let mut order = Order::new(data, choice.seed);
    let (mut mark, mut next, mut pause) = (None, 12, 2);
    let mut members: Vec<usize> = Vec::new();
    for epoch in 0..epochs {
        if choice.update == UpdateKind::Sdca {
            match mark.take() {
                None if epoch >= next => mark = Some((epoch, a.clone(), w.clone())),
                Some((at, a0, w0)) if epoch >= at + 2 => {
                    pause =
                        if plain_leap(problem, data, (&mut a, &mut w, &mut rests), (&a0, &w0)) { 1 } else { (2 * pause).min(32) };
                    next = epoch + pause;
                }
                other => mark = other,
            }
        }
        // SAGA begins with the derivatives at the first weights; SVRG takes a snapshot in every second epoch.
        if (choice.update == UpdateKind::Saga && epoch == 0) || (choice.update == UpdateKind::Svrg && epoch % 2 == 0) {
            average.fill(0.0);
            for (i, s_i) in s.iter_mut().enumerate() {
                let score: f64 = data.row(i).iter().map(|(j, x)| w[j] * f64::from(x)).sum();
                *s_i = problem.loss().derivative(score, f64::from(problem.targets()[i]));
                data.row(i).iter().for_each(|(j, x)| average[j] += *s_i * f64::from(x) / n as f64);
            }
        }
        // A fifth of the rows or fewer that are to be visited soon become a working set, where the data are worth it; what rests
        // is counted in rounds of 8 epochs for the others.
        let rounds = |rest: u8| (rest / 8).max(1);
        let is_near = |rests: &[u8], i: usize| rests[i] < 16;
        if choice.update == UpdateKind::Sdca && members.is_empty() && epoch > 0 && data.n_nonzeros() >= 1 << 16 {
            let near: Vec<usize> = (0..n).filter(|&i| is_near(&rests, i)).collect();
            if 5 * near.len() <= n {
                rests.iter_mut().filter(|rest| **rest >= 16).for_each(|rest| *rest = rounds(*rest));
                (members, mark) = (near, None);
            }
        }
        let mut visited: Vec<usize> = Vec::new();
        let is_round = members.is_empty() || epoch % 8 == 0;
        if is_round {
            let round = if members.is_empty() { epoch } else { epoch / 8 };
            let of_others: Vec<u8> = (0..n).map(|i| if members.contains(&i) { 0 } else { rests[i] }).collect();
            order.shuffle(round, &of_others);
            visited.extend(order.visits(0..order.n_visits()).map(|visit| visit.row));
        }
        let (of_round, mut place, mut among_members) = (visited.len(), 0, false);
        while place < visited.len() || !(among_members || members.is_empty()) {
            if place == of_round && !(among_members || members.is_empty()) {
                if is_round {
                    let awake = (0..n).filter(|i| rests[*i] == 1 && !members.contains(i)).collect::<Vec<_>>();
                    let (near, idle): (Vec<usize>, Vec<usize>) = members.iter().partition(|&&i| is_near(&rests, i));
                    if 3 * idle.len() > 2 * members.len() {
                        idle.iter().for_each(|&i| rests[i] = rounds(rests[i]));
                        (members, mark) = (near, None);
                        members.extend(awake);
                        members.sort_unstable();
                    } else {
                        members.extend(awake);
                    }
                }
                let of_members: Vec<u8> = members.iter().map(|&i| rests[i]).collect();
                order.shuffle_copies(members.len(), epoch, &of_members);
                visited.extend(order.visits(0..order.n_visits()).map(|visit| members[visit.row]));
                among_members = true;
                continue;
            }
            let i = visited[place];
            let in_rounds = !(among_members || members.is_empty());
            place += 1;
            let (row, y) = (data.row(i), f64::from(problem.targets()[i]));
            let seen = |u: f64| {
                if choice.update == UpdateKind::Sdca && l1 > 0.0 { u.signum() * (u.abs() - l1 / l2).max(0.0) } else { u }
            };
            let score: f64 = row.iter().map(|(j, x)| seen(w[j]) * f64::from(x)).sum();
            if choice.update == UpdateKind::Sdca {
                let scale = 1.0 / (l2 * n as f64);
                let q = f64::from(problem.squared_norms()[i]) * scale;
                let step = problem.loss().dual().expect("a dual").step(a[i], score, y, q.max(1e-12));
                let change = step.best - a[i];
                excess[i] = step.excess;
                // A row stays as long as the drift, which is a guess in the first epoch, is small beside its slack.
                let longest = [0.5, 1.0, 1.5, 2.5, 4.0, 6.0].iter().filter(|&&drifts| step.slack > drifts * drift).count();
                let rest = if change == 0.0 { 1 << longest } else { 1 };
                rests[i] = if in_rounds { rounds(rest) } else { rest };
                a[i] += change;
                row.iter().for_each(|(j, x)| w[j] += change * scale * f64::from(x));
                continue;
            }
            let slope = problem.loss().derivative(score, y);
            for (j, x) in row.iter() {
                let rarity = n as f64 / f64::from(data.counts()[j]);
                let mut gradient = slope * f64::from(x);
                if [UpdateKind::Saga, UpdateKind::Svrg].contains(&choice.update) {
                    gradient = (slope - s[i]) * f64::from(x) + rarity * average[j];
                }
                if choice.update == UpdateKind::Saga {
                    average[j] += (slope - s[i]) * f64::from(x) / n as f64;
                }
                let mut step = h;
                if choice.update == UpdateKind::Adagrad {
                    squares[j] += gradient * gradient;
                    if squares[j] == 0.0 {
                        continue;
                    }
                    step = h / f64::sqrt(squares[j]);
                }
                let strength = step * rarity;
                let moved: f64 = w[j] - step * gradient;
                let kept = (moved.abs() - strength * l1).max(0.0) / (1.0 + strength * l2);
                let target = if moved > 0.0 { kept } else { -kept };
                w[j] += target - w[j];
            }
            if choice.update == UpdateKind::Saga {
                s[i] = slope;
            }
        }
        let mean = excess.iter().sum::<f64>().max(0.0) / rests.iter().filter(|&&rest| rest == 1).count().max(1) as f64;
        drift = problem.loss().smoothness().map_or(2.0 * mean, |smoothness| (2.0 * mean / smoothness).sqrt() / 2.0);
    }
    (w, a)
}

#[test]
fn sequential_equals_the_papers_written_down_plainly() {
    let team = Team::new(1, false).expect("a worker");
    let mut leaps = 0;
    for loss in loss::ALL {
        let data = random_rows(900, 70, 3, loss.task() == Task::Regression, 32);
        for penalty in [Penalty { l2: 2e-3, l1: 0.0 }, Penalty { l2: 3e-3, l1: 6e-4 }] {
            let problem = problem(&data, loss, penalty, false);
            for &update in UpdateKind::ALL {
                let choice = choice(StrategyKind::Sequential, update);
                let h = if update == UpdateKind::Sdca { 1.0 } else { 0.3 };
                let epochs = if update == UpdateKind::Sdca { 16 } else { 4 };
                let state = after_epochs::<f64>(&problem, &choice, &team, epochs, h).state();
                let (w, a) = plain_epochs(&problem, &data, &choice, epochs as u64, h);
                // At the optimum two lengths of a leap rise alike to the last digits, and rounding chooses: not so many epochs.
                let same = |x: &[f64], y: &[f64]| x.iter().zip(y).all(|(x, y)| (x - y).abs() <= 1e-12 * (1.0 + y.abs()));
                assert!(same(&state.weights, &w), "{} with {penalty:?}: {choice:?}", loss.name());
                if update == UpdateKind::Sdca {
                    assert!(same(&state.tables[0].1, &a), "duals of {} with {penalty:?}", loss.name());
                    leaps += usize::from(pause(&state) == 1.0);
                }
            }
        }
    }
    assert!(leaps > 2, "{leaps} runs leapt last time they could");
}

/// How long sdca has waited, or will, for the mark that it leaps from: 1 after a leap.
fn pause(state: &State<f64>) -> f64 {
    state.tables.iter().find(|(name, _)| name == "marked when").expect("a table").1[1]
}

#[test]
fn a_state_before_a_mark_or_a_leap_or_after_goes_on_as_if_nothing_had_been() {
    let team = Team::new(1, false).expect("a worker");
    let data = random_rows(2000, 100, 3, false, 9);
    let problem = problem(&data, &Hinge, Penalty { l2: 1e-3, l1: 0.0 }, false);
    let choice = choice(StrategyKind::Sequential, UpdateKind::Sdca);
    let new = || build::<f64>(&problem, &choice).expect("a method");
    let (mut whole, mut leaps, mut rows_leapt) = (new(), 0, 0);
    for epoch in 0..30 {
        let state = whole.state();
        whole.epoch(&problem, &team, 1.0);
        let mut again = new();
        again.restore(&state).expect("its own state");
        again.epoch(&problem, &team, 1.0);
        assert!(again.state() == whole.state(), "epoch {epoch}");
        leaps += usize::from(pause(&state) == 1.0);
        for name in ["marked duals", "marked vector", "marked when"] {
            let mut spoilt = state.clone();
            spoilt.tables.iter_mut().filter(|(table, _)| table == name).for_each(|(_, table)| table.push(0.5));
            assert!(new().restore(&spoilt).is_err(), "{name}");
        }
        for wrong in [f64::INFINITY, f64::NAN, -1.0] {
            let mut spoilt = state.clone();
            spoilt.tables.iter_mut().filter(|(table, _)| table == "marked when").for_each(|(_, table)| table[0] = wrong);
            assert!(new().restore(&spoilt).is_err(), "marked before epoch {wrong}");
        }
        // Cancelled before a visit, an epoch leaves what a leap has made. Of a dual variable that leapt no mean is left: it
        // was that of an epoch in which the variable was another, and may lie outside the domain from there.
        let stopped = Team::new(1, false).expect("a worker");
        stopped.cancel_flag().store(true, unfenced::sync::Ordering::Relaxed);
        let mut cut = new();
        cut.restore(&state).expect("its own state");
        cut.epoch(&problem, &stopped, 1.0);
        let column =
            |state: &State<f64>, name: &str| state.tables.iter().find(|table| table.0 == name).expect("a table").1.clone();
        let (before, after) = (column(&state, "duals"), column(&cut.state(), "duals"));
        let lags = column(&cut.state(), "lags");
        let leapt: Vec<usize> = (0..before.len()).filter(|&i| before[i] != after[i]).collect();
        assert!(leapt.iter().all(|&i| lags[i] == 0.0), "epoch {epoch}");
        rows_leapt += leapt.len();
    }
    assert!(leaps > 2 && rows_leapt > 0, "{leaps} epochs after a leap, {rows_leapt} rows leapt");
}

#[test]
fn a_batch_of_the_whole_data_is_gradient_descent() {
    let data = random_rows(150, 20, 6, false, 77);
    let (l2, h) = (0.05, 0.8);
    let problem = problem(&data, &Logistic, Penalty { l2, l1: 0.0 }, false);
    let team = Team::new(2, false).expect("workers");
    let choice = Choice { batch: usize::MAX, ..choice(StrategyKind::Minibatch, UpdateKind::Sgd) };
    let (found, _) = after_epochs::<f64>(&problem, &choice, &team, 50, h).weights();
    let mut w = vec![0.0; data.n_features()];
    for _ in 0..50 {
        // The gradient of the loss alone; the penalty is applied by its prox.
        let (gradient, _) = problem.gradient(&w, 0.0);
        let moved = |w_j: &f64, g_j: &f64| (w_j - h * (g_j - l2 * w_j)) / (1.0 + h * l2);
        w = w.iter().zip(&gradient).map(|(w_j, g_j)| moved(w_j, g_j)).collect();
    }
    for (found, expected) in found.iter().zip(&w) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
}

#[test]
fn a_cancelled_pass_ends_early_with_every_strategy_and_nobody_waits_for_ever() {
    let data = text_like(2000, 500, 10);
    let problem = problem(&data, &SquaredHinge, ridge(&data, 1.0), false);
    for choice in crosses() {
        for n in [1, 2, 5] {
            let team = Team::new(n, false).expect("workers");
            let flag = team.cancel_flag();
            flag.store(true, unfenced::sync::Ordering::Relaxed);
            let mut strategy = unfenced::strategy::build::<f32>(&problem, &choice).expect("a cross that exists");
            strategy.epoch(&problem, &team, 0.1);
            flag.store(false, unfenced::sync::Ordering::Relaxed);
            strategy.epoch(&problem, &team, 0.1);
            assert!(strategy.weights().0.iter().any(|w| *w != 0.0), "{choice:?}");
        }
    }
}

fn members<F>(state: &State<F>) -> usize {
    state.tables.iter().find(|(name, _)| name == "members").expect("a table").1.len() / 2
}

/// Rows that are enough for a working set.
fn many_rows() -> Dataset<'static> {
    random_rows(45_000, 600, 3, false, 4)
}

#[test]
fn a_working_set_steps_as_the_plain_algorithm_does() {
    let (data, team) = (many_rows(), Team::new(1, false).expect("a worker"));
    let problem = problem(&data, &Hinge, Penalty { l2: 2e-4, l1: 0.0 }, false);
    let choice = choice(StrategyKind::Sequential, UpdateKind::Sdca);
    let (mut method, mut sizes) = (build::<f64>(&problem, &choice).expect("a method"), Vec::new());
    for epochs in 1..=26 {
        method.epoch(&problem, &team, 1.0);
        if epochs % 5 != 1 {
            continue;
        }
        let state = method.state();
        let (w, a) = plain_epochs(&problem, &data, &choice, epochs, 1.0);
        let same = |x: &[f64], y: &[f64]| x.iter().zip(y).all(|(x, y)| (x - y).abs() <= 1e-12);
        assert!(same(&state.weights, &w) && same(&state.tables[0].1, &a), "after {epochs} epochs");
        sizes.push(members(&state));
    }
    // It is there from some epoch on, and those who have come to rest leave it.
    assert!(sizes[0] == 0 && sizes[1] > 0 && sizes[2] < sizes[1] / 2, "{sizes:?}");
}

#[test]
fn a_state_with_a_working_set_goes_on_as_if_nothing_had_been() {
    let (data, team) = (many_rows(), Team::new(1, false).expect("a worker"));
    let problem = problem(&data, &Hinge, Penalty { l2: 2e-4, l1: 0.0 }, false);
    let choice = choice(StrategyKind::Sequential, UpdateKind::Sdca);
    let new = || build::<f32>(&problem, &choice).expect("a method");
    let (mut whole, mut with_members) = (new(), 0);
    for epoch in 0..24 {
        let state = whole.state();
        whole.epoch(&problem, &team, 1.0);
        let mut again = new();
        again.restore(&state).expect("its own state");
        assert!(again.state() == state, "epoch {epoch}");
        again.epoch(&problem, &team, 1.0);
        assert!(again.state() == whole.state() && again.estimate() == whole.estimate(), "epoch {epoch}");
        if members(&state) > 0 {
            with_members += 1;
            let spoil = |of: fn(&mut Vec<f32>)| {
                let mut spoilt = state.clone();
                spoilt.tables.iter_mut().filter(|table| table.0 == "members").for_each(|(_, table)| of(table));
                new().restore(&spoilt).is_err()
            };
            assert!(spoil(|table| table[0] = f32::NAN) && spoil(|table| table[1] = -1.0) && spoil(|table| table[0] = 1e9));
            assert!(spoil(|table| table.push(0.0)) && spoil(|table| table.copy_within(0..2, 2)));
        }
    }
    assert!(with_members > 10, "{with_members}");
}

#[test]
fn a_working_set_leads_every_strategy_to_the_certified_optimum() {
    let data = many_rows();
    for n_workers in [1, 2, 8] {
        let team = Team::new(n_workers, false).expect("workers");
        let problem = problem(&data, &Hinge, Penalty { l2: 2e-4, l1: 0.0 }, false);
        for choice in crosses().into_iter().filter(|choice| choice.update == UpdateKind::Sdca && !choice.strategy.has_own_step())
        {
            let mut method = build::<f32>(&problem, &choice).expect("a method");
            let mut limits = Limits { gap: Some(1e-4), epochs: Some(400), ..Limits::default() };
            let plan = Plan::new(StepSize::new(&problem, &choice, None, None));
            let outcome = train(&problem, method.as_mut(), &team, plan, None, &mut [&mut limits]).expect("trained");
            assert!(members(&method.state()) > 0, "{choice:?} with {n_workers}");
            assert!(outcome.best.certificate.gap().is_some_and(|gap| gap <= 1e-4), "{choice:?} with {n_workers}: {outcome:?}");
        }
    }
}
