//! What kind of file it is, told by its first bytes, and its bytes decoded.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use crate::data::mmap::Mapped;
use crate::error::{Error, Result};

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Unfenced's own mapped format.
    Store,
    /// A SciPy sparse matrix.
    Npz,
    /// LIBSVM text, perhaps compressed.
    Text,
}

/// Where the bytes come from.
pub enum Source {
    /// A regular file, mapped.
    Mapped(Mapped),
    /// A .bz2, mapped: it is decoded in parallel.
    Bz2(Mapped),
    /// A decoder or a pipe.
    Stream(Box<dyn Read + Send>),
}

/// A file whose kind is known.
pub struct Opened {
    pub kind: Kind,
    pub source: Source,
}

/// Opens a file, tells its kind by its first bytes and, for compressed text, puts the decoder before it.
///
/// # Errors
/// If it cannot be opened or is a folder.
pub fn open(path: &Path) -> Result<Opened> {
    let mut file = File::open(path).map_err(Error::io(path, "open"))?;
    let about = file.metadata().map_err(Error::io(path, "open"))?;
    if about.is_dir() {
        return Err(Error::file(path, "is a folder; a data file is wanted"));
    }
    let mut head = Vec::with_capacity(8);
    (&mut file).take(8).read_to_end(&mut head).map_err(Error::io(path, "read"))?;
    let magic = |bytes: &[u8]| head.starts_with(bytes);
    let kind = if magic(crate::data::store::MAGIC) {
        Kind::Store
    } else if magic(b"PK\x03\x04") {
        Kind::Npz
    } else {
        Kind::Text
    };
    // A .zst may begin with a frame to be passed over, as those of pzstd do.
    let zstd = magic(b"\x28\xb5\x2f\xfd") || matches!(head.as_slice(), [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    let compressed = magic(b"\x1f\x8b") || magic(b"BZh") || zstd || magic(b"\xfd7zXZ\0");
    if about.is_file() && !compressed {
        return Ok(Opened { kind, source: Source::Mapped(Mapped::open(path)?) });
    }
    if about.is_file() && magic(b"BZh") {
        return Ok(Opened { kind, source: Source::Bz2(Mapped::open(path)?) });
    }
    if kind != Kind::Text {
        return Err(Error::file(path, "is a pipe or a device; a store or an .npz must be a regular file"));
    }
    let bytes = Cursor::new(head.clone()).chain(file);
    let stream: Box<dyn Read + Send> = if magic(b"\x1f\x8b") {
        Box::new(flate2::read::MultiGzDecoder::new(bytes))
    } else if magic(b"BZh") {
        Box::new(bzip2::read::MultiBzDecoder::new(bytes))
    } else if zstd {
        Box::new(zstd::stream::read::Decoder::new(bytes).map_err(Error::io(path, "decode"))?)
    } else if magic(b"\xfd7zXZ\0") {
        Box::new(liblzma::read::XzDecoder::new_multi_decoder(bytes))
    } else {
        Box::new(bytes)
    };
    Ok(Opened { kind, source: Source::Stream(stream) })
}
