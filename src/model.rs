//! A trained model: weights in the user's own feature numbers, and what they mean.
//!
//! The file is safetensors: tensor `weights` (outputs x columns; column k is feature k + `first_feature`), tensor
//! `intercept` (outputs), and in the header's metadata `loss`, `classes`, `first_feature`, `features`, `version`.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::data::{Dataset, Mapped};
use crate::error::{Error, Result};
use crate::eval;
use crate::loss::{self, Logistic, Loss};
use crate::problem::Problem;
use crate::sync::Float;

const VERSION: &str = "1";
/// Beyond this many bytes a dense weight file must be a mistake, unless the features fill it.
const LARGE: u64 = 1 << 30;

/// Weights and what they mean.
#[derive(Clone)]
pub struct Model {
    loss: &'static dyn Loss,
    classes: Option<[f32; 2]>,
    first_feature: u32,
    weights: Vec<f64>,
    intercept: f64,
    double: bool,
}

/// A model's answer for one dataset.
#[derive(Debug)]
pub struct Scores {
    /// w·x + b of each row, in the user's order.
    pub values: Vec<f64>,
    /// How many of the data's features the model does not know; they counted as 0.
    pub n_unknown: usize,
}

impl Model {
    /// The model of a problem's weights, which are given in the dataset's own numbering.
    ///
    /// # Errors
    /// See [`Model::check_size`].
    pub fn new<F: Float>(problem: &Problem, weights: &[F], intercept: F) -> Result<Self> {
        let numbering = problem.data().numbering();
        Self::check_size(problem.data())?;
        let mut by_column = vec![0.0; numbering.n_columns() as usize];
        for (j, w_j) in weights.iter().enumerate() {
            by_column[numbering.column(j)] = w_j.to_f64();
        }
        Ok(Self {
            loss: problem.loss(),
            classes: problem.classes(),
            first_feature: numbering.first(),
            weights: by_column,
            intercept: intercept.to_f64(),
            double: F::NAME == "f64",
        })
    }

    /// A model has a weight for every number up to the highest. That is refused where it would take more than a gigabyte
    /// and 16 times what the features that occur need: better known before training than after.
    ///
    /// # Errors
    /// If it is so.
    pub fn check_size(data: &Dataset) -> Result<()> {
        let (columns, occurring) = (data.numbering().n_columns(), data.n_features() as u64);
        if columns * 4 > LARGE && columns > 16 * occurring {
            return Err(Error::Data(format!(
                "{}: its feature numbers span {columns}, but only {occurring} occur: a model would take {:.1} GB; number the \
                 features more densely",
                data.name(),
                columns as f64 * 4e-9
            )));
        }
        Ok(())
    }

