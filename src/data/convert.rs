//! Any input to a store. Text of any size takes little memory: what does not fit waits on the disk, in files without a name.
//!
//! ```text
//! text  ->  parsed blocks, spooled in the order of the text      kept: targets and lengths of the rows, counts of the features
//!       ->  partitions, spooled: the rows of a stretch of the store, still in the order of the text
//!       ->  a partition at a time in memory: rows in their random order, features in theirs  ->  the store
//! ```
//!
//! The store is the same to the last bit as [`crate::data::open`] and [`write_store`] make it.

use std::ops::Range;
use std::path::Path;

use crate::data::arrange::{Frame, arrange};
use crate::data::block::{Block, Pair};
use crate::data::renumber::renumber;
use crate::data::source::{self, Kind, Source};
use crate::data::spool::Spool;
use crate::data::store::Writer;
use crate::data::{Dataset, FeatureNumbers, libsvm, open, write_store};
use crate::error::{Error, Result};
use crate::sync::{AtomicBool, AtomicUsize, Ordering};

/// Non-zeros of a partition, and as many in memory before any go to the disk: 64 MB.
const PARTITION_PAIRS: usize = 8 << 20;

/// How large a converted dataset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Converted {
    /// Examples.
    pub n_rows: usize,
    /// Feature numbers from the first to the highest.
    pub n_columns: u64,
    /// Non-zeros.
    pub n_nonzeros: usize,
}

impl Converted {
    fn of(data: &Dataset) -> Self {
        let n_nonzeros = data.offsets[data.n_rows()] as usize;
        Self { n_rows: data.n_rows(), n_columns: data.numbering().n_columns(), n_nonzeros }
    }
}

/// Converts whatever [`open`] opens to a store, parallel on the current rayon pool. When `cancelled` becomes true, it ends
/// with an error, and nothing of the store is there.
///
/// # Errors
/// If the input is not what it should be, or the store cannot be written.
pub fn convert(input: &Path, store: &Path, numbers: FeatureNumbers, seed: u64, cancelled: &AtomicBool) -> Result<Converted> {
    if store.exists() && !store.is_file() {
        let data = open(input, numbers, seed)?; // a device takes bytes in their order only
        write_store(&data, store)?;
        return Ok(Converted::of(&data));
    }
    let conversion = Conversion { input, store, numbers, seed, cancelled, partition_pairs: PARTITION_PAIRS };
    let opened = source::open(input)?;
    match opened.kind {
        Kind::Text => conversion.text(opened.source),
        Kind::Npz | Kind::Store => conversion.whole(&open(input, numbers, seed)?),
    }
}

/// What is converted to what.
struct Conversion<'a> {
    input: &'a Path,
    store: &'a Path,
    numbers: FeatureNumbers,
    seed: u64,
    cancelled: &'a AtomicBool,
    partition_pairs: usize,
}

/// A block whose pairs are there, or in the spool from this place on.
struct Part {
    block: Block,
    spooled: Option<u64>,
}

impl Part {
    /// How many pairs it has, wherever they are.
    fn n_pairs(&self) -> usize {
        self.block.ends.last().copied().unwrap_or(0)
    }
}

