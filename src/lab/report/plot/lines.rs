//! Lines over an axis, each with its name beside its end or, on a phone, below the plot.

use crate::lab::report::axis::Axis;
use crate::lab::report::plot::Mark;
use crate::lab::report::plot::canvas::{Canvas, LINE, Medium, Style, width_of};

/// One of them.
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its marks, from left to right. One whose value has no place breaks the line.
    pub marks: Vec<Mark>,
    /// Whether it is no method, but something to compare with.
    pub guide: bool,
}

/// All of them.
pub struct Lines {
    /// What the plot shows.
    pub title: String,
    /// The axis along the bottom.
    pub x: Axis,
    /// The axis along the side.
    pub y: Axis,
    /// The lines, in the order of their colours.
    pub lines: Vec<Line>,
    /// Whether marks that stand at the same place are moved aside a little, so that all are seen.
    pub dodge: bool,
}

/// A line has at most about so many markers.
const MARKERS: usize = 9;

impl Lines {
    /// Whether no line of a method has a mark.
    pub fn is_empty(&self) -> bool {
        self.x.lay(self.marks().map(|mark| mark.x), 0.0, 1.0).is_none()
            || self.y.lay(self.marks().map(|mark| mark.y), 0.0, 1.0).is_none()
            || !self.lines.iter().any(|line| !line.guide && line.marks.iter().any(|mark| mark.y.is_finite()))
    }

    fn marks(&self) -> impl Iterator<Item = &Mark> {
        self.lines.iter().flat_map(|line| &line.marks)
    }

    /// As an `<svg>` element.
    pub fn svg(&self, medium: Medium) -> String {
        let (mut canvas, narrow) = (Canvas::new(medium), medium.is_narrow());
        let top = canvas.heading(&self.title) + LINE + 4.0;
        let bottom = top + if narrow { 250.0 } else { 330.0 };
        let names = self.lines.iter().map(|line| width_of(&line.name)).fold(0.0, f64::max) + 46.0;
        let right = medium.width() - if narrow { 10.0 } else { names.min(0.45 * medium.width()) };
        let values =
            || self.marks().flat_map(|mark| [Some(mark.y), mark.whisker.map(|ends| ends.0), mark.whisker.map(|ends| ends.1)]);
        let y = self.y.lay(values().flatten(), bottom, top);
        let left = y.as_ref().map_or(0.0, |y| y.ticks().iter().map(|tick| width_of(&tick.1)).fold(0.0, f64::max)) + 10.0;
        // Marks that are moved aside stay within the frame.
        let inset = if self.dodge { 16.0 } else { 0.0 };
        let x = self.x.lay(self.marks().map(|mark| mark.x), left + inset, right - inset);
        let (Some(x), Some(y), false) = (x, y, self.is_empty()) else {
            canvas.note(0.0, top + LINE, "start", "Nothing to draw: no run came so far.");
            return canvas.finish(&self.title, top + 2.0 * LINE);
        };
        canvas.note(0.0, top - 10.0, "start", y.title());
        canvas.left(&y, left, right);
        canvas.bottom(&x, (left, right), (top, bottom));

        let mut ends = Vec::new();
        let mut nth = 0;
        for line in &self.lines {
            let style = if line.guide { Style::Guide } else { Style::Nth(nth) };
            let aside = if self.dodge && !line.guide { (nth % 8) as f64 * 3.0 - 10.5 } else { 0.0 };
            nth += usize::from(!line.guide);
            let place = |mark: &Mark| {
                let at = mark.x.is_finite().then(|| x.at(mark.x)).flatten()? + aside;
                mark.y.is_finite().then(|| y.at(mark.y)).flatten().map(|y| (at, y))
            };
            let mut end = (bottom + top) / 2.0;
            for stretch in line.marks.split(|mark| place(mark).is_none()) {
                let mut points: Vec<(f64, f64)> = Vec::new();
                let mut last_marker = f64::NEG_INFINITY;
                for (n, (mark, at)) in stretch.iter().filter_map(|mark| Some((mark, place(mark)?))).enumerate() {
                    let near = |point: &(f64, f64)| (point.0 - at.0).abs() + (point.1 - at.1).abs() < 0.8;
                    if !points.last().is_some_and(near) || n + 1 == stretch.len() {
                        points.push(at);
                    }
                    if let Some((low, high)) = mark.whisker.and_then(|(low, high)| Some((y.at(low)?, y.at(high)?))) {
                        canvas.whisker((at.0, low), (at.0, high), style);
                    }
                    end = at.1;
                }
                canvas.line(&points, style);
                for mark in stretch {
                    let Some(at) = place(mark) else { continue };
                    if at.0 - last_marker >= (right - left) / MARKERS as f64 || stretch.len() <= MARKERS {
                        canvas.marker(at, style, mark.hollow);
                        last_marker = at.0;
                    }
                }
            }
            ends.push((end, style, line.name.as_str()));
        }
        let mut low = bottom + 2.0 * LINE + 8.0;
        if narrow {
            for (_, style, name) in ends {
                low += LINE;
                canvas.key(0.0, low, style, name, true);
            }
            return canvas.finish(&self.title, low + LINE);
        }
        // Beside the ends, from top to bottom, none on another.
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free = top;
        let mut heights: Vec<f64> = Vec::new();
        for (end, _, _) in &ends {
            free = end.max(free);
            heights.push(free);
            free += LINE;
        }
        let mut limit = bottom.max(top + LINE * ends.len() as f64);
        for height in heights.iter_mut().rev() {
            *height = height.min(limit);
            limit = *height - LINE;
        }
        for ((_, style, name), height) in ends.iter().zip(&heights) {
            canvas.key(right + 12.0, *height, *style, name, true);
        }
        let lowest = heights.last().copied().unwrap_or(low);
        canvas.finish(&self.title, low.max(lowest + LINE))
    }
}
