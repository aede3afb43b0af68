//! What does one non-zero cost, on one thread? Nanoseconds of every update on every memory, and of the two f64 passes that
//! evaluation is made of; one of them also on the rows in the order of the file, where neighbours are not equally long.
//!
//! One iteration is one epoch over the same rows in the same order, from the same weights (those after three epochs), with a
//! constant step size. Criterion prints the time of an epoch and the throughput in non-zeros a second (`elem/s`); 1e9 over
//! that is ns per non-zero. `in turn` runs one epoch of each kernel, then again one of each, starting with another one each
//! time, so that whatever else the machine does hits all alike. The table after it has ns per non-zero, and how many times
//! as much as on plain memory that is. `least` is the fastest epoch: read that one on a machine that does other work too;
//! `median` is what usual epochs take (its quotient the median over the rounds). Doing without locks costs a single thread
//! nothing worth mention if `wild` stays below 1.10 times plain.
//!
//! With `UNFENCED_DATA` naming a folder that holds `news20ng.train.zst`, `mushrooms.zst` and their kin, sets whose rows have one
//! value each are passed over as they are, and `read` beside one row more, whose values differ, so that all values of all rows
//! are read: what it is worth to know that one is enough.
//!
//! ```text
//! cargo bench --bench kernels                          all of it, about 2 minutes
//! cargo bench --bench kernels -- 'in turn' --quick     the tables alone
//! cargo bench --bench kernels -- text-like/sgd         one update on generated rows
//! cargo bench --bench kernels -- debian-libraries      the real rows, which are short: 12 non-zeros
//! ```

mod data;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};
use unfenced::sprs::CsMatI;
use unfenced::strategy::{self, Choice, Sharing, StrategyKind, UpdateKind};
use unfenced::train::{Schedule, StepSize};
use unfenced::{Dataset, Problem, Team};

const WARM_EPOCHS: u32 = 3;

/// Memories by what a weight is: a plain number, or a shared cell added to in two ways.
const MEMORIES: [(&str, StrategyKind, Sharing); 4] = [
    (PLAIN, StrategyKind::Sequential, Sharing::Wild),
    ("wild", StrategyKind::Hogwild, Sharing::Wild),
    ("atomic", StrategyKind::Hogwild, Sharing::Atomic),
    ("replicated", StrategyKind::Hogwild, Sharing::Replicated),
];
const PLAIN: &str = "plain";

/// A pass over all non-zeros that tells how long it took.
struct Kernel<'a> {
    name: String,
    /// Against which kernel it is measured, if against one.
    plain: Option<usize>,
    pass: Box<dyn FnMut() -> Duration + 'a>,
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let team = Team::new(1, true).expect("a thread");
    let sets = [("text-like", Some(data::text_like())), ("debian-libraries", data::debian_libraries())];
    for (name, dataset) in &sets {
        if let Some(dataset) = dataset {
            let (rows, targets) = as_written(dataset);
            let as_written = Dataset::from_csmat(rows.view(), &targets).expect("rows");
            let (problem, as_written) = (data::hinge(dataset), data::hinge(&as_written));
            measure(&mut criterion, name, dataset.n_nonzeros(), kernels(&problem, &as_written, &team));
        }
    }
    for (name, dataset) in data::of_one_value_a_row() {
        let all_read = data::with_a_row_of_two_values(&dataset);
        let (problem, all_read) = (data::hinge(&dataset), data::hinge(&all_read));
        measure(&mut criterion, name, dataset.n_nonzeros(), passes_over_values(&problem, &all_read, &team));
    }
    criterion.final_summary();
}

/// The rows in the order of the file, where neighbours are as long as it happens.
fn as_written(data: &Dataset) -> (CsMatI<f32, u32, u64>, Vec<f32>) {
    let mut places: Vec<usize> = (0..data.n_rows()).collect();
    places.sort_unstable_by_key(|&i| data.original_row(i));
    let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for &i in &places {
        indices.extend_from_slice(data.row(i).indices);
        values.extend_from_slice(data.row(i).values);
        offsets.push(indices.len() as u64);
    }
    let targets = places.iter().map(|&i| data.targets()[i]).collect();
    (CsMatI::new((data.n_rows(), data.n_features()), offsets, indices, values), targets)
}

fn measure(criterion: &mut Criterion, set: &str, n_nonzeros: usize, mut kernels: Vec<Kernel>) {
    let n_nonzeros = n_nonzeros as u64;
    let mut group = criterion.benchmark_group(set);
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(n_nonzeros));
    for Kernel { name, pass, .. } in &mut kernels {
        group.bench_function(name.as_str(), |bencher| bencher.iter_custom(|n| (0..n).map(|_| pass()).sum()));
    }
    let n_kernels = kernels.len();
    group.measurement_time(Duration::from_secs(5)); // a round is long
    group.throughput(Throughput::Elements(n_nonzeros * n_kernels as u64));
    let mut rounds: Vec<Vec<Duration>> = Vec::new();
    group.bench_function("in turn", |bencher| {
        bencher.iter_custom(|n| {
            let start = rounds.len();
            for _ in 0..n {
                let mut round = vec![Duration::ZERO; n_kernels];
                for turn in 0..n_kernels {
                    let k = (rounds.len() + turn) % n_kernels;
                    round[k] = (kernels[k].pass)();
                }
                rounds.push(round);
            }
            rounds[start..].iter().flatten().sum()
        });
    });
    group.finish();
    if !rounds.is_empty() {
        print_table(set, n_nonzeros, &kernels, &rounds);
    }
}

