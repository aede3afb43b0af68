//! Numbers out of bytes, eight at a time.
//!
//! The plain way takes what nearly every pair of every file is, `digits:digits` or `digits:digits.digits` of not too many
//! digits; it looks at 8 bytes as one integer, so that neither the length of a number nor its digits cost a branch each.
//! Everything else goes the general way, which also decides what is no number.

/// As many bytes as a plain pair has at most, and the byte that ends it.
const WINDOW: usize = 40;
/// Powers of ten that are f64 numbers without rounding, as far as they are needed.
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
const WHOLE_POWERS: [i64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[inline(always)]
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// Whether a number is over before this byte.
#[inline(always)]
fn ends_number(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'\n' | b'#')
}

/// A pair written plainly.
pub struct PlainPair {
    pub index: u32,
    pub value: f32,
    /// How many bytes it takes, and the byte that ends it.
    pub length: usize,
    pub end: u8,
}

/// The pair at the start of the text. `None` says nothing but that the general way is to be gone.
#[inline(always)]
pub fn plain_pair(text: &[u8]) -> Option<PlainPair> {
    let window: &[u8; WINDOW] = text.first_chunk()?;
    let (index, n) = digits(word(window, 0));
    if n == 0 || window[n] != b':' {
        return None;
    }
    // Two branches that are nearly always taken alike: the processor need not wait for the sign to go on.
    let (value, length) = if window[n + 1] == b'-' {
        let (value, length) = plain_magnitude(window, n + 2)?;
        (-value, length)
    } else {
        plain_magnitude(window, n + 1)?
    };
    let end = window[length];
    ends_number(end).then_some(PlainPair { index: index as u32, value: value as f32, length, end })
}

/// `digits` or `digits.digits`, and where it ends.
#[inline(always)]
fn plain_magnitude(window: &[u8; WINDOW], start: usize) -> Option<(f64, usize)> {
    let first = word(window, start);
    let (mut mantissa, mut n_digits, mut at) = (0, 0, start + 1);
    if first as u16 != u16::from_le_bytes(*b"0.") {
        (mantissa, n_digits) = digits(first);
        at = start + n_digits;
        if n_digits == 0 || n_digits == 8 {
            return None;
        }
        if window[at] != b'.' {
            return Some((mantissa as f64, at));
        }
    }
    let (decimals, mut n_decimals) = digits(word(window, at + 1));
    if n_decimals == 0 {
        return None;
    }
    mantissa = mantissa * WHOLE_POWERS[n_decimals] + decimals;
    if n_decimals == 8 {
        let (decimals, n) = digits(word(window, at + 9));
        if n_digits + 8 + n > 15 {
            return None;
        }
        if n > 0 {
            (mantissa, n_decimals) = (mantissa * WHOLE_POWERS[n] + decimals, 8 + n);
        }
    }
    // Both are f64 numbers without rounding, so that the quotient is correctly rounded.
    Some((mantissa as f64 / POWERS[n_decimals], at + 1 + n_decimals))
}

#[inline(always)]
fn word(window: &[u8; WINDOW], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|k| window[at + k]))
}

/// The number that the digits at the start of these 8 bytes make, and how many they are. Without any the number means nothing.
#[inline(always)]
fn digits(word: u64) -> (i64, usize) {
    // Digits become 0 to 9. Of other bytes the first gets its top bit set (those after it are nobody's business).
    let zeroed = word ^ 0x3030_3030_3030_3030;
    let others = (zeroed.wrapping_add(0x7676_7676_7676_7676) | zeroed) & 0x8080_8080_8080_8080;
    let n = others.trailing_zeros() / 8;
    // Zeros before them make them 8, of which neighbours are joined to numbers of 2, 4 and 8 digits.
    let eight = zeroed.wrapping_shl(64 - 8 * n);
    let twos = eight.wrapping_mul(10).wrapping_add(eight >> 8);
    let (high, low) = (twos & 0x0000_00ff_0000_00ff, (twos >> 16) & 0x0000_00ff_0000_00ff);
    let joined = high.wrapping_mul(100 + (1_000_000 << 32)).wrapping_add(low.wrapping_mul(1 + (10_000 << 32)));
    ((joined >> 32) as i64, n as usize)
}

/// `digits:`, and what follows.
pub fn index(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut value, mut place) = (0u64, 0);
    while let Some(digit) = text.get(place).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
        value = value.saturating_mul(10).saturating_add(u64::from(digit));
        place += 1;
    }
    (place > 0 && text.get(place) == Some(&b':')).then(|| (value, &text[place + 1..]))
}

