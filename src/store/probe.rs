//! What a store says of itself, for a report to its operator.

use std::time::Duration;

use crate::clock::Timestamp;

/// One look at a store.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The release of its software, where it tells.
    pub version: Option<String>,
    /// How long one question and its answer took.
    pub round_trip: Duration,
    /// By how many milliseconds its clock is ahead of this machine's; `None` for a store without a clock of
    /// its own, and for one that does not tell.
    pub clock_ahead: Option<i64>,
}

/// By how many milliseconds a clock is ahead that showed `theirs` in the middle of a round trip.
pub(super) fn ahead(theirs: i64, asked_at: Timestamp, round_trip: Duration) -> i64 {
    theirs.saturating_sub((asked_at + round_trip / 2).as_millis())
}
