//! Sessions in the process itself, kept in the SQLite file: for one server, without any other.
//!
//! Requests are judged in memory alone. Every other operation is on disk (WAL, synchronous=FULL)
//! before it is visible or answered, so that after a crash nothing that was acknowledged is lost
//! and nothing that ended is back (SR-73). Only what judging a request leaves behind, that a token
//! was used and when the session was last seen, is written about a second later and in
//! [`Embedded::close`]: a crash forgets at most that second.
//!
//! Commands that run beside the server open the store as [`Role::Guest`]: they change rows, and
//! return once the server has read them.

mod draft;
mod entry;
mod guest;
mod limit;
mod line;
mod lock;
mod memory;
mod order;
mod rows;
mod submission;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, SqlitePool, raw_sql};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::health::{self, Health};
use super::sql::address::shown;
use super::sql::failure::{of as sql_failure, outage as sql_outage};
use crate::account::Account;
use crate::account::store::Standings;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Outage, Result};
use crate::id::{AccountId, SessionId};
use crate::session::Session;
use crate::session::store::{Live, Opened, Opening, Pair, Rotate, Rotation, SessionStore, Vouched};
use crate::session::survey::{Stretch, Survey};
use crate::token::access::AccessDigest;
use crate::token::denylist::{DeniedToken, Denylist};
use crate::token::refresh::{Lineage, RefreshDigest};
use draft::{Draft, Turn};
use guest::Guest;
pub use limit::EmbeddedLimits;
use line::Line;
pub use lock::ServerLock;
use memory::Memory;
pub(super) use rows::forget;
pub use submission::EmbeddedSubmissions;
use writer::{Answer, Job, Order, Writer};

/// How long SQLite waits for another process that writes.
const BUSY_LIMIT: Duration = Duration::from_secs(4);

/// How long an operation may take before its answer is that the store is unavailable (SR-72). Like
/// one whose answer was lost on a network, it may still come to pass.
const OPERATION_LIMIT: Duration = Duration::from_millis(4500);

/// How many operations may wait for the writer.
const QUEUE: usize = 4096;

/// As what a process opens the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one server, which keeps everything in memory.
    Server,
    /// A command that does its work and goes, whether a server runs or not.
    Guest,
}

/// The session store in the process.
///
/// Dropping it is like a crash: what was acknowledged is safe. [`Embedded::close`] ends it in order.
pub struct Embedded {
    inner: Inner,
    /// What it is and where, for the operator.
    store: Arc<str>,
    trouble: Trouble,
}

enum Inner {
    Server { memory: Arc<Memory>, orders: mpsc::Sender<Order>, writer: JoinHandle<()> },
    Guest(Guest),
}

/// Why the writer cannot write, as long as it cannot.
#[derive(Clone)]
struct Trouble {
    health: Arc<Health>,
    last: Arc<Mutex<Option<Outage>>>,
}

impl Trouble {
    fn none() -> Self {
        let health = Arc::new(Health::silent(health::SESSION_STORE));
        Self { health, last: Arc::default() }
    }

    /// Notes how an attempt to write came out.
    fn note(&self, store: &Arc<str>, done: &sqlx::Result<()>) {
        let noted = match done {
            // What was written was asked for: the store is back.
            Ok(()) => self.health.note_probe(Ok(())),
            Err(error) => self.health.note(Err(Error::unavailable(sql_outage(store, error)))),
        };
        let outage = noted.err().and_then(|error| error.outage().cloned());
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = outage;
    }

