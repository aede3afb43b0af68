//! Experiments: methods side by side, speed-up against threads, and a report that says what they mean.

mod results;

pub use results::*;
