//! Time to epsilon, the figure that counts, and its two factors (Zhang & Ré, DimmWitted, VLDB 2014):
//!
//! ```text
//! seconds to epsilon = epochs to epsilon (statistical efficiency) x seconds an epoch (hardware efficiency)
//! ```

use crate::lab::report::axis::{Axis, Scale, Unit};
use crate::lab::report::number::{counted, epsilon, figure, seconds, threads, were};
use crate::lab::report::page::{Part, Section, Table};
use crate::lab::report::plot::{Dots, Mark, Plot, Row};
use crate::lab::report::spread::Spread;
use crate::lab::report::summary::{Cell, Summary};

/// The section.
pub fn section(summary: &Summary) -> Section {
    let to = summary.epsilon.map_or(String::new(), |(_, wanted)| format!(" to {}", epsilon(wanted)));
    let dots = |title: String, axis: &str, unit: Unit, of: fn(&Cell) -> Spread| {
        by_threads(summary, title, Axis::new(axis, Scale::Log, unit), of, "not reached by half of the runs")
    };
    let time = dots(format!("Seconds of training{to}"), "seconds (median, bars: quartiles)", Unit::Seconds, |cell| cell.seconds);
    let epochs = dots(format!("Epochs{to}"), "epochs (median, bars: quartiles)", Unit::Plain, |cell| cell.epochs);
    let hardware = dots("Seconds an epoch".into(), "seconds (median, bars: quartiles)", Unit::Seconds, |cell| cell.epoch_seconds);
    let parts = vec![
        Part::Plot { name: "time-to-epsilon", plot: time, seen: seen_time(summary) },
        Part::Plot { name: "epochs-to-epsilon", plot: epochs, seen: seen_epochs(summary) },
        Part::Plot { name: "seconds-an-epoch", plot: hardware, seen: seen_hardware(summary) },
        Part::Text(beating(summary)),
        Part::Table(table(summary)),
    ];
    Section { title: "Time to epsilon", parts }
}

/// A row a method, the fastest first, and a mark for each number of threads.
pub fn by_threads(summary: &Summary, title: String, x: Axis, of: impl Fn(&Cell) -> Spread, none: &'static str) -> Plot {
    let all = summary.threads();
    let mark = |cell: &Cell| {
        let Spread { low, middle, high } = of(cell);
        let whisker = (cell.runs.len() > 1).then_some((low, high));
        let series = all.iter().position(|&n| n == cell.threads)?;
        Some((series, Mark { x: 0.0, y: middle, whisker, hollow: summary.over_cores(cell.threads) }))
    };
    let rows = summary
        .ranking()
        .into_iter()
        .map(|best| Row { name: best.method.into(), marks: summary.of(best.method).filter_map(mark).collect() });
    Plot::Dots(Dots { title, x, series: all.iter().map(|&n| threads(n)).collect(), rows: rows.collect(), none })
}

fn seen_time(summary: &Summary) -> Vec<String> {
    let ranking = summary.ranking();
    let came: Vec<&&Cell> = ranking.iter().filter(|cell| cell.seconds.came()).collect();
    let (Some(first), Some(last)) = (came.first(), came.last()) else {
        return vec!["No method came to any epsilon in half of its runs.".into()];
    };
    let mut all = Vec::new();
    if came.len() > 1 {
        let times = figure(last.seconds.middle / first.seconds.middle);
        all.push(format!(
            "Each at its best number of threads, {} is the fastest ({}) and {} the slowest that comes there ({}, {times} times as long).",
            first.name(), seconds(first.seconds.middle), last.name(), seconds(last.seconds.middle),
        ));
    } else {
        all.push(format!("Only {} comes there, in {}.", first.name(), seconds(first.seconds.middle)));
    }
    let never: Vec<&str> = ranking.iter().filter(|cell| !cell.seconds.came()).map(|cell| cell.method).collect();
    match never.len() {
        0 => {}
        1..=6 => all.push(format!("Never in half of the runs: {}.", never.join(", "))),
        n => all.push(format!("{} never come there in half of their runs.", counted(n, "method"))),
    }
    let slower = came.iter().filter(|cell| cell.threads == 1 && summary.of(cell.method).count() > 1).count();
    if slower > 0 {
        all.push(format!("{} faster with one thread than with any other number that was tried.", were(slower)));
    }
    all
}

