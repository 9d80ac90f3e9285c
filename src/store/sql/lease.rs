//! Connections that are shared: lent to one at a time, kept for the next, and given up in time.
//!
//! The driver's own pool asks a connection whether it is alive before it hands it out, and twice when it
//! comes back: three round trips beside the one that a sign-in needs. It also tells nobody why it cannot
//! make one, and tries in vain for more than a server gives.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use super::connect::Target;
use super::connection::SqlConnection;
use super::failure;
use crate::error::{Cause, Error, Outage, Result};

/// How long a connection is waited for: less than an operation may take, so that the true reason is told.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(4);
/// An idle connection used within this time is not asked whether it is alive: less than a restart of
/// PostgreSQL takes.
const FRESH: Duration = Duration::from_millis(250);
/// An idle connection is closed after this time.
const IDLE_LIMIT: Duration = Duration::from_secs(10 * 60);
/// How long one connection is used at most, so that none outlives a change of the network for ever.
const LIFE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// The first and the longest pause between two attempts to reach a server that is not there.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// How long a server is taken at its word that it gives no more connections.
const CROWDED_HOLDS: Duration = Duration::from_secs(5 * 60);

/// The connections.
#[derive(Clone, Debug)]
pub(super) struct Connections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    store: Arc<str>,
    /// One for each connection that there may be.
    permits: Arc<Semaphore>,
    size: u32,
    shelf: Mutex<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    /// The one used last is at the end.
    idle: Vec<Idle>,
    /// How many there are, idle or lent.
    open: u32,
    /// How many there may be: fewer than planned where the server does not give more.
    limit: u32,
    limited_at: Option<Instant>,
    /// How many permits there are, taken or not.
    permits: u32,
    closed: bool,
}

#[derive(Debug)]
struct Idle {
    connection: SqlConnection,
    made_at: Instant,
    since: Instant,
}

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub open: u32,
    pub idle: u32,
    pub limit: u32,
}

impl Connections {
    /// At most `size` connections to `target`, which are made when they are needed.
    pub fn new(target: Target, store: &Arc<str>, size: u32) -> Self {
        let shelf = Shelf {
            idle: Vec::new(),
            open: 0,
            limit: size,
            limited_at: None,
            permits: size,
            closed: false,
        };
        Self(Arc::new(Inner {
            target,
            store: Arc::clone(store),
            permits: Arc::new(Semaphore::new(size as usize)),
            size,
            shelf: Mutex::new(shelf),
        }))
    }

    pub fn is_sqlite(&self) -> bool {
        self.0.target.is_sqlite()
    }

    /// Whether sessions are kept between two transactions.
    pub fn is_pooled(&self) -> bool {
        self.0.target.is_pooled()
    }

    /// The connection that was used last, or else a new one.
    pub async fn acquire(&self) -> Result<Lease> {
        let deadline = Instant::now() + ACQUIRE_LIMIT;
        self.0.try_more();
        loop {
            let permits = Arc::clone(&self.0.permits);
            let permit = match timeout_at(deadline, permits.acquire_owned()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(Error::unavailable(self.closed())),
                Err(_) => return Err(Error::unavailable(self.crowded())),
            };
            if let Some(Idle { connection, made_at, since }) = self.0.take() {
                let mut lease = self.lease(connection, made_at, permit);
                if since.elapsed() < FRESH || lease.is_alive().await {
                    return Ok(lease);
                }
                // The others have been idle for longer, on a server that is gone.
                self.0.drop_idle();
                continue;
            }
            if let Some(lease) = self.connect(permit, deadline).await? {
                return Ok(lease);
            }
        }
    }

