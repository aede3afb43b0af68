//! Two experiments that teach, each a curve a method over something that is varied.
//!
//! **Gradient cost.** Hogwild!'s authors found locks to catch up with lock freedom only where a gradient costs milliseconds
//! (Niu et al., NIPS 2011, section 7). Here every gradient is delayed by 0 to 10 ms; measured are the steps per second of all
//! workers over those of plain sequential code with the same delay. A short delay keeps its core busy, one of 0.1 ms or more
//! sleeps, so that more workers than cores can wait at once.
//!
//! **Skew.** On made data whose features run from all alike to Zipf 1.5: the more often a few features occur, the more often
//! workers meet on them. Measured is plain sequential code's time to the smallest epsilon over that of all workers.

use std::time::{Duration, Instant};

use crate::data::{Dataset, FeatureNumbers, Generator, open};
use crate::error::{Error, Result};
use crate::lab::experiment::{Asked, Status, Watcher};
use crate::lab::outset::{begin, optimum};
use crate::lab::timing::Timing;
use crate::lab::tuning::tune;
use crate::lab::{Curve, Method, Results, Run, Study, Tuning};
use crate::penalty::Penalty;
use crate::problem::Problem;
use crate::strategy::{self, Choice, Delay};
use crate::threads::Team;
use crate::train::StepSize;

/// Milliseconds that a gradient is delayed by.
const COSTS: [f64; 6] = [0.0, 0.001, 0.01, 0.1, 1.0, 10.0];
/// Plain sequential code has about so many seconds for an epoch, unless asked otherwise, on no fewer rows than these.
const COST_SECONDS: f64 = 1.0;
const FEWEST_ROWS: usize = 32;
/// What a step costs besides its delay, more or less.
const STEP_SECONDS: f64 = 1e-6;

/// Epochs that take less than so many seconds are repeated, after a first one that does not count.
const SHORT: f64 = 0.1;

/// Zipf's exponents.
const EXPONENTS: [f64; 7] = [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5];
/// The made data: rows, features, non-zeros a row, share of wrong targets.
const MADE: (usize, usize, usize, f64) = (30_000, 60_000, 50, 0.05);

/// Which study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudyKind {
    /// Injected delays.
    GradientCost,
    /// Made data.
    Skew,
}

impl StudyKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::GradientCost, Self::Skew];

    /// The name it is known by.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradientCost => "gradient-cost",
            Self::Skew => "skew",
        }
    }

    /// What it compares unless asked otherwise.
    pub fn usual_methods(self) -> Result<Vec<Method>> {
        let names: &[&str] = match self {
            Self::GradientCost => &[
                "hogwild:wild+sgd",
                "hogwild:atomic+sgd",
                "global_lock+sgd",
                "striped_lock+sgd",
                "round_robin+sgd",
                "minibatch+sgd",
            ],
            Self::Skew => &["hogwild:wild+sgd", "hogwild:atomic+sgd", "hogwild+sgd", "hogwild:wild+sdca", "hogwild+sdca"],
        };
        names.iter().map(|name| name.parse()).collect()
    }
}

/// Runs a study on the largest of the teams, against the first, which is one worker. `problem` gives the data, the loss and the
/// penalty of gradient cost; skew makes its own data, and takes the loss alone.
///
/// # Errors
/// As [`crate::lab::experiment`]; skew also if the temporary folder has no room.
pub fn study(kind: StudyKind, problem: &Problem, teams: &[Team], asked: &Asked, watcher: &mut dyn Watcher) -> Result<Results> {
    let (Some(one), Some(all)) = (teams.first().filter(|team| team.n_workers() == 1), teams.get(1..).and_then(<[Team]>::last))
    else {
        return Err(Error::Usage("a study compares one thread with several; teams of 1 and of N are wanted".into()));
    };
    watcher.begins(&Status { task: "looking at the machine and the data".into(), done: 0, total: 0, seconds_left: None });
    let mut results = begin(problem, teams, asked, |_| ())?;
    results.plan.threads = vec![1, all.n_workers()];
    let bench = Bench { one, all, asked, watcher };
    let (varied, measured, runs) = match kind {
        StudyKind::GradientCost => {
            ("milliseconds a gradient", "steps per second over sequential's", bench.costs(problem, &mut results)?)
        }
        StudyKind::Skew => {
            ("Zipf's exponent of the features", "sequential's time to epsilon over this", bench.skews(problem, &mut results)?)
        }
    };
    let curves = asked.methods.iter().map(|method| curve(kind, method, &runs)).collect();
    results.runs = runs;
    results.study = Some(Study { name: kind.name().into(), varied: varied.into(), measured: measured.into(), curves });
    Ok(results)
}

