//! Axes: from a value to its place, and the ticks that people expect (1, 2 or 5 times a power of ten).

use crate::lab::report::number;

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Evenly, from 0.
    Linear,
    /// Evenly, from the lowest value.
    Span,
    /// By the logarithm; only positive values have a place.
    Log,
    /// By log(1 + value / this): logarithmic, with a place for 0.
    FromZero(f64),
}

/// What the numbers at the ticks mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    /// A number.
    Plain,
    /// Seconds.
    Seconds,
    /// A share, in percent.
    Percent,
    /// A suboptimality: 1e-3.
    Power,
}

/// An axis as it is asked for.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it shows, with its unit.
    pub title: String,
    /// How.
    pub scale: Scale,
    /// What its numbers mean.
    pub unit: Unit,
    /// Ticks at these values alone, if there are some.
    pub ticks: Vec<f64>,
}

impl Axis {
    /// With ticks of its own choice.
    pub fn new(title: &str, scale: Scale, unit: Unit) -> Self {
        Self { title: title.into(), scale, unit, ticks: Vec::new() }
    }

    /// For numbers of threads.
    pub fn threads(threads: &[usize]) -> Self {
        let ticks = threads.iter().map(|&n| n as f64).collect();
        Self { title: "threads".into(), scale: Scale::Log, unit: Unit::Plain, ticks }
    }

    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear | Scale::Span => value,
            Scale::Log => value.ln(),
            Scale::FromZero(unit) => (value / unit).ln_1p(),
        }
    }

    fn shows(&self, value: f64) -> bool {
        value.is_finite() && self.place(value).is_finite()
    }

    /// Laid out from pixel `from` to pixel `to`, over all of the values that have a place; none if none has.
    pub fn lay(&self, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Option<Laid<'_>> {
        let shown = values.chain(self.ticks.iter().copied()).filter(|&value| self.shows(value));
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        let (low, high, ticks) = if self.ticks.is_empty() { self.round(low, high) } else { self.pad(low, high) };
        let (low, high) = (self.place(low), self.place(high));
        let laid = Laid { axis: self, low, high, from, to, ticks };
        (low.is_finite() && high.is_finite() && low < high).then_some(laid)
    }

    /// Some room beside the outer ticks.
    fn pad(&self, low: f64, high: f64) -> (f64, f64, Vec<f64>) {
        let ticks = self.ticks.clone();
        match self.scale {
            Scale::Log => {
                let room = (high / low).powf(0.06).max(1.1);
                (low / room, high * room, ticks)
            }
            Scale::FromZero(unit) => (low, (high + unit * 0.1) * 1.1, ticks),
            Scale::Linear | Scale::Span => {
                let room = if high > low { 0.05 * (high - low) } else { 0.5 };
                (low - room, high + room, ticks)
            }
        }
    }

    /// Out to the next round numbers, and the round numbers between.
    fn round(&self, low: f64, high: f64) -> (f64, f64, Vec<f64>) {
        match self.scale {
            Scale::Linear | Scale::Span => {
                let low = if self.scale == Scale::Linear { low.min(0.0) } else { low };
                let high = if high > low { high } else { low + low.abs().max(1.0) };
                let step = step((high - low) / 5.0);
                let (first, last) = ((low / step).floor(), (high / step - 1e-9).ceil());
                let ticks = (0..=(last - first).clamp(1.0, 40.0) as usize).map(|n| (first + n as f64) * step).collect();
                (first * step, last * step, ticks)
            }
            Scale::Log => logarithmic(low, high),
            Scale::FromZero(unit) => {
                let (_, high, ticks) = logarithmic(unit, high.max(unit));
                (0.0, high, std::iter::once(0.0).chain(ticks).collect())
            }
        }
    }
}

/// The next of 1, 2, 5, 10, ... that is no smaller.
fn step(wanted: f64) -> f64 {
    let power = 10f64.powf(wanted.log10().floor());
    [1.0, 2.0, 5.0].map(|n| n * power).into_iter().find(|&step| step >= wanted * 0.999).unwrap_or(10.0 * power)
}

