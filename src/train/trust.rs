//! What is an estimated gap worth? Steps see a gap as it was at their turn, and of the weights as they were then; what will be
//! certified is that of the epoch's mean, which is smaller.
//!
//! How much smaller depends on how fast the gap falls. Where an epoch divides it by ten, its first steps have seen a gap that
//! was gone at the end. With r, the gap that an epoch has seen over the one that the epoch before has, the share that was
//! certified was, on four real sets and two made ones, three losses, one and two workers:
//!
//! ```text
//! r        0.1            0.3            0.45           0.7            0.85           0.95
//! share    0.33..0.41     0.40..0.50     0.42..0.48     0.61..0.68     0.58..0.72     0.51..0.70
//! ```
//!
//! A certificate too early costs as much as one to six epochs, one too late an epoch or two. Expected is a share of 0.33 + 0.4 r,
//! at most 0.7, which asks early rarely and late by little; for r stands the mean of two epochs where it is larger, for what a
//! leap has stirred up falls back in one without being certified. Few features in many rows differ (0.1 to 1.4); there the first certificate tells.

use crate::problem::Certificate;
use crate::train::{Passed, Progress};
use crate::update::Estimate;

/// The share that is certified of a gap which is gone at once, how it rises with r, and that of a gap which hardly falls.
const LEAST: f64 = 0.33;
const RISE: f64 = 0.4;
const MOST: f64 = 0.7;
/// Whatever was certified before, no other shares are expected.
const POSSIBLE: std::ops::RangeInclusive<f64> = 0.1..=2.0;

/// Learns which share of the gap that an epoch's steps have seen is certified.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// What the last epoch has seen.
    seen: Option<Estimate>,
    /// The share of its gap that is expected, going by how fast it falls.
    share: f64,
    /// The gaps that the two epochs before have seen, the latest first.
    before: [Option<f64>; 2],
    /// The last certified share over the one that was expected.
    correction: f64,
}

impl Trust {
    pub fn new() -> Self {
        Self { seen: None, before: [None; 2], share: MOST, correction: 1.0 }
    }

    /// What an epoch has seen, if its update can tell.
    pub fn see(&mut self, seen: Option<Estimate>) {
        self.before = if seen.is_some() { [self.seen.map(|seen| seen.gap), self.before[0]] } else { [None; 2] };
        let falls = match (seen.map(|seen| seen.gap), self.before) {
            (Some(now), [Some(last), Some(before)]) => (now / last).max((now / before).sqrt()),
            (Some(now), [Some(last), None]) => now / last,
            _ => f64::NAN,
        };
        self.share = if falls.is_finite() { (LEAST + RISE * falls).clamp(LEAST, MOST) } else { MOST };
        self.seen = seen;
    }

    /// What observers are told of the last epoch. Of its gap only if they may ask for a certificate.
    pub fn passed(&self, progress: Progress, may_ask: bool) -> Passed {
        let seen = self.seen.filter(|_| may_ask);
        let share = (self.share * self.correction).clamp(*POSSIBLE.start(), *POSSIBLE.end());
        Passed {
            progress,
            objective: seen.map(|seen| seen.objective - (1.0 - share) * seen.gap),
            gap: seen.map(|seen| share * seen.gap / seen.objective.max(f64::MIN_POSITIVE)),
        }
    }

    /// What the last epoch has come to.
    pub fn learn(&mut self, certificate: &Certificate) {
        let certified = self.seen.zip(certificate.dual).map(|(seen, dual)| (certificate.objective - dual) / seen.gap);
        if let Some(certified) = certified.filter(|share| share.is_finite()) {
            self.correction = certified.clamp(*POSSIBLE.start(), *POSSIBLE.end()) / self.share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(trust: &mut Trust, gap: f64) -> f64 {
        trust.see(Some(Estimate { objective: 1.0, gap }));
        trust.passed(Progress::default(), true).gap.expect("an estimate") / gap
    }

    #[test]
    fn a_gap_that_falls_fast_is_worth_less_than_one_that_stays() {
        let mut trust = Trust::new();
        assert_eq!(expected(&mut trust, 1.0), MOST);
        let slow = expected(&mut trust, 0.9);
        expected(&mut trust, 0.09);
        let fast = expected(&mut trust, 0.009);
        assert!(fast < 0.4 && slow > 0.65, "{fast} {slow}");
        // One that rises, and what falls back to where it was.
        assert_eq!(expected(&mut trust, 2.0), MOST);
        assert_eq!(expected(&mut trust, 0.009), MOST);
        assert_eq!(expected(&mut trust, 0.009), MOST, "one that stays, two epochs after it has risen");
    }

    #[test]
    fn a_certificate_corrects_what_is_expected() {
        let mut trust = Trust::new();
        let first = expected(&mut trust, 1.0);
        trust.learn(&Certificate { objective: 1.0, dual: Some(1.0 - first / 2.0) });
        assert!((expected(&mut trust, 1.0) - first / 2.0).abs() < 1e-12);
        trust.learn(&Certificate { objective: 1.0, dual: Some(f64::NEG_INFINITY) });
        assert!((expected(&mut trust, 1.0) - first / 2.0).abs() < 1e-12, "no bound, nothing learned");
        // What was learned where the gap fell fast is not taken beyond what there can be.
        expected(&mut trust, 0.01);
        trust.learn(&Certificate { objective: 1.0, dual: Some(1.0 - 0.014) });
        assert!((expected(&mut trust, 0.001) - 1.4).abs() < 1e-12, "falling as fast");
        assert_eq!(expected(&mut trust, 0.001), 2.0);
    }

    #[test]
    fn nothing_is_told_where_nothing_was_seen() {
        let mut trust = Trust::new();
        trust.see(None);
        assert!(trust.passed(Progress::default(), true).gap.is_none());
        expected(&mut trust, 1.0);
        assert!(trust.passed(Progress::default(), false).gap.is_none());
    }
}
