//! The audit trail: what happened, who did it, to whom, from where (SR-80).
//!
//! An event is a line in the log at once, and a row of a table a moment later. The rows form a
//! [`chain`]: one that is altered, removed or moved shows when it is verified. docs/audit.md says
//! what that guarantees.

pub mod asked;
pub mod chain;
mod event;
pub mod export;
pub mod key;
mod origin;
pub mod retention;
pub mod stats;
pub mod store;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod witness;
mod writer;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub use event::{Entry, Event, Kind, Outcome};
pub use origin::{OPERATOR, Origin, SERVER, acting, client_ip, request_id, scope_if_unknown};

use crate::clock::{Clock, Timestamp};
use crate::cursor;
use crate::error::Result;
use crate::id::{EventId, Random, base64url, from_base64url, random_bytes};
use crate::metric::family::AUDIT_LOST;
use crate::metric::{Counter, Registry};
use chain::{Chain, Row};
use store::{AuditStore, Beginning, Count, EventFilter, Renewed};
use verify::{Checkpoint, Verdict};
use witness::{Alarm, Witness};
use writer::{Item, Writer};

/// How long an operation waits for a place in a full queue before it goes on without.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long nothing more of one kind and address is recorded sparingly.
const SPARINGLY: Duration = Duration::from_secs(60);
/// How many kinds and addresses are told apart in that time.
const MAX_NOTED: usize = 1000;

/// The service that records events and reads them back.
pub struct Audit {
    queue: mpsc::Sender<Item>,
    store: Arc<dyn AuditStore>,
    chain: Arc<Chain>,
    witness: Arc<Witness>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// What was last recorded sparingly, of whom and when.
    noted: Mutex<HashMap<(Kind, Option<IpAddr>), Timestamp>>,
    lost: Counter,
}

/// One page of events, and where the next one begins.
#[derive(Debug)]
pub struct EventPage {
    /// The events, the latest first.
    pub items: Vec<Event>,
    /// The `cursor` of the next page, if there is one.
    pub next_cursor: Option<String>,
}

impl Audit {
    /// Starts the service; its background writer runs on the present Tokio runtime.
    pub fn start(
        store: Arc<dyn AuditStore>,
        chain: Chain,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        registry: &Registry,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(writer::QUEUE);
        let (chain, witness) = (Arc::new(chain), Arc::new(Witness::of(registry)));
        let writer = Writer {
            store: Arc::clone(&store),
            chain: Arc::clone(&chain),
            witness: Arc::clone(&witness),
        };
        tokio::spawn(writer.run(receiver));
        let lost = registry.counter(&AUDIT_LOST, &[]);
        Self { queue: sender, store, chain, witness, clock, random, noted: Mutex::default(), lost }
    }

