//! Checkpoints: a run that is killed goes on where it stood.
//!
//! Two slots are written in turn. A slot is a magic number, a checksum of the rest, and a safetensors file with the weights,
//! the intercept, the update's tables, and in its metadata the fingerprint of data and settings and how far the run has
//! come. Whatever happens while one slot is written, the other is whole.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::error::{Error, Result};
use crate::problem::{Certificate, Problem};
use crate::strategy::State;
use crate::sync::Float;
use crate::train::{Best, Observer, Passed, Progress, Snapshot, Stop};

const MAGIC: &[u8; 8] = b"UNFCKPT3";
const SLOTS: [&str; 2] = ["slot-0.checkpoint", "slot-1.checkpoint"];
/// A checkpoint is written when this many times the last one's cost has passed: at most a twentieth of the time.
const PATIENCE: f64 = 20.0;
/// And so many seconds, if an evaluation must be made for it.
const SECONDS: f64 = 1.0;
/// Where the clock must not decide, an evaluation is made for it in every so many epochs.
const EPOCHS: u64 = 16;

/// What a run must have in common with the one that it resumes: settings by name, and a hash of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint(Vec<(String, String)>);

impl Fingerprint {
    /// Of a problem, and of further settings that decide the course of the run.
    pub fn new(problem: &Problem, settings: &[(&str, String)]) -> Self {
        let data = problem.data();
        let mut hash = Xxh3::new();
        hash.update(bytemuck::cast_slice(data.targets()));
        hash.update(bytemuck::cast_slice(data.counts()));
        hash.update(bytemuck::cast_slice(data.rows().starts()));
        hash.update(bytemuck::cast_slice(data.rows().ends()));
        hash.update(bytemuck::cast_slice(data.rows().indices()));
        hash.update(bytemuck::cast_slice(data.rows().values()));
        (0..data.n_features()).for_each(|j| hash.update(&data.numbering().number(j).to_ne_bytes()));
        let mut all = vec![
            ("data".to_owned(), format!("{:016x}", hash.digest())),
            ("loss".to_owned(), problem.loss().name().to_owned()),
            ("l2".to_owned(), problem.penalty().l2.to_string()),
            ("l1".to_owned(), problem.penalty().l1.to_string()),
            ("intercept".to_owned(), problem.has_intercept().to_string()),
        ];
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Self(all)
    }

    /// The first setting in which two runs differ: its name, here, and there. Both have the same settings in the same order.
    fn difference<'a>(&'a self, other: &'a Self) -> Option<(&'a str, &'a str, &'a str)> {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .filter(|(mine, theirs)| mine != theirs)
            .map(|(mine, theirs)| (mine.0.as_str(), mine.1.as_str(), theirs.1.as_str()))
            .next()
    }
}

#[derive(Serialize, Deserialize)]
struct About {
    fingerprint: Fingerprint,
    epoch: u64,
    updates: u64,
    train_seconds: f64,
    eval_seconds: f64,
    step_size: f64,
    best_objective: f64,
    best_dual: Option<f64>,
}

/// What a run goes on from.
#[derive(Debug, Clone)]
pub struct Checkpoint<F> {
    /// All that the next epoch depends on.
    pub state: State<F>,
    /// How far the run had come.
    pub so_far: Progress,
    /// The first epoch's step size, halvings included.
    pub step_size: f64,
    /// The best weights so far.
    pub best: Best<F>,
}

/// Writes checkpoints while a run goes on, and one when it ends.
pub struct Checkpoints {
    folder: PathBuf,
    fingerprint: Fingerprint,
    next_slot: usize,
    /// The folder holds slots of a run that this one does not go on from.
    stale: bool,
    written: Instant,
    cost: f64,
    by_clock: bool,
}

