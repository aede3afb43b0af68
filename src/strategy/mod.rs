//! How do workers share the weights? One file each, named as `--strategy` names it. A [`Pass`] says how one epoch's steps
//! are woven together; everything else that a strategy must do (draw the order, hand out the weights, go back to a state)
//! is the same for all and stands here.

mod averaging;
mod bucket;
mod choice;
mod climb;
mod components;
mod compression;
mod conflict_free;
mod coordinate;
mod crew;
mod global_lock;
mod hogwild;
mod job;
mod message;
mod minibatch;
mod order;
mod parameter_server;
mod replicated;
mod round_robin;
mod rounds;
mod sequential;
mod server;
mod striped_lock;
mod watch;

use crate::error::{Error, Result};
use crate::problem::Problem;
use crate::strategy::coordinate::coordinate;
use crate::strategy::job::Ahead;
use crate::sync::Float;
use crate::threads::Team;
use crate::update::{Adagrad, Estimate, GradientUpdate, MeanDuals, Saga, Sdca, Sgd, Stochastic, Svrg, Tables, Update};
use crate::weights::Memory;

pub use averaging::Averaging;
pub use choice::{Choice, Sharing, StrategyKind, UpdateKind};
pub use compression::Compression;
pub use conflict_free::ConflictFree;
pub use coordinate::Coordinate;
pub use global_lock::GlobalLock;
pub use hogwild::Hogwild;
pub use job::Job;
pub use minibatch::Minibatch;
pub use order::Order;
pub use parameter_server::ParameterServer;
pub use replicated::Replicate;
pub use round_robin::RoundRobin;
pub use rounds::Rounds;
pub use sequential::Sequential;
pub use striped_lock::StripedLock;
pub use watch::{Delay, Seen, Watch};

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

    /// Whether the weights are computed anew from the dual variables before this epoch, if there are some, so that neither
    /// rounding nor what workers have lost between them adds up.
    fn repairs_before(&self, epoch: u64, _n_workers: usize) -> bool {
        epoch.is_multiple_of(64)
    }
}

/// A strategy with its update and its weights.
pub trait Strategy<F: Float>: Send + Sync {
    /// One epoch: every row that does not rest is visited once, and one that joins a working set once more. Returns how many
    /// visits there were, with every worker idle.
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
        if self.epoch > 0 && self.pass.repairs_before(self.epoch, team.n_workers()) {
            self.repair(problem, team);
        }
        self.update.begin_epoch(self.epoch, problem, team, &mut self.memory);
        self.watch.begin_epoch(team);
        let Self { pass, update, memory, order, watch, epoch } = self;
        let mut n_visits = 0;
        if let Some(round) = update.round(*epoch) {
            let rests = update.rests();
            team.install(|| order.shuffle(round, &rests));
            pass.pass(Job { problem, team, order, watch }, update, memory, step_size);
            n_visits += order.n_visits();
            team.install(|| update.admit(problem));
        }
        if let Some((part, rows)) = update.working_set() {
            let problem = &problem.with_rows(rows);
            let rests = part.rests();
            team.install(|| order.shuffle_copies(rows.len(), *epoch, &rests));
            pass.pass(Job { problem, team, order, watch }, part, memory, step_size);
            n_visits += order.n_visits();
        }
        if !team.cancelled() {
            team.install(|| update.end_epoch());
        }
        *epoch += 1;
        n_visits
    }

    fn weights(&self) -> (Vec<F>, F) {
        let (stored, intercept) = self.memory.load();
        (self.update.weights(stored), intercept)
    }

    fn candidate(&self, problem: &Problem) -> Candidate<F> {
        let Some(MeanDuals { duals, intercept_change }) = self.update.mean_duals() else {
            let (weights, intercept) = self.weights();
            return Candidate { weights, intercept, duals: None };
        };
        let v = problem.transposed(&duals);
        let intercept = F::from_f64(self.memory.intercept().to_f64() + intercept_change);
        Candidate { weights: self.update.weights(self.update.stored(&v)), intercept, duals: Some((duals, v)) }
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
            let v = team.install(|| problem.transposed(&duals));
            let intercept = self.memory.intercept();
            self.memory.store(&self.update.stored(&v), intercept);
            self.update.repaired();
        }
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
            Sharing::Replicated => run(problem, choice, update, Replicate::new(problem)),
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
