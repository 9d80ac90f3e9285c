//! What the audit trail asks of the place that keeps it. Each promise is a case of `tests/audit/`.

use std::time::Duration;

use async_trait::async_trait;

use super::chain::{Chain, Head, Row};
use super::event::{Event, Kind};
use super::verify::Break;
use super::witness::{Alarm, End, Seen};
use crate::clock::Timestamp;
use crate::error::Result;

/// Which events to list, the latest first.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only what this actor did.
    pub actor: Option<String>,
    /// Only what was done to this account.
    pub subject: Option<String>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only what happened at this moment or later.
    pub from: Option<Timestamp>,
    /// Only what happened before this moment.
    pub to: Option<Timestamp>,
    /// Continue after the event of this moment at this place.
    pub after: Option<(Timestamp, i64)>,
    /// At most this many.
    pub limit: u32,
}

/// How many events of one kind fell into one span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// When the span begins: a multiple of its length since the epoch.
    pub begins_at: Timestamp,
    /// The name of the kind.
    pub kind: String,
    /// How many.
    pub count: u64,
}

/// What a step of removing old events came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// So many rows are gone; the chain begins behind this place now.
    Done {
        /// How many, at least one.
        rows: u32,
        /// The last of them.
        start: Head,
    },
    /// None is old enough.
    Nothing,
    /// The oldest rows are not as they were written. They stay: they are evidence.
    Refused(Break),
}

/// What became of a batch of events that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The end of the trail by now.
    pub seen: Seen,
    /// What was wrong with the end that the batch was added to.
    pub alarm: Option<Alarm>,
}

/// How a database stands to its trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// It had none and holds no account: a new trail has begun.
    Began,
    /// Its trail is of an earlier release, and has a name now.
    Named,
    /// Its trail has a name.
    Known,
    /// It has none, though it holds accounts or events: somebody removed it.
    Gone,
}

/// A trail that was removed for a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// How many events were deleted.
    pub events: u64,
    /// The end of the old trail.
    pub old: Seen,
    /// The end of the new one.
    pub new: Seen,
}

/// Where events are kept: a table that is only ever added to, until rows are too old to be kept. There
/// is no way to change one, or to remove one but the oldest, or all of them for a new trail.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Has a trail called `id` begin if there is none and there are no accounts either; gives a
    /// sound trail without a name this one. Of any number of calls at once, one does it.
    async fn begin(&self, chain: &Chain, id: &str) -> Result<Beginning>;

    /// Deletes all rows, and has a trail called `id` begin in their place.
    async fn renew(&self, chain: &Chain, id: &str) -> Result<Renewed>;

    /// Adds `events` to the end of the chain, in their order: all of them or none. What was `seen` of
    /// it before is compared with what is there; behind an end that is not sound, the new one gets no
    /// seal.
    ///
    /// Any number of servers may do so at once; their batches follow one another. A batch whose
    /// first event is in the table already was added before (its answer got lost on the way), and
    /// is not added again.
    async fn append(
        &self,
        chain: &Chain,
        seen: Option<&Seen>,
        events: &[Event],
    ) -> Result<Appended>;

    /// The end of the trail, as it is at one moment, and the code of the row at the place `seen`.
    async fn end(&self, seen: i64) -> Result<End>;

    /// Whether there are accounts, of which events must tell.
    async fn has_accounts(&self) -> Result<bool>;

    /// A page of events, the latest first.
    async fn list(&self, filter: &EventFilter) -> Result<Vec<Row>>;

    /// How many events of each of these kinds fell into each span of `[from, to)`; spans without
    /// any are left out.
    async fn tally(
        &self,
        kinds: &[Kind],
        from: Timestamp,
        to: Timestamp,
        span: Duration,
    ) -> Result<Vec<Count>>;

    /// Rows in the order of their places, those after `seq` first, at most `limit`.
    async fn rows_after(&self, seq: i64, limit: u32) -> Result<Vec<Row>>;

    /// Removes the oldest rows, as far as [`shorten`](super::retention::shorten) lets them go: at most
    /// `limit`, and never the last row. Rows and the new beginning change together; of servers that
    /// do so at once, one follows the other.
    async fn remove(&self, chain: &Chain, before: Timestamp, limit: u32) -> Result<Removal>;
}
