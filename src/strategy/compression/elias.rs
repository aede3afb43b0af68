//! Elias's omega code of the numbers from 1 (Universal codeword sets and representations of the integers, IEEE Transactions
//! on Information Theory 21, 1975): a number is written in binary, before it the number of its binary digits less one, before
//! that the number of digits of that ... and a 0 at the end. Small numbers are short: 1 takes one bit, 2 and 3 take three, 4
//! to 7 six, and n about log n + log log n + ...

/// How many bits the code of n takes.
///
/// # Panics
/// If n is 0, in a debug build: it has no code.
pub fn omega_bits(n: u64) -> u64 {
    debug_assert!(n > 0, "0 has no code");
    let (mut bits, mut rest) = (1, n);
    while rest > 1 {
        let below = u64::from(rest.ilog2());
        bits += below + 1;
        rest = below;
    }
    bits
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The code itself, as bits.
    pub fn encode(n: u64, out: &mut Vec<bool>) {
        let mut groups = Vec::new();
        let mut rest = n;
        while rest > 1 {
            groups.push(rest);
            rest = u64::from(rest.ilog2());
        }
        for group in groups.into_iter().rev() {
            out.extend((0..=group.ilog2()).rev().map(|k| group >> k & 1 == 1));
        }
        out.push(false);
    }

    pub fn decode(bits: &mut impl Iterator<Item = bool>) -> u64 {
        let mut n = 1;
        while bits.next().expect("a bit") {
            n = (0..n).fold(1, |value, _| 2 * value + u64::from(bits.next().expect("a bit")));
        }
        n
    }

    #[test]
    fn the_length_is_that_of_a_code_that_can_be_read_back() {
        let numbers = (1..5000).chain((12..64).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1])).chain([u64::MAX]);
        let numbers: Vec<u64> = numbers.collect();
        let mut stream = Vec::new();
        for &n in &numbers {
            let before = stream.len();
            encode(n, &mut stream);
            assert_eq!((stream.len() - before) as u64, omega_bits(n), "{n}");
        }
        let mut bits = stream.into_iter();
        assert!(numbers.iter().all(|&n| decode(&mut bits) == n));
        assert_eq!(bits.next(), None);
    }

    #[test]
    fn the_first_codes_are_those_of_the_paper() {
        for (n, code) in [(1, "0"), (2, "100"), (3, "110"), (4, "101000"), (7, "101110"), (8, "1110000"), (16, "10100100000")] {
            let mut bits = Vec::new();
            encode(n, &mut bits);
            assert_eq!(bits.iter().map(|&bit| if bit { '1' } else { '0' }).collect::<String>(), code);
        }
    }
}
