//! What is asked for: strategy x update with their options, under the names that users know them by.

use crate::error::{Error, Result};
use crate::strategy::{Compression, Delay};

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
