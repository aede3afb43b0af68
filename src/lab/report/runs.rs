//! Every run, and what strategies tell besides.

use std::collections::BTreeMap;

use crate::lab::Run;
use crate::lab::report::number::{counted, epsilon, figure, grouped, scientific, seconds};
use crate::lab::report::page::{Part, Section, Table};
use crate::lab::report::spread::Spread;
use crate::lab::report::summary::Summary;

/// The section.
pub fn section(summary: &Summary) -> Section {
    let runs = &summary.results.runs;
    if runs.is_empty() {
        return Section { title: "All runs", parts: vec![Part::Text("There is no run.".into())] };
    }
    let mut parts = vec![Part::Text(counts(runs)), Part::Folded(format!("All {}", counted(runs.len(), "run")), table(summary))];
    let figures = figures(runs);
    if !figures.rows.is_empty() {
        parts.push(Part::Folded("What strategies tell besides, by name".into(), figures));
    }
    Section { title: "All runs", parts }
}

fn counts(runs: &[Run]) -> String {
    let mut diverged: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.diverged) {
        *diverged.entry((&run.method, run.threads)).or_default() += 1;
    }
    let n: usize = diverged.values().sum();
    if n == 0 {
        return format!("{}; none diverged.", counted(runs.len(), "run"));
    }
    let who: Vec<String> = diverged.iter().map(|((method, threads), n)| format!("{method} at {threads} ({n})")).collect();
    format!("{}; {n} diverged: {}.", counted(runs.len(), "run"), who.join(", "))
}

fn table(summary: &Summary) -> Table {
    let runs = &summary.results.runs;
    let study = summary.results.study.as_ref().filter(|_| runs.iter().any(|run| run.varied.is_some()));
    let mut table = Table::new(&["method", "threads", "workers", "seed"]);
    table.head.extend(study.map(|study| study.varied.clone()));
    table.head.extend(["step size", "epochs", "updates", "training", "evaluating", "lowest (P − P*)/P*"].map(String::from));
    let epsilons = &summary.results.plan.epsilons;
    table.head.extend(epsilons.iter().map(|&wanted| format!("to {}", epsilon(wanted))));
    table.head.push("end".into());
    for run in runs {
        let over = if summary.over_cores(run.threads) { " (> cores)" } else { "" };
        let mut row = vec![run.method.clone(), format!("{}{over}", run.threads), run.workers.to_string(), run.seed.to_string()];
        row.extend(study.map(|_| run.varied.map_or("–".into(), figure)));
        let lowest = run.points.iter().map(|point| point.suboptimality).filter(|value| value.is_finite()).min_by(f64::total_cmp);
        row.extend([
            figure(run.step_size),
            grouped(run.epochs),
            grouped(run.updates),
            seconds(run.train_seconds),
            seconds(run.eval_seconds),
            lowest.map_or("–".into(), scientific),
        ]);
        row.extend((0..epsilons.len()).map(|place| match run.reached.get(place) {
            Some(Some(at)) => format!("{}, {} epochs", seconds(at.seconds), figure(at.epochs)),
            _ => "–".into(),
        }));
        let came = run.reached.iter().any(Option::is_some);
        row.push(
            if run.diverged {
                "diverged"
            } else if came {
                "came"
            } else {
                "out of budget"
            }
            .into(),
        );
        table.rows.push(row);
    }
    table
}

/// A row a method, number of threads and name of a figure.
fn figures(runs: &[Run]) -> Table {
    let mut all: BTreeMap<(&str, usize, &str), Vec<f64>> = BTreeMap::new();
    for run in runs {
        for (name, &value) in &run.figures {
            all.entry((&run.method, run.threads, name)).or_default().push(value);
        }
    }
    let mut table = Table::new(&["method", "threads", "figure", "median (quartiles)"]);
    for ((method, threads, name), values) in all {
        let spread = Spread::of(values);
        let text = if spread.came() { spread.text(figure) } else { "–".into() };
        table.rows.push(vec![method.to_owned(), threads.to_string(), name.replace('_', " "), text]);
    }
    table
}
