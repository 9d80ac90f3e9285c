//! Time, injected: the domain asks a [`Clock`], so that tests decide what time it is.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How far the clocks of replicas may be apart (SR-75). What lies further ahead than that was written
/// before the clock was set back.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
///
/// Stores keep the number; people and programs see RFC 3339 with milliseconds, through [`fmt::Display`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment `secs` seconds after the epoch, as a `NumericDate` of a JWT says it (RFC 7519 §2).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down (`NumericDate`, RFC 7519 §2).
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads a moment in RFC 3339, to the millisecond; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let moment: jiff::Timestamp = text.parse().ok()?;
        Some(Self(moment.as_millisecond()))
    }

    /// How far apart the two moments are, whichever comes first.
    pub fn abs_diff(self, other: Timestamp) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// Whether this is `moment`, or less than `span` after it. Before `moment` it is not: then the clock
    /// was set back, and what was to last for `span` does not last until the clock has caught up.
    pub fn is_within(self, span: Duration, moment: Timestamp) -> bool {
        moment <= self && self.since(moment) < span
    }

    /// How long it is from `earlier` until this moment; zero if `earlier` is not earlier.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

/// It is shown, and taken, in RFC 3339.
impl schemars::JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let example = "2026-01-31T09:30:00.000Z";
        schemars::json_schema!({ "type": "string", "format": "date-time", "examples": [example] })
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-01-31T09:30:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment =
            jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let at = jiff::tz::Offset::UTC.to_datetime(moment);
        if at.year() < 0 {
            return write!(f, "{moment:.3}");
        }
        // By hand: every answer about an account shows two moments, and this takes half the time.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        write_digits(&mut text[0..4], at.year());
        write_digits(&mut text[5..7], at.month().into());
        write_digits(&mut text[8..10], at.day().into());
        write_digits(&mut text[11..13], at.hour().into());
        write_digits(&mut text[14..16], at.minute().into());
        write_digits(&mut text[17..19], at.second().into());
        write_digits(&mut text[20..23], at.millisecond());
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Writes a number that is not negative, with as many digits as there are places.
fn write_digits(places: &mut [u8], mut number: i16) {
    for place in places.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock: the one place that asks the operating system for the time of day.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    #[allow(clippy::disallowed_methods, reason = "this is the clock that everything else is given")]
    fn now(&self) -> Timestamp {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(millis(since_epoch))
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Clone, Debug)]
pub struct Manual(Arc<AtomicI64>);

impl Manual {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(start.0)))
    }

    /// Moves the clock, and all its clones, forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(millis(by), Ordering::SeqCst);
    }

    /// Sets the clock, and all its clones, forward or back, as whoever corrects a clock does.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.0, Ordering::SeqCst);
    }
}

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_with_milliseconds() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Timestamp::from_millis(1_764_000_000_123).to_string(),
            "2025-11-24T16:00:00.123Z"
        );
        let moment = Timestamp::from_millis(1_764_000_000_123);
        assert_eq!(Timestamp::parse("2025-11-24T17:00:00.123+01:00"), Some(moment));
        assert_eq!(Timestamp::parse("2025-11-24"), None);
    }

    #[test]
    fn a_timestamp_prints_as_jiff_prints_it() {
        // Moments of every kind: 37 years and a bit of each smaller unit apart.
        for step in 0..200 {
            let millis = -377_000_000_000_000 + step * 1_171_003_723_421;
            let moment = jiff::Timestamp::from_millisecond(millis).unwrap();
            assert_eq!(Timestamp::from_millis(millis).to_string(), format!("{moment:.3}"));
        }
    }

    #[test]
    fn what_lies_ahead_is_not_within_any_span() {
        let (moment, span) = (Timestamp::from_millis(5_000), Duration::from_secs(1));
        let within = |millis| Timestamp::from_millis(millis).is_within(span, moment);
        assert_eq!([4_999, 5_000, 5_999, 6_000].map(within), [false, true, true, false]);
    }

    #[test]
    fn seconds_round_down_and_durations_never_run_backwards() {
        let moment = Timestamp::from_millis(1_999);
        assert_eq!(moment.as_secs(), 1);
        assert_eq!(Timestamp::from_millis(5).since(moment), Duration::ZERO);
    }
}
