//! Staleness, contention, and what Hogwild!'s theorem makes of them.
//!
//! A step that reads weights from which tau steps of others are missing must be shorter, so that more of them are needed. By
//! Proposition 4.1 of Niu, Recht, Ré & Wright (Hogwild!, NIPS 2011), beside a serial run by at most the factor
//!
//! ```text
//! 1 + 6 tau rho + 6 tau^2 Omega sqrt(Delta)
//! ```
//!
//! with Omega the largest row, Delta the largest share of rows that one feature is in, and rho the largest share of rows that one
//! row meets. It is proven for sgd with a constant step on a strongly convex sum. Beside it stands the factor that was measured:
//! epochs to epsilon at T threads over epochs at one thread of the same method.

use crate::lab::Data;
use crate::lab::report::axis::{Axis, Scale, Unit};
use crate::lab::report::number::{counted, figure, percent, threads};
use crate::lab::report::page::{Part, Section, Table};
use crate::lab::report::plot::{Dots, Line, Lines, Mark, Plot, Row};
use crate::lab::report::spread::Spread;
use crate::lab::report::summary::{Cell, Summary};

/// What the probe may cost.
const PROBE_LIMIT: f64 = 0.02;

/// Staleness of a method at a number of threads.
struct Stale<'s, 'a> {
    cell: &'s Cell<'a>,
    /// The median over runs of the mean, of the median and of what 99 of 100 do not exceed.
    mean: f64,
    p50: f64,
    p99: f64,
    /// The largest of any run.
    max: f64,
}

fn all<'s, 'a>(summary: &'s Summary<'a>) -> Vec<Stale<'s, 'a>> {
    let ranking = summary.ranking();
    let cells = ranking.iter().flat_map(|best| summary.of(best.method));
    let stale = cells.filter_map(|cell| {
        let samples: Vec<_> = cell.runs.iter().filter_map(|run| run.staleness).filter(|seen| seen.samples > 0).collect();
        let max = samples.iter().map(|seen| seen.max).max()?;
        let middle = |of: fn(&crate::lab::Staleness) -> f64| Spread::of(samples.iter().map(of)).middle;
        let (mean, p50, p99) = (middle(|seen| seen.mean), middle(|seen| seen.p50.into()), middle(|seen| seen.p99.into()));
        Some(Stale { cell, mean, p50, p99, max: max.into() })
    });
    stale.collect()
}

/// The section, if anything of it was measured.
pub fn section(summary: &Summary) -> Option<Section> {
    let stale = all(summary);
    let results = summary.results;
    if stale.is_empty() && results.contention.is_empty() && results.components.is_none() {
        return None;
    }
    let parts = vec![
        Part::Plot { name: "staleness", plot: plot(summary, &stale), seen: seen(summary, &stale) },
        Part::Plot { name: "contention", plot: contention(summary), seen: seen_contention(summary) },
        Part::Text(components(summary)),
        Part::Text(theorem(summary, &stale)),
        Part::Table(table(summary, &stale)),
    ];
    Some(Section { title: "Staleness and contention", parts })
}

fn plot(summary: &Summary, stale: &[Stale]) -> Plot {
    let mut counts: Vec<usize> = stale.iter().map(|stale| stale.cell.threads).collect();
    counts.sort_unstable();
    counts.dedup();
    let mut rows: Vec<Row> = Vec::new();
    for Stale { cell, mean, p50, p99, .. } in stale {
        let Some(series) = counts.iter().position(|&n| n == cell.threads) else { continue };
        let mark = Mark { x: 0.0, y: *mean, whisker: Some((*p50, *p99)), hollow: summary.over_cores(cell.threads) };
        match rows.last_mut().filter(|row| row.name == cell.method) {
            Some(row) => row.marks.push((series, mark)),
            None => rows.push(Row { name: cell.method.into(), marks: vec![(series, mark)] }),
        }
    }
    Plot::Dots(Dots {
        title: "Staleness: steps of others that a step did not see".into(),
        x: Axis::new("steps (mark: mean, bar: p50 to p99)", Scale::FromZero(1.0), Unit::Plain),
        series: counts.iter().map(|&n| threads(n)).collect(),
        rows,
        none: "not sampled",
    })
}

fn seen(summary: &Summary, stale: &[Stale]) -> Vec<String> {
    let mut said = Vec::new();
    let by = |a: &&Stale, b: &&Stale| a.mean.total_cmp(&b.mean);
    if let (Some(most), Some(least)) = (stale.iter().max_by(by), stale.iter().min_by(by)) {
        said.push(format!(
            "Stalest in the mean is {}: {} steps, half of them within {}, 99 of 100 within {}, the stalest of all {}.",
            most.cell.name(),
            figure(most.mean),
            figure(most.p50),
            figure(most.p99),
            figure(most.max)
        ));
        if most.cell.name() != least.cell.name() {
            said.push(format!("Least stale is {}, with {} in the mean.", least.cell.name(), figure(least.mean)));
        }
    } else {
        said.push("Staleness was not sampled.".into());
    }
    if let Some(cost) = summary.results.probe_cost.filter(|cost| cost.is_finite()) {
        said.push(match cost {
            cost if cost <= 0.0 => format!("Sampling slows an epoch by nothing that can be told ({}).", percent(cost)),
            cost if cost <= PROBE_LIMIT => format!("Sampling slows an epoch by {}.", percent(cost)),
            cost => format!(
                "Sampling slows an epoch by {}, more than the {} that it should at most.",
                percent(cost),
                percent(PROBE_LIMIT)
            ),
        });
    }
    said
}

