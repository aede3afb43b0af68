//! Plots as SVG, by hand: lines over an axis, dots in rows, whiskers from quartile to quartile.
//!
//! Colours are those of Okabe and Ito, which people tell apart who see colours differently; every line has a marker and a dash
//! of its own besides. A plot is drawn twice, for a desk and for a phone, so that its letters are never scaled down.

mod canvas;
mod dots;
mod lines;

pub use canvas::{Medium, escaped};
pub use dots::{Dots, Row};
pub use lines::{Line, Lines};

/// A value with its quartiles.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// Where along.
    pub x: f64,
    /// The value.
    pub y: f64,
    /// The quartiles.
    pub whisker: Option<(f64, f64)>,
    /// Whether it stands for more threads than cores.
    pub hollow: bool,
}

impl Mark {
    /// Without quartiles.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, whisker: None, hollow: false }
    }
}

/// A plot.
pub enum Plot {
    /// Lines over an axis.
    Lines(Lines),
    /// Dots in rows.
    Dots(Dots),
}

impl Plot {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Lines(lines) => lines.is_empty(),
            Self::Dots(dots) => dots.is_empty(),
        }
    }

    /// As an `<svg>` element.
    pub fn svg(&self, medium: Medium) -> String {
        match self {
            Self::Lines(lines) => lines.svg(medium),
            Self::Dots(dots) => dots.svg(medium),
        }
    }
}
