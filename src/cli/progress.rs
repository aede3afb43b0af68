//! The progress bar, on a terminal.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Result;
use crate::sync::Float;
use crate::train::{Observer, Passed, Snapshot, Stop};

/// Shows epoch, objective and gap on stderr while a run goes on; the bar fills as the gap falls, digit by digit.
pub struct Bar {
    bar: ProgressBar,
    wanted: f64,
}

const LENGTH: u64 = 1000;

pub fn shown(quiet: bool) -> bool {
    !quiet && std::io::stderr().is_terminal()
}

/// Says that a file is being read, until it is cleared.
pub fn reading(quiet: bool, path: &Path) -> ProgressBar {
    let spinner = if shown(quiet) { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    spinner.set_message(format!("reading {}", path.display()));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// Counts models that are trained, until it is cleared.
pub fn counting(quiet: bool, n_models: u64) -> ProgressBar {
    let bar = if shown(quiet) { ProgressBar::new(n_models) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {elapsed} {pos} of {len} models, about {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

impl Bar {
    /// Shows nothing where stderr is no terminal.
    pub fn new(quiet: bool, wanted_gap: f64) -> Self {
        let bar = if shown(quiet) { ProgressBar::new(LENGTH) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {elapsed} {msg}") {
            bar.set_style(style);
        }
        Self { bar, wanted: wanted_gap.max(1e-16) }
    }

    fn show(&self, how_sure: &str, epoch: u64, objective: f64, gap: Option<f64>) {
        if self.bar.is_hidden() {
            return;
        }
        let gap = gap.filter(|gap| gap.is_finite());
        if let Some(gap) = gap {
            let share = gap.clamp(self.wanted, 1.0).ln() / self.wanted.min(0.5).ln();
            self.bar.set_position((share * LENGTH as f64) as u64);
        }
        let gap = gap.map_or("unknown".to_owned(), |gap| format!("{gap:.2e}"));
        self.bar.set_message(format!("epoch {epoch} objective {how_sure}{objective:.6} gap {how_sure}{gap}"));
    }
}

impl<F: Float> Observer<F> for Bar {
    fn wants(&mut self, passed: &Passed) -> bool {
        if let Some(objective) = passed.objective {
            self.show("about ", passed.progress.epoch, objective, passed.gap);
        }
        false
    }

    fn observe(&mut self, now: &Snapshot<F>) -> Result<ControlFlow<Stop>> {
        self.show("", now.progress.epoch, now.certificate.objective, now.certificate.gap());
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, _last: &Snapshot<F>) -> Result<()> {
        self.bar.finish_and_clear();
        Ok(())
    }
}
