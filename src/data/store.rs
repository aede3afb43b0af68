//! The store (`.unf`): a dataset as it lies in memory, to be mapped.
//!
//! ```text
//! header, 512 bytes   magic, version, byte order, counts, section table (name, offset, bytes, checksum), checksum of all
//! sections            each at a multiple of 64 bytes: targets f32, row_offsets u64, row_order u32, counts u32,
//!                     numbers u32, by_number u32, indices u32, values f32
//! ```
//!
//! Opening reads the header and the sections that have an entry a row or a feature, and checks their sums; `indices` and
//! `values` are only mapped. They are checked by the first pass that reads them ([`crate::problem::Problem::new`]) and,
//! byte for byte, by [`verify_store`].

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use bytemuck::Pod;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::data::mmap::Mapped;
use crate::data::{Column, Dataset, Numbering, memory};
use crate::error::{Error, Result};

/// The first bytes of a store.
pub(crate) const MAGIC: &[u8; 8] = b"UNFENCED";
const VERSION: u32 = 1;
/// Reads back as another number where bytes have the other order.
const BYTE_ORDER: u32 = 0x0102_0304;
const HEADER_BYTES: usize = 512;
const ALIGNMENT: usize = 64;
/// A store that is larger than this share of the memory there is, is streamed.
const MEMORY_SHARE: f64 = 0.9;
const ENTRY_BYTES: usize = 40;
const TABLE_START: usize = 64;
const N_SECTIONS: usize = 8;
/// The last sections, which have an entry a non-zero.
const INDICES: usize = 6;
const VALUES: usize = 7;

const _: () = assert!(TABLE_START + N_SECTIONS * ENTRY_BYTES + 8 <= HEADER_BYTES, "the header has room for its table");

/// A section: its name, where it lies in the file, and whether opening checks its sum.
struct Section {
    name: &'static str,
    place: Range<usize>,
    checked: bool,
}

/// The counts in the header.
#[derive(Clone, Copy)]
struct Counts {
    rows: u64,
    features: u64,
    nonzeros: u64,
    columns: u64,
    first: u64,
}

impl Counts {
    fn of(data: &Dataset) -> Self {
        Self {
            rows: data.n_rows() as u64,
            features: data.n_features() as u64,
            nonzeros: data.offsets[data.n_rows()],
            columns: data.numbering.n_columns,
            first: u64::from(data.numbering.first),
        }
    }

    /// The sections, or the error that there can be none.
    fn placed(self, path: &Path) -> Result<[Section; N_SECTIONS]> {
        self.sections().ok_or_else(|| Error::file(path, "the dataset is too large for this machine's addresses"))
    }

    /// The sections: after the header, one after the other, each at a multiple of 64; if all that can be addressed.
    fn sections(self) -> Option<[Section; N_SECTIONS]> {
        let count = |n: u64| usize::try_from(n).ok();
        let (n, d, nnz) = (count(self.rows)?, count(self.features)?, count(self.nonzeros)?);
        let mut end = Some(HEADER_BYTES);
        let mut section = |name, entry: usize, n: Option<usize>, checked| {
            let start = end.and_then(|end| end.checked_next_multiple_of(ALIGNMENT));
            end = n.and_then(|n| n.checked_mul(entry)).zip(start).and_then(|(bytes, start)| start.checked_add(bytes));
            Some(Section { name, place: start?..end?, checked })
        };
        Some([
            section("targets", 4, Some(n), true)?,
            section("row_offsets", 8, n.checked_add(1), true)?,
            section("row_order", 4, Some(n), true)?,
            section("counts", 4, Some(d), true)?,
            section("numbers", 4, Some(d), true)?,
            section("by_number", 4, Some(d), true)?,
            section("indices", 4, Some(nnz), false)?,
            section("values", 4, Some(nnz), false)?,
        ])
    }
}