impl Conversion<'_> {
    /// Writes a dataset that is there as a whole.
    fn whole(&self, data: &Dataset) -> Result<Converted> {
        crate::file::replace(self.store, |file| {
            let mut writer = Writer::new(file, self.store, data)?;
            let values = data.rows().values().chunks(PARTITION_PAIRS);
            for (indices, values) in data.rows().indices().chunks(PARTITION_PAIRS).zip(values) {
                self.go_on()?;
                writer.append(indices, values)?;
            }
            writer.finish()
        })?;
        Ok(Converted::of(data))
    }

    fn text(&self, source: Source) -> Result<Converted> {
        let folder = crate::file::folder_of(self.store);
        let spool = Spool::new(&folder).map_err(Error::io(self.store, "create"))?;
        let n_held = AtomicUsize::new(0);
        let keep = |mut block: Block| {
            self.go_on()?;
            let n_pairs = block.pairs.len();
            let fits = n_held.fetch_add(n_pairs, Ordering::Relaxed) + n_pairs <= self.partition_pairs;
            let spooled = match fits {
                true => None,
                false => Some(spool.append(std::mem::take(&mut block.pairs)).map_err(self.unwritten())?),
            };
            Ok(Part { block, spooled })
        };
        let (parts, census) = libsvm::read(self.input, source, self.numbers, keep)?;
        let name = self.input.display().to_string();
        if parts.iter().all(|part| part.spooled.is_none()) {
            let blocks = parts.into_iter().map(|part| part.block).collect();
            return self.whole(&arrange(name, blocks, census, self.numbers, None, self.seed)?);
        }
        let frame = Frame::new(name, parts.iter().map(|part| &part.block), census, self.numbers, None, self.seed)?;
        let partitions = partitions(&frame.data.offsets, self.partition_pairs);
        let partitioned = Spool::new(&folder).map_err(Error::io(self.store, "create"))?;
        self.distribute(parts, &spool, &frame, &partitions, &partitioned)?;
        drop(spool);
        crate::file::replace(self.store, |file| {
            let mut writer = Writer::new(file, self.store, &frame.data)?;
            for rows in partitions {
                self.go_on()?;
                let (indices, values) = self.arranged(&frame, rows, &partitioned)?;
                writer.append(&indices, &values)?;
            }
            writer.finish()
        })?;
        Ok(Converted::of(&frame.data))
    }

    /// Deals the rows, which come in the order of the text, to their partitions.
    fn distribute(
        &self,
        parts: Vec<Part>,
        spool: &Spool,
        frame: &Frame,
        partitions: &[Range<usize>],
        partitioned: &Spool,
    ) -> Result<()> {
        let mut partition_of = vec![0u32; frame.data.n_rows()];
        for (p, rows) in (0u32..).zip(partitions) {
            rows.clone().for_each(|i| partition_of[frame.data.original_row(i)] = p);
        }
        let offsets = &frame.data.offsets;
        let mut places: Vec<u64> = partitions.iter().map(|rows| offsets[rows.start]).collect();
        let mut waiting: Vec<Vec<Pair>> = vec![Vec::new(); partitions.len()];
        let buffer_pairs = self.partition_pairs / partitions.len();
        let mut flush = |p: usize, pairs: &mut Vec<Pair>| {
            let place = places[p];
            places[p] += pairs.len() as u64;
            partitioned.write(place, std::mem::take(pairs)).map_err(self.unwritten())
        };
        let mut partition_of = partition_of.into_iter();
        for mut part in parts {
            self.go_on()?;
            if let Some(place) = part.spooled {
                part.block.pairs = spool.read(place, part.n_pairs()).map_err(Error::io(self.store, "read"))?;
            }
            for (row, p) in part.block.rows().zip(&mut partition_of) {
                let pairs = &mut waiting[p as usize];
                pairs.extend_from_slice(row);
                if pairs.len() >= buffer_pairs {
                    flush(p as usize, pairs)?;
                }
            }
        }
        waiting.iter_mut().enumerate().try_for_each(|(p, pairs)| flush(p, pairs))
    }

    /// The indices and values of a partition.
    fn arranged(&self, frame: &Frame, rows: Range<usize>, partitioned: &Spool) -> Result<(Vec<u32>, Vec<f32>)> {
        let offsets = &frame.data.offsets[rows.start..=rows.end];
        let n_pairs = (offsets[rows.len()] - offsets[0]) as usize;
        let pairs = partitioned.read(offsets[0], n_pairs).map_err(Error::io(self.store, "read"))?;
        let mut in_text: Vec<usize> = (0..rows.len()).collect();
        in_text.sort_unstable_by_key(|&i| frame.data.original_row(rows.start + i));
        let mut slices: Vec<&[Pair]> = vec![&[]; rows.len()];
        let mut rest = pairs.as_slice();
        for i in in_text {
            (slices[i], rest) = rest.split_at((offsets[i + 1] - offsets[i]) as usize);
        }
        let (mut indices, mut values) = (vec![0; n_pairs], vec![0.0; n_pairs]);
        renumber(&slices, &frame.features, &mut indices, &mut values);
        Ok((indices, values))
    }

    fn unwritten(&self) -> impl FnOnce(std::io::Error) -> Error {
        Error::io(self.store, "write")
    }

    fn go_on(&self) -> Result<()> {
        match self.cancelled.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(self.unwritten()(std::io::Error::other("interrupted"))),
        }
    }
}

/// Stretches of rows of at most `most` pairs each, or of one row.
fn partitions(offsets: &[u64], most: usize) -> Vec<Range<usize>> {
    let n_rows = offsets.len() - 1;
    let mut partitions = Vec::new();
    let mut start = 0;
    while start < n_rows {
        let fitting = offsets[start + 1..].partition_point(|&end| end - offsets[start] <= most as u64);
        partitions.push(start..start + fitting.max(1));
        start += fitting.max(1);
    }
    partitions
}