    /// The loss that it was trained with.
    pub fn loss(&self) -> &'static dyn Loss {
        self.loss
    }

    /// The labels of a negative and of a positive score, if it classifies.
    pub fn classes(&self) -> Option<[f32; 2]> {
        self.classes
    }

    /// One weight for each number from [`Model::first_feature`] on.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The number of the first weight's feature: 0 or 1.
    pub fn first_feature(&self) -> u32 {
        self.first_feature
    }

    /// b.
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// Scores every row; parallel on the current rayon pool.
    ///
    /// # Errors
    /// If the data's features are numbered from 0 and the model's from 1, or a row is damaged.
    pub fn scores(&self, data: &Dataset) -> Result<Scores> {
        eval::same_numbering(data, self.first_feature, "the model")?;
        data.check_rows()?;
        let mut n_unknown = 0;
        let mut weight = |number: u32| {
            let known = number.checked_sub(self.first_feature).and_then(|column| self.weights.get(column as usize));
            n_unknown += usize::from(known.is_none());
            known.copied().unwrap_or(0.0)
        };
        let weights: Vec<f64> = (0..data.n_features()).map(|j| weight(data.numbering().number(j))).collect();
        let scores = eval::scores(data, &weights, self.intercept);
        Ok(Scores { values: data.in_original_order(&scores), n_unknown })
    }

    /// What a score predicts: a label, or for regression the score itself.
    pub fn predict(&self, score: f64) -> f64 {
        match self.classes {
            Some([negative, positive]) => f64::from(if score > 0.0 { positive } else { negative }),
            None => score,
        }
    }

    /// The probability of the positive class, for logistic models.
    pub fn probability(&self, score: f64) -> Option<f64> {
        (self.loss.name() == Logistic.name()).then(|| 1.0 / (1.0 + (-score).exp()))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = |values: &[f64]| -> Vec<u8> {
            if self.double {
                values.iter().flat_map(|value| value.to_le_bytes()).collect()
            } else {
                values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect()
            }
        };
        let dtype = if self.double { Dtype::F64 } else { Dtype::F32 };
        let (weights, intercept) = (bytes(&self.weights), bytes(&[self.intercept]));
        let wrong = |error: safetensors::SafeTensorError| Error::file(path, format!("cannot be written: {error}"));
        let tensors = [
            ("weights", TensorView::new(dtype, vec![1, self.weights.len()], &weights).map_err(wrong)?),
            ("intercept", TensorView::new(dtype, vec![1], &intercept).map_err(wrong)?),
        ];
        let mut about = HashMap::from([
            ("format".to_owned(), "unfenced model".to_owned()),
            ("version".to_owned(), VERSION.to_owned()),
            ("loss".to_owned(), self.loss.name().to_owned()),
            ("features".to_owned(), self.weights.len().to_string()),
            ("first_feature".to_owned(), self.first_feature.to_string()),
        ]);
        if let Some([negative, positive]) = self.classes {
            about.insert("classes".to_owned(), format!("[{negative},{positive}]"));
        }
        let mut file = safetensors::serialize(tensors, Some(about)).map_err(wrong)?;
        sort_header(&mut file);
        crate::file::write(path, |out| out.write_all(&file))
    }

    /// Reads a file that [`Model::save`] has written.
    ///
    /// # Errors
    /// If it cannot be read or is no model of this version.
    pub fn load(path: &Path) -> Result<Self> {
        let wrong = |what: &str| Error::file(path, format!("{what}; a model that `unfenced train` has written is wanted"));
        if path.is_dir() {
            return Err(wrong("is a folder"));
        }
        let file = Mapped::open(path)?;
        let (_, header) = SafeTensors::read_metadata(file.bytes()).map_err(|_| wrong("is no whole safetensors file"))?;
        let tensors = SafeTensors::deserialize(file.bytes()).map_err(|_| wrong("is no whole safetensors file"))?;
        let about = header.metadata().clone().unwrap_or_default();
        let field = |name: &str| about.get(name).map(String::as_str);
        if field("format") != Some("unfenced model") {
            return Err(wrong("is a safetensors file of another program"));
        }
        if field("version") != Some(VERSION) {
            return Err(wrong(&format!(
                "is a model of version {:?}, and this program reads {VERSION:?}",
                field("version").unwrap_or("")
            )));
        }
        let loss = field("loss").and_then(loss::named).ok_or_else(|| wrong("names no loss that this program knows"))?;
        let first_feature = field("first_feature").and_then(|first| first.parse().ok()).filter(|&first| first <= 1);
        let classes = match field("classes") {
            None => None,
            Some(list) => Some(serde_json::from_str(list).map_err(|_| wrong("does not name two classes"))?),
        };
        let numbers = |name: &str| -> Result<(Vec<f64>, bool)> {
            let tensor = tensors.tensor(name).map_err(|_| wrong(&format!("has no tensor {name}")))?;
            let (values, double): (Vec<f64>, bool) = match tensor.dtype() {
                Dtype::F32 => {
                    (tensor.data().as_chunks().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect(), false)
                }
                Dtype::F64 => (tensor.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect(), true),
                _ => return Err(wrong(&format!("has a tensor {name} of another type than f32 and f64"))),
            };
            if values.iter().any(|value| !value.is_finite()) {
                return Err(wrong(&format!("has a tensor {name} with numbers that are not finite")));
            }
            Ok((values, double))
        };
        let (weights, double) = numbers("weights")?;
        let intercept = *numbers("intercept")?.0.first().ok_or_else(|| wrong("has an empty intercept"))?;
        let first_feature = first_feature.ok_or_else(|| wrong("does not say where its features are numbered from"))?;
        if tensors.tensor("weights").is_ok_and(|tensor| tensor.shape().first() != Some(&1)) {
            return Err(wrong("has weights for more than one output"));
        }
        Ok(Self { loss, classes, first_feature, weights, intercept, double })
    }
}

/// Puts the keys of a safetensors header into order, so that equal models are equal files; they come in any order.
fn sort_header(file: &mut [u8]) {
    let Some((length, rest)) = file.split_first_chunk_mut::<8>() else { return };
    let Some(header) = rest.get_mut(..u64::from_le_bytes(*length) as usize) else { return };
    // serde_json keeps the keys of a Value sorted.
    let Ok(sorted) = serde_json::from_slice::<serde_json::Value>(header).map(|header| header.to_string()) else { return };
    if sorted.len() <= header.len() {
        header.fill(b' ');
        header[..sorted.len()].copy_from_slice(sorted.as_bytes());
    }
}
