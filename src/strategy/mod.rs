//! How do workers share the weights? One file each, named as `--strategy` names it. A [`Pass`] says how one epoch's steps
//! are woven together; everything else that a strategy must do (draw the order, hand out the weights, go back to a state)
//! is the same for all and stands here.

mod averaging;
mod climb;
mod components;
mod compression;
mod conflict_free;
mod coordinate;
mod crew;
mod global_lock;
mod hogwild;
mod minibatch;
mod order;
mod parameter_server;
mod replicated;
mod round_robin;
mod rounds;
mod sequential;
mod striped_lock;
mod watch;

use std::ops::Range;

use crate::error::{Error, Result};
use crate::problem::Problem;
use crate::strategy::coordinate::coordinate;
use crate::sync::Float;
use crate::threads::Team;
use crate::update::{Adagrad, Estimate, GradientUpdate, Saga, Sdca, Sgd, Stochastic, Svrg, Tables, Update, Visit};
use crate::weights::{Memory, Weights};

pub use averaging::Averaging;
pub use compression::Compression;
pub use conflict_free::ConflictFree;
pub use coordinate::Coordinate;
pub use global_lock::GlobalLock;
pub use hogwild::Hogwild;
pub use minibatch::Minibatch;
pub use order::Order;
pub use parameter_server::ParameterServer;
pub use replicated::Replicate;
pub use round_robin::RoundRobin;
pub use rounds::Rounds;
pub use sequential::Sequential;
pub use striped_lock::StripedLock;
pub use watch::{Delay, Seen, Watch};

/// What a pass works on.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// What is minimised.
    pub problem: &'a Problem<'a>,
    /// Who works.
    pub team: &'a Team,
    /// The order of this epoch.
    pub order: &'a Order,
    /// Who looks on: told of every step.
    pub watch: &'a Watch,
}

/// So many visits before its turn a row's place in memory and its part of the update's tables are asked for ...
const FAR: usize = 16;
/// ... and so many before, its features and values.
const NEAR: usize = 6;

/// Of a streamed store so many rows, or as many as a chunk has, are read while a chunk is worked on.
const READ_AHEAD_ROWS: usize = 4096;

impl<'a> Job<'a> {
    /// A worker's step on the weights that all see.
    #[inline(always)]
    fn step<F: Float, U: Update<F>, W: Weights<F>>(self, worker: usize, update: &U, visit: Visit, w: W, step_size: F) {
        let seen = self.watch.reads(worker);
        update.step(self.problem, visit, w, step_size);
        self.watch.wrote(worker, seen);
    }

    /// Asks for the memory that visits of these rows will need: of one soon, of the other later.
    #[inline(always)]
    fn prefetch<F: Float, U: Update<F>>(self, update: &U, near: Option<usize>, far: Option<usize>) {
        let rows = self.problem.rows();
        if let Some(i) = far {
            rows.prefetch_place(i);
            update.prefetch(i);
        }
        if let Some(i) = near {
            rows.prefetch(i);
        }
    }

    /// Has the rows after these places brought into memory, where they are read from disk.
    fn read_ahead(self, places: &Range<usize>) {
        let data = self.problem.data();
        if data.is_streamed()
            && let Some(i) = self.order.row(places.end)
        {
            data.read_ahead(i..i + READ_AHEAD_ROWS.max(places.len()));
        }
    }

