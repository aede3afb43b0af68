//! SciPy's sparse matrices (`scipy.sparse.save_npz`): a zip of `.npy` arrays `format`, `shape`, `indptr`, `indices` and
//! `data`. The targets stand beside them as an array `y`, which SciPy passes over when it loads the file:
//!
//! ```python
//! numpy.savez(path, format=b"csr", shape=X.shape, indptr=X.indptr, indices=X.indices, data=X.data, y=y)
//! ```

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::{DType, NpyFile, TypeChar};
use zip::ZipArchive;

use crate::data::block::{Block, Pair};
use crate::data::{FeatureNumbers, MAX_FEATURE};
use crate::error::{Error, Result};

type Archive = ZipArchive<BufReader<File>>;

/// The examples of a CSR matrix and its number of columns. Column 0 is feature 0, or 1 with [`FeatureNumbers::OneBased`].
///
/// # Errors
/// If an array is missing, of the wrong type or length, or points outside the matrix.
pub fn read(path: &Path, numbers: FeatureNumbers) -> Result<(Block, u64)> {
    let wrong = |what: String| Error::file(path, what);
    let file = BufReader::new(File::open(path).map_err(Error::io(path, "open"))?);
    let mut archive =
        ZipArchive::new(file).map_err(|error| wrong(format!("is no whole .npz: {error}; a zip of arrays is wanted")))?;
    let mut array = |name: &str| numbers_of(&mut archive, name).map_err(|what| wrong(format!("array {name}: {what}")));

    let shape = array("shape")?;
    let &[n_rows, n_columns] = shape.as_slice() else {
        return Err(wrong(format!("array shape has {} entries; rows and columns are wanted", shape.len())));
    };
    let indptr = array("indptr")?;
    let indices = array("indices")?;
    let data = array("data")?;
    let targets = array("y").map_err(|error| {
        wrong(format!(
            "no targets ({error}); save them in it as y: numpy.savez(path, format=b'csr', shape=X.shape, indptr=X.indptr, \
             indices=X.indices, data=X.data, y=y)"
        ))
    })?;
    if let Some(format) = format_of(&mut archive).filter(|format| format != "csr") {
        return Err(wrong(format!("is a {format} matrix; a csr matrix is wanted: save X.tocsr()")));
    }

    let n = n_rows as usize;
    if n_rows != n as f64 || indptr.len().checked_sub(1) != Some(n) || targets.len() != n || indices.len() != data.len() {
        return Err(wrong(format!(
            "{n_rows} rows, but {} row pointers, {} targets, {} indices and {} values; a pointer more than rows, a target for \
             each row and as many indices as values are wanted",
            indptr.len(),
            targets.len(),
            indices.len(),
            data.len()
        )));
    }
    if indptr[0] != 0.0
        || indptr[n] != data.len() as f64
        || !indptr.windows(2).all(|pair| pair[0] <= pair[1] && pair[0].fract() == 0.0)
    {
        return Err(wrong(format!("array indptr does not rise in whole numbers from 0 to {}, the number of values", data.len())));
    }
    let shift = f64::from(u8::from(numbers == FeatureNumbers::OneBased));
    if n_columns + shift > f64::from(MAX_FEATURE) + 1.0 {
        return Err(wrong(format!(
            "{n_columns} columns are too many; at most {} are wanted",
            f64::from(MAX_FEATURE) + 1.0 - shift
        )));
    }
    if let Some(j) = indices.iter().find(|&&j| !(0.0..n_columns).contains(&j) || j.fract() != 0.0) {
        return Err(wrong(format!("array indices holds column {j} of a matrix with {n_columns} columns")));
    }
    let finite = |name: &str, values: Vec<f64>| -> Result<Vec<f32>> {
        let bad = |k: usize| wrong(format!("array {name} holds {} at {k}; finite 32-bit numbers are wanted", values[k]));
        match values.iter().position(|&value| !(value as f32).is_finite()) {
            Some(k) => Err(bad(k)),
            None => Ok(values.iter().map(|&value| value as f32).collect()),
        }
    };
    let block = Block {
        targets: finite("y", targets)?,
        ends: indptr[1..].iter().map(|&end| end as usize).collect(),
        pairs: indices.iter().zip(finite("data", data)?).map(|(&j, value)| Pair::new((j + shift) as u32, value)).collect(),
    };
    for (r, row) in block.rows().enumerate() {
        let mut row = row.to_vec();
        row.sort_unstable();
        if let Some(twice) = row.windows(2).find(|pair| pair[0].number() == pair[1].number()) {
            let column = f64::from(twice[0].number()) - shift;
            return Err(wrong(format!("row {r} holds column {column} twice; save it after X.sum_duplicates()")));
        }
    }
    Ok((block, n_columns as u64))
}

/// A one-dimensional array of any plain number type. All of them pass through f64: integers up to 2^53 stay exact.
fn numbers_of(archive: &mut Archive, name: &str) -> std::result::Result<Vec<f64>, String> {
    let member = archive.by_name(&format!("{name}.npy")).map_err(|error| error.to_string())?;
    let array = NpyFile::new(member).map_err(|error| error.to_string())?;
    if array.shape().len() > 1 && array.shape().iter().filter(|&&length| length != 1).count() > 1 {
        return Err(format!("has shape {:?}; one dimension is wanted", array.shape()));
    }
    let DType::Plain(kind) = array.dtype() else {
        return Err("has a structured type; plain numbers are wanted".into());
    };
    macro_rules! read {
        ($type:ty) => {
            array.into_vec::<$type>().map(|values| values.into_iter().map(|value| value as f64).collect())
        };
    }
    match (kind.type_char(), kind.size_field()) {
        (TypeChar::Float, 4) => read!(f32),
        (TypeChar::Float, 8) => read!(f64),
        (TypeChar::Int, 1) => read!(i8),
        (TypeChar::Int, 2) => read!(i16),
        (TypeChar::Int, 4) => read!(i32),
        (TypeChar::Int, 8) => read!(i64),
        (TypeChar::Uint, 1) => read!(u8),
        (TypeChar::Uint, 2) => read!(u16),
        (TypeChar::Uint, 4) => read!(u32),
        (TypeChar::Uint, 8) => read!(u64),
        _ => return Err(format!("has type {kind}; integers or floats are wanted")),
    }
    .map_err(|error| error.to_string())
}

/// The letters of the array `format`: SciPy writes them as bytes or as text.
fn format_of(archive: &mut Archive) -> Option<String> {
    let mut bytes = Vec::new();
    archive.by_name("format.npy").ok()?.read_to_end(&mut bytes).ok()?;
    let header = 10 + usize::from(u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?]));
    Some(bytes.get(header..)?.iter().filter(|byte| byte.is_ascii_alphabetic()).map(|&byte| char::from(byte)).collect())
}
