//! The course of training: suboptimality against seconds and against epochs, each method at its best number of threads, and of
//! its seeds the one in the middle: a run that was made, not a mean that never was.

use crate::lab::report::axis::{Axis, Scale, Unit};
use crate::lab::report::number::{epsilon, figure, scientific, seconds, threads, were};
use crate::lab::report::page::{Part, Section};
use crate::lab::report::plot::{Line, Lines, Mark, Plot};
use crate::lab::report::summary::{Cell, Summary};
use crate::lab::{Point, Run};

/// The section.
pub fn section(summary: &Summary) -> Section {
    let place = summary.epsilon.map(|(place, _)| place);
    let chosen = summary.telling(|_| true);
    let runs: Vec<(&Cell, &Run)> = chosen
        .iter()
        .filter_map(|method| summary.best(method))
        .filter_map(|cell| Some((cell, cell.middle_run(place)?)))
        .collect();
    let left_out = summary.methods.len() - chosen.len();
    let left_out =
        (left_out > 0).then(|| format!("{} left out of this plot; all stand in the table of times above.", were(left_out)));

    let mut by_seconds = seen_in_seconds(summary, &runs);
    by_seconds.extend(left_out);
    let zero = runs.iter().any(|(_, run)| run.points.iter().any(|point| point.suboptimality <= 0.0));
    if zero {
        by_seconds.push("What came below the best known objective is drawn at the lower edge.".into());
    }
    let seconds = plot(summary, &runs, "seconds of training", Unit::Seconds, |point| point.seconds);
    let epochs = plot(summary, &runs, "epochs", Unit::Plain, |point| point.epoch as f64);
    let parts = vec![
        Part::Plot { name: "suboptimality-seconds", plot: seconds, seen: by_seconds },
        Part::Plot { name: "suboptimality-epochs", plot: epochs, seen: seen_in_epochs(summary, &runs) },
    ];
    Section { title: "Suboptimality against time and epochs", parts }
}

fn plot(summary: &Summary, runs: &[(&Cell, &Run)], axis: &str, unit: Unit, x: fn(&Point) -> f64) -> Plot {
    let all = || runs.iter().flat_map(|(_, run)| &run.points).map(|point| point.suboptimality).filter(|value| *value > 0.0);
    let lowest = all().filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
    let line = |(cell, run): &(&Cell, &Run)| {
        let mark = |point: &Point| Mark {
            hollow: summary.over_cores(cell.threads),
            ..Mark::new(x(point), point.suboptimality.max(lowest))
        };
        Line {
            name: format!("{}, {}", cell.method, threads(cell.threads)),
            marks: run.points.iter().map(mark).collect(),
            guide: false,
        }
    };
    // Early epochs matter as much as late ones: the logarithm shows both, and the start of a run is left of its first mark.
    let mut lines: Vec<Line> = runs.iter().map(line).collect();
    for line in &mut lines {
        line.marks.retain(|mark| mark.x > 0.0 && mark.y.is_finite());
    }
    let (from, to) = lines
        .iter()
        .flat_map(|line| &line.marks)
        .fold((f64::INFINITY, 0f64), |(from, to), mark| (from.min(mark.x), to.max(mark.x)));
    if let Some((_, wanted)) = summary.epsilon
        && from <= to
    {
        let marks = vec![Mark::new(from, wanted), Mark::new(to, wanted)];
        lines.push(Line { name: format!("epsilon {}", epsilon(wanted)), marks, guide: true });
    }
    Plot::Lines(Lines {
        title: format!("Suboptimality against {axis}, each method at its best number of threads"),
        x: Axis::new(axis, Scale::Log, unit),
        y: Axis::new("(P − P*) / P*", Scale::Log, Unit::Power),
        lines,
        dodge: false,
    })
}

/// The lowest of a run, and when it was come to.
fn lowest(run: &Run) -> Option<&Point> {
    let points = run.points.iter().filter(|point| point.suboptimality.is_finite());
    points.min_by(|a, b| a.suboptimality.total_cmp(&b.suboptimality))
}

fn seen_in_seconds(summary: &Summary, runs: &[(&Cell, &Run)]) -> Vec<String> {
    let ends = runs.iter().filter_map(|(cell, run)| Some((cell, lowest(run)?)));
    let Some((cell, point)) = ends.min_by(|a, b| a.1.suboptimality.total_cmp(&b.1.suboptimality)) else {
        return vec!["No run was evaluated.".into()];
    };
    let mut all =
        vec![format!("{} comes lowest: {} after {}.", cell.name(), scientific(point.suboptimality), seconds(point.seconds))];
    // Where the others stand at the time when the fastest has come to the epsilon.
    if let (Some(fastest), Some((_, wanted))) = (summary.fastest(), summary.epsilon) {
        let until = fastest.seconds.middle;
        let then = |run: &Run| {
            let before = run.points.iter().filter(|point| point.seconds <= until && point.suboptimality.is_finite());
            before.map(|point| point.suboptimality).min_by(f64::total_cmp)
        };
        let others =
            runs.iter().filter(|(cell, _)| cell.method != fastest.method).filter_map(|(cell, run)| Some((cell, then(run)?)));
        if let Some((other, at)) = others.max_by(|a, b| a.1.total_cmp(&b.1)) {
            all.push(format!(
                "When {} has come to {} ({}), the farthest of the others drawn that had been evaluated by then, {}, stands at {}.",
                fastest.name(), epsilon(wanted), seconds(until), other.name(), scientific(at)
            ));
        }
    }
    all
}

fn seen_in_epochs(summary: &Summary, runs: &[(&Cell, &Run)]) -> Vec<String> {
    let Some((_, wanted)) = summary.epsilon else { return Vec::new() };
    let cells = || runs.iter().map(|(cell, _)| *cell).filter(|cell| cell.epochs.came());
    let by = |a: &&Cell, b: &&Cell| a.epochs.middle.total_cmp(&b.epochs.middle);
    match (cells().min_by(by), cells().max_by(by)) {
        (Some(fewest), Some(most)) if fewest.method != most.method => vec![format!(
            "Of those drawn, {} comes to {} in the fewest epochs ({}) and {} in the most ({}).",
            fewest.name(),
            epsilon(wanted),
            figure(fewest.epochs.middle),
            most.name(),
            figure(most.epochs.middle)
        )],
        (Some(only), _) => {
            vec![format!("{} comes to {} in {} epochs.", only.name(), epsilon(wanted), figure(only.epochs.middle))]
        }
        _ => Vec::new(),
    }
}