/// Every update on every memory, and the passes of evaluation.
fn kernels<'a>(problem: &'a Problem, as_written: &'a Problem, team: &'a Team) -> Vec<Kernel<'a>> {
    let mut kernels = Vec::new();
    for &update in UpdateKind::ALL {
        let plain = kernels.len();
        for (memory, strategy, sharing) in MEMORIES {
            let choice = Choice { sharing, batch: 1, ..Choice::new(strategy, update) };
            kernels.push(Kernel {
                name: format!("{}/{memory}", update.name()),
                plain: (memory != PLAIN).then_some(plain),
                pass: Box::new(epochs(problem, team, &choice)),
            });
        }
    }
    kernels.push(objective("objective", problem, team));
    kernels.push(objective("objective as written", as_written, team));
    kernels.push(transposed("transposed", problem, team));
    kernels
}

/// The steps and the passes that read one value a row where there is but one, and the same where all are read.
fn passes_over_values<'a>(problem: &'a Problem, all_read: &'a Problem, team: &'a Team) -> Vec<Kernel<'a>> {
    let choice = Choice::new(StrategyKind::Sequential, UpdateKind::Sdca);
    let steps = |name: &str, problem| Kernel { name: name.into(), plain: None, pass: Box::new(epochs(problem, team, &choice)) };
    let mut kernels = vec![
        steps("sdca", problem),
        steps("sdca, read", all_read),
        objective("objective", problem, team),
        objective("objective, read", all_read, team),
        transposed("transposed", problem, team),
        transposed("transposed, read", all_read, team),
    ];
    (0..kernels.len()).step_by(2).for_each(|k| kernels[k + 1].plain = Some(k));
    kernels
}

/// None is 0, so that no row is left out.
fn duals(problem: &Problem) -> Vec<f64> {
    problem.targets().iter().map(|&y| f64::from(y)).collect()
}

fn objective<'a>(name: &str, problem: &'a Problem, team: &'a Team) -> Kernel<'a> {
    let l2 = problem.penalty().l2;
    let weights: Vec<f32> = problem.transposed(&duals(problem)).iter().map(|v_j| (v_j / l2) as f32).collect();
    evaluation(name, team, move || problem.objective(&weights, 0.0))
}

fn transposed<'a>(name: &str, problem: &'a Problem, team: &'a Team) -> Kernel<'a> {
    let duals = duals(problem);
    evaluation(name, team, move || problem.transposed(&duals))
}

/// The same warm epoch, again and again.
fn epochs<'a>(problem: &'a Problem, team: &'a Team, choice: &Choice) -> impl FnMut() -> Duration + 'a {
    let step_size = StepSize::new(problem, choice, None, Some(Schedule::Constant)).first as f32;
    let mut strategy = strategy::build::<f32>(problem, choice).expect("every update serves this problem");
    for _ in 0..WARM_EPOCHS {
        strategy.epoch(problem, team, step_size);
    }
    let warm = strategy.state();
    move || {
        strategy.restore(&warm).expect("its own state");
        let started = Instant::now();
        let visits = strategy.epoch(problem, team, step_size);
        started.elapsed().mul_f64(problem.n_rows() as f64 / visits as f64) // as if no row had rested
    }
}

fn evaluation<'a, T: Send>(name: &str, team: &'a Team, pass: impl Fn() -> T + Sync + 'a) -> Kernel<'a> {
    let timed = move || {
        let started = Instant::now();
        black_box(team.install(&pass));
        started.elapsed()
    };
    Kernel { name: name.into(), plain: None, pass: Box::new(timed) }
}

fn print_table(set: &str, n_nonzeros: u64, kernels: &[Kernel], rounds: &[Vec<Duration>]) {
    println!("{set}: ns per non-zero and times plain, from {} epochs of each in turn", rounds.len());
    println!("{:23}{:>8}{:>8}{:>14}{:>8}", "", "least", "median", "times: least", "median");
    let ns = |k: usize| sorted(rounds.iter().map(|round| round[k].as_secs_f64() * 1e9 / n_nonzeros as f64));
    for (k, Kernel { name, plain, .. }) in kernels.iter().enumerate() {
        let mine = ns(k);
        print!("  {name:21}{:8.2}{:8.2}", mine[0], mine[mine.len() / 2]);
        if let &Some(plain) = plain {
            let quotients = sorted(rounds.iter().map(|round| round[k].div_duration_f64(round[plain])));
            print!("{:14.2}{:8.2}", mine[0] / ns(plain)[0], quotients[quotients.len() / 2]);
        }
        println!();
    }
    println!();
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}