    /// A new connection, as long as the server may yet come up. `None` if it gives no more than there
    /// are: then one that comes back is waited for.
    async fn connect(
        &self,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<Option<Lease>> {
        let mut pause = PAUSES.0;
        loop {
            let error = match timeout_at(deadline, self.0.target.connect()).await {
                Ok(Ok(connection)) => {
                    self.0.shelf().open += 1;
                    return Ok(Some(self.lease(connection, Instant::now(), permit)));
                }
                Ok(Err(error)) => error,
                Err(_) => return Err(Error::unavailable(failure::silent(&self.0.store))),
            };
            let crowded = failure::is_crowded(&error);
            if crowded && self.0.has_any() {
                self.0.limit_to_what_there_is(&error, permit);
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if !(crowded || failure::is_starting(&error)) || left <= pause {
                return Err(failure::of(&self.0.store, error.into()));
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn lease(
        &self,
        connection: SqlConnection,
        made_at: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Lease {
        Lease {
            inner: Arc::clone(&self.0),
            connection: Some(connection),
            made_at,
            permit: Some(permit),
        }
    }

    fn closed(&self) -> Outage {
        Outage::new(&self.0.store, Cause::Other, "this process has closed its connections")
    }

    fn crowded(&self) -> Outage {
        let limit = self.0.shelf().limit;
        let said = format!("all {limit} connections of this process were in use for 4 s");
        Outage::new(&self.0.store, Cause::Crowded, said)
            .advise("raise database.pool_size, or find what keeps the database busy")
    }

    /// How many there are at this moment.
    pub fn numbers(&self) -> Numbers {
        let shelf = self.0.shelf();
        let idle = u32::try_from(shelf.idle.len()).unwrap_or(u32::MAX);
        Numbers { open: shelf.open, idle, limit: shelf.limit }
    }

    /// Closes them all; those that are lent, when they come back.
    pub async fn close(&self) {
        self.0.permits.close();
        let idle = {
            let mut shelf = self.0.shelf();
            shelf.closed = true;
            shelf.open = shelf.open.saturating_sub(u32::try_from(shelf.idle.len()).unwrap_or(0));
            std::mem::take(&mut shelf.idle)
        };
        for idle in idle {
            idle.connection.close().await;
        }
    }
}

impl Inner {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection used last, if there is one that is not too old.
    fn take(&self) -> Option<Idle> {
        let mut shelf = self.shelf();
        while let Some(idle) = shelf.idle.pop() {
            if idle.made_at.elapsed() < LIFE_LIMIT || self.target.is_sqlite() {
                return Some(idle);
            }
            shelf.open -= 1;
        }
        None
    }

    /// Gives up what is idle.
    fn drop_idle(&self) {
        let mut shelf = self.shelf();
        shelf.drop_oldest(usize::MAX);
    }

    fn has_any(&self) -> bool {
        self.shelf().open > 0
    }

    /// Takes the server at its word that it gives no more connections than there are. One of many is
    /// given up, so that a command of the operator finds room.
    fn limit_to_what_there_is(&self, error: &sqlx::Error, permit: OwnedSemaphorePermit) {
        let mut shelf = self.shelf();
        let before = shelf.limit;
        let kept = if shelf.open > 2 { shelf.open - 1 } else { shelf.open.max(1) };
        shelf.limit = before.min(kept);
        shelf.limited_at = Some(Instant::now());
        // This attempt's own permit, and those that nobody has: the rest go when they come back.
        permit.forget();
        shelf.permits -= 1;
        let spare = shelf.permits.saturating_sub(shelf.limit);
        let forgotten = self.permits.forget_permits(spare as usize);
        shelf.permits -= u32::try_from(forgotten).unwrap_or(spare);
        let surplus = shelf.open.saturating_sub(shelf.limit);
        shelf.drop_oldest(surplus as usize);
        let limit = shelf.limit;
        drop(shelf);
        if limit < before {
            let cause = failure::outage(&self.store, error).said;
            tracing::warn!(
                store = %self.store, connections = limit, planned = self.size, cause,
                "failed to open another connection; working with fewer than database.pool_size"
            );
        }
    }

    /// After a while, tries whether the server gives as many connections as planned again.
    fn try_more(&self) {
        let mut shelf = self.shelf();
        if shelf.limited_at.is_some_and(|at| at.elapsed() > CROWDED_HOLDS) && !shelf.closed {
            shelf.limited_at = None;
            shelf.limit = self.size;
            self.permits.add_permits((self.size - shelf.permits) as usize);
            shelf.permits = self.size;
        }
    }

    /// Takes back a connection, or the news that it is no more, and its permit.
    fn take_back(
        &self,
        connection: Option<SqlConnection>,
        made_at: Instant,
        permit: OwnedSemaphorePermit,
    ) {
        let mut shelf = self.shelf();
        match connection.filter(|_| !shelf.closed && shelf.open <= shelf.limit) {
            Some(connection) => {
                shelf.idle.push(Idle { connection, made_at, since: Instant::now() });
                let is_old = |idle: &&Idle| idle.since.elapsed() > IDLE_LIMIT;
                let old = shelf.idle.iter().take_while(is_old).count();
                if !self.target.is_sqlite() {
                    shelf.drop_oldest(old);
                }
            }
            None => shelf.open -= 1,
        }
        if shelf.permits > shelf.limit {
            shelf.permits -= 1;
            permit.forget();
        }
    }
}

impl Shelf {
    /// Closes so many of those that are idle.
    fn drop_oldest(&mut self, count: usize) {
        let count = count.min(self.idle.len());
        self.idle.drain(..count);
        self.open = self.open.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

/// A connection that is somebody's until it is dropped.
#[derive(Debug)]
pub struct Lease {
    inner: Arc<Inner>,
    connection: Option<SqlConnection>,
    made_at: Instant,
    permit: Option<OwnedSemaphorePermit>,
}

impl Deref for Lease {
    type Target = SqlConnection;

    fn deref(&self) -> &SqlConnection {
        self.connection.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut SqlConnection {
        self.connection.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (Some(connection), Some(permit)) = (self.connection.take(), self.permit.take()) else {
            return;
        };
        let (inner, made_at) = (Arc::clone(&self.inner), self.made_at);
        if connection.is_clean() {
            return inner.take_back(Some(connection), made_at, permit);
        }
        match Handle::try_current() {
            Ok(runtime) if connection.can_be_mended() => {
                runtime.spawn(async move {
                    inner.take_back(connection.mended().await, made_at, permit);
                });
            }
            // The server undoes what was not ended when the connection closes.
            _ => inner.take_back(None, made_at, permit),
        }
    }
}