/// Writes a dataset as a store, whole or not at all.
///
/// # Errors
/// If the file cannot be written, or these are a part of another dataset's rows.
pub fn write_store(data: &Dataset, path: &Path) -> Result<()> {
    data.check_whole()?;
    let counts = Counts::of(data);
    let sections = counts.placed(path)?;
    let bytes = bytes_of(data);
    let header = header_bytes(counts, &sections, bytes.map(xxh3_64));
    crate::file::write(path, |out| {
        out.write_all(&header)?;
        let mut written = HEADER_BYTES;
        for (section, bytes) in sections.iter().zip(bytes) {
            out.write_all(&[0; ALIGNMENT][..section.place.start - written])?;
            out.write_all(bytes)?;
            written = section.place.end;
        }
        Ok(())
    })
}

/// The bytes of the sections.
fn bytes_of<'d>(data: &'d Dataset) -> [&'d [u8]; N_SECTIONS] {
    [
        bytemuck::cast_slice(&data.targets),
        bytemuck::cast_slice(&data.offsets),
        bytemuck::cast_slice(&data.row_order),
        bytemuck::cast_slice(&data.counts),
        bytemuck::cast_slice(&data.numbering.numbers),
        bytemuck::cast_slice(&data.numbering.by_number),
        bytemuck::cast_slice(&data.indices),
        bytemuck::cast_slice(&data.values),
    ]
}

fn header_bytes(counts: Counts, sections: &[Section; N_SECTIONS], checksums: [u64; N_SECTIONS]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&VERSION.to_ne_bytes());
    header.extend_from_slice(&BYTE_ORDER.to_ne_bytes());
    for count in [counts.rows, counts.features, counts.nonzeros, counts.columns, counts.first, N_SECTIONS as u64] {
        header.extend_from_slice(&count.to_ne_bytes());
    }
    for (section, checksum) in sections.iter().zip(checksums) {
        let mut name = [0u8; 16];
        name[..section.name.len()].copy_from_slice(section.name.as_bytes());
        header.extend_from_slice(&name);
        for number in [section.place.start as u64, section.place.len() as u64, checksum] {
            header.extend_from_slice(&number.to_ne_bytes());
        }
    }
    header.resize(HEADER_BYTES - 8, 0);
    header.extend_from_slice(&xxh3_64(&header).to_ne_bytes());
    header
}

/// Writes a store whose non-zeros come bit by bit, into a file that is still empty.
pub(crate) struct Writer<'a> {
    file: &'a File,
    path: &'a Path,
    counts: Counts,
    sections: [Section; N_SECTIONS],
    checksums: [Xxh3; N_SECTIONS],
    written: [usize; N_SECTIONS],
}

impl<'a> Writer<'a> {
    /// Writes all sections but the non-zeros, which the dataset need not have yet.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn new(file: &'a File, path: &'a Path, data: &Dataset) -> Result<Self> {
        let counts = Counts::of(data);
        let checksums = std::array::from_fn(|_| Xxh3::new());
        let mut writer = Self { file, path, counts, sections: counts.placed(path)?, checksums, written: [0; N_SECTIONS] };
        for (k, bytes) in bytes_of(data)[..INDICES].iter().enumerate() {
            writer.write(k, bytes)?;
        }
        Ok(writer)
    }

    /// Writes the next non-zeros.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append(&mut self, indices: &[u32], values: &[f32]) -> Result<()> {
        self.write(INDICES, bytemuck::cast_slice(indices))?;
        self.write(VALUES, bytemuck::cast_slice(values))
    }

    fn write(&mut self, k: usize, bytes: &[u8]) -> Result<()> {
        self.checksums[k].update(bytes);
        let place = self.sections[k].place.start + self.written[k];
        self.written[k] += bytes.len();
        self.write_at(place, bytes)
    }

    fn write_at(&mut self, place: usize, bytes: &[u8]) -> Result<()> {
        let seeked = self.file.seek(SeekFrom::Start(place as u64));
        seeked.and_then(|_| self.file.write_all(bytes)).map_err(Error::io(self.path, "write"))
    }

    /// Writes the header, last of all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn finish(mut self) -> Result<()> {
        let checksums = std::array::from_fn(|k| self.checksums[k].digest());
        let header = header_bytes(self.counts, &self.sections, checksums);
        self.file.set_len(self.sections[VALUES].place.end as u64).map_err(Error::io(self.path, "write"))?; // if there is none
        self.write_at(0, &header)
    }
}

