//! What SVG can draw: texts, lines, markers.

use std::fmt::{Display, Write};

use crate::lab::report::axis::Laid;

/// Where a plot is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Medium {
    /// In the page, on a desk.
    Desk,
    /// In the page, on a phone.
    Phone,
    /// In a file of its own.
    File,
}

impl Medium {
    /// Pixels from left to right.
    pub fn width(self) -> f64 {
        if self == Self::Phone { 350.0 } else { 800.0 }
    }

    /// Whether there is no room for names beside the plot.
    pub fn is_narrow(self) -> bool {
        self == Self::Phone
    }
}

/// Okabe and Ito's colours, without yellow, which white paper swallows; black is the colour of the text, white at night.
const COLOURS: [&str; 8] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "currentColor", "#8C8C8C"];
const DASHES: [&str; 8] = ["", "7 3", "2 3", "9 3 2 3", "", "7 3", "2 3", "9 3 2 3"];

/// Half the size of a marker.
const MARKER: f64 = 4.5;
/// Pixels from line to line of text.
pub const LINE: f64 = 17.0;
/// A letter's usual width, a little more than it is.
const LETTER: f64 = 7.2;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Style {
    /// The n-th.
    Nth(usize),
    /// No method, but something to compare with.
    Guide,
}

impl Style {
    /// Its colour.
    pub fn colour(self) -> &'static str {
        match self {
            Self::Nth(n) => COLOURS[n % COLOURS.len()],
            Self::Guide => "currentColor",
        }
    }

    fn dash(self) -> &'static str {
        match self {
            Self::Nth(n) => DASHES[n % DASHES.len()],
            Self::Guide => "1 4",
        }
    }

    /// The corners of its marker, in sizes of a marker; a circle has none.
    fn corners(self) -> &'static [(f64, f64)] {
        let Self::Nth(n) = self else { return &[] };
        match n % 8 {
            1 => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            2 => &[(0.0, -1.2), (1.15, 0.85), (-1.15, 0.85)],
            3 => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
            4 => &[(0.0, 1.2), (1.15, -0.85), (-1.15, -0.85)],
            5 => &[
                (-0.4, -1.2),
                (0.4, -1.2),
                (0.4, -0.4),
                (1.2, -0.4),
                (1.2, 0.4),
                (0.4, 0.4),
                (0.4, 1.2),
                (-0.4, 1.2),
                (-0.4, 0.4),
                (-1.2, 0.4),
                (-1.2, -0.4),
                (-0.4, -0.4),
            ],
            6 => &[(-1.2, 0.0), (0.85, -1.15), (0.85, 1.15)],
            7 => &[(1.2, 0.0), (-0.85, -1.15), (-0.85, 1.15)],
            _ => &[],
        }
    }
}

/// What text comes from the data must pass through this.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, letter| {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // XML knows no other control characters.
            letter if letter.is_control() && !"\n\t".contains(letter) => safe.push(' '),
            letter => safe.push(letter),
        }
        safe
    })
}

/// Pixels that a text takes, about.
pub fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

/// A picture in the making. Writing to a String cannot fail.
pub struct Canvas {
    medium: Medium,
    text: String,
}

impl Canvas {
    /// An empty one.
    pub fn new(medium: Medium) -> Self {
        Self { medium, text: String::new() }
    }

    /// The `<svg>` element.
    pub fn finish(self, title: &str, height: f64) -> String {
        let (width, title) = (self.medium.width(), escaped(title));
        let own = match self.medium {
            Medium::File => format!(
                " xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height:.0}\" color=\"#1b1b1b\" style=\"background:#fff\""
            ),
            Medium::Desk => " class=\"desk\"".to_owned(),
            Medium::Phone => " class=\"phone\"".to_owned(),
        };
        format!(
            "<svg viewBox=\"0 0 {width} {height:.0}\" role=\"img\" aria-label=\"{title}\"{own} \
             font-family=\"system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif\" font-size=\"12\" \
             fill=\"currentColor\"><title>{title}</title>\n{}</svg>\n",
            self.text
        )
    }

    /// A text; `anchor` is start, middle or end.
    pub fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escaped(text);
        let _ = writeln!(self.text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    }

    /// A paler text; one that is wider than the picture is drawn closer.
    pub fn note(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let (width, all) = (width_of(text), self.medium.width());
        let x = if anchor == "middle" { x.min(all - width / 2.0).max(width.min(all) / 2.0) } else { x };
        let tight = if width > all { format!(" textLength=\"{all}\" lengthAdjust=\"spacingAndGlyphs\"") } else { String::new() };
        let text = escaped(text);
        let _ =
            writeln!(self.text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" opacity=\".75\"{tight}>{text}</text>");
    }

