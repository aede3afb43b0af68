//! Runs the program in a folder of its own, and makes small data for it.
#![allow(dead_code)] // each test file uses a part

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A temporary folder; the program runs inside it, so that its arguments are plain names.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A folder that holds one file.
    pub fn with(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        folder.write(name, bytes);
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).expect("written");
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("readable")
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("readable text")
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// All names in the folder, sorted: hidden ones too, as a temporary file that was left would be.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The program with the words of a line as its arguments, ready to start in the folder.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unfenced"));
        command.args(line.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, line: &str) -> Ended {
        Ended::of(line, self.command(line).output().expect("the program starts"))
    }

    /// Runs the program, which must end well.
    pub fn done(&self, line: &str) -> Ended {
        let ended = self.run(line);
        ended.ends_with_code(0);
        ended
    }

    /// Runs the program, which must fail with this code, without a panic and without a word on stdout; its message must
    /// hold all of `words`. Files must be as they were.
    pub fn refused(&self, line: &str, code: i32, words: &[&str]) -> Ended {
        let before = self.names();
        let ended = self.run(line);
        ended.ends_with_code(code);
        assert!(ended.err.starts_with("error: ") || ended.err.contains("\nerror: "), "{line}: {}", ended.err);
        assert!(ended.out.is_empty(), "{line} prints {}", ended.out);
        for word in words {
            assert!(ended.err.contains(word), "{line}: '{word}' is not in {}", ended.err);
        }
        assert_eq!(self.names(), before, "{line} leaves files");
        ended
    }
}

/// What a run of the program came to.
pub struct Ended {
    pub line: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    pub fn of(line: &str, output: Output) -> Self {
        let ended = Self {
            line: line.to_owned(),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!ended.err.contains("panicked"), "{line}: {}", ended.err);
        assert!(ended.code.is_some(), "{line} was ended by a signal: {:?} {}", output.status, ended.err);
        ended
    }

    pub fn ends_with_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}: {}", self.line, self.err);
    }

    /// The JSON object that stdout ends with.
    pub fn json(&self) -> serde_json::Value {
        let last = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{}: {error}: {}", self.line, self.out))
    }

    pub fn numbers(&self) -> Vec<f64> {
        self.out.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("{line} is no number"))).collect()
    }
}

/// A small generator of random numbers: xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From -1 to 1, in thousandths.
    pub fn thousandths(&mut self) -> f32 {
        (self.below(2001) as f32 - 1000.0) / 1000.0
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// One example as a user writes it: its label, and (feature number, value) pairs.
pub type Example = (f32, Vec<(u32, f32)>);

/// Random examples of two classes that a line nearly separates; features from 1 to `n_features`, rising.
pub fn examples(seed: u64, n_rows: usize, n_features: u32) -> Vec<Example> {
    let mut random = Random::new(seed);
    (0..n_rows)
        .map(|_| {
            let pairs: Vec<(u32, f32)> = (1..=n_features)
                .filter_map(|feature| if random.below(3) == 0 { Some((feature, random.thousandths())) } else { None })
                .filter(|&(_, value)| value != 0.0)
                .collect();
            let score: f32 = pairs.iter().map(|&(feature, value)| if feature % 2 == 0 { value } else { -value }).sum();
            let wrong = random.below(20) == 0;
            (if (score > 0.0) != wrong { 1.0 } else { -1.0 }, pairs)
        })
        .collect()
}

/// Examples as LIBSVM text.
pub fn text_of(examples: &[Example]) -> String {
    let mut text = String::new();
    for (label, pairs) in examples {
        text += &label.to_string();
        for (feature, value) in pairs {
            text += &format!(" {feature}:{value}");
        }
        text.push('\n');
    }
    text
}

/// Text of two classes: enough to train on.
pub fn two_classes() -> String {
    text_of(&examples(1, 120, 12))
}

/// Compresses bytes as `.gz`, `.bz2`, `.zst` or `.xz`.
pub fn compressed(bytes: &[u8], ending: &str) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut packed = Vec::new();
    match ending {
        "gz" => {
            let mut gz = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::default());
            gz.write_all(bytes).and_then(|()| gz.finish().map(drop)).expect("compressed");
        }
        "bz2" => {
            let mut bz2 = bzip2::read::BzEncoder::new(bytes, bzip2::Compression::default());
            bz2.read_to_end(&mut packed).expect("compressed");
        }
        "zst" => packed = zstd::stream::encode_all(bytes, 3).expect("compressed"),
        "xz" => {
            let mut xz = liblzma::read::XzEncoder::new(bytes, 6);
            xz.read_to_end(&mut packed).expect("compressed");
        }
        _ => panic!("{ending} is no compression"),
    }
    packed
}

/// An `.npy` array of one dimension: its type as NumPy writes it, and its bytes.
pub fn npy(kind: &str, length: usize, bytes: &[u8]) -> Vec<u8> {
    let shape = if kind.starts_with("|S") { "()".to_owned() } else { format!("({length},)") };
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    array.extend((header.len() as u16).to_le_bytes());
    array.extend(header.as_bytes());
    array.extend(bytes);
    array
}

pub fn npy_i32(values: &[i32]) -> Vec<u8> {
    npy("<i4", values.len(), &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

pub fn npy_i64(values: &[i64]) -> Vec<u8> {
    npy("<i8", values.len(), &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

pub fn npy_f64(values: &[f64]) -> Vec<u8> {
    npy("<f8", values.len(), &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
}

/// The arrays of an `.npz`, by name.
pub type Arrays = Vec<(&'static str, Vec<u8>)>;

/// What `scipy.sparse.save_npz` writes for X = [[0.5, 0, 2], [0, 0, 0], [0, -1, 0]], and y = [1, -1, -1].
pub fn npz_arrays() -> Arrays {
    vec![
        ("format", npy("|S3", 1, b"csr")),
        ("shape", npy_i64(&[3, 3])),
        ("indptr", npy_i32(&[0, 2, 2, 3])),
        ("indices", npy_i32(&[0, 2, 1])),
        ("data", npy_f64(&[0.5, 2.0, -1.0])),
        ("y", npy_f64(&[1.0, -1.0, -1.0])),
    ]
}

/// [`npz_arrays`] with one array replaced.
pub fn npz_with(name: &'static str, array: Vec<u8>) -> Arrays {
    let mut arrays = npz_arrays();
    arrays.iter_mut().filter(|entry| entry.0 == name).for_each(|entry| entry.1 = array.clone());
    arrays
}

pub fn npz_without(name: &str) -> Arrays {
    npz_arrays().into_iter().filter(|entry| entry.0 != name).collect()
}

/// An `.npz` of these arrays.
pub fn npz(arrays: &Arrays) -> Vec<u8> {
    use std::io::Write;
    let mut file = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, array) in arrays {
        file.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).expect("a member");
        file.write_all(array).expect("written");
    }
    file.finish().expect("a whole zip").into_inner()
}

/// The same to nine digits.
pub fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-9)
}
