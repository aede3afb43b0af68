//! `unfenced lab`: an experiment, kept as it goes, and its report.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::cli::objective::{Objective, suggested_loss};
use crate::cli::progress::{reading, shown};
use crate::cli::{DONE, INTERRUPTED, print, warn};
use crate::data::{FeatureNumbers, open};
use crate::error::{Error, Result};
use crate::file;
use crate::lab::{self, Asked, Method, Results, Status, StudyKind, Watcher, experiment, report, study};
use crate::loss::{Logistic, Task};
use crate::problem::Problem;
use crate::sync::Ordering;
use crate::threads::{Team, Topology};

/// What an experiment has found, in its folder.
const RESULTS: &str = "results.json";

/// Measure methods side by side: time to the same objective, speed-up against threads, and why.
#[derive(Args)]
pub struct Lab {
    /// A store, LIBSVM text (also .gz .bz2 .zst .xz) or .npz; --study skew makes its own data.
    #[arg(required_unless_present = "study")]
    data: Option<PathBuf>,
    /// Where to put results.json, report.html and the plots.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Numbers of threads; 1 is always among them [default: 1, 2, 4 .. the physical cores].
    #[arg(long, value_name = "N,N,..", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// What is compared: STRATEGY+UPDATE, hogwild:MEMORY+UPDATE, minibatch:ROWS+UPDATE [default: one of each kind].
    #[arg(long, value_name = "METHOD,METHOD,..", value_delimiter = ',')]
    methods: Vec<Method>,
    /// Relative distances (P - P*) / P* to come to, the smallest of which ends a run.
    #[arg(long, value_name = "E,E,..", value_delimiter = ',', default_value = "1e-2,1e-3", allow_negative_numbers = true)]
    epsilon: Vec<f64>,
    /// How many orders of the rows each method is timed on.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Seconds of training that a run may take [default: 20 times what plain sequential sdca takes, 1 to 60].
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    seconds: Option<f64>,
    /// Epochs that a run may take.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: u64,
    #[command(flatten)]
    objective: Objective,
    /// An experiment that teaches: what gradients that cost more, or features that are more skewed, change.
    #[arg(long, value_enum)]
    study: Option<StudyKind>,
    /// Go on with the experiment that DIR holds.
    #[arg(long, conflicts_with = "study")]
    resume: bool,
    /// Leave the workers to the operating system's scheduler.
    #[arg(long)]
    no_pin: bool,
    /// No progress on stderr.
    #[arg(long)]
    quiet: bool,
}

impl ValueEnum for StudyKind {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

impl Lab {
    pub fn run(self) -> Result<u8> {
        self.check()?;
        let teams = self.teams()?;
        let largest = &teams[teams.len() - 1];
        if self.study.is_some() && teams.len() == 1 {
            return Err(Error::Usage("a study compares one thread with several; --threads 1,N is wanted".into()));
        }
        let flags: Vec<_> = teams.iter().map(Team::cancel_flag).collect();
        // A second handler in one process is refused, which only a test that runs two commands can meet.
        let _ = ctrlc::set_handler(move || flags.iter().for_each(|flag| flag.store(true, Ordering::Relaxed)));

        let data = match &self.data {
            Some(path) => {
                let reading = reading(self.quiet, path);
                let data = largest.install(|| open(path, FeatureNumbers::Auto, 0))?;
                reading.finish_and_clear();
                data
            }
            None => largest.install(lab::made_data)?,
        };
        let loss = match self.objective.loss {
            Some(loss) => loss,
            // Every method can serve it, the primal ones too.
            None => Some(suggested_loss(&data)?).filter(|loss| loss.task() == Task::Regression).unwrap_or(&Logistic),
        };
        let problem = largest.install(|| Problem::new(&data, loss, self.objective.penalty(data.n_rows()), false))?;
        let so_far = if self.resume { Some(self.kept()?) } else { None };
        std::fs::create_dir_all(&self.out).map_err(Error::io(&self.out, "create"))?;

        let mut keeper = Keeper::new(&self.out, self.quiet);
        let asked = self.asked()?;
        let results = match self.study {
            Some(kind) => study(kind, &problem, &teams, &asked, &mut keeper),
            None => experiment(&problem, &teams, &asked, so_far, &mut keeper),
        };
        let results = match results {
            Err(error) if teams.iter().any(Team::cancelled) => {
                warn(&error.to_string());
                return Ok(INTERRUPTED);
            }
            results => results?,
        };
        keeper.keeps(&results)?;
        let page = keeper.report(&results)?;
        results.warnings.iter().for_each(|warning| warn(warning));
        print(&format!("{}report      {}\n", report::text(&results), page.display()))?;
        if teams.iter().any(Team::cancelled) {
            let go_on = if self.study.is_some() { "" } else { "; --resume goes on from here" };
            warn(&format!("interrupted: {} holds what was finished{go_on}", self.out.display()));
            return Ok(INTERRUPTED);
        }
        Ok(DONE)
    }

