//! The report of an experiment: what was seen, as one page that loads nothing and as plots.
//!
//! Everything here is a pure function of [`Results`]. No sentence is written in advance: each is chosen by the figures, so that
//! where a method loses, the page says that it loses.

mod axis;
mod course;
mod headline;
mod number;
mod page;
mod plot;
mod runs;
mod speedup;
mod spread;
mod staleness;
mod study;
mod summary;
mod throughput;
mod time;
mod tuning;

use crate::lab::Results;
use crate::lab::report::page::Section;
use crate::lab::report::plot::Medium;
use crate::lab::report::summary::Summary;

/// The headline and a line a method, for a terminal: where each is fastest, and how that compares with plain sequential code.
pub fn text(results: &Results) -> String {
    let summary = Summary::new(results);
    let mut text = headline::sentences(&summary).join("\n") + "\n\n";
    let mut line = |cells: [String; 6]| {
        let [method, cells @ ..] = cells;
        let cells: String = cells.iter().map(|cell| format!(" {cell:>13}")).collect();
        text.push_str(&format!("{method:<28}{cells}\n"));
    };
    if let Some((_, epsilon)) = summary.epsilon {
        let to = format!("s to {}", number::epsilon(epsilon));
        line(["method, where it is best", "threads", &to, "epochs", "ms an epoch", "x sequential"].map(str::to_owned));
        for cell in summary.ranking() {
            let shown = |value: f64| if value.is_finite() { number::figure(value) } else { "-".to_owned() };
            let speed_up = Summary::speed_up(summary.sequential(cell.method), cell).map_or(f64::NAN, |spread| spread.middle);
            line([
                cell.method.to_owned(),
                cell.threads.to_string(),
                shown(cell.seconds.middle),
                shown(cell.epochs.middle),
                shown(1e3 * cell.epoch_seconds.middle),
                shown(speed_up),
            ]);
        }
    }
    if let Some(study) = &results.study {
        for curve in &study.curves {
            let points: Vec<String> = curve
                .points
                .iter()
                .map(|&(at, _, middle, _)| format!("{}: {}", number::figure(at), number::figure(middle)))
                .collect();
            text.push_str(&format!("{:<28} {}\n", curve.name, points.join("  ")));
        }
        text.push_str(&format!("({}: {})\n", study.varied, study.measured));
    }
    text
}

/// The page, as one HTML file that needs no other.
pub fn html(results: &Results) -> String {
    let summary = Summary::new(results);
    let what = results.study.as_ref().map_or("Speed-up against threads".to_owned(), |study| format!("Study of {}", study.name));
    let title = format!("{what}: {} on {}", results.problem.loss, results.data.name);
    let headline = headline::sentences(&summary);
    page::html(&title, &headline, &headline::warnings(&summary), &headline::facts(&summary), &sections(&summary))
}

/// The plots of the page: names of files, and SVG.
pub fn plots(results: &Results) -> Vec<(String, String)> {
    let sections = sections(&Summary::new(results));
    let plots = sections.iter().flat_map(Section::plots);
    plots.map(|(name, plot)| (format!("{name}.svg"), plot.svg(Medium::File))).collect()
}

/// What there is to say, in the order in which it is said.
fn sections(summary: &Summary) -> Vec<Section> {
    let mut all = Vec::new();
    all.extend(summary.results.study.as_ref().map(study::section));
    // A study's runs are made under conditions that differ, and have no speed-up in common.
    if !summary.cells.is_empty() || summary.results.study.is_none() {
        all.extend([speedup::section(summary), time::section(summary), course::section(summary), throughput::section(summary)]);
    }
    all.extend(staleness::section(summary));
    all.extend(tuning::section(summary));
    all.push(runs::section(summary));
    all
}
