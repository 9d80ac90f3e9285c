//! How often things happen: the numbers behind the dashboard's chart.

use std::time::Duration;

use super::{Audit, Kind};
use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// One hour.
pub const HOUR: Duration = Duration::from_secs(3600);
/// One day.
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// How many spans can be asked for: a month of hours, two years of days.
const MAX_SPANS: usize = 744;

/// What happened in one span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// When the span begins.
    pub begins_at: Timestamp,
    /// How many sign-ins were good.
    pub login_success: u64,
    /// How many were refused.
    pub login_fail: u64,
    /// How many requests were over a limit.
    pub throttled: u64,
    /// How many refresh tokens were used again (SR-36).
    pub token_reuse: u64,
}

/// The beginning of the span that `at` lies in: spans begin at multiples of their length since the
/// epoch, which are full hours and days in UTC.
pub fn begin_of(at: Timestamp, span: Duration) -> Timestamp {
    let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX).max(1);
    Timestamp::from_millis(at.as_millis().div_euclid(span).saturating_mul(span))
}

/// The numbers of each span of `[from, to)`, the earliest first, also of those without any event.
///
/// # Errors
/// [`Error::Invalid`] for a time that is empty or has too many spans.
pub async fn numbers(
    audit: &Audit,
    from: Timestamp,
    to: Timestamp,
    span: Duration,
) -> Result<Vec<Numbers>> {
    if from >= to || from < Timestamp::from_millis(0) {
        return Err(Error::field("from", "out_of_range", "This must be before `to`."));
    }
    let empty = |begins_at| Numbers {
        begins_at,
        login_success: 0,
        login_fail: 0,
        throttled: 0,
        token_reuse: 0,
    };
    let first = begin_of(from, span);
    let starts = std::iter::successors(Some(first), |start| Some(*start + span));
    let mut spans: Vec<Numbers> =
        starts.take_while(|start| *start < to).take(MAX_SPANS + 1).map(empty).collect();
    if spans.len() > MAX_SPANS {
        return Err(Error::field("from", "out_of_range", "This is too long a time at once."));
    }
    let kinds = [Kind::LoginSuccess, Kind::LoginFail, Kind::RateLimited, Kind::TokenReuse];
    for count in audit.tally(&kinds, from, to, span).await? {
        let found = spans.binary_search_by_key(&count.begins_at, |numbers| numbers.begins_at);
        let Some(numbers) = found.ok().and_then(|place| spans.get_mut(place)) else { continue };
        match Kind::parse(&count.kind) {
            Some(Kind::LoginSuccess) => numbers.login_success = count.count,
            Some(Kind::LoginFail) => numbers.login_fail = count.count,
            Some(Kind::RateLimited) => numbers.throttled = count.count,
            Some(Kind::TokenReuse) => numbers.token_reuse = count.count,
            _ => {}
        }
    }
    Ok(spans)
}
