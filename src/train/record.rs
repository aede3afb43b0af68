//! The course of a run, a JSON line an evaluation.

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::sync::Float;
use crate::train::{Observer, Passed, Snapshot, Stop};

/// Writes `--history`: each line is on its way to the disk before training goes on, so that it can be watched.
#[derive(Debug)]
pub struct History {
    path: PathBuf,
    file: File,
}

#[derive(Serialize)]
struct Line {
    epoch: u64,
    updates: u64,
    seconds: f64,
    objective: f64,
    dual: Option<f64>,
    gap: Option<f64>,
    test_accuracy: Option<f64>,
}

impl History {
    /// Starts a history. A run resumed at epoch `from` keeps the lines before it; those from there on are written anew.
    ///
    /// # Errors
    /// If the file cannot be read or opened.
    pub fn open(path: &Path, from: Option<u64>) -> Result<Self> {
        let kept: String = match from {
            Some(from) if path.is_file() => {
                let text = std::fs::read_to_string(path).map_err(Error::io(path, "read"))?;
                let before = |line: &&str| epoch_of(line).is_some_and(|epoch| epoch < from);
                text.lines().filter(before).flat_map(|line| [line, "\n"]).collect()
            }
            _ => String::new(),
        };
        let mut file = File::options().write(true).create(true).truncate(true).open(path).map_err(Error::io(path, "write"))?;
        file.write_all(kept.as_bytes()).map_err(Error::io(path, "write"))?;
        Ok(Self { path: path.to_owned(), file })
    }
}

fn epoch_of(line: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(line).ok()?.get("epoch")?.as_u64()
}

impl<F: Float> Observer<F> for History {
    fn wants(&mut self, _passed: &Passed) -> bool {
        true
    }

    fn observe(&mut self, now: &Snapshot<F>) -> Result<ControlFlow<Stop>> {
        let line = Line {
            epoch: now.progress.epoch,
            updates: now.progress.updates,
            seconds: now.progress.train_seconds,
            objective: now.certificate.objective,
            dual: now.certificate.dual.filter(|dual| dual.is_finite()),
            gap: now.certificate.gap().filter(|gap| gap.is_finite()),
            test_accuracy: now.test.and_then(|test| test.accuracy),
        };
        let text = serde_json::to_string(&line).map_err(|error| Error::file(&self.path, error.to_string()))?;
        writeln!(self.file, "{text}").map_err(Error::io(&self.path, "write"))?;
        Ok(ControlFlow::Continue(()))
    }
}
