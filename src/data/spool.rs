//! Pairs that wait on the disk because memory may be too small for them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::data::block::Pair;
use crate::sync::Mutex;

const PAIR_BYTES: u64 = 8;

/// A file without a name: whatever ends the process, nothing of it stays. Places in it are counted in pairs.
pub struct Spool(Mutex<Inside>);

struct Inside {
    file: File,
    end: u64,
}

impl Spool {
    /// An empty spool on the disk of this folder.
    pub fn new(folder: &Path) -> std::io::Result<Self> {
        Ok(Self(Mutex::new(Inside { file: tempfile::tempfile_in(folder)?, end: 0 })))
    }

    /// Puts pairs at the end; returns where they stand.
    pub fn append(&self, pairs: Vec<Pair>) -> std::io::Result<u64> {
        let mut inside = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let place = inside.end;
        inside.end += pairs.len() as u64;
        inside.write(place, pairs)?;
        Ok(place)
    }

    /// Puts pairs at a place.
    pub fn write(&self, place: u64, pairs: Vec<Pair>) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).write(place, pairs)
    }

    /// The `n` pairs at a place.
    pub fn read(&self, place: u64, n: usize) -> std::io::Result<Vec<Pair>> {
        let mut words = vec![0u64; n];
        let file = &mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).file;
        file.seek(SeekFrom::Start(place * PAIR_BYTES))?;
        file.read_exact(bytemuck::cast_slice_mut(&mut words))?;
        Ok(words.into_iter().map(Pair::from_bits).collect()) // in place
    }
}

impl Inside {
    fn write(&mut self, place: u64, pairs: Vec<Pair>) -> std::io::Result<()> {
        let words: Vec<u64> = pairs.into_iter().map(Pair::bits).collect(); // in place
        self.file.seek(SeekFrom::Start(place * PAIR_BYTES))?;
        self.file.write_all(bytemuck::cast_slice(&words))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_from_where_they_were_put() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(folder.path()).expect("a spool");
        let pairs = |from: u32, to: u32| -> Vec<Pair> { (from..to).map(|k| Pair::new(k, -0.5 * k as f32)).collect() };
        assert_eq!(spool.append(pairs(0, 5)).expect("room"), 0);
        assert_eq!(spool.append(pairs(7, 10)).expect("room"), 5);
        spool.write(5, pairs(5, 7)).expect("room");
        assert_eq!(spool.read(2, 5).expect("there"), pairs(2, 7));
        assert!(spool.read(6, 9).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
