//! Small data and short runs for the tests.
#![allow(dead_code)] // every test file uses a part of it

use std::fmt::Write;

use unfenced::data::{self, FeatureNumbers, Generator};
use unfenced::loss::Loss;
use unfenced::strategy::{self, Choice, Compression, Precision, Sharing, Strategy, StrategyKind, UpdateKind};
use unfenced::train::{Limits, Outcome, Plan, StepSize, train};
use unfenced::{Dataset, Penalty, Problem, Team};

/// A dataset read from this text.
pub fn read(text: &str) -> Dataset<'static> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    data::open(file.path(), FeatureNumbers::Auto, 1).expect("readable rows")
}

/// Text-like rows with two classes.
pub fn text_like(n_rows: usize, n_features: usize, n_nonzeros: usize) -> Dataset<'static> {
    read(&text_like_text(n_rows, n_features, n_nonzeros))
}

/// The same, of which only is known what occurs: all values of a row are the same, and its length is 1.
pub fn words_that_occur(n_rows: usize, n_features: usize, n_nonzeros: usize) -> Dataset<'static> {
    let mut text = String::new();
    for line in text_like_text(n_rows, n_features, n_nonzeros).lines() {
        let mut fields = line.split(' ');
        text += fields.next().expect("a target");
        let numbers: Vec<&str> = fields.filter_map(|field| field.split(':').next()).collect();
        numbers.iter().for_each(|j| write!(text, " {j}:{:.6}", 1.0 / (numbers.len() as f64).sqrt()).expect("text"));
        text.push('\n');
    }
    read(&text)
}

fn text_like_text(n_rows: usize, n_features: usize, n_nonzeros: usize) -> String {
    let generator = Generator { n_rows, n_features, n_nonzeros, zipf: 1.0, noise: 0.05, n_classes: 2, seed: 3 };
    let mut text = Vec::new();
    generator.write(&mut text).expect("written to memory");
    String::from_utf8(text).expect("text")
}

/// Numbers as xorshift makes them, from -1 to 1.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        ((self.next() + 1.0) / 2.0 * end as f64) as usize % end
    }

    pub fn vector(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// Rows with at most `most` non-zeros each; the targets are -1 and +1, or numbers.
pub fn random_rows(n: usize, d: usize, most: usize, numbers_as_targets: bool, seed: u64) -> Dataset<'static> {
    let mut random = Numbers(seed);
    let mut text = String::new();
    for i in 0..n {
        let mut features: Vec<usize> = (0..random.below(most + 1)).map(|_| random.below(d) + 1).collect();
        features.sort_unstable();
        features.dedup();
        let lean: f64 = features.iter().map(|&k| if k % 3 == 0 { 0.8 } else { -0.5 }).sum();
        let class = if lean + 0.7 * random.next() > 0.0 { 1.0 } else { -1.0 };
        let target = if numbers_as_targets {
            2.0 * lean + random.next()
        } else if i < 2 {
            [1.0, -1.0][i]
        } else {
            class
        };
        write!(text, "{target:.3}").expect("text");
        for k in features {
            write!(text, " {k}:{:.3}", random.next()).expect("text");
        }
        text.push('\n');
    }
    read(&text)
}

pub fn choice(strategy: StrategyKind, update: UpdateKind) -> Choice {
    Choice { sharing: Sharing::Wild, batch: 16, seed: 5, ..Choice::new(strategy, update) }
}

/// Every strategy x update that exists, hogwild with every memory, minibatch with gradients that are sent.
/// Backup workers are not among them: which rows they drop is chance, and no run of theirs comes as near as others.
pub fn crosses() -> Vec<Choice> {
    let mut all = Vec::new();
    for &strategy in StrategyKind::ALL {
        if strategy.has_own_step() {
            all.push(choice(strategy, UpdateKind::Sgd));
            continue;
        }
        for &update in UpdateKind::ALL {
            // Some strategies serve only updates whose steps are functions of a gradient.
            let on_gradients = [StrategyKind::Minibatch, StrategyKind::Averaging].contains(&strategy);
            if on_gradients && ![UpdateKind::Sgd, UpdateKind::Adagrad].contains(&update) {
                continue;
            }
            all.push(choice(strategy, update));
            if strategy == StrategyKind::Averaging {
                all.extend([Some(3), None].map(|average_every| Choice { average_every, ..choice(strategy, update) }));
            }
            if strategy == StrategyKind::Minibatch && update != UpdateKind::Sdca {
                all.push(Choice { compression: Some(Compression::Whole), ..choice(strategy, update) });
            }
            if strategy == StrategyKind::Hogwild {
                all.push(Choice { sharing: Sharing::Atomic, ..choice(strategy, update) });
                let replicated = Choice { sharing: Sharing::Replicated, ..choice(strategy, update) };
                let fixed = Choice { deterministic: true, ..replicated.clone() };
                all.push(replicated);
                all.extend(fixed.check_deterministic().is_ok().then_some(fixed));
            }
        }
    }
    all
}

/// Whether a cross serves this loss: coordinate wants one without corners.
pub fn serves(choice: &Choice, loss: &dyn Loss) -> bool {
    !choice.strategy.has_own_step() || loss.smoothness().is_some()
}

pub fn ridge(data: &Dataset, c: f64) -> Penalty {
    Penalty { l2: 1.0 / (c * data.n_rows() as f64), l1: 0.0 }
}

pub fn problem<'a>(data: &'a Dataset<'a>, loss: &'static dyn Loss, penalty: Penalty, intercept: bool) -> Problem<'a> {
    Problem::new(data, loss, penalty, intercept).expect("a problem")
}

/// Runs a method until its limits end it.
pub fn fit<F: Precision>(problem: &Problem, choice: &Choice, team: &Team, mut limits: Limits) -> Outcome<F> {
    let mut strategy = strategy::build::<F>(problem, choice).expect("a cross that exists");
    let plan = Plan::new(StepSize::new(problem, choice, None, None));
    train(problem, strategy.as_mut(), team, plan, None, &mut [&mut limits]).expect("a run")
}

/// The state after some epochs with a constant step size.
pub fn after_epochs<F: Precision>(
    problem: &Problem,
    choice: &Choice,
    team: &Team,
    epochs: usize,
    step_size: f64,
) -> Box<dyn Strategy<F>> {
    let mut strategy = strategy::build::<F>(problem, choice).expect("a cross that exists");
    for _ in 0..epochs {
        strategy.epoch(problem, team, F::from_f64(step_size));
    }
    strategy
}
