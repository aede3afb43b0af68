//! A slice of numbers, wherever it lives.

use std::ops::{Deref, Range};

use bytemuck::Pod;

use crate::data::mmap::Mapped;

/// Numbers that are owned, mapped from a file, or borrowed from the caller; all are read as one slice.
#[derive(Debug, Clone)]
pub enum Column<'a, T> {
    /// In this process's memory.
    Owned(Vec<T>),
    /// In a mapped file: these bytes of it.
    Mapped(Mapped, Range<usize>),
    /// In the caller's memory.
    Borrowed(&'a [T]),
}

impl<T: Pod> Column<'_, T> {
    /// A part of a mapped file, if it lies inside the file and is aligned for `T`.
    pub fn mapped(file: &Mapped, bytes: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(file.bytes().get(bytes.clone())?).ok()?;
        Some(Self::Mapped(file.clone(), bytes))
    }
}

impl<T> Column<'_, T> {
    /// Has these entries brought into memory if they lie in a file, and does not wait.
    pub fn read_ahead(&self, entries: Range<usize>) {
        if let Self::Mapped(file, bytes) = self {
            let at = |entry: usize| bytes.start + entry * size_of::<T>();
            file.read_ahead(at(entries.start)..at(entries.end).min(bytes.end));
        }
    }
}

impl<T: Pod> Deref for Column<'_, T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(values) => values,
            Self::Mapped(file, bytes) => bytemuck::cast_slice(&file.bytes()[bytes.clone()]), // checked by `mapped`
            Self::Borrowed(values) => values,
        }
    }
}

impl<T> From<Vec<T>> for Column<'_, T> {
    fn from(values: Vec<T>) -> Self {
        Self::Owned(values)
    }
}
