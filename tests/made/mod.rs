//! Experiments made up for the report: small ones of given times, and a large one of the shape that a real one has.

use std::collections::BTreeMap;

use unfenced::lab::{
    Components, Contention, Curve, Data, Machine, Minimised, Plan, Point, Reached, Results, Run, Staleness, Study, Trial, Tuning,
    VERSION,
};

/// A small experiment, to epsilon 1e-3, on two cores.
pub struct Made {
    pub results: Results,
}

impl Made {
    /// Of some methods, without a run.
    pub fn new(methods: &[&str]) -> Self {
        let results = Results {
            version: VERSION,
            command: ["unfenced", "lab", "made.svm"].map(String::from).into(),
            started: 1_795_348_800,
            machine: Machine {
                processor: "Made processor".into(),
                system: "linux x86_64".into(),
                n_cores: 2,
                n_cpus: 4,
                caches: vec!["L1d 32K".into(), "L2 1024K".into(), "L3 32768K".into()],
                memory_gib: Some(15.6),
                load: Some(0.1),
                bandwidth: vec![(1, 12.1), (2, 19.8)],
                pinning: vec![Some(0), Some(2)],
            },
            data: Data {
                name: "made.svm".into(),
                n_rows: 50_875,
                n_features: 26_882,
                n_nonzeros: 618_301,
                omega: 131.0,
                delta: 0.31,
                rho: 0.62,
                mean_rho: 0.37,
            },
            problem: Minimised {
                loss: "logistic".into(),
                l2: 1.9656e-5,
                l1: 0.0,
                optimum: 0.0387,
                optimum_gap: 1e-9,
                at_zero: std::f64::consts::LN_2,
            },
            plan: Plan {
                threads: vec![1, 2],
                methods: methods.iter().map(|&method| method.to_owned()).collect(),
                epsilons: vec![1e-3],
                seeds: 3,
                seconds: 10.0,
                epochs: 100,
            },
            tunings: Vec::new(),
            runs: Vec::new(),
            contention: Vec::new(),
            components: None,
            probe_cost: None,
            study: None,
            warnings: Vec::new(),
        };
        Self { results }
    }

    /// With a run for each of some seconds to epsilon, infinite for never.
    pub fn cell(mut self, method: &str, threads: usize, seconds: &[f64]) -> Self {
        self.results.plan.seeds = seconds.len() as u64;
        self.results.runs.extend(seconds.iter().enumerate().map(|(seed, &seconds)| {
            let end = if seconds.is_finite() { seconds } else { 10.0 };
            let came = seconds.is_finite().then_some(Reached { seconds, epochs: 10.0 });
            let last = if came.is_some() { 1e-3 } else { 0.1 };
            run(method, threads, seed as u64, end, 10, last, vec![came])
        }));
        self
    }

    /// With the staleness of the runs at so many threads.
    pub fn stale(&mut self, threads: usize, mean: f64, max: u32) {
        let seen = Staleness { samples: 1000, mean, p50: mean as u32, p99: max, max };
        self.results.runs.iter_mut().filter(|run| run.threads == threads).for_each(|run| run.staleness = Some(seen));
    }
}

/// A run that falls evenly, on a logarithm, to `last`.
fn run(method: &str, threads: usize, seed: u64, seconds: f64, epochs: u64, last: f64, reached: Vec<Option<Reached>>) -> Run {
    let point = |epoch: u64| {
        let share = epoch as f64 / epochs as f64;
        Point { epoch, seconds: seconds * share, suboptimality: 10.0 * (last / 10.0).powf(share.sqrt()) }
    };
    let updates = 50_875 * epochs;
    Run {
        method: method.into(),
        threads,
        workers: threads,
        seed,
        varied: None,
        step_size: 0.1,
        diverged: false,
        epochs,
        updates,
        nonzeros: 12.15 * updates as f64,
        bytes: 105.0 * updates as f64,
        train_seconds: seconds,
        eval_seconds: 0.05 * seconds,
        points: (0..=epochs).map(point).collect(),
        reached,
        figures: BTreeMap::new(),
        staleness: None,
    }
}

/// (method, seconds of an epoch at one thread, epochs to 1e-3, share of its work that scales, epochs at T over at one).
const METHODS: [(&str, f64, f64, f64, f64); 17] = [
    ("sequential+sgd", 0.0031, 30.0, 0.0, 1.0),
    ("sequential+adagrad", 0.0044, 21.0, 0.0, 1.0),
    ("sequential+sdca", 0.0014, 17.0, 0.0, 1.0),
    ("sequential+saga", 0.0064, 26.0, 0.0, 1.0),
    ("sequential+svrg", 0.0091, 22.0, 0.0, 1.0),
    ("hogwild+sdca", 0.0015, 17.0, 0.7, 1.15),
    ("hogwild:wild+sdca", 0.0016, 17.0, -0.4, 1.1),
    ("hogwild:wild+sgd", 0.0033, 30.0, -0.2, 1.02),
    ("hogwild:atomic+sgd", 0.0041, 30.0, -0.5, 1.01),
    ("hogwild+adagrad", 0.0046, 21.0, 0.6, 1.2),
    ("hogwild:wild+saga", 0.0066, 26.0, -0.1, 1.05),
    ("hogwild:wild+svrg", 0.0093, 22.0, 0.3, 1.04),
    ("global_lock+sgd", 0.0059, 30.0, -2.0, 1.0),
    ("striped_lock+sgd", 0.0099, 30.0, 0.4, 1.0),
    ("conflict_free+sgd", 0.0061, 30.0, 0.5, 1.0),
    ("minibatch:64+sgd(topk:100)", 0.0036, 400.0, 0.6, 1.0),
    ("averaging(1)+sgd", 0.0031, 90.0, 0.95, 1.6),
];

