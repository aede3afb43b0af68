//! Dots in rows, a row a name, with whiskers from quartile to quartile: for many methods at several numbers of threads.

use crate::lab::report::axis::Axis;
use crate::lab::report::plot::Mark;
use crate::lab::report::plot::canvas::{Canvas, LINE, Medium, Style, width_of};

/// One of them.
pub struct Row {
    /// Its name.
    pub name: String,
    /// A mark each for some of the series: (number of the series, mark). What a mark has along is not looked at.
    pub marks: Vec<(usize, Mark)>,
}

/// All of them.
pub struct Dots {
    /// What the plot shows.
    pub title: String,
    /// The axis along the bottom.
    pub x: Axis,
    /// What the colours stand for.
    pub series: Vec<String>,
    /// The rows, from top to bottom.
    pub rows: Vec<Row>,
    /// What stands in a row without marks.
    pub none: &'static str,
}

impl Dots {
    /// Whether no row has a mark.
    pub fn is_empty(&self) -> bool {
        self.x.lay(self.values(), 0.0, 1.0).is_none()
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let marks = self.rows.iter().flat_map(|row| &row.marks).filter(|(_, mark)| mark.y.is_finite());
        marks.flat_map(|(_, mark)| [Some(mark.y), mark.whisker.map(|ends| ends.0), mark.whisker.map(|ends| ends.1)]).flatten()
    }

    /// As an `<svg>` element.
    pub fn svg(&self, medium: Medium) -> String {
        let (mut canvas, narrow) = (Canvas::new(medium), medium.is_narrow());
        let mut top = canvas.heading(&self.title) + 8.0;
        let names = self.rows.iter().map(|row| width_of(&row.name)).fold(0.0, f64::max) + 14.0;
        let left = if narrow { 8.0 } else { names.min(0.45 * medium.width()) };
        let right = medium.width() - 22.0;
        let Some(x) = self.x.lay(self.values(), left, right) else {
            canvas.note(0.0, top + LINE, "start", "Nothing to draw: no run came so far.");
            return canvas.finish(&self.title, top + 2.0 * LINE);
        };
        if self.series.len() > 1 {
            let mut at = 0.0;
            for (n, name) in self.series.iter().enumerate() {
                let width = width_of(name) + 44.0;
                if at > 0.0 && at + width > medium.width() {
                    (at, top) = (0.0, top + LINE);
                }
                canvas.key(at - 6.0, top + 4.0, Style::Nth(n), name, false);
                at += width;
            }
            top += LINE + 4.0;
        }
        // Each series has a line of its own in a row, so that whiskers never lie on each other.
        let gap = 11.0;
        let lanes: Vec<usize> =
            (0..self.series.len()).filter(|n| self.rows.iter().any(|row| row.marks.iter().any(|mark| mark.0 == *n))).collect();
        let name_height = if narrow { LINE } else { 0.0 };
        let row_height = (lanes.len() as f64 * gap + 9.0).max(LINE + 3.0) + name_height;
        let bottom = top + row_height * self.rows.len() as f64;
        canvas.bottom(&x, (left, right), (top, bottom));
        for (n, row) in self.rows.iter().enumerate() {
            let start = top + row_height * n as f64;
            canvas.rule((0.0, start), (right, start), 0.2);
            let middle = start + name_height + (row_height - name_height) / 2.0;
            if narrow {
                canvas.text(0.0, start + 14.0, "start", &row.name);
            } else {
                canvas.text(left - 10.0, middle + 4.0, "end", &row.name);
            }
            let shown: Vec<_> = row.marks.iter().filter(|(_, mark)| mark.y.is_finite()).collect();
            if shown.is_empty() {
                canvas.note(left + 6.0, middle + 4.0, "start", self.none);
            }
            for (series, mark) in shown {
                let Some(lane) = lanes.iter().position(|lane| lane == series) else { continue };
                let y = middle + (lane as f64 - (lanes.len() as f64 - 1.0) / 2.0) * gap;
                if let Some((low, high)) = mark.whisker.and_then(|(low, high)| Some((x.at(low)?, x.at(high)?))) {
                    canvas.whisker((low, y), (high, y), Style::Nth(*series));
                    if mark.whisker.is_some_and(|(_, high)| high.is_infinite()) {
                        canvas.text(right + 2.0, y + 4.0, "start", "→");
                    }
                }
                if let Some(at) = x.at(mark.y) {
                    canvas.marker((at, y), Style::Nth(*series), mark.hollow);
                }
            }
        }
        canvas.finish(&self.title, bottom + 2.0 * LINE + 12.0)
    }
}
