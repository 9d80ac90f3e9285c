//! The server's one connection, kept from one transaction to the next.
//!
//! A pool asks a connection that comes back whether it is alive: a change of threads there and back,
//! which beside a core that hashes passwords costs more than a query.

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, raw_sql};

use super::rows;

/// A connection, from the pool when there is none.
pub(super) struct Line {
    pool: SqlitePool,
    kept: Option<PoolConnection<Sqlite>>,
}

/// A transaction that may write. Dropped, because something failed, it leaves the connection to the
/// pool, which undoes it.
pub(super) struct Turn(PoolConnection<Sqlite>);

impl Turn {
    /// The connection, to work with.
    pub fn db(&mut self) -> &mut SqliteConnection {
        &mut self.0
    }
}

impl Line {
    pub fn new(pool: SqlitePool) -> Self {
        Self { pool, kept: None }
    }

    /// Begins a transaction, and says whether another process has announced changes.
    pub async fn begin(&mut self) -> sqlx::Result<(Turn, bool)> {
        let mut db = self.take().await?;
        let announced = rows::begin(&mut db).await?;
        Ok((Turn(db), announced))
    }

    /// Makes the changes last.
    pub async fn commit(&mut self, turn: Turn) -> sqlx::Result<()> {
        self.end(turn, "COMMIT").await
    }

    /// Undoes them.
    pub async fn rollback(&mut self, turn: Turn) -> sqlx::Result<()> {
        self.end(turn, "ROLLBACK").await
    }

    /// Whether another process has announced changes.
    pub async fn any_announced(&mut self) -> sqlx::Result<bool> {
        let mut db = self.take().await?;
        let announced = rows::any_announced(&mut db).await?;
        self.kept = Some(db);
        Ok(announced)
    }

    /// Lets go of the database.
    pub async fn close(self) {
        drop(self.kept);
        self.pool.close().await;
    }

    async fn take(&mut self) -> sqlx::Result<PoolConnection<Sqlite>> {
        match self.kept.take() {
            Some(db) => Ok(db),
            None => self.pool.acquire().await,
        }
    }

    async fn end(&mut self, turn: Turn, how: &'static str) -> sqlx::Result<()> {
        let Turn(mut db) = turn;
        raw_sql(how).execute(&mut *db).await?;
        self.kept = Some(db);
        Ok(())
    }
}