fn seen_epochs(summary: &Summary) -> Vec<String> {
    let fewest =
        summary.cells.iter().filter(|cell| cell.epochs.came()).min_by(|a, b| a.epochs.middle.total_cmp(&b.epochs.middle));
    let (Some(fewest), Some(fastest)) = (fewest, summary.fastest()) else {
        return vec!["No method came so far.".into()];
    };
    if fewest.method == fastest.method {
        return vec![format!(
            "{} needs the fewest epochs ({}), and it is the fastest method too.",
            fewest.name(),
            figure(fewest.epochs.middle)
        )];
    }
    vec![format!(
        "{} needs the fewest epochs ({}), but an epoch takes it {}; the fastest to epsilon, {}, needs {} of {}.",
        fewest.name(),
        figure(fewest.epochs.middle),
        seconds(fewest.epoch_seconds.middle),
        fastest.name(),
        figure(fastest.epochs.middle),
        seconds(fastest.epoch_seconds.middle),
    )]
}

fn seen_hardware(summary: &Summary) -> Vec<String> {
    let timed = || summary.cells.iter().filter(|cell| cell.epoch_seconds.came());
    let Some(fastest) = timed().min_by(|a, b| a.epoch_seconds.middle.total_cmp(&b.epoch_seconds.middle)) else {
        return Vec::new();
    };
    let mut all = vec![format!("{} has the fastest epoch, {}.", fastest.name(), seconds(fastest.epoch_seconds.middle))];
    let most = summary.threads().last().copied().unwrap_or(1);
    let pairs = summary.methods.iter().filter_map(|method| Some((summary.cell(method, 1)?, summary.cell(method, most)?)));
    let pairs: Vec<_> = pairs.filter(|(one, many)| most > 1 && one.epoch_seconds.came() && many.epoch_seconds.came()).collect();
    let slower = pairs.iter().filter(|(one, many)| many.epoch_seconds.middle > one.epoch_seconds.middle).count();
    if !pairs.is_empty() {
        all.push(format!("At {most} threads an epoch takes {slower} of {} longer than at one.", counted(pairs.len(), "method")));
    }
    all
}

/// From how many threads each method beats the best single thread of any.
fn beating(summary: &Summary) -> String {
    let Some(best) = summary.best_single() else {
        return "No single thread of any method came to the epsilon: there is none to beat.".into();
    };
    let beat: Vec<String> = summary
        .methods
        .iter()
        .filter_map(|method| Some(format!("{method} from {}", threads(summary.beats_single_at(method)?))))
        .collect();
    let single = format!("The best single thread is {} ({}).", best.method, seconds(best.seconds.middle));
    match beat.len() {
        0 => format!("{single} No method beats it at any number of threads."),
        n => format!(
            "{single} {} at some number of threads: {}.",
            if n == 1 { "One method beats it".into() } else { format!("{n} methods beat it") },
            beat.join(", ")
        ),
    }
}

/// A row a method and number of threads.
fn table(summary: &Summary) -> Table {
    let mut table = Table::new(&["method", "threads"]);
    let epsilons = &summary.results.plan.epsilons;
    table.head.extend(epsilons.iter().map(|&wanted| format!("seconds to {} (quartiles)", epsilon(wanted))));
    let place = summary.epsilon.map(|(place, _)| place);
    let to = summary.epsilon.map_or(String::new(), |(_, wanted)| format!(" to {}", epsilon(wanted)));
    let more = [
        format!("epochs{to}"),
        "seconds an epoch".into(),
        "came there".into(),
        "diverged".into(),
        "beats the best single thread".into(),
    ];
    table.head.extend(more);
    for best in summary.ranking() {
        let beats = summary.beats_single_at(best.method).map_or("never".into(), |n| format!("from {}", threads(n)));
        for cell in summary.of(best.method) {
            let over = if summary.over_cores(cell.threads) { " (> cores)" } else { "" };
            let mut row = vec![cell.method.to_owned(), format!("{}{over}", cell.threads)];
            row.extend((0..epsilons.len()).map(|place| cell.seconds_to(place).text(seconds)));
            let came =
                place.map_or(0, |place| cell.runs.iter().filter(|run| matches!(run.reached.get(place), Some(Some(_)))).count());
            row.push(cell.epochs.text(figure));
            row.push(cell.epoch_seconds.text(seconds));
            row.push(format!("{came} of {}", cell.runs.len()));
            row.push(cell.n_diverged().to_string());
            row.push(beats.clone());
            table.rows.push(row);
        }
    }
    table
}
