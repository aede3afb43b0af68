//! Every way in which Unfenced can fail: what is wrong, where, and what was wanted.

use std::path::{Path, PathBuf};

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong. The message is one sentence for the person who must repair it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: "open", "read", "write".
        action: &'static str,
        /// Its answer.
        source: std::io::Error,
    },
    /// A line of a text file is not what it should be.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong; what is wanted.
        what: String,
    },
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong; what is wanted.
        what: String,
    },
    /// The data cannot serve for what was asked (labels, feature numbers, penalties).
    #[error("{0}")]
    Data(String),
    /// A combination of options that has no meaning, with what to use instead.
    #[error("{0}")]
    Usage(String),
    /// The objective exploded and smaller steps did not help.
    #[error("{0}")]
    Diverged(String),
    /// Threads could not be started or pinned.
    #[error("cannot start the workers: {0}")]
    Threads(String),
}

impl Error {
    /// For `map_err` on an operation on `path`.
    pub fn io<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error + 'a {
        move |source| Error::Io { path: path.to_owned(), action, source }
    }

    /// A file that is not what it should be.
    pub fn file(path: &Path, what: impl Into<String>) -> Error {
        Error::File { path: path.to_owned(), what: what.into() }
    }
}
