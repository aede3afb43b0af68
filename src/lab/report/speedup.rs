//! Speed-up against threads: seconds to epsilon of a reference over seconds to the same epsilon at T threads.
//!
//! There are two references, and they answer two questions. Against our own plain sequential code: what did sharing buy, its
//! overhead paid? Against one thread of the same strategy: how does it scale? The second alone flatters (McSherry, Isard &
//! Murray, Scalability! But at what COST?, HotOS 2015).

use crate::lab::report::axis::{Axis, Scale, Unit};
use crate::lab::report::headline::compared;
use crate::lab::report::number::{counted, epsilon, figure, were};
use crate::lab::report::page::{Part, Section};
use crate::lab::report::plot::{Line, Lines, Mark, Plot};
use crate::lab::report::summary::{Cell, Summary};

/// Who a method is compared with.
#[derive(Clone, Copy, PartialEq)]
enum Reference {
    Sequential,
    Itself,
}

impl Reference {
    fn name(self) -> &'static str {
        match self {
            Self::Sequential => "plain sequential code with the same update",
            Self::Itself => "one thread of itself",
        }
    }

    fn of<'s, 'a>(self, summary: &'s Summary<'a>, method: &str) -> Option<&'s Cell<'a>> {
        match self {
            Self::Sequential => summary.sequential(method),
            Self::Itself => summary.cell(method, 1),
        }
    }

    /// The threads of a method and its median speed-up at them, where both came to the epsilon.
    fn speed_ups(self, summary: &Summary, method: &str) -> Vec<(usize, f64)> {
        let reference = self.of(summary, method);
        let at = |cell: &Cell| Some((cell.threads, Summary::speed_up(reference, cell)?.middle));
        summary.of(method).filter_map(at).collect()
    }
}

/// The section.
pub fn section(summary: &Summary) -> Section {
    let part = |name, reference: Reference| {
        let (plot, left_out) = plot(summary, reference);
        let mut seen = seen(summary, reference);
        seen.extend(left_out);
        Part::Plot { name, plot: Plot::Lines(plot), seen }
    };
    let parts = vec![part("speedup-sequential", Reference::Sequential), part("speedup-itself", Reference::Itself)];
    Section { title: "Speed-up against threads", parts }
}

/// Methods that share their work, and can be compared.
fn comparable<'a>(summary: &Summary<'a>, reference: Reference) -> Vec<&'a str> {
    let shares = |method: &&str| !method.starts_with("sequential");
    let compares = |method: &&str| !reference.speed_ups(summary, method).is_empty();
    summary.methods.iter().copied().filter(shares).filter(compares).collect()
}

/// The plot, and a sentence on what is not in it.
fn plot(summary: &Summary, reference: Reference) -> (Lines, Option<String>) {
    let comparable = comparable(summary, reference);
    let chosen = summary.telling(|method| comparable.contains(&method));
    let line = |&method: &&str| {
        let base = reference.of(summary, method);
        let mark = |cell: &Cell| {
            let speed_up = Summary::speed_up(base, cell)?;
            let whisker = (cell.runs.len() > 1).then_some((speed_up.low, speed_up.high));
            Some(Mark { x: cell.threads as f64, y: speed_up.middle, whisker, hollow: summary.over_cores(cell.threads) })
        };
        Line { name: method.into(), marks: summary.of(method).filter_map(mark).collect(), guide: false }
    };
    let threads = summary.threads();
    // The ideal is a line of slope one, and a curve where threads are drawn on a logarithm: both axes are.
    let ideal = threads.iter().map(|&n| Mark::new(n as f64, n as f64)).collect();
    let mut lines = vec![Line { name: "ideal: as many times as threads".into(), marks: ideal, guide: true }];
    lines.extend(chosen.iter().map(line));
    let to = summary.epsilon.map_or(String::new(), |(_, wanted)| format!(", to {}", epsilon(wanted)));
    let left_out = comparable.len() - chosen.len();
    let left_out =
        (left_out > 0).then(|| format!("{} left out of this plot; all stand in the table of times below.", were(left_out)));
    let lines = Lines {
        title: format!("Speed-up against {}{to}", reference.name()),
        x: Axis::threads(&threads),
        y: Axis::new("times as fast (median over seeds, bars: quartiles)", Scale::Log, Unit::Plain),
        lines,
        dodge: true,
    };
    (lines, left_out)
}

/// What is seen: who gains most, how many gain, and how Hogwild! fares as it was published.
fn seen(summary: &Summary, reference: Reference) -> Vec<String> {
    let name = reference.name();
    // With one thread a method is its own reference.
    let of = |method: &str| -> Vec<(usize, f64)> {
        let all = reference.speed_ups(summary, method).into_iter();
        all.filter(|&(threads, _)| threads > 1).collect()
    };
    let comparable = comparable(summary, reference);
    let top = |method: &str| of(method).into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let tops: Vec<(&str, (usize, f64))> = comparable.iter().filter_map(|&method| Some((method, top(method)?))).collect();
    let Some(&(best, (threads, most))) = tops.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1)) else {
        return vec![format!("No method can be compared with {name} at more than one thread: one of the two never came so far.")];
    };
    let mut all = Vec::new();
    if most > 1.0 {
        all.push(format!("{best} gains most: {} times the speed of {name}, at {threads} threads.", figure(most)));
        let gain = tops.iter().filter(|(_, (_, times))| *times > 1.0).count();
        let lose = tops.len() - gain;
        all.push(match lose {
            0 => format!("All {} are faster so at some number of threads above one.", counted(gain, "compared method")),
            _ => format!(
                "Of {}, {gain} gain at some number of threads above one, and {lose} never do.",
                counted(tops.len(), "compared method")
            ),
        });
    } else {
        all.push(format!(
            "No method gains anything by more threads: {best} comes nearest, with {} times the speed of {name} at {threads} threads.",
            figure(most)
        ));
    }
    all.extend(factors(summary, best, threads).filter(|_| reference == Reference::Itself));
    let published = "hogwild:wild+sgd";
    if best != published
        && let Some(&(threads, _)) = of(published).iter().rfind(|at| !summary.over_cores(at.0)).or(of(published).last())
        && let Some(cell) = summary.cell(published, threads)
        && let Some(speed_up) = Summary::speed_up(reference.of(summary, published), cell)
    {
        all.push(format!("Hogwild! as it was published ({published}) is, at {threads} threads, {}.", compared(&speed_up, name)));
    }
    if summary.threads().iter().any(|&n| summary.over_cores(n)) {
        let cores = counted(summary.results.machine.n_cores, "core");
        all.push(format!("Hollow marks stand for more threads than the machine's {cores}."));
    }
    all
}

/// Whether the gain, or the loss, is one of epochs or of seconds an epoch.
fn factors(summary: &Summary, method: &str, threads: usize) -> Option<String> {
    let (one, many) = (summary.cell(method, 1)?, summary.cell(method, threads)?);
    let epochs = many.epochs.middle / one.epochs.middle;
    let seconds = many.epoch_seconds.middle / one.epoch_seconds.middle;
    (epochs.is_finite() && seconds.is_finite()).then(|| {
        format!(
            "At {threads} threads it needs {} times the epochs of one thread, and each takes {} times the seconds.",
            figure(epochs),
            figure(seconds)
        )
    })
}
