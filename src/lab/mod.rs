//! Experiments: methods side by side, speed-up against threads, and a report that says what they mean.

pub mod report;
mod results;

pub use results::*;
