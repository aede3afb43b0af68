//! The progress bar, on a terminal.

use std::io::IsTerminal;
use std::ops::ControlFlow;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Result;
use crate::train::{Observer, Snapshot, Stop};

/// Shows epoch, objective and gap on stderr while a run goes on; the bar fills as the gap falls, digit by digit.
pub struct Bar {
    bar: ProgressBar,
    wanted: f64,
}

const LENGTH: u64 = 1000;

impl Bar {
    /// Shows nothing where stderr is no terminal.
    pub fn new(quiet: bool, wanted_gap: f64) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        let bar = if shown { ProgressBar::new(LENGTH) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {elapsed_precise} {msg}") {
            bar.set_style(style);
        }
        Self { bar, wanted: wanted_gap.max(1e-16) }
    }
}

impl<F> Observer<F> for Bar {
    fn observe(&mut self, now: &Snapshot<F>) -> Result<ControlFlow<Stop>> {
        let gap = now.certificate.gap().filter(|gap| gap.is_finite());
        if let Some(gap) = gap {
            let share = gap.clamp(self.wanted, 1.0).ln() / self.wanted.min(0.5).ln();
            self.bar.set_position((share * LENGTH as f64) as u64);
        }
        let gap = gap.map_or("unknown".to_owned(), |gap| format!("{gap:.2e}"));
        self.bar.set_message(format!("epoch {}  objective {:.6}  gap {gap}", now.progress.epoch, now.certificate.objective));
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, _last: &Snapshot<F>) -> Result<()> {
        self.bar.finish_and_clear();
        Ok(())
    }
}
