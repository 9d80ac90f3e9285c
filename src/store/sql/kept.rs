//! SQLite's connections for what is done all the time, kept from one use to the next.
//!
//! Each connection has a thread and a cache of its own. One that the pool hands out in turn with nine
//! others finds its cache outdated, and is asked when it goes back whether it is alive: two changes of
//! threads, which beside a core that hashes passwords cost more than a query. On PostgreSQL, which can
//! go away, none is kept.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::any::{Any, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::{AnyConnection, Pool, Transaction, raw_sql};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::change::Statement;
use crate::error::Result;

/// A connection that is kept, if there is one yet. Whoever holds the lock uses it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place(Arc<Mutex<Option<PoolConnection<Any>>>>);

impl Place {
    /// Waits for its turn to use the connection. If there is none, one is taken from the pool.
    pub async fn turn(&self, pool: &Pool<Any>) -> Result<Turn> {
        Turn::begin(Arc::clone(&self.0).lock_owned().await, pool).await
    }

    /// Reads at most one row with the connection, or with another one while that is in use.
    pub async fn read_one(&self, pool: &Pool<Any>, query: Statement<'_>) -> Result<Option<AnyRow>> {
        let Ok(place) = Arc::clone(&self.0).try_lock_owned() else {
            return Ok(query.fetch_optional(pool).await?);
        };
        let mut turn = Turn::begin(place, pool).await?;
        let row = query.fetch_optional(&mut *turn).await?;
        turn.end();
        Ok(row)
    }

    /// Whether a connection lies here that nobody uses.
    pub fn is_idle(&self) -> bool {
        self.0.try_lock().is_ok_and(|kept| kept.is_some())
    }

    /// Lets go of the connection.
    pub async fn clear(&self) {
        *self.0.lock().await = None;
    }
}

/// The turn to use a connection that is kept. Dropped without [`Turn::end`], because something failed or
/// was given up, it leaves the connection to the pool, which undoes what was not ended.
pub(super) struct Turn {
    place: OwnedMutexGuard<Option<PoolConnection<Any>>>,
    connection: PoolConnection<Any>,
}

impl Turn {
    async fn begin(
        mut place: OwnedMutexGuard<Option<PoolConnection<Any>>>,
        pool: &Pool<Any>,
    ) -> Result<Self> {
        let connection = match place.take() {
            Some(kept) => kept,
            None => pool.acquire().await?,
        };
        Ok(Self { place, connection })
    }

    /// Says that all went well: the connection is kept.
    pub fn end(self) {
        let Self { mut place, connection } = self;
        *place = Some(connection);
    }
}

impl Deref for Turn {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.connection
    }
}

impl DerefMut for Turn {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

/// A transaction that may write. Dropped without [`Write::commit`], it changes nothing.
pub(super) enum Write {
    /// On the connection that is kept for it.
    Kept(Turn),
    /// On one from the pool.
    Pooled(Transaction<'static, Any>),
}

impl Write {
    /// Begins a transaction, now that it is its turn. SQLite takes the write lock at once, because a
    /// reader that turns writer may find it has read too early and fail without waiting.
    pub async fn begin(mut turn: Turn) -> Result<Self> {
        raw_sql("BEGIN IMMEDIATE").execute(&mut *turn).await?;
        Ok(Self::Kept(turn))
    }

    /// Makes its changes last.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Kept(mut turn) => {
                raw_sql("COMMIT").execute(&mut *turn).await?;
                turn.end();
            }
            Self::Pooled(transaction) => transaction.commit().await?,
        }
        Ok(())
    }

    /// Makes its changes last if `keep` says so; otherwise undoes them.
    pub async fn end(self, keep: bool) -> Result<()> {
        match self {
            write if keep => write.commit().await?,
            Self::Kept(mut turn) => {
                raw_sql("ROLLBACK").execute(&mut *turn).await?;
                turn.end();
            }
            Self::Pooled(transaction) => transaction.rollback().await?,
        }
        Ok(())
    }
}

impl Deref for Write {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match self {
            Self::Kept(turn) => turn,
            Self::Pooled(transaction) => transaction,
        }
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match self {
            Self::Kept(turn) => turn,
            Self::Pooled(transaction) => transaction,
        }
    }
}