fn contention(summary: &Summary) -> Plot {
    let mut seen = summary.results.contention.clone();
    seen.sort_by_key(|seen| seen.threads);
    let counts: Vec<usize> = seen.iter().map(|seen| seen.threads).collect();
    let mark = |n: usize, y: f64| Mark { hollow: summary.over_cores(n), ..Mark::new(n as f64, y) };
    let line = |name: &str, marks: Vec<Mark>| Line { name: name.into(), marks, guide: false };
    Plot::Lines(Lines {
        title: "What additions meet".into(),
        x: Axis::threads(&counts),
        y: Axis::new("of 100 additions", Scale::Linear, Unit::Percent),
        lines: vec![
            line("wild: additions lost", seen.iter().map(|seen| mark(seen.threads, seen.lost)).collect()),
            line("atomic: failed swaps", seen.iter().map(|seen| mark(seen.threads, seen.retries)).collect()),
        ],
        dodge: false,
    })
}

fn seen_contention(summary: &Summary) -> Vec<String> {
    let by_threads = |seen: &&crate::lab::Contention| seen.threads;
    let Some(most) = summary.results.contention.iter().max_by_key(by_threads) else {
        return vec!["Contention was not measured.".into()];
    };
    let at = threads(most.threads);
    let lost = match most.lost {
        lost if lost > 0.0 => format!("{} of wild additions are lost", percent(lost)),
        _ => "no wild addition was lost".into(),
    };
    let retries = match most.retries {
        retries if retries > 0.0 => format!("an atomic addition meets {} failed compare-and-swaps in the mean", figure(retries)),
        _ => "no compare-and-swap failed".into(),
    };
    vec![format!("At {at} {lost}, and {retries}.")]
}

fn components(summary: &Summary) -> String {
    let Some(seen) = &summary.results.components else {
        return "Conflict components of batches were not measured.".into();
    };
    let apart = match seen.largest_share {
        share if share > 0.5 => "most of a batch hangs together, so that one worker does most of it",
        _ => "batches fall apart into pieces that workers can share",
    };
    format!(
        "A batch of {} falls into {} conflict components of {} rows in the mean, the largest with {} of it: {apart}.",
        counted(seen.batch, "row"),
        figure(seen.mean_count),
        figure(seen.mean_rows),
        percent(seen.largest_share)
    )
}

/// The theorem's factor on the number of steps.
pub fn inflation(data: &Data, tau: f64) -> f64 {
    1.0 + 6.0 * tau * data.rho + 6.0 * tau * tau * data.omega * data.delta.sqrt()
}

/// Epochs at T threads over epochs at one.
fn measured(summary: &Summary, cell: &Cell) -> Option<f64> {
    let factor = cell.epochs.middle / summary.cell(cell.method, 1)?.epochs.middle;
    factor.is_finite().then_some(factor)
}

fn theorem(summary: &Summary, stale: &[Stale]) -> String {
    let data = &summary.results.data;
    let numbers = format!("Omega = {}, Delta = {}, rho = {}", figure(data.omega), percent(data.delta), percent(data.rho));
    let rule = format!(
        "Hogwild!'s theorem (Niu et al. 2011, Proposition 4.1; for sgd with a constant step) allows 1 + 6 tau rho + 6 tau² Omega \
         sqrt(Delta) times the steps of one thread; here {numbers}."
    );
    let hogwild = stale.iter().filter(|stale| is_hogwild(stale.cell.method));
    let measured = hogwild.filter_map(|stale| Some((stale, measured(summary, stale.cell)?)));
    let Some((most, factor)) = measured.max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return format!(
            "{rule} No run of hogwild:wild+sgd or hogwild:atomic+sgd at several threads came to the epsilon with its staleness known, to compare with it."
        );
    };
    let (by_mean, by_max) = (inflation(data, most.mean), inflation(data, most.max));
    let verdict = match factor {
        factor if factor <= by_mean => "the bound holds, even with the mean staleness for tau",
        factor if factor <= by_max => "within what it allows for the stalest step, though not for the mean",
        _ => "more than it allows, which it may be: the runs do not meet all of its conditions, and seeds differ",
    };
    format!(
        "{rule} The most that was measured is {} times, by {}; the theorem allows {} times for its mean staleness ({}) and {} times for the \
         largest seen ({}): {verdict}.",
        figure(factor),
        most.cell.name(),
        figure(by_mean),
        figure(most.mean),
        figure(by_max),
        figure(most.max)
    )
}

/// What the theorem is about.
fn is_hogwild(method: &str) -> bool {
    method == "hogwild:wild+sgd" || method == "hogwild:atomic+sgd"
}

fn table(summary: &Summary, stale: &[Stale]) -> Table {
    let mut table = Table::new(&[
        "method",
        "threads",
        "mean",
        "median",
        "99 of 100 within",
        "largest",
        "allowed, tau the mean",
        "allowed, tau the largest",
        "measured",
    ]);
    let data = &summary.results.data;
    for Stale { cell, mean, p50, p99, max } in stale {
        let allowed =
            |tau| if is_hogwild(cell.method) { format!("{} times", figure(inflation(data, tau))) } else { "–".into() };
        let mut row = vec![cell.method.to_owned(), cell.threads.to_string()];
        row.extend([*mean, *p50, *p99, *max].map(figure));
        row.extend([allowed(*mean), allowed(*max)]);
        row.push(measured(summary, cell).map_or("–".into(), |factor| format!("{} times the epochs", figure(factor))));
        table.rows.push(row);
    }
    table
}