impl Checkpoints {
    /// Into a folder, which is made if it is not there. A resumed run writes over the older slot first; a new one lets go of
    /// what an earlier run has left there, once its own first slot is whole.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(folder: &Path, fingerprint: Fingerprint, resumed: bool) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
        let newest = newest_slot(folder).filter(|_| resumed).map(|(slot, ..)| slot);
        let next_slot = newest.map_or(0, |slot| 1 - slot);
        let (folder, written) = (folder.to_owned(), Instant::now());
        Ok(Self { folder, fingerprint, next_slot, stale: !resumed, written, cost: 0.0, by_clock: true })
    }

    /// Asks for evaluations by counting epochs, so that the clock has no say in the course of the run.
    pub fn by_epochs(self) -> Self {
        Self { by_clock: false, ..self }
    }

    fn write<F: Float>(&mut self, now: &Snapshot<F>) -> Result<()> {
        let started = Instant::now();
        let path = self.folder.join(SLOTS[self.next_slot]);
        let wrong = |what: String| Error::file(&path, what);
        let state = now.strategy.state();
        let about = About {
            fingerprint: self.fingerprint.clone(),
            epoch: state.epoch,
            updates: now.progress.updates,
            train_seconds: now.progress.train_seconds,
            eval_seconds: now.progress.eval_seconds,
            step_size: now.step_size,
            best_objective: now.best.certificate.objective,
            best_dual: now.best.certificate.dual,
        };
        let about = serde_json::to_string(&about).map_err(|error| wrong(error.to_string()))?;
        let bytes = |values: &[F]| -> Vec<u8> { values.iter().flat_map(|value| value.to_f64().to_le_bytes()).collect() };
        let mut parts = vec![
            ("weights".to_owned(), bytes(&state.weights)),
            ("intercept".to_owned(), bytes(&[state.intercept])),
            ("best.weights".to_owned(), bytes(&now.best.weights)),
            ("best.intercept".to_owned(), bytes(&[now.best.intercept])),
        ];
        parts.extend(state.tables.iter().map(|(name, values)| (format!("table.{name}"), bytes(values))));
        let tensors: Vec<(&str, TensorView)> = parts
            .iter()
            .map(|(name, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F64, vec![bytes.len() / 8], bytes)?)))
            .collect::<std::result::Result<_, safetensors::SafeTensorError>>()
            .map_err(|error| wrong(error.to_string()))?;
        let body = safetensors::serialize(tensors, Some(HashMap::from([("about".to_owned(), about)])))
            .map_err(|error| wrong(error.to_string()))?;
        crate::file::write(&path, |out| {
            out.write_all(MAGIC)?;
            out.write_all(&xxh3_64(&body).to_le_bytes())?;
            out.write_all(&body)
        })?;
        self.next_slot = 1 - self.next_slot;
        let other = self.folder.join(SLOTS[self.next_slot]);
        if std::mem::take(&mut self.stale) && other.exists() {
            std::fs::remove_file(&other).map_err(Error::io(&other, "remove"))?;
        }
        self.written = Instant::now();
        self.cost = started.elapsed().as_secs_f64();
        Ok(())
    }
}

impl<F: Float> Observer<F> for Checkpoints {
    fn wants(&mut self, passed: &Passed) -> bool {
        if !self.by_clock {
            return passed.progress.epoch.is_multiple_of(EPOCHS);
        }
        self.written.elapsed().as_secs_f64() >= (PATIENCE * self.cost).max(SECONDS)
    }

    fn observe(&mut self, now: &Snapshot<F>) -> Result<ControlFlow<Stop>> {
        if self.written.elapsed().as_secs_f64() >= PATIENCE * self.cost {
            self.write(now)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, last: &Snapshot<F>) -> Result<()> {
        self.write(last)
    }
}

/// The whole slot that has come furthest: its number, its path, what it says, and its safetensors part.
fn newest_slot(folder: &Path) -> Option<(usize, PathBuf, About, Vec<u8>)> {
    let slot = |k: usize| {
        let path = folder.join(SLOTS[k]);
        let file = std::fs::read(&path).ok()?;
        let body = file.strip_prefix(MAGIC)?;
        let (checksum, body) = body.split_first_chunk::<8>()?;
        if u64::from_le_bytes(*checksum) != xxh3_64(body) {
            return None;
        }
        let (_, header) = SafeTensors::read_metadata(body).ok()?;
        let about = serde_json::from_str(header.metadata().as_ref()?.get("about")?).ok()?;
        Some((k, path, about, body.to_vec()))
    };
    [slot(0), slot(1)].into_iter().flatten().max_by_key(|(_, _, about, _): &(usize, PathBuf, About, Vec<u8>)| about.epoch)
}

/// The newest whole checkpoint of a folder.
///
/// # Errors
/// If there is none, or it is that of other data or settings.
pub fn resume<F: Float>(folder: &Path, fingerprint: &Fingerprint) -> Result<Checkpoint<F>> {
    let wanted = "a checkpoint that --checkpoint has written is wanted";
    let (_, path, about, body) =
        newest_slot(folder).ok_or_else(|| Error::file(folder, format!("holds no whole checkpoint; {wanted}")))?;
    if let Some((name, here, there)) = fingerprint.difference(&about.fingerprint) {
        let what = if name == "data" {
            "is a checkpoint of other data; resume on the data it was written for".to_owned()
        } else {
            format!("was written with {name} {there}, and this run has {here}; resume with the same settings")
        };
        return Err(Error::file(&path, what));
    }
    let wrong = |_| Error::file(&path, format!("lacks a tensor; {wanted}"));
    let tensors = SafeTensors::deserialize(&body).map_err(wrong)?;
    let numbers = |name: &str| -> Result<Vec<F>> {
        let bytes = tensors.tensor(name).map_err(wrong)?.data().as_chunks().0;
        Ok(bytes.iter().map(|&bytes| F::from_f64(f64::from_le_bytes(bytes))).collect())
    };
    let mut tables = Vec::new();
    for name in tensors.names() {
        if let Some(table) = name.strip_prefix("table.") {
            tables.push((table.to_owned(), numbers(name)?));
        }
    }
    let number = |name: &str| Ok(numbers(name)?.first().copied().unwrap_or(F::ZERO));
    let About { epoch, updates, train_seconds, eval_seconds, step_size, best_objective, best_dual, .. } = about;
    Ok(Checkpoint {
        state: State { epoch, weights: numbers("weights")?, intercept: number("intercept")?, tables },
        so_far: Progress { epoch, updates, train_seconds, eval_seconds },
        step_size,
        best: Best {
            weights: numbers("best.weights")?,
            intercept: number("best.intercept")?,
            certificate: Certificate { objective: best_objective, dual: best_dual },
            test: None, // measured again from the weights if it is asked for
        },
    })
}