    fn why(&self) -> Option<Outage> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Embedded {
    /// Opens the store in the SQLite database at `database`, which is made if it is missing.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another server works on the database; [`Error::Unavailable`] if it
    /// cannot be opened.
    pub async fn open(database: &Path, role: Role, clock: Arc<dyn Clock>) -> Result<Self> {
        let store: Arc<str> = format!("SQLite file {} of the sessions", shown(database)).into();
        let trouble = Trouble::none();
        let opened = Self::start(database, role, clock, (&store, &trouble)).await;
        let inner = opened.map_err(|error| sql_failure(&store, error))?;
        Ok(Self { inner, store, trouble })
    }

    async fn start(
        database: &Path,
        role: Role,
        clock: Arc<dyn Clock>,
        (store, trouble): (&Arc<str>, &Trouble),
    ) -> Result<Inner> {
        let lock = match role {
            Role::Server => Some(ServerLock::take(database).await?),
            Role::Guest => None,
        };
        let pool = open_database(database).await.map_err(failure)?;
        let Some(lock) = lock else {
            return Ok(Inner::Guest(Guest { pool, database: database.to_owned() }));
        };
        let memory = Arc::new(load_everything(&pool).await.map_err(failure)?);
        trouble.health.speak();
        let (orders, inbox) = mpsc::channel(QUEUE);
        let writer = Writer {
            memory: Arc::clone(&memory),
            line: Line::new(pool),
            clock,
            store: Arc::clone(store),
            trouble: trouble.clone(),
            _lock: lock,
        };
        let writer = tokio::spawn(writer.run(inbox));
        Ok(Inner::Server { memory, orders, writer })
    }

    /// Does `step` and gives its outcome, once it is on disk.
    async fn write<T: Send + 'static>(
        &self,
        account: &AccountId,
        step: impl FnOnce(&mut Draft<'_>) -> T + Send + 'static,
    ) -> Result<T> {
        self.told(match &self.inner {
            Inner::Server { orders, .. } => submit(orders, step).await,
            Inner::Guest(guest) => guest.write(account, step).await,
        })
    }

    /// A failure, said of this store; of what the writer could not do, with its reason.
    fn told<T>(&self, done: Result<T>) -> Result<T> {
        done.map_err(|error| match (&error, self.trouble.why()) {
            (Error::Unavailable(_), Some(outage)) => Error::unavailable(outage),
            _ => sql_failure(&self.store, error),
        })
    }
}

/// Has the server's writer do `step`.
async fn submit<T: Send + 'static>(
    orders: &mpsc::Sender<Order>,
    step: impl FnOnce(&mut Draft<'_>) -> T + Send + 'static,
) -> Result<T> {
    let (tell, told) = oneshot::channel();
    let job: Job = Box::new(move |draft| {
        let outcome = step(draft);
        let answer: Answer = Box::new(move || {
            // Who asked may have gone; what was done stays done.
            let _ = tell.send(outcome);
        });
        answer
    });
    let asked = async {
        orders.send(Order::Do(job)).await.map_err(|_| ())?;
        told.await.map_err(|_| ())
    };
    match tokio::time::timeout(OPERATION_LIMIT, asked).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(())) => Err(Error::unavailable("the change to the sessions could not be saved")),
        Err(elapsed) => Err(Error::unavailable(elapsed)),
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Inner::Server { writer, .. } = &self.inner {
            writer.abort();
        }
    }
}

#[async_trait]
impl Standings for Embedded {
    async fn publish(&self, account: &Account, now: Timestamp) -> Result<()> {
        let account = account.clone();
        self.write(&account.id.clone(), move |draft| {
            draft.publish(&account, now);
        })
        .await
    }

    async fn revoke(
        &self,
        account: &Account,
        keep: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64> {
        let (account, keep) = (account.clone(), keep.cloned());
        self.write(&account.id.clone(), move |draft| draft.revoke(&account, keep.as_ref(), now))
            .await
    }

    async fn ping(&self) -> Result<()> {
        let answer = self.told(match &self.inner {
            Inner::Server { orders, .. } => submit(orders, |_| ()).await,
            Inner::Guest(guest) => guest.pool.acquire().await.map(drop).map_err(failure),
        });
        self.trouble.health.note_probe(answer)
    }
}

#[async_trait]
impl SessionStore for Embedded {
    async fn open(
        &self,
        session: &Session,
        pair: &Pair,
        account: &Account,
        opening: Opening,
        now: Timestamp,
    ) -> Result<Opened> {
        let (session, pair, account) = (session.clone(), pair.clone(), account.clone());
        self.write(&account.id.clone(), move |draft| {
            draft.open(&session, &pair, &account, opening, now)
        })
        .await
    }

    async fn verify(
        &self,
        account: &AccountId,
        session: &SessionId,
        access: &AccessDigest,
        now: Timestamp,
    ) -> Result<Option<Live>> {
        let key = (account.clone(), session.clone());
        match &self.inner {
            Inner::Server { memory, .. } => Ok(memory.verify(&key, access, now)),
            // A command judges no requests, so the marks that this leaves are not written.
            Inner::Guest(guest) => {
                Ok(self.told(guest.read(account).await)?.verify(&key, access, now))
            }
        }
    }

