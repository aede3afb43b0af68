//! Experiments: methods side by side, speed-up against threads, and a report that says what they mean.

mod folds;
mod results;
pub mod search;

pub use folds::Folds;
pub use results::*;