/// Powers of ten around and between; 2 and 5 times them too where there are few.
fn logarithmic(low: f64, high: f64) -> (f64, f64, Vec<f64>) {
    let (low_power, high_power) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let few = (high / low).log10() < 2.2;
    let factors: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let all = (low_power..=high_power).flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
    let all: Vec<f64> = all.filter(|tick| tick.is_finite() && *tick > 0.0).collect();
    let from = all.iter().copied().rfind(|&tick| tick <= low * 1.0001).unwrap_or(low);
    let to = all.iter().copied().find(|&tick| tick >= high * 0.9999 && tick > from).unwrap_or(high * 10.0);
    let every = ((high_power - low_power) / 7).max(0) as usize + 1;
    let every = if few { 1 } else { every };
    let ticks = all.into_iter().filter(|&tick| tick >= from && tick <= to).step_by(every).collect();
    (from, to, ticks)
}

/// An axis with pixels.
pub struct Laid<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Laid<'_> {
    /// Where a value is; what lies beyond the ends (and infinity) is at the end. None for what has no place.
    pub fn at(&self, value: f64) -> Option<f64> {
        if value.is_nan() {
            return None;
        }
        let place = self.axis.place(value);
        let place = if place.is_nan() { self.low } else { place.clamp(self.low, self.high) };
        Some(self.from + (place - self.low) / (self.high - self.low) * (self.to - self.from))
    }

    /// Pixels and texts of the ticks that have a place.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let text = |value: f64| match self.axis.unit {
            Unit::Plain => number::figure(value),
            Unit::Seconds => number::seconds(value),
            Unit::Percent => number::percent(value),
            Unit::Power => number::scientific(value),
        };
        // 0.30000000000000004 is 0.3.
        let exact = |value: f64| if value.abs() < 1e-12 * (self.high - self.low).abs() { 0.0 } else { value };
        self.ticks.iter().filter_map(|&value| Some((self.at(value)?, text(exact(value))))).collect()
    }

    /// The pixel that it starts at.
    pub fn start(&self) -> f64 {
        self.from
    }

    /// The pixel that it ends at.
    pub fn end(&self) -> f64 {
        self.to
    }

    /// What it shows.
    pub fn title(&self) -> &str {
        &self.axis.title
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis, values: &[f64]) -> Vec<String> {
        let laid = axis.lay(values.iter().copied(), 0.0, 100.0).expect("values with a place");
        laid.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(texts(&Axis::new("", Scale::Linear, Unit::Plain), &[0.3, 1.7]), ["0", "0.5", "1", "1.5", "2"]);
        assert_eq!(
            texts(&Axis::new("", Scale::Log, Unit::Power), &[2e-4, 0.5]),
            ["1e-4", "1e-3", "0.01", "0.1", "1"].map(|text| {
                if text.starts_with("0.") || text == "1" {
                    number::scientific(text.parse().expect("a number"))
                } else {
                    text.into()
                }
            })
        );
        let axis = Axis::new("", Scale::Log, Unit::Seconds);
        assert_eq!(texts(&axis, &[0.03, 0.4]), ["20\u{a0}ms", "50\u{a0}ms", "100\u{a0}ms", "200\u{a0}ms", "500\u{a0}ms"]);
        assert_eq!(texts(&Axis::new("", Scale::FromZero(1.0), Unit::Plain), &[0.0, 900.0]), ["0", "1", "10", "100", "1,000"]);
        assert_eq!(texts(&Axis::threads(&[1, 2, 4]), &[]), ["1", "2", "4"]);
    }

    #[test]
    fn an_axis_has_a_place_for_all_that_it_is_given_and_for_nothing_else() {
        for scale in [Scale::Linear, Scale::Span, Scale::Log, Scale::FromZero(1.0)] {
            let axis = Axis::new("", scale, Unit::Plain);
            for values in [&[3.0][..], &[1e-300, 1e300], &[2.0, 2.0], &[1.0, f64::INFINITY, f64::NAN]] {
                let laid = axis.lay(values.iter().copied(), 10.0, 90.0).expect("values with a place");
                for &value in values.iter().filter(|value| value.is_finite()) {
                    let at = laid.at(value).expect("a place");
                    assert!((9.9..90.1).contains(&at), "{scale:?}: {value} of {values:?} is at {at}");
                }
                assert_eq!(laid.at(f64::NAN), None);
                assert!(laid.at(f64::INFINITY).is_some_and(f64::is_finite));
            }
            assert!(axis.lay([f64::NAN, f64::INFINITY].into_iter(), 0.0, 1.0).is_none());
        }
        assert!(Axis::new("", Scale::Log, Unit::Plain).lay([0.0, -1.0].into_iter(), 0.0, 1.0).is_none());
    }
}
