//! A study: one thing is varied, and a curve a method says what comes of it. What is asked is where curves cross.

use crate::lab::report::axis::{Axis, Scale, Unit};
use crate::lab::report::number::{counted, figure, listed};
use crate::lab::report::page::{Part, Section};
use crate::lab::report::plot::{Line, Lines, Mark, Plot};
use crate::lab::{Curve, Study};

/// Two curves so near each other are level.
const LEVEL: f64 = 1.1;
/// So many crossings are told one by one.
const MOST_CROSSINGS: usize = 4;

/// The section.
pub fn section(study: &Study) -> Section {
    let title = match study.name.as_str() {
        "gradient-cost" => "Study: what a gradient costs, and who is fastest",
        "skew" => "Study: the skew of features, and who gains by threads",
        _ => "Study",
    };
    Section { title, parts: vec![Part::Plot { name: "study", plot: plot(study), seen: seen(study) }] }
}

fn plot(study: &Study) -> Plot {
    let points = || study.curves.iter().flat_map(|curve| &curve.points);
    let mut at: Vec<f64> = points().map(|point| point.0).filter(|x| x.is_finite()).collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    let positive = |values: &mut dyn Iterator<Item = f64>| {
        let values = values.filter(|value| value.is_finite() && *value > 0.0);
        values.fold((f64::INFINITY, 0f64), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (least, most) = positive(&mut at.iter().copied());
    let scale = match at.first() {
        Some(&first) if first >= 0.0 && most > 20.0 * least => {
            if first > 0.0 {
                Scale::Log
            } else {
                Scale::FromZero(least)
            }
        }
        _ => Scale::Span,
    };
    let (low, high) = positive(&mut points().map(|point| point.2));
    let y = if high > 8.0 * low && points().all(|point| point.2 > 0.0) { Scale::Log } else { Scale::Linear };
    let line = |curve: &Curve| {
        let mut marks: Vec<Mark> =
            curve.points.iter().map(|&(x, low, y, high)| Mark { whisker: Some((low, high)), ..Mark::new(x, y) }).collect();
        marks.sort_by(|a, b| a.x.total_cmp(&b.x));
        Line { name: curve.name.clone(), marks, guide: false }
    };
    let ticks = if at.len() <= 12 { at } else { Vec::new() };
    Plot::Lines(Lines {
        title: format!("{} against {}", study.measured, study.varied),
        x: Axis { ticks, ..Axis::new(&study.varied, scale, Unit::Plain) },
        y: Axis::new("median over seeds, bars: quartiles", y, Unit::Plain),
        lines: study.curves.iter().map(line).collect(),
        dodge: true,
    })
}

/// Where one curve passes another: between these two values of what is varied.
struct Crossing<'a> {
    /// Who was lower before, and is higher after.
    rises: &'a str,
    above: &'a str,
    from: f64,
    to: f64,
}

/// Values at what both curves have in common, in order.
fn common(a: &Curve, b: &Curve) -> Vec<(f64, f64, f64)> {
    let other = |x: f64| b.points.iter().find(|point| point.0 == x).map(|point| point.2);
    let mut both: Vec<(f64, f64, f64)> = a.points.iter().filter_map(|point| Some((point.0, point.2, other(point.0)?))).collect();
    both.retain(|(x, a, b)| x.is_finite() && a.is_finite() && b.is_finite() && a != b);
    both.sort_by(|a, b| a.0.total_cmp(&b.0));
    both
}

fn crossings(study: &Study) -> Vec<Crossing<'_>> {
    let mut all = Vec::new();
    for (n, a) in study.curves.iter().enumerate() {
        for b in &study.curves[n + 1..] {
            for pair in common(a, b).windows(2) {
                let [(from, a_before, b_before), (to, a_after, b_after)] = *pair else { continue };
                if (a_before < b_before) != (a_after < b_after) {
                    let (rises, above) = if a_before < b_before { (a, b) } else { (b, a) };
                    all.push(Crossing { rises: &rises.name, above: &above.name, from, to });
                }
            }
        }
    }
    all.sort_by(|a, b| a.from.total_cmp(&b.from));
    all
}

/// (name, value) of every curve at a value of what is varied, the highest first.
fn standing(study: &Study, x: f64) -> Vec<(&str, f64)> {
    let at = |curve: &Curve| curve.points.iter().find(|point| point.0 == x && point.2.is_finite()).map(|point| point.2);
    let mut all: Vec<(&str, f64)> = study.curves.iter().filter_map(|curve| Some((curve.name.as_str(), at(curve)?))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all
}

fn seen(study: &Study) -> Vec<String> {
    let mut at: Vec<f64> =
        study.curves.iter().flat_map(|curve| &curve.points).filter(|point| point.2.is_finite()).map(|point| point.0).collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    let (Some(&first), Some(&last)) = (at.first(), at.last()) else {
        return vec!["No curve has a point: no run came so far.".into()];
    };
    let ends = |x: f64| {
        let all = standing(study, x);
        let (highest, lowest) = (all.first()?, all.last()?);
        let name = |all: Vec<&str>| listed(&all);
        let near_top = name(all.iter().filter(|one| one.1 > 0.0 && highest.1 / one.1 <= LEVEL).map(|one| one.0).collect());
        let near_bottom = name(all.iter().filter(|one| one.1 > 0.0 && one.1 / lowest.1 <= LEVEL).map(|one| one.0).collect());
        if all.len() == 1 || highest.1 <= LEVEL * lowest.1 {
            return Some(format!(
                "at {} {near_top} {} level at {}",
                figure(x),
                if all.len() == 1 { "is alone," } else { "are" },
                figure(highest.1)
            ));
        }
        Some(format!(
            "at {} the highest is {near_top} ({}) and the lowest {near_bottom} ({})",
            figure(x),
            figure(highest.1),
            figure(lowest.1)
        ))
    };
    let mut sentence = format!("Of {}: {}", study.measured, ends(first).unwrap_or_default());
    if last > first {
        sentence += &format!("; {}", ends(last).unwrap_or_default());
    }
    let mut all = vec![sentence + "."];
    let crossings = crossings(study);
    match crossings.len() {
        0 => all.push("No two curves cross.".into()),
        n => {
            let told = crossings.iter().take(MOST_CROSSINGS).map(|crossing| {
                format!(
                    "{} rises above {} between {} and {}",
                    crossing.rises,
                    crossing.above,
                    figure(crossing.from),
                    figure(crossing.to)
                )
            });
            let told: Vec<String> = told.collect();
            let more = n.saturating_sub(MOST_CROSSINGS);
            let more = if more > 0 {
                format!(" There are {}.", counted(more, "further crossing")).replace("are one", "is one")
            } else {
                String::new()
            };
            all.push(format!("Curves cross: {}.{more}", told.join("; ")));
        }
    }
    all
}
