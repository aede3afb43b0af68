//! Experiments: methods side by side, speed-up against threads, and a report that says what they mean.

mod contention;
mod experiment;
mod machine;
mod method;
pub mod report;
mod results;
mod study;
mod timing;

pub use experiment::{Asked, Status, Watcher, experiment, usual_methods};
pub use method::Method;
pub use results::*;
pub use study::{StudyKind, made_data, study};