    async fn vouch(
        &self,
        account: &AccountId,
        session: &SessionId,
        refresh: &Lineage,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Vouched> {
        let key = (account.clone(), session.clone());
        match &self.inner {
            Inner::Server { memory, .. } => Ok(memory.vouch(&key, refresh, grace, now)),
            Inner::Guest(guest) => {
                Ok(self.told(guest.read(account).await)?.vouch(&key, refresh, grace, now))
            }
        }
    }

    async fn is_current(
        &self,
        account: &AccountId,
        session: &SessionId,
        refresh: &RefreshDigest,
        now: Timestamp,
    ) -> Result<bool> {
        let key = (account.clone(), session.clone());
        match &self.inner {
            Inner::Server { memory, .. } => Ok(memory.is_current(&key, refresh, now)),
            Inner::Guest(guest) => {
                Ok(self.told(guest.read(account).await)?.is_current(&key, refresh, now))
            }
        }
    }

    async fn rotate(&self, rotate: Rotate<'_>) -> Result<Rotation> {
        let turn = Turn {
            account: rotate.account.clone(),
            session: rotate.session.clone(),
            old: rotate.old.clone(),
            new: rotate.new.clone(),
            access_lifetime: rotate.access_lifetime,
            grace: rotate.grace,
            now: rotate.now,
        };
        self.write(&rotate.account.id, move |draft| draft.rotate(&turn)).await
    }

    async fn reauthenticate(
        &self,
        account: &AccountId,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        let key = (account.clone(), session.clone());
        self.write(account, move |draft| draft.reauthenticate(key, now)).await
    }

    async fn end(&self, account: &AccountId, session: &SessionId) -> Result<bool> {
        let key = (account.clone(), session.clone());
        self.write(account, move |draft| draft.end(key)).await
    }

    async fn list(&self, account: &AccountId, now: Timestamp) -> Result<Vec<Session>> {
        match &self.inner {
            Inner::Server { memory, .. } => Ok(memory.list(account, now)),
            Inner::Guest(guest) => Ok(self.told(guest.read(account).await)?.list(account, now)),
        }
    }

    async fn survey(&self, survey: &Survey, now: Timestamp) -> Result<Stretch> {
        match &self.inner {
            Inner::Server { memory, .. } => Ok(memory.survey(survey, now)),
            Inner::Guest(guest) => Ok(self.told(guest.read_all().await)?.survey(survey, now)),
        }
    }

    async fn owner(&self, session: &SessionId) -> Result<Option<AccountId>> {
        match &self.inner {
            Inner::Server { memory, .. } => Ok(memory.owner(session)),
            Inner::Guest(guest) => Ok(self.told(guest.read_all().await)?.owner(session)),
        }
    }

    async fn count(&self) -> Result<u64> {
        match &self.inner {
            Inner::Server { memory, .. } => Ok(memory.count()),
            Inner::Guest(guest) => Ok(self.told(guest.read_all().await)?.count()),
        }
    }

    /// Whatever would have to be written afterwards is answered [`Error::Unavailable`].
    async fn close(&self) {
        match &self.inner {
            Inner::Server { orders, .. } => {
                let (closed, done) = oneshot::channel();
                if orders.send(Order::Close(closed)).await.is_ok() {
                    // An error says that the writer has gone already.
                    let _ = done.await;
                }
            }
            Inner::Guest(guest) => guest.pool.close().await,
        }
    }
}

#[async_trait]
impl Denylist for Embedded {
    async fn deny(&self, token: &DeniedToken, _now: Timestamp) -> Result<()> {
        match &self.inner {
            Inner::Server { orders, .. } => {
                let token = token.clone();
                self.told(submit(orders, move |draft| draft.deny(token)).await)
            }
            Inner::Guest(guest) => self.told(guest.deny(token).await),
        }
    }

    async fn denied(&self, now: Timestamp) -> Result<Vec<DeniedToken>> {
        match &self.inner {
            Inner::Server { memory, .. } => Ok(memory.denied(now)),
            Inner::Guest(guest) => {
                let mut tokens = self.told(guest.denied().await)?;
                tokens.retain(|token| now < token.expires_at);
                Ok(tokens)
            }
        }
    }
}

async fn open_database(database: &Path) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is on disk when it returns.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_LIMIT);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(OPERATION_LIMIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| {
            // What was given up is undone; an error says that there was nothing. When the disk is full
            // SQLite undoes a transaction by itself, which leaves the driver, where it knows of it, in
            // one for ever. A new connection is in none.
            Box::pin(async move {
                let _ = connection.execute(raw_sql("ROLLBACK")).await;
                Ok(!connection.is_in_transaction())
            })
        })
        .connect_with(options)
        .await?;
    rows::create_tables(&mut *pool.acquire().await?).await?;
    Ok(pool)
}

async fn load_everything(pool: &SqlitePool) -> sqlx::Result<Memory> {
    let memory = Memory::default();
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for (account, standing) in rows::load_all(&mut transaction).await? {
        memory.replace(&account, Some(standing));
    }
    memory.replace_denied(rows::load_denied(&mut transaction).await?);
    rows::clear_announced(&mut transaction).await?;
    transaction.commit().await?;
    Ok(memory)
}

/// Whatever SQLite refuses, it may do a little later: the file is locked, or the disk is full.
fn failure(error: sqlx::Error) -> Error {
    Error::unavailable(error)
}
