//! How step sizes were chosen: for every method and number of threads a grid, with one budget for all.

use crate::lab::report::axis::{Axis, Scale, Unit};
use crate::lab::report::number::{counted, figure, scientific, seconds, threads};
use crate::lab::report::page::{Part, Section, Table};
use crate::lab::report::plot::{Line, Lines, Mark, Plot};
use crate::lab::report::summary::Summary;
use crate::lab::{Trial, Tuning};

/// The section, if anything was tuned.
pub fn section(summary: &Summary) -> Option<Section> {
    let tunings = &summary.results.tunings;
    if tunings.is_empty() {
        return None;
    }
    let parts = vec![
        Part::Plot { name: "tuning", plot: plot(summary), seen: seen(tunings) },
        Part::Folded(format!("The grids of {}", counted(tunings.len(), "tuning")), table(tunings)),
    ];
    Some(Section { title: "Tuning of step sizes", parts })
}

/// The curves at the best number of threads of the methods that stand in other plots.
fn plot(summary: &Summary) -> Plot {
    let tunings = &summary.results.tunings;
    let tuned = |method: &str| tunings.iter().any(|tuning| tuning.method == method);
    let chosen = summary.telling(tuned);
    let mut lines = Vec::new();
    for method in chosen {
        let best = summary.best(method).map(|cell| cell.threads);
        let of = || tunings.iter().filter(|tuning| tuning.method == method);
        let Some(tuning) = of().find(|tuning| Some(tuning.threads) == best).or_else(|| of().next()) else { continue };
        let mut marks: Vec<Mark> = tuning
            .grid
            .iter()
            .map(|trial| Mark {
                hollow: trial.step_size != tuning.chosen,
                ..Mark::new(trial.step_size, trial.suboptimality.unwrap_or(f64::NAN))
            })
            .collect();
        marks.sort_by(|a, b| a.x.total_cmp(&b.x));
        lines.push(Line { name: format!("{method}, {}", threads(tuning.threads)), marks, guide: false });
    }
    Plot::Lines(Lines {
        title: "Suboptimality that a step size came to within the budget".into(),
        x: Axis::new("first step size (filled: the chosen one)", Scale::Log, Unit::Plain),
        y: Axis::new("(P − P*) / P*", Scale::Log, Unit::Power),
        lines,
        dodge: false,
    })
}

/// Whether the chosen step is the smallest or the largest of those that were tried.
fn at_edge(tuning: &Tuning) -> bool {
    let smaller = tuning.grid.iter().any(|trial| trial.step_size < tuning.chosen);
    let larger = tuning.grid.iter().any(|trial| trial.step_size > tuning.chosen);
    tuning.grid.len() > 1 && !(smaller && larger)
}

fn seen(tunings: &[Tuning]) -> Vec<String> {
    let trials = || tunings.iter().flat_map(|tuning| &tuning.grid);
    let exploded = trials().filter(|trial| trial.suboptimality.is_none()).count();
    let edge = tunings.iter().filter(|tuning| at_edge(tuning)).count();
    let mut all = vec![format!(
        "Of {} tried, {} exploded.",
        counted(trials().count(), "step size"),
        if exploded == 0 { "none".into() } else { exploded.to_string() }
    )];
    all.push(match edge {
        0 => "No chosen step is at the edge of its grid.".into(),
        n => format!(
            "In {n} of {} the chosen step is at the edge of what was tried: a better one may lie beyond.",
            counted(tunings.len(), "grid")
        ),
    });
    all
}

/// A row a grid: "0.1: 2e-4", the chosen one marked.
fn table(tunings: &[Tuning]) -> Table {
    let most = tunings.iter().map(|tuning| tuning.grid.len()).max().unwrap_or(0);
    let mut table = Table::new(&["method", "threads", "chosen"]);
    table.head.extend((1..=most).map(|n| format!("tried {n}")));
    for tuning in tunings {
        let mut row = vec![tuning.method.clone(), tuning.threads.to_string(), figure(tuning.chosen)];
        let mut grid: Vec<&Trial> = tuning.grid.iter().collect();
        grid.sort_by(|a, b| a.step_size.total_cmp(&b.step_size));
        row.extend(grid.into_iter().map(|trial| {
            let came = trial.suboptimality.map_or("exploded".into(), scientific);
            let after = trial.seconds.map_or(String::new(), |taken| format!(", epsilon in {}", seconds(taken)));
            let mark = if trial.step_size == tuning.chosen { "▶ " } else { "" };
            format!("{mark}{}: {came}{after}", figure(trial.step_size))
        }));
        row.resize(table.head.len(), String::new());
        table.rows.push(row);
    }
    table
}