/// Who works for a study.
struct Bench<'a> {
    one: &'a Team,
    all: &'a Team,
    asked: &'a Asked,
    watcher: &'a mut dyn Watcher,
}

impl Bench<'_> {
    /// The methods, each after the sequential one that it is compared with, and the team of each.
    fn pairs(&self) -> Vec<(Method, &Team)> {
        let mut pairs: Vec<(Method, &Team)> = Vec::new();
        for method in &self.asked.methods {
            for (method, team) in [(method.sequential(), self.one), (method.clone(), self.all)] {
                if !pairs.iter().any(|(other, _)| *other == method) {
                    pairs.push((method, team));
                }
            }
        }
        pairs
    }

    fn cancelled(&self) -> bool {
        self.one.cancelled() || self.all.cancelled()
    }

    fn says(watcher: &mut dyn Watcher, task: String, (done, total): (usize, usize), started: Instant) {
        let left = (done > 0).then(|| started.elapsed().as_secs_f64() / done as f64 * (total - done) as f64);
        watcher.begins(&Status { task, done, total, seconds_left: left });
    }

    fn costs(mut self, problem: &Problem, results: &mut Results) -> Result<Vec<Run>> {
        let (pairs, mut runs) =
            (self.pairs().into_iter().map(|(method, team)| (method, team.n_workers())).collect::<Vec<_>>(), Vec::new());
        let (total, started) = (COSTS.len() * pairs.len() * self.asked.seeds as usize, Instant::now());
        for seed in 0..self.asked.seeds {
            for cost in COSTS {
                let seconds = self.asked.seconds.unwrap_or(COST_SECONDS);
                let affordable = (seconds / (cost / 1e3 + STEP_SECONDS)) as usize;
                let part = sample(problem, affordable.max(FEWEST_ROWS).min(problem.n_rows()));
                let part = Problem::new(&part, problem.loss(), problem.penalty(), problem.has_intercept())?;
                for (method, n_workers) in pairs.iter().cloned() {
                    Self::says(self.watcher, format!("{method} at {cost} ms a gradient"), (runs.len(), total), started);
                    let team = if n_workers == 1 { self.one } else { self.all };
                    let run = epoch(&part, team, &method, seed, cost)?;
                    if self.cancelled() {
                        return Ok(runs);
                    }
                    runs.push(run);
                }
            }
            self.keep(results, &runs)?;
        }
        Ok(runs)
    }

    fn skews(mut self, problem: &Problem, results: &mut Results) -> Result<Vec<Run>> {
        let (pairs, mut runs) =
            (self.pairs().into_iter().map(|(method, team)| (method, team.n_workers())).collect::<Vec<_>>(), Vec::new());
        let (total, started) = (EXPONENTS.len() * pairs.len() * self.asked.seeds as usize, Instant::now());
        for zipf in EXPONENTS {
            let data = self.all.install(|| made(zipf))?;
            let penalty = Penalty { l2: 1.0 / data.n_rows() as f64, l1: 0.0 };
            let made = self.all.install(|| Problem::new(&data, problem.loss(), penalty, false))?;
            let (optimum, _) = optimum(&made, self.all)?;
            let mut tunings: Vec<Tuning> = Vec::new();
            for seed in 0..self.asked.seeds {
                for (method, n_workers) in pairs.iter().cloned() {
                    Self::says(self.watcher, format!("{method} at Zipf {zipf}"), (runs.len(), total), started);
                    let team = if n_workers == 1 { self.one } else { self.all };
                    let timing = Timing {
                        method: method.clone(),
                        seed,
                        step_size: None,
                        delays: Vec::new(),
                        probes: false,
                        optimum,
                        epsilons: self.asked.epsilons.clone(),
                        seconds: results.plan.seconds,
                        epochs: self.asked.epochs,
                    };
                    if method.has_step_size() && seed == 0 {
                        tunings.push(tune(&timing, &made, team)?);
                    }
                    let chosen = tunings.iter().find(|tuning| tuning.method == method.to_string()).map(|tuning| tuning.chosen);
                    let run = Timing { step_size: chosen, ..timing }.run(&made, team)?;
                    if self.cancelled() {
                        return Ok(runs);
                    }
                    runs.push(Run { varied: Some(zipf), ..run });
                }
            }
            results.tunings.extend(tunings);
            self.keep(results, &runs)?;
        }
        Ok(runs)
    }

    fn keep(&mut self, results: &mut Results, runs: &[Run]) -> Result<()> {
        results.runs = runs.to_vec();
        self.watcher.keeps(results)
    }
}

