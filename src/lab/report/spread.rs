//! Median and quartiles over seeds.
//!
//! A run that never came to an epsilon counts as one that takes for ever, and is not left out: a method that comes there with
//! two seeds of five has an infinite median, and looks no better than it is. Quantiles are interpolated between neighbours in
//! order (Hyndman & Fan, The American Statistician 1996, definition 7).

/// Lower quartile, median and upper quartile; infinite where too few runs came so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// A quarter of the values do not exceed it.
    pub low: f64,
    /// Half of them do not exceed it.
    pub middle: f64,
    /// Three quarters of them do not exceed it.
    pub high: f64,
}

impl Spread {
    /// Of some values; what is no number counts as infinite. Of none it is infinite.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().map(|value| if value.is_nan() { f64::INFINITY } else { value }).collect();
        values.sort_unstable_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = share * values.len().saturating_sub(1) as f64;
            let (below, above) = (values.get(place.floor() as usize), values.get(place.ceil() as usize));
            match (below, above) {
                (Some(&below), Some(&above)) if below == above => below,
                (Some(&below), Some(&above)) => below + place.fract() * (above - below),
                _ => f64::INFINITY,
            }
        };
        Self { low: quantile(0.25), middle: quantile(0.5), high: quantile(0.75) }
    }

    /// Whether half of the runs came so far.
    pub fn came(&self) -> bool {
        self.middle.is_finite()
    }

    /// Whether the quartiles meet: the difference of the medians is then none to build on.
    pub fn meets(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }

    /// `19 ms (18 to 21 ms)`: the median and the quartiles, in words of `unit`.
    pub fn text(&self, unit: fn(f64) -> String) -> String {
        if !self.came() {
            return "not reached".into();
        }
        if self.low == self.high {
            return unit(self.middle);
        }
        let (low, high) = (unit(self.low), if self.high.is_finite() { unit(self.high) } else { "never".into() });
        // The unit is said once where it is the same.
        let of = |text: &str| text.split_once('\u{a0}').map(|(_, unit)| unit.to_owned());
        let low = if of(&low) == of(&high) { low.split('\u{a0}').next().unwrap_or_default().to_owned() } else { low };
        format!("{} ({low} to {high})", unit(self.middle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_interpolated() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]), Spread { low: 1.75, middle: 2.5, high: 3.25 });
        assert_eq!(Spread::of([7.0]), Spread { low: 7.0, middle: 7.0, high: 7.0 });
    }

    #[test]
    fn a_run_that_never_came_counts_as_one_that_takes_for_ever() {
        let never = f64::INFINITY;
        assert_eq!(Spread::of([1.0, never, 2.0, 3.0, never]), Spread { low: 2.0, middle: 3.0, high: never });
        assert!(!Spread::of([1.0, never, 2.0, never]).came());
        assert!(!Spread::of([1.0, f64::NAN, f64::NAN]).came());
        assert!(!Spread::of([]).came());
    }
}
