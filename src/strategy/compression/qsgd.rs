//! QSGD (Alistarh, Grubic, Li, Tomioka and Vojnovic, NIPS 2017): every entry of a gradient v is rounded at random to one of s
//! levels of its 2-norm, up or down so that the mean is right:
//!
//! ```text
//! Q(v)_j = |v| sign(v_j) L_j / s       L_j = floor(r) + 1 with probability r - floor(r), else floor(r),    r = s |v_j| / |v|
//! E Q(v) = v            E |Q(v) - v|^2 <= min(d/s^2, sqrt(d)/s) |v|^2
//! ```
//!
//! where d counts the entries that are not 0. What is sent is the norm as it stands and, for every L_j above 0 in the order
//! of the features, the distance from the last one, a sign and L_j, distances and levels in Elias's omega code (section 3.1
//! of the paper); before them the code of their number and one, so that the message says where it ends. The bits are
//! counted, not written: workers of one machine hand each other the numbers.

use rand::{Rng, RngExt};

use crate::strategy::compression::elias::omega_bits;
use crate::sync::Float;

/// Replaces the entries of a gradient, (feature, value), by their quantised ones in the order of the features, leaving out
/// those at level 0. Returns the bits that the message takes.
pub fn quantise<F: Float>(entries: &mut Vec<(u32, F)>, n_levels: u32, random: &mut impl Rng) -> u64 {
    // What is sent is the rounded norm, so levels are taken of that: then nothing but the draw itself is random.
    let norm = F::from_f64(entries.iter().map(|&(_, v)| v.to_f64() * v.to_f64()).sum::<f64>().sqrt()).to_f64();
    let mut bits = 8 * size_of::<F>() as u64;
    let unit = norm / f64::from(n_levels);
    if unit == 0.0 {
        entries.clear();
    } else if unit.is_finite() {
        // What has exploded is sent as it is: somebody will notice.
        entries.sort_unstable_by_key(|entry| entry.0);
        let mut next = 0;
        entries.retain_mut(|(j, value)| {
            let size = value.to_f64().abs() / unit;
            let level = size.floor() + if random.random::<f64>() < size.fract() { 1.0 } else { 0.0 };
            if level == 0.0 {
                return false;
            }
            bits += omega_bits(u64::from(*j - next) + 1) + 1 + omega_bits(level as u64);
            next = *j + 1;
            *value = F::from_f64(unit * level).copysign(*value);
            true
        });
    }
    bits + omega_bits(entries.len() as u64 + 1)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::strategy::compression::elias::tests::{decode, encode};

    const DRAWS: u32 = 100_000;

    fn vectors() -> Vec<Vec<(u32, f64)>> {
        vec![
            vec![(0, 1.0)],
            vec![(3, -0.3), (4, 0.4)],
            (0..12).map(|k| (7 * k, [1.0, -1.0][k as usize % 2] * 0.7f64.powi(k as i32))).collect(),
            (0..40).map(|k| (k * k, f64::from(k) - 18.3)).collect(),
        ]
    }

    fn drawn(vector: &[(u32, f64)], n_levels: u32, random: &mut Xoshiro256PlusPlus) -> Vec<(u32, f64)> {
        let mut entries = vector.to_vec();
        quantise(&mut entries, n_levels, random);
        entries
    }

    #[test]
    fn the_mean_of_a_hundred_thousand_draws_is_the_vector_by_a_z_test() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        // 5.5 standard errors: two in 10^8 tests, and there are some hundred.
        for vector in vectors() {
            for n_levels in [1, 3, 16] {
                let mut sums = vec![0.0; 1600];
                for _ in 0..DRAWS {
                    drawn(&vector, n_levels, &mut random).into_iter().for_each(|(j, value)| sums[j as usize] += value);
                }
                let norm = vector.iter().map(|entry| entry.1 * entry.1).sum::<f64>().sqrt();
                for &(j, value) in &vector {
                    let mean = std::mem::take(&mut sums[j as usize]) / f64::from(DRAWS);
                    let level = f64::from(n_levels) * value.abs() / norm;
                    let deviation = norm / f64::from(n_levels) * (level.fract() * (1.0 - level.fract())).sqrt();
                    let error = deviation / f64::from(DRAWS).sqrt();
                    assert!((mean - value).abs() <= 5.5 * error + 1e-9, "feature {j}, {n_levels} levels: {mean} is not {value}");
                }
                assert!(sums.iter().all(|&sum| sum == 0.0), "an entry that was 0 was sent");
            }
        }
    }

    #[test]
    fn the_variance_keeps_the_papers_bound_and_is_no_trifle() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
        for vector in vectors() {
            let (d, squared) = (vector.len() as f64, vector.iter().map(|entry| entry.1 * entry.1).sum::<f64>());
            for n_levels in [1, 2, 8, 64] {
                let error = |found: &[(u32, f64)]| -> f64 {
                    let sent = |j| found.iter().find(|entry| entry.0 == j).map_or(0.0, |entry| entry.1);
                    vector.iter().map(|&(j, value)| (sent(j) - value).powi(2)).sum()
                };
                let draws = 4000;
                let mean = (0..draws).map(|_| error(&drawn(&vector, n_levels, &mut random))).sum::<f64>() / f64::from(draws);
                let s = f64::from(n_levels);
                let bound = (d / (s * s)).min(d.sqrt() / s) * squared;
                assert!(mean <= 1.05 * bound, "{d} entries, {n_levels} levels: {mean} above {bound}");
                assert!(d < 12.0 || mean > 0.01 * bound, "{d} entries, {n_levels} levels: {mean} beside {bound}");
            }
        }
    }

    #[test]
    fn the_bits_are_those_of_a_message_that_can_be_read_back() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        for vector in vectors() {
            for n_levels in [1, 4, 1000] {
                for _ in 0..50 {
                    let mut entries: Vec<(u32, f32)> = vector.iter().map(|&(j, value)| (j, value as f32)).collect();
                    let norm = entries.iter().map(|entry| f64::from(entry.1).powi(2)).sum::<f64>().sqrt() as f32;
                    let bits = quantise(&mut entries, n_levels, &mut random);
                    let unit = f64::from(norm) / f64::from(n_levels);

                    let mut message: Vec<bool> = (0..32).map(|k| norm.to_bits() >> k & 1 == 1).collect();
                    encode(entries.len() as u64 + 1, &mut message);
                    let mut next = 0;
                    for &(j, value) in &entries {
                        encode(u64::from(j - next) + 1, &mut message);
                        message.push(value < 0.0);
                        encode((f64::from(value.abs()) / unit).round() as u64, &mut message);
                        next = j + 1;
                    }
                    assert_eq!(message.len() as u64, bits);

                    let mut message = message.into_iter();
                    let norm = f32::from_bits((0..32).fold(0, |bits, k| bits | u32::from(message.next().expect("a bit")) << k));
                    let unit = f64::from(norm) / f64::from(n_levels);
                    let mut next = 0;
                    let read: Vec<(u32, f32)> = (1..decode(&mut message))
                        .map(|_| {
                            let j = next + decode(&mut message) as u32 - 1;
                            let sign = if message.next().expect("a sign") { -1.0 } else { 1.0 };
                            next = j + 1;
                            (j, (unit * decode(&mut message) as f64) as f32 * sign)
                        })
                        .collect();
                    assert_eq!((read, message.next()), (entries, None));
                }
            }
        }
    }

    #[test]
    fn nothing_to_send_is_a_norm_and_the_number_0() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(4);
        assert_eq!(quantise::<f32>(&mut Vec::new(), 4, &mut random), 33);
    }
}