/// Rows from all over the data; both classes are among them.
fn sample<'a>(problem: &'a Problem, n: usize) -> Dataset<'a> {
    let targets = problem.targets();
    let mut rows: Vec<u32> = (0..n).map(|k| (k * targets.len() / n) as u32).collect();
    let alike = |target: f32| rows.iter().all(|&i| targets[i as usize] == target);
    if let Some(other) = targets.iter().position(|&target| target != targets[0])
        && alike(targets[0])
    {
        rows.pop();
        rows.push(other as u32);
        rows.sort_unstable();
    }
    problem.data().part(&rows)
}

/// The made data of the skew study, at the exponent of words; parallel on the current rayon pool.
///
/// # Errors
/// If the temporary folder has no room.
pub fn made_data() -> Result<Dataset<'static>> {
    made(1.0)
}

fn made(zipf: f64) -> Result<Dataset<'static>> {
    let (n_rows, n_features, n_nonzeros, noise) = MADE;
    let generator = Generator { n_rows, n_features, n_nonzeros, zipf, noise, n_classes: 2, seed: 0 };
    let path = std::env::temp_dir();
    let mut file = tempfile::NamedTempFile::new().map_err(Error::io(&path, "create a file in"))?;
    generator.write(&mut file).map_err(Error::io(&path, "write a file in"))?;
    let mut data = open(file.path(), FeatureNumbers::OneBased, 0)?;
    data.name = "made rows".to_owned();
    Ok(data)
}

/// Epochs with every gradient delayed: one, or as many as take [`SHORT`].
fn epoch(problem: &Problem, team: &Team, method: &Method, seed: u64, milliseconds: f64) -> Result<Run> {
    let delays = match milliseconds {
        0.0 => Vec::new(),
        _ => vec![Delay { worker: None, pause: Duration::from_secs_f64(milliseconds / 1e3), every: 1 }],
    };
    let choice = Choice { delays, ..method.choice(seed) };
    let mut strategy = strategy::build::<f32>(problem, &choice)?;
    let step_size = team.install(|| StepSize::new(problem, &choice, None, None)).first;
    let mut timed = |least: f64| {
        let (started, mut epochs, mut updates) = (Instant::now(), 0, 0);
        while epochs == 0 || (started.elapsed().as_secs_f64() < least && !team.cancelled()) {
            updates += team.install(|| strategy.epoch(problem, team, step_size as f32)) as u64;
            epochs += 1;
        }
        (epochs, updates, started.elapsed().as_secs_f64())
    };
    // A short first epoch tells more of cold caches than of the method.
    let (mut epochs, mut updates, mut seconds) = timed(0.0);
    if seconds < SHORT {
        (epochs, updates, seconds) = timed(SHORT);
    }
    let nonzeros = problem.data().n_nonzeros() as f64;
    Ok(Run {
        method: method.to_string(),
        threads: team.n_workers(),
        workers: strategy.n_workers().unwrap_or(team.n_workers()),
        seed,
        varied: Some(milliseconds),
        step_size,
        diverged: false,
        epochs,
        updates,
        nonzeros: epochs as f64 * nonzeros,
        bytes: epochs as f64 * nonzeros * (size_of::<u32>() + size_of::<f32>()) as f64,
        train_seconds: seconds,
        eval_seconds: 0.0,
        points: Vec::new(),
        reached: Vec::new(),
        figures: strategy.figures().into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect(),
        staleness: None,
    })
}

