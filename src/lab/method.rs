//! A method as the lab's user names it: `strategy+update`, with a strategy's one option after a colon.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::strategy::{Choice, Sharing, StrategyKind, UpdateKind};

/// Strategy x update, with hogwild's memory or minibatch's batch: `hogwild+sdca`, `hogwild:wild+sgd`, `minibatch:256+sgd`,
/// `minibatch:all+sgd` (gradient descent).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// How workers share the weights.
    pub strategy: StrategyKind,
    /// What one example changes.
    pub update: UpdateKind,
    /// Hogwild's memory.
    pub sharing: Sharing,
    /// Minibatch's rows; all of them if larger than the data.
    pub batch: usize,
}

impl Method {
    /// Strategy x update with the usual memory and batch.
    pub fn new(strategy: StrategyKind, update: UpdateKind) -> Self {
        let Choice { sharing, batch, .. } = Choice::new(strategy, update);
        Self { strategy, update, sharing, batch }
    }

    /// The choice that this method stands for.
    pub fn choice(self, seed: u64) -> Choice {
        Choice { sharing: self.sharing, batch: self.batch, seed, ..Choice::new(self.strategy, self.update) }
    }

    /// Whether somebody must choose its step size.
    pub fn has_step_size(self) -> bool {
        self.update != UpdateKind::Sdca
    }

    /// The plain sequential method with the same update: what a speed-up is measured against.
    pub fn sequential(self) -> Self {
        Self { strategy: StrategyKind::Sequential, ..self }
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let wanted = |what: String| Error::Usage(format!("{given} is no method: {what}"));
        let (way, update) = given
            .split_once('+')
            .ok_or_else(|| wanted("STRATEGY+UPDATE is wanted, such as hogwild+sdca or hogwild:wild+sgd".into()))?;
        let (strategy, option) = way.split_once(':').map_or((way, None), |(strategy, option)| (strategy, Some(option)));
        let strategy =
            named(StrategyKind::ALL, StrategyKind::name, strategy).map_err(|names| wanted(format!("strategies are {names}")))?;
        let update = named(UpdateKind::ALL, UpdateKind::name, update).map_err(|names| wanted(format!("updates are {names}")))?;
        let Self { mut sharing, mut batch, .. } = Self::new(strategy, update);
        match (strategy, option) {
            (_, None) => {}
            (StrategyKind::Hogwild, Some(memory)) => {
                sharing = named(Sharing::ALL, Sharing::name, memory).map_err(|names| wanted(format!("memories are {names}")))?;
            }
            (StrategyKind::Minibatch, Some("all")) => batch = usize::MAX,
            (StrategyKind::Minibatch, Some(rows)) => {
                batch = rows
                    .parse()
                    .ok()
                    .filter(|&rows| rows > 0)
                    .ok_or_else(|| wanted("a batch is a number of rows, or all".into()))?;
            }
            (_, Some(_)) => return Err(wanted(format!("{} takes nothing after a colon", strategy.name()))),
        }
        Ok(Self { strategy, update, sharing, batch })
    }
}

/// The one of this name, or all names.
fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, given: &str) -> std::result::Result<T, String> {
    let names = || all.iter().map(|&one| name(one)).collect::<Vec<_>>().join(", ");
    all.iter().copied().find(|&one| name(one) == given).ok_or_else(names)
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = Choice::new(self.strategy, self.update);
        out.write_str(self.strategy.name())?;
        match self.strategy {
            StrategyKind::Hogwild if self.sharing != usual.sharing => write!(out, ":{}", self.sharing.name())?,
            StrategyKind::Minibatch if self.batch == usize::MAX => out.write_str(":all")?,
            StrategyKind::Minibatch if self.batch != usual.batch => write!(out, ":{}", self.batch)?,
            _ => {}
        }
        write!(out, "+{}", self.update.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_written_as_it_is_read() {
        for text in [
            "hogwild+sdca",
            "hogwild:wild+sgd",
            "hogwild:atomic+adagrad",
            "minibatch+sgd",
            "minibatch:7+sgd",
            "minibatch:all+sgd",
        ] {
            assert_eq!(text.parse::<Method>().expect("a method").to_string(), text);
        }
        assert_eq!("hogwild:replicated+sgd".parse::<Method>().expect("a method").to_string(), "hogwild+sgd");
    }

    #[test]
    fn what_is_no_method_is_refused_with_what_is_wanted() {
        for (text, word) in [
            ("sgd", "STRATEGY+UPDATE"),
            ("wild+sgd", "strategies are hogwild"),
            ("hogwild+sdg", "updates are sdca"),
            ("hogwild:tame+sgd", "memories are replicated"),
            ("minibatch:0+sgd", "a number of rows"),
            ("sequential:wild+sgd", "nothing after a colon"),
        ] {
            let error = text.parse::<Method>().expect_err("no method").to_string();
            assert!(error.contains(word) && error.contains(text), "{error}");
        }
    }
}
