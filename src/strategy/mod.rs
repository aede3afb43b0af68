//! How do workers share the weights? One file each, named as `--strategy` names it. A [`Pass`] says how one epoch's steps
//! are woven together; everything else that a strategy must do (draw the order, hand out the weights, go back to a state)
//! is the same for all and stands here.

mod global_lock;
mod hogwild;
mod minibatch;
mod order;
mod round_robin;
mod sequential;
mod striped_lock;

use crate::error::{Error, Result};
use crate::problem::Problem;
use crate::sync::{Cell, Float, set_values, values};
use crate::threads::Team;
use crate::update::{Adagrad, GradientUpdate, Sdca, Sgd, Stochastic, Update};
use crate::weights::Memory;

pub use global_lock::GlobalLock;
pub use hogwild::Hogwild;
pub use minibatch::Minibatch;
pub use order::Order;
pub use round_robin::RoundRobin;
pub use sequential::Sequential;
pub use striped_lock::StripedLock;

/// What a pass works on.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// What is minimised.
    pub problem: &'a Problem<'a>,
    /// Who works.
    pub team: &'a Team,
    /// The order of this epoch.
    pub order: &'a Order,
}

/// How one epoch's steps are woven together: the part of a strategy that is its own.
pub trait Pass<F: Float, U>: Send {
    /// Where the weights live.
    type Memory: Memory<F>;

    /// Visits every row once, and returns with every worker idle. A cancelled team's pass ends early.
    fn pass(&mut self, job: Job<'_>, update: &U, weights: &mut Self::Memory, step_size: F);
}

/// A strategy with its update and its weights.
pub trait Strategy<F: Float>: Send {
    /// One epoch: every row is visited once. Returns with every worker idle.
    fn epoch(&mut self, problem: &Problem, team: &Team, step_size: F);

    /// The weights of the features that occur, in the dataset's own numbering, and the intercept.
    fn weights(&self) -> (Vec<F>, F);

    /// The dual variables, one a row, if the update keeps them.
    fn duals(&self) -> Option<Vec<f64>>;

    /// Sets the weights to what the dual variables say, given v = [`Problem::transposed`] of them.
    fn repair(&mut self, v: &[f64]);

    /// All that the next epoch depends on.
    fn state(&self) -> State<F>;

    /// Goes back to a state.
    ///
    /// # Errors
    /// If it is the state of another problem or update.
    fn restore(&mut self, state: &State<F>) -> Result<()>;
}

/// All that the next epoch depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct State<F> {
    /// How many epochs have been run.
    pub epoch: u64,
    /// The stored vector, as the update keeps it.
    pub weights: Vec<F>,
    /// The intercept.
    pub intercept: F,
    /// The update's tables, by name.
    pub tables: Vec<(String, Vec<F>)>,
}

/// A pass with all it needs to be a strategy.
struct Run<F: Float, U, P: Pass<F, U>> {
    pass: P,
    update: U,
    memory: P::Memory,
    order: Order,
    epoch: u64,
}

impl<F: Float, U: Update<F>, P: Pass<F, U>> Strategy<F> for Run<F, U, P> {
    fn epoch(&mut self, problem: &Problem, team: &Team, step_size: F) {
        self.update.begin_epoch(&mut self.memory);
        self.order.shuffle(self.epoch);
        let job = Job { problem, team, order: &self.order };
        self.pass.pass(job, &self.update, &mut self.memory, step_size);
        self.epoch += 1;
    }

    fn weights(&self) -> (Vec<F>, F) {
        let (stored, intercept) = self.memory.load();
        (self.update.weights(stored), intercept)
    }

    fn duals(&self) -> Option<Vec<f64>> {
        self.update.duals().map(|cells| cells.iter().map(|a| a.get().to_f64()).collect())
    }

    fn repair(&mut self, v: &[f64]) {
        let (_, intercept) = self.memory.load();
        self.memory.store(&self.update.stored(v), intercept);
    }

    fn state(&self) -> State<F> {
        let (weights, intercept) = self.memory.load();
        let tables = self.update.tables().into_iter().map(|(name, cells)| (name.to_owned(), values(cells))).collect();
        State { epoch: self.epoch, weights, intercept, tables }
    }

