//! Whether two sets of times can be told apart.

use std::fmt;
use std::ops::RangeInclusive;

/// What the area under the ROC curve may be: 0.5 is a coin, 0 and 1 are certainty. Narrower than SR-21 asks.
const ALIKE: RangeInclusive<f64> = 0.45..=0.55;
/// How far apart medians may be: this share of the greater, …
const MEDIAN_SHARE: f64 = 0.05;
/// … or this many milliseconds, whichever is more.
const MEDIAN_MS: f64 = 5.0;

/// Two sets of times, compared.
pub struct Comparison {
    reference_ms: f64,
    other_ms: f64,
    auc: f64,
}

impl Comparison {
    /// Compares times, in milliseconds, with those of the reference.
    pub fn of(reference: &[f64], other: &[f64]) -> Self {
        let (reference_ms, other_ms) = (median(reference), median(other));
        Self { reference_ms, other_ms, auc: auc(reference, other) }
    }

    /// Whether SR-21 holds.
    pub fn is_alike(&self) -> bool {
        let allowed = MEDIAN_MS.max(MEDIAN_SHARE * self.reference_ms.max(self.other_ms));
        ALIKE.contains(&self.auc) && (self.other_ms - self.reference_ms).abs() <= allowed
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reference_ms, other_ms, auc } = self;
        let verdict = if self.is_alike() { "alike" } else { "TOLD APART" };
        let difference = other_ms - reference_ms;
        write!(
            f,
            "{other_ms:.2} ms | {reference_ms:.2} ms | {difference:+.2} ms | {auc:.3} | {verdict}"
        )
    }
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    (at(sorted.len().saturating_sub(1) / 2) + at(sorted.len() / 2)) / 2.0
}

/// The area under the ROC curve: how likely one of the others takes longer than one of the reference,
/// a tie counting half (the statistic of Mann and Whitney).
fn auc(reference: &[f64], other: &[f64]) -> f64 {
    let wins = |time: &f64| -> f64 {
        let longer = reference.iter().filter(|than| time > *than).count() as f64;
        longer + reference.iter().filter(|than| time == *than).count() as f64 / 2.0
    };
    other.iter().map(wins).sum::<f64>() / (reference.len() * other.len()) as f64
}