    /// The title at the top, in as many lines as it needs; gives where they end.
    pub fn heading(&mut self, title: &str) -> f64 {
        let fits = (self.medium.width() / (LETTER * 1.25)) as usize;
        let mut lines = vec![String::new()];
        for word in title.split(' ') {
            match lines.last_mut() {
                Some(line) if line.is_empty() => line.push_str(word),
                Some(line) if line.chars().count() + word.chars().count() < fits => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        for (n, line) in lines.iter().enumerate() {
            let (y, line) = (16.0 + LINE * n as f64, escaped(line));
            let _ = writeln!(self.text, "<text x=\"0\" y=\"{y:.1}\" font-size=\"13.5\" font-weight=\"600\">{line}</text>");
        }
        LINE * lines.len() as f64 + 6.0
    }

    /// A pale straight line, of the frame or the grid.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64), opacity: f64) {
        self.straight(from, to, "currentColor", format_args!("stroke-opacity=\"{opacity}\""));
    }

    /// From quartile to quartile.
    pub fn whisker(&mut self, from: (f64, f64), to: (f64, f64), style: Style) {
        self.straight(from, to, style.colour(), "stroke-width=\"1.6\" stroke-opacity=\".7\"");
    }

    fn straight(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, more: impl Display) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ =
            writeln!(self.text, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" {more}/>");
    }

    /// A line through some points.
    pub fn line(&mut self, points: &[(f64, f64)], style: Style) {
        let mut list = String::new();
        for (x, y) in points {
            let _ = write!(list, "{x:.1},{y:.1} ");
        }
        let (colour, dash) = (style.colour(), style.dash());
        let dash = if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") };
        let list = list.trim_end();
        let _ = writeln!(
            self.text,
            "<polyline points=\"{list}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{dash}/>"
        );
    }

    /// A marker; a hollow one stands for more threads than cores. A guide has none.
    pub fn marker(&mut self, (x, y): (f64, f64), style: Style, hollow: bool) {
        if style == Style::Guide {
            return;
        }
        let paper = if self.medium == Medium::File { "#fff" } else { "var(--paper)" };
        let fill = if hollow { paper } else { style.colour() };
        let look = format!("style=\"fill:{fill}\" stroke=\"{}\" stroke-width=\"1.6\"", style.colour());
        let corners = style.corners();
        let _ = if corners.is_empty() {
            writeln!(self.text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{MARKER}\" {look}/>")
        } else {
            let corner = |&(dx, dy): &(f64, f64)| format!("{:.1},{:.1}", x + MARKER * dx, y + MARKER * dy);
            let list: Vec<String> = corners.iter().map(corner).collect();
            writeln!(self.text, "<polygon points=\"{}\" {look}/>", list.join(" "))
        };
    }

    /// A sample of a line and its name, from x on.
    pub fn key(&mut self, x: f64, y: f64, style: Style, name: &str, lined: bool) {
        if lined {
            self.line(&[(x, y), (x + 26.0, y)], style);
        }
        self.marker((x + 13.0, y), style, false);
        self.text(x + 32.0, y + 4.0, "start", name);
    }

    /// Ticks, numbers and title of an axis along the bottom, with a grid up to `top`. Numbers that would meet are left out.
    pub fn bottom(&mut self, axis: &Laid, (left, right): (f64, f64), (top, bottom): (f64, f64)) {
        let mut free = f64::NEG_INFINITY;
        for (x, text) in axis.ticks() {
            self.rule((x, top), (x, bottom + 4.0), 0.13);
            let half = width_of(&text) / 2.0;
            let centre = x.min(self.medium.width() - half).max(half);
            if centre - half > free {
                self.text(centre, bottom + LINE, "middle", &text);
                free = centre + half + 6.0;
            }
        }
        self.rule((left, bottom), (right, bottom), 0.6);
        self.note((left + right) / 2.0, bottom + 2.0 * LINE + 2.0, "middle", axis.title());
    }

    /// Ticks and numbers of an axis along the left side, with a grid up to `right`.
    pub fn left(&mut self, axis: &Laid, left: f64, right: f64) {
        for (y, text) in axis.ticks() {
            self.rule((left - 4.0, y), (right, y), 0.13);
            self.text(left - 7.0, y + 4.0, "end", &text);
        }
        self.rule((left, axis.start()), (left, axis.end()), 0.6);
    }
}