    /// The visits of some places of the order; the memory that they will need is asked for some visits before.
    fn visits<F: Float, U: Update<F>>(self, update: &'a U, places: Range<usize>) -> impl Iterator<Item = Visit> + 'a {
        self.read_ahead(&places);
        let ahead = move |place: usize| self.prefetch(update, self.order.row(place + NEAR), self.order.row(place + FAR));
        places.clone().zip(self.order.visits(places)).map(move |(place, visit)| {
            ahead(place);
            visit
        })
    }
}

/// Figures by name.
pub type Figures = Vec<(&'static str, f64)>;

/// How one epoch's steps are woven together: the part of a strategy that is its own.
pub trait Pass<F: Float, U>: Send + Sync {
    /// Where the weights live.
    type Memory: Memory<F>;

    /// Visits every row of the order once, and returns with every worker idle. A cancelled team's pass ends early.
    fn pass(&mut self, job: Job<'_>, update: &U, weights: &mut Self::Memory, step_size: F);

    /// How many of the team's workers are at work now, if that is the pass's own choice.
    fn n_workers(&self) -> Option<usize> {
        None
    }

    /// What the next pass depends on besides the weights and the update's tables, by name.
    fn tables(&self) -> Tables<F> {
        Vec::new()
    }

    /// Sets them. Tells whether they fit; if not, nothing is changed.
    fn set_tables(&mut self, _update: &U, tables: &Tables<F>) -> bool {
        tables.is_empty()
    }

    /// What it has to tell of the run so far besides the weights, by name, such as bits sent for each step.
    fn figures(&self) -> Figures {
        Vec::new()
    }

    /// In so many epochs the weights are computed anew from the dual variables, if there are some, so that neither rounding
    /// nor what workers have lost between them adds up.
    fn repair_epochs(&self, _n_workers: usize) -> u64 {
        64
    }
}

/// A strategy with its update and its weights.
pub trait Strategy<F: Float>: Send + Sync {
    /// One epoch: every row that does not rest is visited once. Returns how many were, with every worker idle.
    fn epoch(&mut self, problem: &Problem, team: &Team, step_size: F) -> usize;

    /// The weights of the features that occur, in the dataset's own numbering, and the intercept, as they are now.
    fn weights(&self) -> (Vec<F>, F);

    /// What the last epoch has come to: the weights as they are now or, where the update keeps dual variables, those that
    /// follow from the mean of the dual variables over the epoch. Parallel on the current rayon pool.
    fn candidate(&self, problem: &Problem) -> Candidate<F>;

    /// How far the run has come, as far as the steps of the last epoch can tell.
    fn estimate(&self) -> Option<Estimate>;

    /// Whether the update keeps dual variables.
    fn keeps_duals(&self) -> bool;

    /// How many of the team's workers are at work now, if the strategy has found that fewer than all are faster.
    fn n_workers(&self) -> Option<usize>;

    /// What the strategy has to tell of the run so far besides the weights, by name.
    fn figures(&self) -> Figures;

    /// Samples of how many steps of others a step did not see, if [`Choice::probes`] asks for them.
    fn staleness(&self) -> Vec<u32>;

    /// All that the next epoch depends on.
    fn state(&self) -> State<F>;

    /// Goes back to a state.
    ///
    /// # Errors
    /// If it is the state of another problem or update.
    fn restore(&mut self, state: &State<F>) -> Result<()>;
}

/// Weights that an epoch has come to, before they are judged.
pub struct Candidate<F> {
    /// The weights, in the dataset's own numbering.
    pub weights: Vec<F>,
    /// b.
    pub intercept: F,
    /// The dual variables a that they follow from, and v = [`Problem::transposed`] of them.
    pub duals: Option<(Vec<f64>, Vec<f64>)>,
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
    /// The update's tables, by name, and the pass's.
    pub tables: Tables<F>,
}

/// The names of a pass's tables begin so in a state.
const OF_PASS: &str = "pass.";

/// A pass with all it needs to be a strategy.
struct Run<F: Float, U, P: Pass<F, U>> {
    pass: P,
    update: U,
    memory: P::Memory,
    order: Order,
    watch: Watch,
    epoch: u64,
}

impl<F: Float, U: Update<F>, P: Pass<F, U>> Strategy<F> for Run<F, U, P> {
    fn epoch(&mut self, problem: &Problem, team: &Team, step_size: F) -> usize {
        if self.epoch > 0 && self.epoch.is_multiple_of(self.pass.repair_epochs(team.n_workers())) {
            self.repair(problem, team);
        }
        self.update.begin_epoch(self.epoch, problem, team, &mut self.memory);
        self.watch.begin_epoch(team);
        self.order.shuffle(self.epoch, |i| self.update.rests(self.epoch, i));
        let job = Job { problem, team, order: &self.order, watch: &self.watch };
        self.pass.pass(job, &self.update, &mut self.memory, step_size);
        self.epoch += 1;
        self.order.n_visits()
    }

    fn weights(&self) -> (Vec<F>, F) {
        let (stored, intercept) = self.memory.load();
        (self.update.weights(stored), intercept)
    }

    fn candidate(&self, problem: &Problem) -> Candidate<F> {
        let Some(duals) = self.update.duals() else {
            let (weights, intercept) = self.weights();
            return Candidate { weights, intercept, duals: None };
        };
        let v = problem.transposed(&duals.mean);
        let moved = duals.mean.iter().zip(&duals.now).map(|(mean, now)| mean - now).sum::<f64>();
        let intercept = F::from_f64(self.memory.intercept().to_f64() + duals.intercept_scale * moved);
        Candidate { weights: self.update.weights(self.update.stored(&v)), intercept, duals: Some((duals.mean, v)) }
    }

    fn estimate(&self) -> Option<Estimate> {
        self.update.estimate()
    }

    fn keeps_duals(&self) -> bool {
        U::KEEPS_DUALS
    }

    fn n_workers(&self) -> Option<usize> {
        self.pass.n_workers()
    }

    fn figures(&self) -> Figures {
        self.pass.figures()
    }

    fn staleness(&self) -> Vec<u32> {
        self.watch.staleness()
    }

    fn state(&self) -> State<F> {
        let (weights, intercept) = self.memory.load();
        let mut tables = self.update.tables();
        tables.extend(self.pass.tables().into_iter().map(|(name, table)| (format!("{OF_PASS}{name}"), table)));
        State { epoch: self.epoch, weights, intercept, tables }
    }

    fn restore(&mut self, state: &State<F>) -> Result<()> {
        let other = || Error::Data("the saved state is that of another problem or update".into());
        let (of_pass, of_update): (Tables<F>, Tables<F>) =
            state.tables.iter().cloned().partition(|(name, _)| name.starts_with(OF_PASS));
        let of_pass = of_pass.into_iter().map(|(name, table)| (name[OF_PASS.len()..].to_owned(), table)).collect();
        if state.weights.len() != self.memory.load().0.len()
            || !self.update.set_tables(&of_update)
            || !self.pass.set_tables(&self.update, &of_pass)
        {
            return Err(other());
        }
        self.memory.store(&state.weights, state.intercept);
        self.epoch = state.epoch;
        Ok(())
    }
}

impl<F: Float, U: Update<F>, P: Pass<F, U>> Run<F, U, P> {
    /// Sets the weights to what the dual variables say, if there are some.
    fn repair(&mut self, problem: &Problem, team: &Team) {
        if let Some(duals) = self.update.duals() {
            let v = team.install(|| problem.transposed(&duals.now));
            let intercept = self.memory.intercept();
            self.memory.store(&self.update.stored(&v), intercept);
        }
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
        /// Rows that share no feature at the same time: CYCLADES.
        ConflictFree = "conflict_free",
        /// One step on the mean gradient of a batch.
        Minibatch = "minibatch",
        /// Each worker steps on weights of its own, and they are averaged.
        Averaging = "averaging",
        /// Features side by side instead of rows: Shotgun.
        Coordinate = "coordinate",
    }
}

impl StrategyKind {
    /// Whether it steps in a way of its own, so that no update is chosen.
    pub fn has_own_step(self) -> bool {
        self == Self::Coordinate
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
        /// Gradients corrected by those of each row's last visit: SAGA.
        Saga = "saga",
        /// Gradients corrected by those at a snapshot: SVRG.
        Svrg = "svrg",
    }
}
named! {
    /// How hogwild's workers add to a shared weight.
    Sharing {
        /// Each has a copy of the hot weights, and merges what it changed.
        Replicated = "replicated",
        /// By a load and a store; an addition may be lost.
        Wild = "wild",
        /// By compare-and-swap; none is lost.
        Atomic = "atomic",
    }
}

/// What to build.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The strategy.
    pub strategy: StrategyKind,
    /// The update; not looked at where the strategy steps in a way of its own.
    pub update: UpdateKind,
    /// Hogwild's memory.
    pub sharing: Sharing,
    /// Rows in a step of minibatch.
    pub batch: usize,
    /// What minibatch's workers send of their gradients; `None` where they need not send any, for they share memory.
    pub compression: Option<Compression>,
    /// How many of a batch's gradients, the last to arrive, minibatch's step does not wait for.
    pub backup: usize,
    /// Every so many epochs averaging's workers set out from their mean; never if `None`, and then each has the same rows in
    /// every epoch.
    pub average_every: Option<u64>,
    /// Decides the order of the rows in every epoch.
    pub seed: u64,
    /// Workers that are slowed down on purpose.
    pub delays: Vec<Delay>,
    /// Whether the staleness of steps is sampled.
    pub probes: bool,
    /// Whether every run must give the same bits; those of several workers who merge depend on how many they are.
    pub deterministic: bool,
}

impl Choice {
    /// This method with the usual settings: replicated memory, batches of 64, averages after every epoch, seed 0.
    pub fn new(strategy: StrategyKind, update: UpdateKind) -> Self {
        let (sharing, delays) = (Sharing::Replicated, Vec::new());
        Self {
            strategy,
            update,
            sharing,
            batch: 64,
            compression: None,
            backup: 0,
            average_every: Some(1),
            seed: 0,
            delays,
            probes: false,
            deterministic: false,
        }
    }

    /// Whether minibatch's workers send gradients to each other instead of sharing out the sums.
    pub fn sends_gradients(&self) -> bool {
        self.compression.is_some() || self.backup > 0
    }

    /// Refuses what several workers cannot do [deterministically](Choice::deterministic). One worker can do everything so.
    ///
    /// # Errors
    /// Names what to use instead.
    pub fn check_deterministic(&self) -> Result<()> {
        let name = match (self.strategy, self.sharing, self.update) {
            _ if !self.deterministic => return Ok(()),
            (StrategyKind::Minibatch, ..) if self.backup > 0 => "--backup".to_owned(),
            (StrategyKind::Sequential | StrategyKind::Minibatch | StrategyKind::Averaging | StrategyKind::ConflictFree, ..) => {
                return Ok(());
            }
            (StrategyKind::Hogwild, Sharing::Replicated, UpdateKind::Sdca | UpdateKind::Sgd) => return Ok(()),
            (StrategyKind::Hogwild, Sharing::Replicated, update) => {
                return Err(Error::Usage(format!(
                    "--deterministic: all workers share the sums of {}, and who adds to them first is chance; use --strategy \
                     conflict_free, or --update sdca or sgd",
                    update.name()
                )));
            }
            (StrategyKind::Hogwild, Sharing::Wild | Sharing::Atomic, _) => format!("--memory {}", self.sharing.name()),
            (StrategyKind::GlobalLock | StrategyKind::StripedLock | StrategyKind::RoundRobin | StrategyKind::Coordinate, ..) => {
                format!("--strategy {}", self.strategy.name())
            }
        };
        Err(Error::Usage(format!(
            "--deterministic: {name} lets chance decide what a step sees; use --strategy conflict_free, --memory replicated or \
             --threads 1"
        )))
    }

    /// The update's name, if the strategy wants one.
    pub fn update_name(&self) -> Option<&'static str> {
        (!self.strategy.has_own_step()).then(|| self.update.name())
    }
}

/// Builds the strategy x update that is asked for, its weights at 0.
///
/// # Errors
/// If that cross does not exist, or the update cannot serve the problem; the message names what to use instead.
pub fn build<F: Precision>(problem: &Problem, choice: &Choice) -> Result<Box<dyn Strategy<F>>> {
    F::build(problem, choice)
}

/// A number type that strategies exist for. All crosses of a type are compiled once, here, and not again in every crate, test
/// and bench that builds one: that would be minutes each.
pub trait Precision: Float {
    /// See [`build`].
    ///
    /// # Errors
    /// As [`build`].
    fn build(problem: &Problem, choice: &Choice) -> Result<Box<dyn Strategy<Self>>>;
}

macro_rules! precision {
    ($($float:ty),*) => {
        $(impl Precision for $float {
            fn build(problem: &Problem, choice: &Choice) -> Result<Box<dyn Strategy<Self>>> {
                cross(problem, choice)
            }
        })*
    };
}
precision!(f32, f64);

fn cross<F: Float>(problem: &Problem, choice: &Choice) -> Result<Box<dyn Strategy<F>>> {
    choice.check_deterministic()?;
    if choice.strategy == StrategyKind::Coordinate {
        return coordinate(problem, choice);
    }
    match choice.update {
        UpdateKind::Sdca => any(problem, choice, Sdca::new(problem)?),
        UpdateKind::Sgd => gradient(problem, choice, Sgd::new(problem)),
        UpdateKind::Adagrad => gradient(problem, choice, Adagrad::new(problem)),
        UpdateKind::Saga => any(problem, choice, Saga::new(problem)),
        UpdateKind::Svrg => any(problem, choice, Svrg::new(problem)),
    }
}

fn gradient<F: Float, U: GradientUpdate<F> + 'static>(
    problem: &Problem,
    choice: &Choice,
    update: U,
) -> Result<Box<dyn Strategy<F>>> {
    let update = Stochastic(update);
    match choice.strategy {
        StrategyKind::Minibatch if choice.sends_gradients() => {
            let compression = choice.compression.unwrap_or(Compression::Whole);
            Ok(run(problem, choice, update, ParameterServer::new(problem, choice.batch, compression, choice.backup)?))
        }
        StrategyKind::Minibatch => Ok(run(problem, choice, update, Minibatch::new(problem, choice.batch)?)),
        StrategyKind::Averaging => Ok(run(problem, choice, update, Averaging::new(choice.average_every, choice.seed)?)),
        _ => any(problem, choice, update),
    }
}

