//! How much of a gradient is sent? Where workers are machines, a synchronous step waits for the network, and shorter
//! messages pay for their noise.

mod elias;
mod qsgd;
mod top_k;

use std::fmt;
use std::str::FromStr;

pub use qsgd::quantise;
pub use top_k::{Debt, keep_largest};

/// What a worker sends of its gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// All of its non-zeros: `none`.
    Whole,
    /// Entries rounded at random to so many levels: `qsgd:LEVELS`.
    Qsgd(u32),
    /// The so many largest entries: `topk:K`, or `topk:K:forget` without error feedback.
    TopK {
        /// How many.
        k: usize,
        /// Whether the rest is lost instead of being added to the next gradient.
        forget: bool,
    },
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let wanted = || "none, qsgd:LEVELS, topk:K or topk:K:forget is wanted, such as qsgd:16 or topk:100".to_owned();
        let parts: Vec<&str> = given.split(':').collect();
        let above_0 = |number: &str| number.parse::<u32>().ok().filter(|&number| number > 0).ok_or_else(wanted);
        match parts[..] {
            ["none"] => Ok(Self::Whole),
            ["qsgd", levels] => Ok(Self::Qsgd(above_0(levels)?)),
            ["topk", k] => Ok(Self::TopK { k: above_0(k)? as usize, forget: false }),
            ["topk", k, "forget"] => Ok(Self::TopK { k: above_0(k)? as usize, forget: true }),
            _ => Err(wanted()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => write!(out, "none"),
            Self::Qsgd(levels) => write!(out, "qsgd:{levels}"),
            Self::TopK { k, forget: false } => write!(out, "topk:{k}"),
            Self::TopK { k, forget: true } => write!(out, "topk:{k}:forget"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_is_read_as_it_is_written() {
        for name in ["none", "qsgd:1", "qsgd:255", "topk:10", "topk:7:forget"] {
            assert_eq!(name.parse::<Compression>().map(|compression| compression.to_string()), Ok(name.to_owned()));
        }
        for name in ["", "qsgd", "qsgd:0", "qsgd:-1", "topk", "topk:x", "topk:3:keep", "topk:3:forget:now", "none:1", "huffman"] {
            assert!(name.parse::<Compression>().expect_err("refused").contains("is wanted"), "{name}");
        }
    }
}
