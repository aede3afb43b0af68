//! Numbers as people read them: three significant digits, and the unit that fits.

/// To three significant digits; a dash for what is no number.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return "–".into();
    }
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e7).contains(&size) {
        return scientific(value);
    }
    let digits = size.log10().floor() as i32;
    if digits >= 3 {
        let step = 10f64.powi(digits - 2);
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", grouped(((size / step).round() * step) as u64));
    }
    trimmed(&format!("{value:.*}", (2 - digits).max(0) as usize)).replace('-', "−")
}

/// To three significant digits, as 1.23e-4.
pub fn scientific(value: f64) -> String {
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", trimmed(mantissa)),
        None => text,
    }
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// 1234567 as 1,234,567.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds, in µs, ms or s.
pub fn seconds(value: f64) -> String {
    let (scale, unit) = match value.abs() {
        0.0 => (1.0, "s"),
        size if size < 1e-3 => (1e6, "µs"),
        size if size < 1.0 => (1e3, "ms"),
        _ => (1.0, "s"),
    };
    if value.is_finite() { format!("{}\u{a0}{unit}", figure(scale * value)) } else { figure(value) }
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{}\u{a0}%", figure(100.0 * share))
}

/// A relative suboptimality, as the user wrote it: 1e-3.
pub fn epsilon(value: f64) -> String {
    if value.is_finite() { format!("{value:e}") } else { figure(value) }
}

/// The day and minute, UTC, of a number of seconds since 1970 (Hinnant, chrono-compatible low-level date algorithms, 2013).
pub fn date(since_1970: u64) -> String {
    let (days, second) = (since_1970 / 86_400 + 719_468, since_1970 % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", second / 3_600, second / 60 % 60)
}

/// "one thread" or "4 threads".
pub fn threads(n: usize) -> String {
    counted(n, "thread")
}

/// "one run" or "4 runs".
pub fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("one {what}") } else { format!("{} {what}s", grouped(n as u64)) }
}

/// "One method is" or "4 methods are".
pub fn were(n_methods: usize) -> String {
    if n_methods == 1 { "One method is".into() } else { format!("{n_methods} methods are") }
}

/// "1", "1 and 2", "1, 2 and 4".
pub fn listed<T: ToString>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(T::to_string).collect();
    match texts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let of = [0.0, 0.00012345, 0.012345, 1.0, 9.996, 12.345, 123.45, 1234.5, 1_234_567.0, 1.5e9, -0.25];
        let texts = ["0", "1.23e-4", "0.0123", "1", "10", "12.3", "123", "1,230", "1,230,000", "1.5e9", "−0.25"];
        assert_eq!(of.map(figure), texts);
        assert_eq!([f64::NAN, f64::INFINITY].map(figure), ["–", "–"]);
    }

    #[test]
    fn seconds_have_the_unit_that_fits() {
        assert_eq!([2e-5, 0.0123, 1.5, 0.0].map(seconds), ["20\u{a0}µs", "12.3\u{a0}ms", "1.5\u{a0}s", "0\u{a0}s"]);
    }

    #[test]
    fn dates_know_leap_years() {
        let of = [0, 951_782_400, 1_709_210_096, 1_795_348_800];
        assert_eq!(
            of.map(date),
            ["1970-01-01 00:00 UTC", "2000-02-29 00:00 UTC", "2024-02-29 12:34 UTC", "2026-11-22 12:00 UTC"]
        );
    }

    #[test]
    fn lists_read_as_a_sentence_does() {
        assert_eq!([listed::<u8>(&[]), listed(&[1]), listed(&[1, 2]), listed(&[1, 2, 4])], ["", "1", "1 and 2", "1, 2 and 4"]);
        assert_eq!((threads(1), counted(1200, "run")), ("one thread".into(), "1,200 runs".into()));
    }
}