fn any<F: Float, U: Update<F> + 'static>(problem: &Problem, choice: &Choice, update: U) -> Result<Box<dyn Strategy<F>>> {
    Ok(match choice.strategy {
        StrategyKind::Hogwild => match choice.sharing {
            Sharing::Replicated if choice.deterministic => run(problem, choice, update, Rounds::default()),
            Sharing::Replicated => run(problem, choice, update, Replicate::default()),
            Sharing::Wild => run(problem, choice, update, Hogwild { atomic: false }),
            Sharing::Atomic => run(problem, choice, update, Hogwild { atomic: true }),
        },
        StrategyKind::Sequential => run(problem, choice, update, Sequential),
        StrategyKind::GlobalLock => run(problem, choice, update, GlobalLock::default()),
        StrategyKind::StripedLock => run(problem, choice, update, StripedLock::default()),
        StrategyKind::RoundRobin => run(problem, choice, update, RoundRobin),
        StrategyKind::ConflictFree => run(problem, choice, update, ConflictFree::default()),
        StrategyKind::Coordinate => return coordinate(problem, choice),
        StrategyKind::Minibatch => {
            let name = choice.update.name();
            return Err(Error::Usage(format!(
                "minibatch takes one step on the gradients of a batch, and {name} steps on single rows; use --update sgd or \
                 adagrad, or --strategy hogwild"
            )));
        }
        StrategyKind::Averaging => {
            let name = choice.update.name();
            return Err(Error::Usage(format!(
                "averaging gives every worker an update of its own, and {name}'s numbers for the rows belong to one vector; \
                 use --update sgd or adagrad, or --strategy hogwild"
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
    let order = Order::new(problem.data(), choice.seed);
    let watch = Watch::new(choice.delays.clone(), choice.probes);
    Box::new(Run { pass, update, memory, order, watch, epoch: 0 })
}
