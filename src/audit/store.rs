//! What the audit trail asks of the place that keeps it. Each promise is a case of `tests/audit/`.

use std::time::Duration;

use async_trait::async_trait;

use super::chain::{Chain, Head, Row};
use super::event::{Event, Kind};
use super::verify::Break;
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

/// Where events are kept: a table that is only ever added to, until rows are too old to be kept. There
/// is no way to change one, or to remove one but the oldest.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Adds `events` to the end of the chain, in their order: all of them or none.
    ///
    /// Any number of servers may do so at once; their batches follow one another. A batch whose
    /// first event is in the table already was added before (its answer got lost on the way), and
    /// is not added again.
    async fn append(&self, chain: &Chain, events: &[Event]) -> Result<()>;

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

    /// The place of the last row that is there; 0 if there is none.
    async fn last_seq(&self) -> Result<i64>;

    /// The end of the chain; `None` if its row is gone.
    async fn head(&self) -> Result<Option<Head>>;

    /// Where the chain begins; `None` if its row is gone.
    async fn start(&self) -> Result<Option<Head>>;

    /// Removes the oldest rows, as far as [`shorten`](super::retention::shorten) lets them go: at most
    /// `limit`, and never the last row. Rows and the new beginning change together; of servers that
    /// do so at once, one follows the other.
    async fn remove(&self, chain: &Chain, before: Timestamp, limit: u32) -> Result<Removal>;
}