/// A number that ends at a blank, a comment or the end of the line, and what follows.
///
/// Digits with a point, whose digits fit in 53 bits, are exact: both they and the power of ten are f64 numbers without
/// rounding, so that their quotient is correctly rounded. Everything else goes the slow way.
pub fn number(text: &[u8]) -> Option<(f64, &[u8])> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative || text.first() == Some(&b'+'));
    let (mut place, mut digits, mut n_digits, mut n_decimals, mut in_decimals) = (start, 0u64, 0usize, 0usize, false);
    while let Some(&byte) = text.get(place) {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            n_digits += 1;
            n_decimals += usize::from(in_decimals);
        } else if byte == b'.' && !in_decimals {
            in_decimals = true;
        } else {
            break;
        }
        place += 1;
    }
    let ended = text.get(place).is_none_or(|&byte| ends_number(byte));
    if ended && (1..=15).contains(&n_digits) {
        let value = digits as f64 / POWERS[n_decimals];
        return Some((if negative { -value } else { value }, &text[place..]));
    }
    let end = text.iter().position(|&byte| ends_number(byte)).unwrap_or(text.len());
    let (signed, unsigned) = (&text[..end], &text[start..end]);
    let twice_signed = start == 1 && unsigned.first().is_some_and(|byte| b"+-".contains(byte));
    let body = if negative { signed } else { unsigned }; // the slow way knows no '+'
    fast_float2::parse(body).ok().filter(|_| !twice_signed).map(|value| (value, &text[end..]))
}

/// As a 32-bit number, if it is one.
#[inline(always)]
pub fn finite(value: f64) -> Option<f32> {
    Some(value as f32).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn numbers_round_as_the_standard_library_does() {
        for text in
            ["0", "-0", "1", "+1", "0.1", "123456.789", "-.5", "5.", "0.000123456789012", "999999999999999", "1e-3", "3.4e38"]
        {
            let (value, rest) = number(text.as_bytes()).expect(text);
            assert_eq!(value.to_bits(), text.parse::<f64>().expect(text).to_bits(), "{text}");
            assert!(rest.is_empty());
        }
        for text in ["", "-", ".", "+", "1x", "0x10", "1e", "--1", "+-1"] {
            assert!(number(text.as_bytes()).is_none(), "{text}");
        }
    }

    /// A pair the plain way and the general way: the same, or the plain way declines.
    fn both_ways(text: &str) -> bool {
        let padded = format!("{text}{}", "~".repeat(WINDOW));
        let Some(plain) = plain_pair(padded.as_bytes()) else { return false };
        let (number_, after) = index(text.as_bytes()).expect(text);
        let (value, after) = number(after).expect(text);
        assert_eq!((u64::from(plain.index), plain.value.to_bits()), (number_, (value as f32).to_bits()), "{text}");
        assert_eq!((text.len() - after.len(), plain.end), (plain.length, after[0]), "{text}");
        true
    }

    #[test]
    fn a_plain_pair_is_read_as_the_general_way_reads_it() {
        for text in ["1:1 ", "12345678:0.5\n", "0:-0\t", "9:-12.25#", "3:1234567.1\r", "7:0.123456789012345 "] {
            assert!(both_ways(text), "{text}");
        }
        for text in [
            "1:",
            "1 ",
            ":1 ",
            "1:x ",
            "1:1x ",
            "1:1e5 ",
            "1:.5 ",
            "123456789:1 ",
            "7:5. ",
            "7:0. ",
            "1:+1 ",
            "1:--1 ",
            "1:0.1.2 ",
            "1:12345678 ",
        ] {
            assert!(!both_ways(text), "{text}");
        }
        assert!(plain_pair(b"1:1 ").is_none()); // too near the end of the text to look at once
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        let mut n_plain = 0;
        for _ in 0..200_000 {
            let digits = |random: &mut Xoshiro256PlusPlus, most: u32| {
                let n = random.random_range(0..=most);
                (0..n).map(|_| char::from(random.random_range(b'0'..=b'9'))).collect::<String>()
            };
            let sign = ["", "", "-", "+"][random.random_range(0..4)];
            let point = ["", ".", "."][random.random_range(0..3)];
            let end = [" ", "\n", "\t", "#", "x", ":"][random.random_range(0..6)];
            let (first, whole, decimals) = (digits(&mut random, 9), digits(&mut random, 9), digits(&mut random, 17));
            n_plain += usize::from(both_ways(&format!("{first}:{sign}{whole}{point}{decimals}{end}")));
        }
        assert!(n_plain > 20_000, "{n_plain}");
    }
}