/// A large experiment: 17 methods, 1, 2 and 4 threads on 2 cores, 5 seeds, some that diverge and some that never come there.
pub fn experiment() -> Results {
    let names: Vec<&str> = METHODS.iter().map(|method| method.0).collect();
    let mut results = Made::new(&names).results;
    results.plan =
        Plan { threads: vec![1, 2, 4], epsilons: vec![1e-1, 1e-2, 1e-3], seeds: 5, seconds: 1.0, epochs: 200, ..results.plan };
    // A fixed draw: a report must be the same every time.
    let mut state = 1u64;
    let mut noise = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    for (n, &(method, one, epochs, scales, inflation)) in METHODS.iter().enumerate() {
        for threads in [1usize, 2, 4] {
            if threads > 1 && method.starts_with("sequential") {
                continue;
            }
            let working = threads.min(2) as f64;
            let gain = if scales >= 0.0 { 1.0 - scales + scales / working } else { 1.0 - scales * (working - 1.0) };
            let crowd = if threads > 2 { 1.3 } else { 1.0 };
            let needed = epochs * if threads > 1 { inflation } else { 1.0 };
            for seed in 0..5u64 {
                let an_epoch = one * gain * crowd * (1.0 + 0.1 * noise());
                let mine = needed * (1.0 + 0.15 * noise());
                let diverges = method == "hogwild:wild+saga" && threads == 4 && seed < 2;
                let budget = (1.0 / an_epoch).min(200.0);
                let ran = mine.min(budget).ceil();
                let last = 10.0 * 1e-4f64.powf((ran / mine).sqrt());
                let reached = results.plan.epsilons.iter().map(|wanted| {
                    let at = mine * ((wanted / 10.0).ln() / 1e-4f64.ln()).powi(2);
                    (at <= ran && !diverges).then_some(Reached { seconds: at * an_epoch, epochs: at })
                });
                let mut made = run(method, threads, seed, ran * an_epoch, ran as u64, last, reached.collect());
                if diverges {
                    made.diverged = true;
                    made.points.truncate(3);
                    made.points.iter_mut().for_each(|point| point.suboptimality *= 30.0);
                }
                if threads > 1 && !method.starts_with("minibatch") {
                    let mean = (threads - 1) as f64 * (1.0 + noise()) * if threads > 2 { 40.0 } else { 1.0 };
                    made.staleness = Some(Staleness {
                        samples: 20_000,
                        mean,
                        p50: mean as u32,
                        p99: 9 * mean as u32,
                        max: 700 + 50 * mean as u32,
                    });
                }
                if method.contains("topk") {
                    made.figures.insert("bits_per_update".into(), 6400.0 + noise());
                }
                results.runs.push(made);
            }
            let grid = (0..7).map(|power| {
                let (step_size, best) = (0.01 * 3f64.powi(power), 3 + (n % 3) as i32);
                let far = f64::from((power - best).abs());
                Trial {
                    step_size,
                    suboptimality: (power < 6).then_some(1e-3 * 4f64.powf(far) * (1.0 + noise())),
                    seconds: (power == best).then_some(0.1 + noise()),
                }
            });
            let chosen = 0.01 * 3f64.powi(3 + (n % 3) as i32);
            results.tunings.push(Tuning { method: method.into(), threads, grid: grid.collect(), chosen });
        }
    }
    results.contention = vec![
        Contention { threads: 1, lost: 0.0, retries: 0.0 },
        Contention { threads: 2, lost: 0.021, retries: 0.034 },
        Contention { threads: 4, lost: 0.017, retries: 0.029 },
    ];
    results.components = Some(Components { batch: 512, mean_count: 210.0, mean_rows: 2.4, largest_share: 0.56 });
    results.probe_cost = Some(0.007);
    results.warnings = vec!["4 threads are more threads than the 2 cores that may be used.".into()];
    let curve = |name: &str, slope: f64| Curve {
        name: name.into(),
        points: [0.0, 0.01, 0.1, 1.0, 10.0]
            .map(|x: f64| (x, 1.8 * (1.0 - slope / (1.0 + 20.0 * x)), 1.9 * (1.0 - slope / (1.0 + 20.0 * x)), 1.93))
            .into(),
    };
    results.study = Some(Study {
        name: "gradient-cost".into(),
        varied: "ms added to a gradient".into(),
        measured: "speed-up against sequential code".into(),
        curves: vec![
            curve("hogwild:wild+sgd", 0.4),
            curve("global_lock+sgd", 0.85),
            curve("striped_lock+sgd", 0.7),
            curve("conflict_free+sgd", 0.3),
        ],
    });
    results
}
