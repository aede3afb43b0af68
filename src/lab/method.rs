//! A method as the lab's user names it: `strategy+update`, with a strategy's option after a colon.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::strategy::{Choice, Compression, Sharing, StrategyKind, UpdateKind};

/// Strategy x update with the strategy's own option:
///
/// | written | meaning |
/// |---|---|
/// | `hogwild+sdca` | replicated memory |
/// | `hogwild:wild+sgd`, `hogwild:atomic+sgd` | that memory |
/// | `hogwild:deterministic+sdca` | replicated memory, merged on a fixed schedule |
/// | `minibatch:256+sgd`, `minibatch:all+sgd` | so many rows a step; all of them are gradient descent |
/// | `minibatch:qsgd:16+sgd`, `minibatch:topk:100+sgd` | workers send their gradients, compressed |
/// | `averaging:4+sgd`, `averaging:never+sgd` | workers set out from their mean every 4 epochs, or never |
/// | `coordinate` | a step of its own, and so no update |
#[derive(Debug, Clone, PartialEq)]
pub struct Method(Choice);

impl Method {
    /// Strategy x update with the usual option.
    pub fn new(strategy: StrategyKind, update: UpdateKind) -> Self {
        Self(Choice::new(strategy, update))
    }

    /// Hogwild! with this memory.
    pub fn hogwild(sharing: Sharing, update: UpdateKind) -> Self {
        Self(Choice { sharing, ..Choice::new(StrategyKind::Hogwild, update) })
    }

    /// How workers share the weights.
    pub fn strategy(&self) -> StrategyKind {
        self.0.strategy
    }

    /// The choice that this method stands for.
    pub fn choice(&self, seed: u64) -> Choice {
        Choice { seed, ..self.0.clone() }
    }

    /// Whether somebody must choose its step size.
    pub fn has_step_size(&self) -> bool {
        self.0.update != UpdateKind::Sdca && !self.0.strategy.has_own_step()
    }

    /// What a speed-up is measured against: plain sequential code with the same update, or one worker of itself where no update
    /// is chosen.
    pub fn sequential(&self) -> Self {
        if self.0.strategy.has_own_step() { self.clone() } else { Self::new(StrategyKind::Sequential, self.0.update) }
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self> {
        let wanted = |what: String| Error::Usage(format!("{given} is no method: {what}"));
        let (way, update) = given.split_once('+').map_or((given, None), |(way, update)| (way, Some(update)));
        let (strategy, option) = way.split_once(':').map_or((way, None), |(strategy, option)| (strategy, Some(option)));
        let update = match (update, named(StrategyKind::ALL, StrategyKind::name, strategy)) {
            (Some(_), Ok(kind)) if kind.has_own_step() => {
                return Err(wanted(format!("{strategy} has a step of its own; no update is wanted")));
            }
            (None, Ok(kind)) if kind.has_own_step() => UpdateKind::Sgd,
            (None, _) => return Err(wanted("STRATEGY+UPDATE is wanted, such as hogwild+sdca or hogwild:wild+sgd".into())),
            (Some(update), _) => {
                named(UpdateKind::ALL, UpdateKind::name, update).map_err(|names| wanted(format!("updates are {names}")))?
            }
        };
        let strategy =
            named(StrategyKind::ALL, StrategyKind::name, strategy).map_err(|names| wanted(format!("strategies are {names}")))?;
        let mut choice = Choice::new(strategy, update);
        match (strategy, option) {
            (_, None) => {}
            (StrategyKind::Hogwild, Some("deterministic")) => choice.deterministic = true,
            (StrategyKind::Hogwild, Some(memory)) => {
                choice.sharing =
                    named(Sharing::ALL, Sharing::name, memory).map_err(|names| wanted(format!("memories are {names}")))?;
            }
            (StrategyKind::Minibatch, Some("all")) => choice.batch = usize::MAX,
            (StrategyKind::Minibatch, Some(option)) => match option.parse::<usize>() {
                Ok(rows) if rows > 0 => choice.batch = rows,
                _ => {
                    let compression = option.parse::<Compression>();
                    choice.compression = Some(compression.map_err(|what| wanted(format!("a number of rows, all, or {what}")))?);
                }
            },
            (StrategyKind::Averaging, Some("never")) => choice.average_every = None,
            (StrategyKind::Averaging, Some(epochs)) => {
                let epochs = epochs.parse().ok().filter(|&epochs| epochs > 0);
                choice.average_every = Some(epochs.ok_or_else(|| wanted("a number of epochs, or never, is wanted".into()))?);
            }
            (_, Some(_)) => return Err(wanted(format!("{} takes nothing after a colon", strategy.name()))),
        }
        Ok(Self(choice))
    }
}

/// The one of this name, or all names.
fn named<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, given: &str) -> std::result::Result<T, String> {
    let names = || all.iter().map(|&one| name(one)).collect::<Vec<_>>().join(", ");
    all.iter().copied().find(|&one| name(one) == given).ok_or_else(names)
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (choice, usual) = (&self.0, Choice::new(self.0.strategy, self.0.update));
        out.write_str(choice.strategy.name())?;
        if choice.deterministic {
            out.write_str(":deterministic")?;
        }
        if choice.sharing != usual.sharing {
            write!(out, ":{}", choice.sharing.name())?;
        }
        match choice.batch {
            usize::MAX => out.write_str(":all")?,
            batch if batch != usual.batch => write!(out, ":{batch}")?,
            _ => {}
        }
        if let Some(compression) = choice.compression {
            write!(out, ":{compression}")?;
        }
        match choice.average_every {
            None => out.write_str(":never")?,
            every if every != usual.average_every => write!(out, ":{}", every.unwrap_or_default())?,
            _ => {}
        }
        choice.update_name().map_or(Ok(()), |update| write!(out, "+{update}"))
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
            "hogwild:deterministic+sdca",
            "minibatch+sgd",
            "minibatch:7+sgd",
            "minibatch:all+sgd",
            "minibatch:qsgd:16+sgd",
            "minibatch:topk:5:forget+sgd",
            "averaging+adagrad",
            "averaging:3+sgd",
            "averaging:never+sgd",
            "coordinate",
        ] {
            let method: Method = text.parse().expect("a method");
            assert_eq!(method.to_string(), text);
            assert_eq!(method.to_string().parse::<Method>().expect("a method"), method);
        }
        assert_eq!("hogwild:replicated+sgd".parse::<Method>().expect("a method").to_string(), "hogwild+sgd");
    }

    #[test]
    fn what_is_no_method_is_refused_with_what_is_wanted() {
        for (text, word) in [
            ("sgd", "STRATEGY+UPDATE"),
            ("hogwild", "STRATEGY+UPDATE"),
            ("wild+sgd", "strategies are hogwild"),
            ("hogwild+sdg", "updates are sdca"),
            ("hogwild:tame+sgd", "memories are replicated"),
            ("minibatch:0+sgd", "a number of rows"),
            ("minibatch:zip+sgd", "qsgd:LEVELS"),
            ("averaging:0+sgd", "a number of epochs"),
            ("coordinate+sgd", "no update is wanted"),
            ("sequential:wild+sgd", "nothing after a colon"),
        ] {
            let error = text.parse::<Method>().expect_err("no method").to_string();
            assert!(error.contains(word) && error.contains(text), "{error}");
        }
    }
}