/// The header of a mapped store, checked against the file's length.
struct Header {
    counts: Counts,
    sections: [Section; N_SECTIONS],
    checksums: [u64; N_SECTIONS],
}

fn header(path: &Path, file: &Mapped) -> Result<Header> {
    let wrong = |what: &str| Error::file(path, format!("header: {what}"));
    let bytes = file.bytes().get(..HEADER_BYTES).ok_or_else(|| wrong("the file is truncated; convert the data again"))?;
    let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let number = |at: usize| bytemuck::pod_read_unaligned::<u64>(&bytes[at..at + 8]);
    if !bytes.starts_with(MAGIC) {
        return Err(wrong("this is no Unfenced store"));
    }
    if word(12) == BYTE_ORDER.swap_bytes() {
        return Err(wrong("the store was written on a machine of the other byte order; convert the data on this one"));
    }
    if number(HEADER_BYTES - 8) != xxh3_64(&bytes[..HEADER_BYTES - 8]) {
        return Err(wrong("its checksum does not match: the file is damaged; convert the data again"));
    }
    if word(8) != VERSION {
        return Err(wrong(&format!("this is format version {}; this program reads version {VERSION}", word(8))));
    }
    let counts = Counts { rows: number(16), features: number(24), nonzeros: number(32), columns: number(40), first: number(48) };
    let sections = counts.sections().filter(|sections| {
        (0..).zip(sections).all(|(k, section)| {
            let entry = TABLE_START + k * ENTRY_BYTES;
            let name = &bytes[entry..entry + 16];
            name.starts_with(section.name.as_bytes())
                && name[section.name.len()..].iter().all(|&byte| byte == 0)
                && (number(entry + 16), number(entry + 24)) == (section.place.start as u64, section.place.len() as u64)
        })
    });
    let sections = sections.ok_or_else(|| wrong("its section table contradicts its counts; convert the data again"))?;
    let (length, end) = (file.bytes().len(), sections[N_SECTIONS - 1].place.end);
    if length != end {
        let section = sections.iter().find(|section| section.place.end > length).map_or("values", |section| section.name);
        return Err(Error::file(
            path,
            format!(
                "section {section}: the file has {length} bytes where {end} are wanted: it is truncated or has grown; convert the \
                 data again"
            ),
        ));
    }
    let checksums = std::array::from_fn(|k| number(TABLE_START + k * ENTRY_BYTES + 32));
    Ok(Header { counts, sections, checksums })
}

fn damaged(path: &Path, section: &str, what: &str) -> Error {
    Error::file(path, format!("section {section}: {what}; convert the data again"))
}

fn check_sums(path: &Path, file: &Mapped, header: &Header, all: bool) -> Result<()> {
    for (section, &checksum) in header.sections.iter().zip(&header.checksums) {
        if (all || section.checked) && xxh3_64(&file.bytes()[section.place.clone()]) != checksum {
            return Err(damaged(path, section.name, "its checksum does not match: the file is damaged"));
        }
    }
    Ok(())
}

