//! Brings events into the table, in the background: as many as have come up in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::chain::Chain;
use super::event::Event;
use super::store::{Appended, AuditStore};
use super::witness::Witness;

/// How many events can wait while the database is away: at some 300 bytes each, a few megabytes.
pub(super) const QUEUE: usize = 8192;
/// How long the first event waits for others: a transaction for each would cost more than all else
/// that a sign-in asks of the database.
const GATHER: Duration = Duration::from_millis(100);
/// How many events one transaction adds at most.
const BATCH: usize = 128;
/// How long to wait after a first failure; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What goes through the queue.
#[derive(Debug)]
pub(super) enum Item {
    /// An event to be kept.
    Event(Box<Event>),
    /// Somebody waits until all before it are kept.
    Flush(oneshot::Sender<()>),
}

/// Brings events into the table.
pub(super) struct Writer {
    pub store: Arc<dyn AuditStore>,
    pub chain: Arc<Chain>,
    pub witness: Arc<Witness>,
}

impl Writer {
    /// Works until the last sender is gone and the queue is empty.
    pub async fn run(self, mut queue: mpsc::Receiver<Item>) {
        let mut items = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut items, BATCH).await > 0 {
            gather(&mut queue, &mut items).await;
            let (mut events, mut waiting) = (Vec::with_capacity(items.len()), Vec::new());
            for item in items.drain(..) {
                match item {
                    Item::Event(event) => events.push(*event),
                    Item::Flush(done) => waiting.push(done),
                }
            }
            if !events.is_empty() {
                self.append(&events).await;
            }
            for done in waiting {
                // Whoever waited may have given up.
                let _ = done.send(());
            }
        }
    }

    /// Adds a batch, again and again until the database takes it. Said once, not at every attempt.
    async fn append(&self, events: &[Event]) {
        let mut pause = FIRST_PAUSE;
        let mut failed = false;
        loop {
            let seen = self.witness.seen();
            match self.store.append(&self.chain, seen.as_ref(), events).await {
                Ok(Appended { seen, alarm }) => {
                    self.witness.note(seen, alarm);
                    if failed {
                        tracing::info!("writing the audit trail again");
                    }
                    return;
                }
                Err(error) => {
                    // That the database is away, and that events wait, is said already.
                    if !failed && !error.is_told() {
                        let cause = std::error::Error::source(&error).map(ToString::to_string);
                        tracing::error!(cause, "failed to write the audit trail; events wait");
                        failed = true;
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Waits for more items, unless somebody waits for those that are there.
async fn gather(queue: &mut mpsc::Receiver<Item>, items: &mut Vec<Item>) {
    let more = async {
        while items.len() < BATCH && !matches!(items.last(), Some(Item::Flush(_))) {
            let room = BATCH - items.len();
            if queue.recv_many(items, room).await == 0 {
                return;
            }
        }
    };
    // The time that is given is over: what came is there.
    let _ = timeout(GATHER, more).await;
}
