//! How much is allowed: quotas of requests, and the delays after wrong passwords.

use std::fmt;
use std::time::Duration;

/// How many requests in how long (SR-23), as a bucket of tokens (GCRA, ITU-T I.371): `count` tokens
/// flow in over `per`, evenly, and at most `burst` wait.
///
/// It is written and printed as `<count>/<duration>`: `20/1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    count: u32,
    per: Duration,
    burst: u32,
}

impl Quota {
    /// The most that a quota may allow.
    pub const MAX_COUNT: u32 = 1_000_000;
    /// The longest period of a quota.
    pub const MAX_PER: Duration = Duration::from_secs(24 * 60 * 60);

    /// `count` requests in `per`, all of which may come at once; `None` unless `count` is from 1 to
    /// [`Quota::MAX_COUNT`] and `per` from one second to [`Quota::MAX_PER`].
    pub fn new(count: u32, per: Duration) -> Option<Self> {
        let fits = (1..=Self::MAX_COUNT).contains(&count)
            && (Duration::from_secs(1)..=Self::MAX_PER).contains(&per);
        fits.then_some(Self { count, per, burst: count })
    }

    /// The same flow, of which at most `burst` (but at least one) may come at once.
    #[must_use]
    pub fn with_burst(self, burst: u32) -> Self {
        Self { burst: burst.clamp(1, self.count), ..self }
    }

    /// How many requests.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// In how long.
    pub fn per(&self) -> Duration {
        self.per
    }

    /// How many may come at once.
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// How long the bucket takes to fill when it is empty, in microseconds.
    pub fn depth_micros(&self) -> i64 {
        self.interval_micros().saturating_mul(i64::from(self.burst))
    }

    /// How long one token takes to flow in, in microseconds.
    pub fn interval_micros(&self) -> i64 {
        let micros = self.per.as_micros() / u128::from(self.count);
        i64::try_from(micros).unwrap_or(i64::MAX).max(1)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.per.as_secs();
        let (number, unit) = match seconds {
            s if s.is_multiple_of(3600) => (s / 3600, 'h'),
            s if s.is_multiple_of(60) => (s / 60, 'm'),
            s => (s, 's'),
        };
        write!(f, "{}/{number}{unit}", self.count)
    }
}

/// The delays after wrong passwords (SR-22): none for the first failures, then 1, 2, 4 … seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// How many failures cost no delay, less one: the failure of this number costs the first delay.
    pub free: u32,
}

impl Backoff {
    /// The delay after failure number `free`; each further failure doubles it.
    pub const FIRST: Duration = Duration::from_secs(1);
    /// The longest delay. There is no lock beyond it.
    pub const CEILING: Duration = Duration::from_secs(15 * 60);
    /// After this long without a failure, all are forgotten.
    pub const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

    /// How long nobody may try again after `failures` of them in a row.
    pub fn delay(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(beyond) => (Self::FIRST * 2_u32.pow(beyond.min(20))).min(Self::CEILING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_has_bounds_and_prints_as_it_is_written() {
        let minute = Duration::from_secs(60);
        let quota = Quota::new(20, minute).unwrap().with_burst(10);
        assert_eq!((quota.to_string().as_str(), quota.burst()), ("20/1m", 10));
        assert_eq!(quota.interval_micros(), 3_000_000);
        assert_eq!(Quota::new(1, minute).unwrap().with_burst(0).burst(), 1);
        assert_eq!(Quota::new(3, Duration::from_secs(90)).unwrap().to_string(), "3/90s");
        assert_eq!(Quota::new(10, minute * 60).unwrap().to_string(), "10/1h");
        assert!(Quota::new(1, Duration::from_secs(86_400)).is_some());
        for (count, per) in [(0, 60), (1, 0), (Quota::MAX_COUNT + 1, 60), (1, 86_401)] {
            assert_eq!(Quota::new(count, Duration::from_secs(per)), None);
        }
    }

    #[test]
    fn sr_22_delays_double_from_one_second_to_a_quarter_of_an_hour() {
        let backoff = Backoff { free: 5 };
        let delays: Vec<u64> = (0..=17).map(|n| backoff.delay(n).as_secs()).collect();
        assert_eq!(delays[..8], [0, 0, 0, 0, 0, 1, 2, 4]);
        assert_eq!(delays[14..], [512, 900, 900, 900]);
        assert_eq!(backoff.delay(u32::MAX), Backoff::CEILING);
    }

    /// What `docs/throttling.md` states.
    #[test]
    fn sr_22_the_stated_number_of_guesses_follows_from_the_delays() {
        for free in [1, 5, 10] {
            let backoff = Backoff { free };
            let (mut at, mut guesses) = (0, Vec::new());
            for failures in 1..=150 {
                guesses.push(at);
                at += backoff.delay(failures).as_secs();
            }
            let within = |from: u64, until: u64| {
                guesses.iter().filter(|at| (from..until).contains(*at)).count()
            };
            assert_eq!(within(0, 3600), free as usize + 12);
            for hour in 1..20 {
                assert_eq!(within(hour * 3600, (hour + 1) * 3600), 4);
            }
            assert_eq!(within(0, 24 * 3600), free as usize + 104);
        }
    }
}