    fn check(&self) -> Result<()> {
        let usage = |what: &str| Err(Error::Usage(what.into()));
        self.objective.check()?;
        if !self.epsilon.iter().all(|&epsilon| epsilon > 0.0 && epsilon < 1.0) {
            return usage("--epsilon wants shares between 0 and 1, such as 1e-2,1e-3");
        }
        if self.seconds.is_some_and(|seconds| seconds <= 0.0 || !seconds.is_finite()) {
            return usage("--seconds wants a number above 0");
        }
        if (self.study == Some(StudyKind::Skew)) == self.data.is_some() {
            return usage("--study skew makes its own data, and takes none; everything else wants DATA");
        }
        if self.out.exists() && !self.out.is_dir() {
            return Err(Error::file(&self.out, "is no folder; the report wants one of its own"));
        }
        let results = self.out.join(RESULTS);
        if results.exists() && !self.resume {
            return usage(&format!(
                "{} is there already; --resume goes on with it, another --out begins anew",
                results.display()
            ));
        }
        Ok(())
    }

    /// A team for each number of threads, in rising order.
    fn teams(&self) -> Result<Vec<Team>> {
        let n_cores = Topology::of_this_machine().n_cores();
        let mut sizes: Vec<usize> = self.threads.iter().copied().map(usize::from).collect();
        if sizes.is_empty() {
            sizes = std::iter::successors(Some(1), |&n| Some(2 * n)).take_while(|&n| n < n_cores).collect();
            sizes.push(n_cores);
        }
        sizes.push(1); // what a speed-up is measured against
        sizes.sort_unstable();
        sizes.dedup();
        sizes.into_iter().map(|n| Team::new(n, !self.no_pin)).collect()
    }

    fn asked(&self) -> Result<Asked> {
        let mut epsilons = self.epsilon.clone();
        epsilons.sort_unstable_by(|a, b| b.total_cmp(a));
        epsilons.dedup();
        let methods = match self.study {
            _ if !self.methods.is_empty() => self.methods.clone(),
            Some(kind) => kind.usual_methods()?,
            None => lab::usual_methods(),
        };
        Ok(Asked {
            command: std::env::args().collect(),
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            methods,
            epsilons,
            seeds: self.seeds,
            seconds: self.seconds,
            epochs: self.epochs,
        })
    }

    /// The experiment that the folder holds.
    fn kept(&self) -> Result<Results> {
        let path = self.out.join(RESULTS);
        let text = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
        serde_json::from_slice(&text).map_err(|error| Error::file(&path, format!("is no experiment's results: {error}")))
    }
}

/// Shows how far the experiment has come, and keeps what it has.
struct Keeper<'a> {
    folder: &'a Path,
    bar: ProgressBar,
}

impl<'a> Keeper<'a> {
    fn new(folder: &'a Path, quiet: bool) -> Self {
        let bar = if shown(quiet) { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { folder, bar }
    }

    /// Writes the page and the plots; returns the page's name.
    fn report(&self, results: &Results) -> Result<PathBuf> {
        self.bar.finish_and_clear();
        for (name, plot) in report::plots(results) {
            file::write(&self.folder.join(name), |out| out.write_all(plot.as_bytes()))?;
        }
        let page = self.folder.join("report.html");
        file::write(&page, |out| out.write_all(report::html(results).as_bytes()))?;
        Ok(page)
    }
}

impl Watcher for Keeper<'_> {
    fn begins(&mut self, status: &Status) {
        let left = |seconds: f64| format!(", about {} left", HumanDuration(Duration::from_secs_f64(seconds.max(0.0))));
        self.bar.set_length(status.total as u64);
        self.bar.set_position(status.done as u64);
        self.bar.set_message(format!("{}{}", status.task, status.seconds_left.map(left).unwrap_or_default()));
    }

    fn keeps(&mut self, results: &Results) -> Result<()> {
        let path = self.folder.join(RESULTS);
        let text = serde_json::to_string_pretty(results).map_err(|error| Error::Data(error.to_string()))?;
        file::write(&path, |out| out.write_all(text.as_bytes()))
    }
}
