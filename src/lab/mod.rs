//! Experiments: methods side by side, speed-up against threads, and a report that says what they mean.

mod contention;
mod experiment;
mod folds;
mod machine;
mod method;
mod outset;
pub mod report;
mod results;
pub mod search;
mod study;
mod timing;
mod tuning;

pub use experiment::{Asked, Status, Watcher, experiment, usual_methods};
pub use folds::Folds;
pub use method::Method;
pub use results::*;
pub use study::{StudyKind, made_data, study};
