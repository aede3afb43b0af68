//! Unfenced trains sparse linear models on every core of one machine, without locks.
//!
//! ```text
//! minimise   P(w, b) = (1/n) sum_i loss(w·x_i + b, y_i) + l2/2 |w|^2 + l1 |w|_1
//! ```
//!
//! A method is *strategy x update*: an update is the mathematics of one example's step, a strategy is how workers share the
//! weights. Every answer comes with P(w) in f64 and, where the loss has a conjugate, with a bound on how far the best can be.
//!
//! The rooms, in reading order; each imports only from those above it:
//!
//! | room | the question it answers |
//! |---|---|
//! | [`sync`] | what is an atomic float? The only file that names an atomic. |
//! | [`error`], [`file`](mod@file) | what can go wrong, and how is a file written whole or not at all? |
//! | [`threads`] | who does the work? A pinned team, tickets, a barrier, stripes of locks. |
//! | [`data`] | where are the examples? Text, `.npz`, stores, borrowed matrices: one [`Dataset`]. |
//! | [`loss`], [`penalty`] | what does one example cost, and what do large weights? |
//! | [`problem`] | data + loss + penalty: objective, gradient, duality gap, in f64. |
//! | [`weights`] | how are the weights read and changed? Plain, wild, atomic, replicated. |
//! | [`update`] | what does one example change? sgd, adagrad, saga, svrg, sdca. |
//! | [`strategy`] | how do workers share the weights? One file each. |
//! | [`eval`] | how good are scores? |
//! | [`model`] | weights in the user's numbering, and their file. |
//! | [`train`](mod@train) | the one loop, and what watches it. |
//! | [`lab`] | experiments: methods side by side, speed-up against threads, and their report. |
//! | [`cli`] | the command line. Only here is anything printed. |
//!
//! ```
//! use unfenced::data::{self, FeatureNumbers};
//! use unfenced::strategy::{self, Choice, StrategyKind, UpdateKind};
//! use unfenced::train::{Limits, Plan, StepSize, train};
//! use unfenced::{Model, Penalty, Problem, Team, loss};
//!
//! # fn main() -> unfenced::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = &folder.path().join("rows.svm");
//! # std::fs::write(path, "+1 1:1 3:0.5\n-1 2:1\n+1 1:0.8\n-1 2:0.6 3:0.1\n").expect("written");
//! let team = Team::new(2, true)?;
//! let data = team.install(|| data::open(path, FeatureNumbers::Auto, 0))?;
//! let l2 = 1.0 / data.n_rows() as f64; // C = 1
//! let problem = team.install(|| Problem::new(&data, &loss::Hinge, Penalty { l2, l1: 0.0 }, false))?;
//!
//! let choice = Choice::new(StrategyKind::Hogwild, UpdateKind::Sdca);
//! let mut strategy = strategy::build::<f32>(&problem, &choice)?;
//! let plan = Plan::new(StepSize::new(&problem, &choice, None, None));
//! let mut limits = Limits { gap: Some(1e-6), ..Limits::default() };
//! let outcome = train(&problem, strategy.as_mut(), &team, plan, None, &mut [&mut limits])?;
//!
//! assert!(outcome.best.certificate.gap().is_some_and(|gap| gap <= 1e-6));
//! let model = Model::new(&problem, &outcome.best.weights, outcome.best.intercept)?;
//! assert_eq!(model.scores(&data)?.values.iter().map(|&score| model.predict(score)).collect::<Vec<_>>(), [1.0, -1.0, 1.0, -1.0]);
//! # Ok(())
//! # }
//! ```

pub mod sync;

pub mod error;
pub mod file;

pub mod threads;

pub mod data;
pub mod loss;
pub mod penalty;

pub mod problem;
pub mod weights;

pub mod update;

pub mod strategy;

pub mod eval;
pub mod model;

pub mod train;

pub mod lab;

pub mod cli;

pub use data::Dataset;
pub use error::{Error, Result};
pub use model::Model;
pub use penalty::Penalty;
pub use problem::{Certificate, Problem};
pub use sprs;
pub use threads::Team;