#[cfg(all(test, not(loom)))]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    /// Rows of very different lengths, some without a feature.
    fn text(n_rows: usize) -> String {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(n_rows as u64);
        let mut text = String::new();
        for r in 0..n_rows {
            text += &format!("{}", r as f32 / 4.0);
            let n = random.random_range(0..20) * usize::from(random.random_range(0..4) > 0);
            let mut number = 0;
            for _ in 0..n {
                number += random.random_range(1..if r % 9 == 0 { 900_000 } else { 30 });
                text += &format!(" {number}:{:.3}", random.random::<f32>());
            }
            text.push('\n');
        }
        text
    }

    fn opened(input: &Path, seed: u64) -> Vec<u8> {
        let store = input.with_extension("opened");
        write_store(&open(input, FeatureNumbers::Auto, seed).expect("good text"), &store).expect("room");
        std::fs::read(store).expect("just written")
    }

    fn converted(input: &Path, seed: u64, partition_pairs: usize) -> Vec<u8> {
        let (store, cancelled) = (input.with_extension("converted"), AtomicBool::new(false));
        let numbers = FeatureNumbers::Auto;
        let conversion = Conversion { input, store: &store, numbers, seed, cancelled: &cancelled, partition_pairs };
        let source = source::open(input).expect("a file").source;
        let size = conversion.text(source).expect("converted");
        let data = open(&store, numbers, 0).expect("a store");
        assert_eq!(size, Converted::of(&data));
        crate::data::verify_store(&store).expect("a whole store");
        std::fs::read(store).expect("just written")
    }

    #[test]
    fn a_store_made_in_little_memory_is_the_same_to_the_last_bit() {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("rows");
        for n_rows in [1, 2, 17, 300] {
            let text = text(n_rows);
            for packed in [false, true] {
                let bytes =
                    if packed { zstd::encode_all(text.as_bytes(), 1).expect("packed") } else { text.clone().into_bytes() };
                std::fs::write(&input, bytes).expect("room");
                for seed in [0, 7, u64::MAX] {
                    let expected = opened(&input, seed);
                    for partition_pairs in [0, 1, 19, 20, 21, 500, 100_000] {
                        let store = converted(&input, seed, partition_pairs);
                        assert!(store == expected, "{n_rows} rows, seed {seed}, {partition_pairs} pairs a partition");
                    }
                }
            }
        }
    }

    #[test]
    fn text_of_several_blocks_is_partly_held_and_partly_spooled() {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("rows");
        std::fs::write(&input, text(120_000)).expect("room"); // 12 MB, three blocks
        let expected = opened(&input, 3);
        for partition_pairs in [200_000, 450_000, 700_000, 10_000_000] {
            assert!(converted(&input, 3, partition_pairs) == expected, "{partition_pairs} pairs a partition");
        }
    }

    #[test]
    fn rows_without_a_non_zero_and_one_alone_are_converted() {
        let folder = tempfile::tempdir().expect("a folder");
        for text in ["1\n-1\n", "1\n", "1 5:2", "# head\n\n3 1:1 2:2\n"] {
            let input = folder.path().join("rows");
            std::fs::write(&input, text).expect("room");
            for partition_pairs in [0, 1, 10] {
                assert!(converted(&input, 0, partition_pairs) == opened(&input, 0), "{text}");
            }
        }
    }

    #[test]
    fn what_is_cancelled_or_wrong_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (input, store) = (folder.path().join("rows"), folder.path().join("store"));
        for (text, cancelled, words) in [(text(50), true, "interrupted"), (text(50) + "1 x:1", false, "rows:51: ")] {
            std::fs::write(&input, text).expect("room");
            let cancelled = AtomicBool::new(cancelled);
            for partition_pairs in [1, 1_000_000] {
                let conversion = Conversion {
                    input: &input,
                    store: &store,
                    numbers: FeatureNumbers::Auto,
                    seed: 0,
                    cancelled: &cancelled,
                    partition_pairs,
                };
                let error = conversion.text(source::open(&input).expect("a file").source).expect_err("refused");
                assert!(error.to_string().contains(words), "{error}");
            }
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        }
    }

    #[test]
    fn partitions_hold_what_they_may_or_one_row() {
        assert_eq!(partitions(&[0, 3, 5, 5, 12, 13], 5), [0..3, 3..4, 4..5]);
        assert_eq!(partitions(&[0, 0, 0, 1], 0), [0..2, 2..3]);
        assert_eq!(partitions(&[0, 1, 2], 0), [0..1, 1..2]);
    }
}