    fn restore(&mut self, state: &State<F>) -> Result<()> {
        let other = || Error::Data("the saved state is that of another problem or update".into());
        let tables = self.update.tables();
        if state.weights.len() != self.memory.load().0.len() || tables.len() != state.tables.len() {
            return Err(other());
        }
        let saved = |name: &str, n: usize| state.tables.iter().find(|table| table.0 == name && table.1.len() == n);
        let pairs: Option<Vec<_>> = tables.iter().map(|&(name, cells)| Some((cells, &saved(name, cells.len())?.1))).collect();
        for (cells, saved) in pairs.ok_or_else(other)? {
            set_values(cells, saved);
        }
        self.memory.store(&state.weights, state.intercept);
        self.epoch = state.epoch;
        Ok(())
    }
}

/// Defines an enum whose variants carry the names that the command line, JSON and Python know them by.
macro_rules! named {
    ($(#[$about:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type { $($(#[$doc])* $variant),* }
        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The name it is known by.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

named! {
    /// How workers share the weights.
    StrategyKind {
        /// No locks: Hogwild!.
        Hogwild = "hogwild",
        /// One worker on plain memory: the reference.
        Sequential = "sequential",
        /// One lock around each step.
        GlobalLock = "global_lock",
        /// Locks on the coordinates of a step: AIG.
        StripedLock = "striped_lock",
        /// Workers write in turn: RR.
        RoundRobin = "round_robin",
        /// One step on the mean gradient of a batch.
        Minibatch = "minibatch",
    }
}
named! {
    /// What one example changes.
    UpdateKind {
        /// Dual coordinate ascent.
        Sdca = "sdca",
        /// Stochastic gradient descent.
        Sgd = "sgd",
        /// AdaGrad.
        Adagrad = "adagrad",
    }
}
named! {
    /// How hogwild's workers add to a shared weight.
    Sharing {
        /// By a load and a store; an addition may be lost.
        Wild = "wild",
        /// By compare-and-swap; none is lost.
        Atomic = "atomic",
    }
}

/// What to build.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The strategy.
    pub strategy: StrategyKind,
    /// The update.
    pub update: UpdateKind,
    /// Hogwild's memory.
    pub sharing: Sharing,
    /// Rows in a step of minibatch.
    pub batch: usize,
    /// Decides the order of the rows in every epoch.
    pub seed: u64,
}

/// Builds the strategy x update that is asked for, its weights at 0.
///
/// # Errors
/// If that cross does not exist, or the update cannot serve the problem; the message names what to use instead.
pub fn build<F: Float>(problem: &Problem, choice: &Choice) -> Result<Box<dyn Strategy<F>>> {
    match choice.update {
        UpdateKind::Sdca => any(problem, choice, Sdca::new(problem)?),
        UpdateKind::Sgd => gradient(problem, choice, Sgd::new(problem)),
        UpdateKind::Adagrad => gradient(problem, choice, Adagrad::new(problem)),
    }
}

fn gradient<F: Float, U: GradientUpdate<F> + 'static>(
    problem: &Problem,
    choice: &Choice,
    update: U,
) -> Result<Box<dyn Strategy<F>>> {
    let update = Stochastic(update);
    match choice.strategy {
        StrategyKind::Minibatch => Ok(run(problem, choice, update, Minibatch::new(problem, choice.batch)?)),
        _ => any(problem, choice, update),
    }
}

fn any<F: Float, U: Update<F> + 'static>(problem: &Problem, choice: &Choice, update: U) -> Result<Box<dyn Strategy<F>>> {
    Ok(match choice.strategy {
        StrategyKind::Hogwild => run(problem, choice, update, Hogwild(choice.sharing)),
        StrategyKind::Sequential => run(problem, choice, update, Sequential),
        StrategyKind::GlobalLock => run(problem, choice, update, GlobalLock::default()),
        StrategyKind::StripedLock => run(problem, choice, update, StripedLock::default()),
        StrategyKind::RoundRobin => run(problem, choice, update, RoundRobin),
        StrategyKind::Minibatch => {
            let name = choice.update.name();
            return Err(Error::Usage(format!(
                "minibatch takes steps on gradients, and {name} has none; use --update sgd or adagrad, or --strategy hogwild"
            )));
        }
    })
}

fn run<F: Float, U: Update<F> + 'static, P: Pass<F, U> + 'static>(
    problem: &Problem,
    choice: &Choice,
    update: U,
    pass: P,
) -> Box<dyn Strategy<F>> {
    let memory = P::Memory::zeros(problem.n_features());
    Box::new(Run { pass, update, memory, order: Order::new(problem.data(), choice.seed), epoch: 0 })
}
