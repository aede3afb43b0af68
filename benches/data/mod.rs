//! What the benches share: rows to run on, and the problem posed on them.
#![allow(dead_code, reason = "each bench takes what it needs")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use unfenced::data::{self, FeatureNumbers, Generator};
use unfenced::threads::Topology;
use unfenced::{Dataset, Penalty, Problem, loss};

/// 2 million non-zeros whose features occur as often as words do: 16 MB as rows, 26 MB as text.
pub const TEXT_LIKE: Generator =
    Generator { n_rows: 20_000, n_features: 50_000, n_nonzeros: 100, zipf: 1.0, noise: 0.05, n_classes: 2, seed: 0 };

/// Writes generated rows as LIBSVM text.
pub fn write(generator: &Generator, path: &Path) {
    let mut out = BufWriter::new(File::create(path).expect("a new file"));
    generator.write(&mut out).and_then(|()| out.flush()).expect("room for the text");
}

/// Opens whatever `path` is.
pub fn open(path: &Path) -> Dataset<'static> {
    data::open(path, FeatureNumbers::Auto, 0).expect("readable data")
}

/// The rows of [`TEXT_LIKE`].
pub fn text_like() -> Dataset<'static> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("text-like.svm");
    write(&TEXT_LIKE, &path);
    open(&path)
}

/// The real rows of the repository, 618,301 non-zeros; a published package leaves them out.
pub fn debian_libraries() -> Option<Dataset<'static>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("datasets/debian-libraries.train.svm.zst");
    path.exists().then(|| open(&path))
}

/// Real sets whose rows have one value each, as far as `UNFENCED_DATA` has them.
pub fn of_one_value_a_row() -> Vec<(&'static str, Dataset<'static>)> {
    let Some(folder) = std::env::var_os("UNFENCED_DATA").map(PathBuf::from) else { return Vec::new() };
    let sets = [("news20ng", "news20ng.train.zst"), ("a9a", "a9a.zst"), ("mushrooms", "mushrooms.zst"), ("w8a", "w8a.zst")];
    sets.into_iter()
        .map(|(name, file)| (name, folder.join(file)))
        .filter(|(_, path)| path.exists())
        .map(|(name, path)| (name, open(&path)))
        .collect()
}

/// These rows and one more, of two values.
pub fn with_a_row_of_two_values(data: &Dataset) -> Dataset<'static> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.svm");
    let mut out = BufWriter::new(File::create(&path).expect("a new file"));
    let mut places: Vec<usize> = (0..data.n_rows()).collect();
    places.sort_unstable_by_key(|&i| data.original_row(i));
    for i in places {
        write!(out, "{}", data.targets()[i]).expect("room");
        let mut row: Vec<(u32, f32)> = data.row(i).iter().map(|(j, x)| (data.numbering().number(j), x)).collect();
        row.sort_unstable_by_key(|&(number, _)| number);
        row.iter().for_each(|(number, x)| write!(out, " {number}:{x}").expect("room"));
        writeln!(out).expect("room");
    }
    let numbers = [0, 1].map(|k| data.numbering().first() + k);
    writeln!(out, "{} {}:1 {}:2", data.targets()[0], numbers[0], numbers[1]).expect("room");
    out.flush().expect("room");
    open(&path)
}

/// A support vector machine on these rows, C = 1.
pub fn hinge<'a>(data: &'a Dataset<'a>) -> Problem<'a> {
    let l2 = 1.0 / data.n_rows() as f64;
    Problem::new(data, &loss::Hinge, Penalty { l2, l1: 0.0 }, false).expect("rows of two classes")
}

/// 1, 2, 4, ... threads, the last as many as there are cores, and 2 even where there is one.
pub fn thread_counts() -> Vec<usize> {
    let n_cores = Topology::of_this_machine().n_cores().max(2);
    let doubled = std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|&n| n < n_cores);
    doubled.chain([n_cores]).collect()
}
