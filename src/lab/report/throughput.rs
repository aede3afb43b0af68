//! Throughput: rows, non-zeros and bytes a second, against the bandwidth that was measured by reading memory in order. A share
//! near 100 % means that memory is the limit; above it, that rows come out of the caches.

use crate::lab::Run;
use crate::lab::report::axis::{Axis, Scale, Unit};
use crate::lab::report::number::{figure, percent, were};
use crate::lab::report::page::{Part, Section, Table};
use crate::lab::report::plot::{Line, Lines, Mark, Plot};
use crate::lab::report::spread::Spread;
use crate::lab::report::summary::{Cell, Summary};

/// The section.
pub fn section(summary: &Summary) -> Section {
    let chosen = summary.telling(|_| true);
    let bandwidth = &summary.results.machine.bandwidth;
    let guide = bandwidth.iter().map(|&(n, rate)| Mark::new(n as f64, rate)).collect();
    let mut lines = vec![Line { name: "memory, read in order".into(), marks: guide, guide: true }];
    lines.extend(chosen.iter().map(|method| {
        let mark = |cell: &Cell| {
            let rate = gigabytes(cell);
            let whisker = (cell.runs.len() > 1).then_some((rate.low, rate.high));
            Mark { x: cell.threads as f64, y: rate.middle, whisker, hollow: summary.over_cores(cell.threads) }
        };
        Line { name: (*method).into(), marks: summary.of(method).map(mark).collect(), guide: false }
    }));
    let plot = Plot::Lines(Lines {
        title: "Bytes of rows read, a second".into(),
        x: Axis::threads(&summary.threads()),
        y: Axis::new("GB/s (median, bars: quartiles)", Scale::Linear, Unit::Plain),
        lines,
        dodge: true,
    });
    let parts = vec![
        Part::Plot { name: "throughput", plot, seen: seen(summary, summary.methods.len() - chosen.len()) },
        Part::Folded("Updates, non-zeros and bytes a second of all methods".into(), table(summary)),
    ];
    Section { title: "Throughput", parts }
}

fn rate(cell: &Cell, of: impl Fn(&Run) -> f64) -> Spread {
    Spread::of(cell.runs.iter().map(|run| if run.train_seconds > 0.0 { of(run) / run.train_seconds } else { f64::NAN }))
}

fn gigabytes(cell: &Cell) -> Spread {
    rate(cell, |run| run.bytes / 1e9)
}

/// The share of the bandwidth that was measured for as many threads, or for the most below.
fn share(summary: &Summary, cell: &Cell) -> Option<f64> {
    let measured = summary.results.machine.bandwidth.iter().filter(|&&(n, rate)| n <= cell.threads && rate > 0.0);
    let &(_, limit) = measured.max_by_key(|(n, _)| *n)?;
    let share = gigabytes(cell).middle / limit;
    share.is_finite().then_some(share)
}

fn seen(summary: &Summary, left_out: usize) -> Vec<String> {
    let read = |cell: &&Cell| gigabytes(cell).came();
    let Some(most) = summary.cells.iter().filter(read).max_by(|a, b| gigabytes(a).middle.total_cmp(&gigabytes(b).middle)) else {
        return vec!["No run has told how long it took.".into()];
    };
    let rate = gigabytes(most).middle;
    let mut all = vec![match share(summary, most) {
        Some(share) => {
            let limit = match share {
                share if share > 1.0 => "rows come out of the caches",
                share if share > 0.7 => "memory is near its limit",
                _ => "memory is not the limit",
            };
            format!(
                "{} reads most, {} GB/s, {} of what memory gave when read in order: {limit}.",
                most.name(),
                figure(rate),
                percent(share)
            )
        }
        None => format!("{} reads most, {} GB/s; the bandwidth of memory was not measured.", most.name(), figure(rate)),
    }];
    if let Some(fastest) = summary.fastest().filter(|fastest| fastest.method != most.method) {
        let share = share(summary, fastest).map_or(String::new(), |share| format!(" ({})", percent(share)));
        all.push(format!("The fastest to epsilon, {}, reads {} GB/s{share}.", fastest.name(), figure(gigabytes(fastest).middle)));
    }
    if left_out > 0 {
        all.push(format!("{} left out of this plot; all stand in the table.", were(left_out)));
    }
    all
}

fn table(summary: &Summary) -> Table {
    let mut table =
        Table::new(&["method", "threads", "workers", "million updates/s", "million non-zeros/s", "GB/s", "of memory's"]);
    for best in summary.ranking() {
        for cell in summary.of(best.method) {
            let workers = Spread::of(cell.runs.iter().map(|run| run.workers as f64));
            table.rows.push(vec![
                cell.method.to_owned(),
                cell.threads.to_string(),
                figure(workers.middle),
                rate(cell, |run| run.updates as f64 / 1e6).text(figure),
                rate(cell, |run| run.nonzeros / 1e6).text(figure),
                gigabytes(cell).text(figure),
                share(summary, cell).map_or("–".into(), percent),
            ]);
        }
    }
    table
}