/// Quartiles, over seeds, of a method's speed over that of its sequential twin.
fn curve(kind: StudyKind, method: &Method, runs: &[Run]) -> Curve {
    let (name, twin) = (method.to_string(), method.sequential().to_string());
    let speed = |run: &Run| match kind {
        StudyKind::GradientCost => Some(run.updates as f64 / run.train_seconds),
        StudyKind::Skew => run.reached.last().copied().flatten().map(|reached| 1.0 / reached.seconds),
    };
    let mut ratios: Vec<(f64, Vec<f64>)> = Vec::new();
    for run in runs.iter().filter(|run| run.method == name) {
        let sequential = runs.iter().find(|other| other.method == twin && other.varied == run.varied && other.seed == run.seed);
        let ratio = speed(run).zip(sequential.and_then(speed)).map(|(speed, sequential)| speed / sequential);
        let (Some(varied), Some(ratio)) = (run.varied, ratio.filter(|ratio| ratio.is_finite())) else { continue };
        match ratios.iter_mut().find(|(at, _)| *at == varied) {
            Some((_, ratios)) => ratios.push(ratio),
            None => ratios.push((varied, vec![ratio])),
        }
    }
    let quartiles = |(varied, mut ratios): (f64, Vec<f64>)| {
        ratios.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| ratios[((ratios.len() - 1) as f64 * share).round() as usize];
        (varied, at(0.25), at(0.5), at(0.75))
    };
    Curve { name, points: ratios.into_iter().map(quartiles).collect() }
}

#[cfg(test)]
mod tests {
    use sprs::CsMatI;

    use super::*;
    use crate::loss::Hinge;
    use crate::penalty::Penalty;
    use crate::strategy::StrategyKind;

    #[test]
    fn a_sample_comes_from_all_over_the_data_and_has_both_classes() {
        let (n, rare) = (1000, [0, 3, 777]);
        let rows = CsMatI::<f32, u32, u64>::new((n, 1), (0..=n as u64).collect(), vec![0; n], vec![1.0; n]);
        for rare in rare {
            let targets: Vec<f32> = (0..n).map(|i| if i == rare { 1.0 } else { -1.0 }).collect();
            let data = Dataset::from_csmat(rows.view(), &targets).expect("rows");
            let problem = Problem::new(&data, &Hinge, Penalty { l2: 1.0, l1: 0.0 }, false).expect("two classes");
            for n_sampled in [32, 500, n] {
                let sampled = sample(&problem, n_sampled);
                let places: Vec<usize> = (0..sampled.n_rows()).map(|i| sampled.original_row(i)).collect();
                assert_eq!(places.len(), n_sampled);
                assert!(places.is_sorted_by(|a, b| a < b) && places.contains(&rare), "{n_sampled} with {rare}");
                assert!(places.iter().sum::<usize>() / n_sampled > 400, "{n_sampled} with {rare}");
            }
        }
    }

    #[test]
    fn a_curve_is_the_quartiles_of_speed_over_the_sequential_twins() {
        let run = |method: &str, seed: u64, seconds: f64| Run {
            method: method.into(),
            threads: 2,
            workers: 2,
            seed,
            varied: Some(1.0),
            step_size: 1.0,
            diverged: false,
            epochs: 1,
            updates: 100,
            nonzeros: 0.0,
            bytes: 0.0,
            train_seconds: seconds,
            eval_seconds: 0.0,
            points: Vec::new(),
            reached: Vec::new(),
            figures: Default::default(),
            staleness: None,
        };
        let mut runs: Vec<Run> = (0..5).map(|seed| run("sequential+sgd", seed, 8.0)).collect();
        runs.extend([1.0, 2.0, 4.0, 8.0, 16.0].iter().zip(0..).map(|(&seconds, seed)| run("round_robin+sgd", seed, seconds)));
        let method: Method = "round_robin+sgd".parse().expect("a method");
        assert_eq!(curve(StudyKind::GradientCost, &method, &runs).points, [(1.0, 1.0, 2.0, 4.0)]);
        assert!(curve(StudyKind::Skew, &method, &runs).points.is_empty()); // nothing was reached
        assert_eq!(method.sequential().strategy(), StrategyKind::Sequential);
    }
}