    /// Has the trail of a new database begin, gives one of an earlier release its name, and looks at
    /// the end of any other: to be called before events are recorded.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn begin(&self) -> Result<()> {
        let id = base64url(random_bytes::<16>(&*self.random));
        match self.store.begin(&self.chain, &id).await? {
            Beginning::Began => {
                tracing::info!(trail = id, "the database holds nobody yet: began its audit trail");
            }
            Beginning::Named => tracing::info!(trail = id, "named the audit trail"),
            Beginning::Known | Beginning::Gone => {}
        }
        self.look().await
    }

    /// Compares the end of the trail with what this server knows of it; what is wrong is in the log,
    /// in the metrics, and on the page of the trail.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn look(&self) -> Result<()> {
        let seen = self.witness.seen();
        let end = self.store.end(seen.as_ref().map_or(0, |seen| seen.seq)).await?;
        let alarm = self.chain.judge(&end, seen.as_ref());
        self.witness.note(end.seen(), alarm);
        Ok(())
    }

    /// What was found wrong with the trail since the server started.
    pub fn alarm(&self) -> Option<Alarm> {
        self.witness.alarm()
    }

    /// Deletes the trail, and has a new one begin that tells of it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn renew(&self) -> Result<Renewed> {
        let id = base64url(random_bytes::<16>(&*self.random));
        let renewed = self.store.renew(&self.chain, &id).await?;
        self.witness.note(renewed.new.clone(), None);
        let Renewed { events, old, new } = &renewed;
        let detail = format!(
            "trail {} in place of {} events; the last was {}:{}",
            new.trail, events, old.seq, old.mac
        );
        self.record(Entry::of(Kind::AuditBegun).detail(detail)).await;
        Ok(renewed)
    }

    /// How many events wait for the database.
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Records an event: a line in the log now, a row of the table in a moment.
    ///
    /// Never fails and hardly ever waits. While the database is away events queue up; when the queue
    /// is full, this waits 50 ms for a place, and then the line in the log is all there is.
    pub async fn record(&self, entry: Entry) {
        let ip = entry.ip.or_else(client_ip);
        let event = Event {
            id: EventId::random(&*self.random),
            at: self.clock.now(),
            kind: entry.kind.as_str().to_owned(),
            actor: entry.actor.or_else(origin::actor),
            subject: entry.subject,
            ip: ip.map(|ip| ip.to_string()),
            result: entry.outcome.as_str().to_owned(),
            request_id: origin::request_id(),
            detail: entry.detail,
        };
        log(&event);
        let id = event.id.clone();
        let item = Item::Event(Box::new(event));
        let Err(refused) = self.queue.try_send(item) else { return };
        let item = match refused {
            mpsc::error::TrySendError::Full(item) | mpsc::error::TrySendError::Closed(item) => item,
        };
        if self.queue.send_timeout(item, PATIENCE).await.is_err() {
            self.lost.count();
            tracing::error!(event_id = %id, "an event is in this log only: the audit queue is full");
        }
    }

    /// Records an event that anybody can cause as often as they like: one of its kind and address in
    /// a minute, and of all addresses no more than a thousand. Whoever floods the server does not
    /// flood the audit trail as well.
    pub async fn record_sparingly(&self, entry: Entry) {
        let whose = (entry.kind, entry.ip.or_else(client_ip));
        if self.note(whose) {
            self.record(entry).await;
        }
    }

    /// Whether this is the first of its kind and address for a minute.
    fn note(&self, whose: (Kind, Option<IpAddr>)) -> bool {
        let now = self.clock.now();
        let fresh = |at: &Timestamp| now.is_within(SPARINGLY, *at);
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&whose).is_some_and(fresh) {
            return false;
        }
        if noted.len() >= MAX_NOTED {
            noted.retain(|_, at| fresh(at));
        }
        let room = noted.len() < MAX_NOTED;
        if room {
            noted.insert(whose, now);
        }
        room
    }

    /// Waits until every event that was recorded before is in the table, for `patience` at most;
    /// whether it is so.
    pub async fn flush(&self, patience: Duration) -> bool {
        let (done, waits) = oneshot::channel();
        let flushed =
            async { self.queue.send(Item::Flush(done)).await.is_ok() && waits.await.is_ok() };
        timeout(patience, flushed).await.unwrap_or(false)
    }

    /// A page of events, the latest first. `cursor` is the `next_cursor` of the page before.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `cursor` that is none of ours.
    pub async fn list(&self, mut filter: EventFilter, cursor: Option<&str>) -> Result<EventPage> {
        if let Some(cursor) = cursor {
            filter.after = Some(read_cursor(cursor).ok_or_else(cursor::unknown)?);
        }
        let limit = filter.limit as usize;
        filter.limit += 1;
        let mut rows = self.store.list(&filter).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(write_cursor);
        Ok(EventPage { items: rows.into_iter().map(|row| row.event).collect(), next_cursor })
    }

    /// How many events of each of these kinds fell into each span of `[from, to)`; spans without
    /// any are left out.
    pub async fn tally(
        &self,
        kinds: &[Kind],
        from: Timestamp,
        to: Timestamp,
        span: Duration,
    ) -> Result<Vec<Count>> {
        self.store.tally(kinds, from, to, span).await
    }

    /// Walks the chain from the first row to the last and says where it breaks. With a checkpoint
    /// that was noted at an earlier time, also whether this is still the same chain.
    pub async fn verify(&self, checkpoint: Option<&Checkpoint>) -> Result<Verdict> {
        verify::walk(&*self.store, &self.chain, checkpoint).await
    }
}

/// The line in the log, under the target `audit`.
fn log(event: &Event) {
    tracing::info!(
        target: "audit",
        event = event.kind,
        result = event.result,
        event_id = %event.id,
        at = %event.at,
        actor = event.actor,
        subject = event.subject,
        ip = event.ip,
        request_id = event.request_id,
        detail = event.detail,
    );
}

fn write_cursor(row: &Row) -> String {
    base64url(format!("{}:{}", row.event.at.as_millis(), row.seq))
}

fn read_cursor(cursor: &str) -> Option<(Timestamp, i64)> {
    let text = String::from_utf8(from_base64url(cursor)?).ok()?;
    let (millis, seq) = text.split_once(':')?;
    Some((Timestamp::from_millis(millis.parse().ok()?), seq.parse().ok()?))
}