/// Maps a store. Takes time in the number of rows and features, none in the number of non-zeros.
pub(crate) fn open(path: &Path) -> Result<Dataset<'static>> {
    let file = Mapped::open(path)?;
    let header = header(path, &file)?;
    check_sums(path, &file, &header, false)?;
    let Header { counts, sections, .. } = header;
    let streamed = memory::available().is_some_and(|bytes| file.bytes().len() as f64 > MEMORY_SHARE * bytes as f64);
    if streamed {
        file.advise_sequential();
    }
    fn column<T: Pod>(path: &Path, file: &Mapped, section: &Section) -> Result<Column<'static, T>> {
        Column::mapped(file, section.place.clone()).ok_or_else(|| damaged(path, section.name, "it is not aligned"))
    }
    let [targets, offsets, row_order, row_counts, numbers, by_number, indices, values] = &sections;
    let data = Dataset {
        name: path.display().to_string(),
        targets: column(path, &file, targets)?,
        offsets: column(path, &file, offsets)?,
        row_order: column(path, &file, row_order)?,
        counts: column(path, &file, row_counts)?,
        indices: column(path, &file, indices)?,
        values: column(path, &file, values)?,
        numbering: Numbering {
            numbers: column(path, &file, numbers)?,
            by_number: column(path, &file, by_number)?,
            first: u32::from(counts.first == 1),
            n_columns: counts.columns,
        },
        shuffled: true,
        streamed,
        part: None,
    };
    // A matching checksum says that the bytes are those which were written, not that an honest program wrote them.
    let (n, d, nnz) = (data.n_rows(), data.n_features(), data.n_nonzeros());
    let numbering = &data.numbering;
    let below = |entries: &[u32], end: usize| entries.iter().all(|&entry| (entry as usize) < end);
    if n == 0 || counts.first > 1 || counts.columns > u64::from(u32::MAX) {
        let what = "header: no example, features that start beyond 1, or more numbers than there can be; convert the data again";
        return Err(Error::file(path, what));
    }
    if data.offsets[0] != 0 || data.offsets[n] != nnz as u64 || data.offsets.windows(2).any(|pair| pair[0] > pair[1]) {
        return Err(damaged(path, "row_offsets", "they do not rise from 0 to the number of non-zeros"));
    }
    if data.targets.iter().any(|target| !target.is_finite()) {
        return Err(damaged(path, "targets", "one of them is not finite"));
    }
    if !below(&data.row_order, n) {
        return Err(damaged(path, "row_order", "it names a row that is not there"));
    }
    if !below(&numbering.by_number, d)
        || numbering.numbers.iter().any(|&k| u64::from(k.wrapping_sub(numbering.first)) >= counts.columns)
    {
        return Err(damaged(path, "numbers", "they name a feature that is not there"));
    }
    Ok(data)
}

/// Checks every byte of a store against its checksums. Damage to what a dataset means (an index that is too large, a value
/// that is not finite) is found by [`crate::problem::Problem::new`] as well.
///
/// # Errors
/// Names the first section that is damaged.
pub fn verify_store(path: &Path) -> Result<()> {
    let file = Mapped::open(path)?;
    let header = header(path, &file)?;
    check_sums(path, &file, &header, true)?;
    let mut end = HEADER_BYTES;
    for section in &header.sections {
        if file.bytes()[end..section.place.start].iter().any(|&byte| byte != 0) {
            return Err(damaged(path, section.name, "the padding before it is not zeros: the file is damaged"));
        }
        end = section.place.end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_thousand_million_non_zeros_are_placed_without_overflow() {
        let counts = Counts { rows: 40_000_000, features: 50_000_000, nonzeros: 3_000_000_000, columns: 60_000_000, first: 1 };
        let sections = counts.sections().expect("fits a 64-bit machine");
        assert_eq!(sections[6].place.len(), 12_000_000_000);
        assert!(sections.windows(2).all(|pair| pair[0].place.end <= pair[1].place.start));
        assert!(sections.iter().all(|section| section.place.start % ALIGNMENT == 0));
        assert!(sections[7].place.end > 24_000_000_000);
    }

    #[test]
    fn counts_beyond_all_memory_are_no_overflow() {
        for rows in [u64::MAX, u64::MAX / 4, u64::MAX / 8] {
            assert!(Counts { rows, features: 1, nonzeros: u64::MAX / 2, columns: 1, first: 0 }.sections().is_none());
        }
    }
}
