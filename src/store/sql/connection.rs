//! A connection to either database, and what it knows of its own state.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, raw_sql};
use tokio::time::timeout;

use super::failure;
use super::statement::Access;

/// How long a connection that was idle may take to show that it is alive.
const PING_LIMIT: Duration = Duration::from_secs(1);
/// How long what a stranger left on a connection may take to be undone.
const MEND_LIMIT: Duration = Duration::from_secs(2);

/// What a session of PostgreSQL is told, whatever is the default of the server, the database or the
/// role (`ALTER DATABASE … SET`).
///
/// The server gives up shortly before we do, so that no lock outlives the request that waits for it, and
/// frees the locks of a process that vanished. Each statement after a row lock must see what the lock's
/// last holder committed.
pub(super) const SESSION: [(&str, &str); 7] = [
    ("statement_timeout", "4000"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "10000"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    ("standard_conforming_strings", "on"),
];

/// The same for one transaction, where the next one may be in another session: nothing may be left
/// behind in a session that others use too.
macro_rules! for_one_transaction {
    ($access:literal) => {
        concat!(
            "BEGIN ISOLATION LEVEL READ COMMITTED ",
            $access,
            "; SET LOCAL statement_timeout = 4000; SET LOCAL lock_timeout = 0; \
             SET LOCAL idle_in_transaction_session_timeout = 10000; \
             SET LOCAL standard_conforming_strings = on"
        )
    };
}

/// A connection to SQLite or PostgreSQL.
#[derive(Debug)]
pub struct SqlConnection {
    link: Link,
    in_transaction: bool,
    /// Whether no operation was given up halfway, and the server did not hang up.
    sound: bool,
    /// Whether somebody else did with it what is not known here.
    lent: bool,
}

#[derive(Debug)]
pub(super) enum Link {
    Sqlite(SqliteConnection),
    /// With whether the session is this connection's own, so that it keeps what it is told.
    Postgres(PgConnection, bool),
}

/// Whether a statement is a transaction that was begun for it alone.
pub(super) struct Own(bool);

impl SqlConnection {
    pub(super) fn sqlite(connection: SqliteConnection) -> Self {
        Self::of(Link::Sqlite(connection))
    }

    /// `own_session` says that no pooler gives the session to others between two transactions.
    pub(super) fn postgres(connection: PgConnection, own_session: bool) -> Self {
        Self::of(Link::Postgres(connection, own_session))
    }

    fn of(link: Link) -> Self {
        Self { link, in_transaction: false, sound: true, lent: false }
    }

    /// The driver's own connection, if it is one to SQLite.
    pub fn as_sqlite(&mut self) -> Option<&mut SqliteConnection> {
        self.lent = true;
        match &mut self.link {
            Link::Sqlite(connection) => Some(connection),
            Link::Postgres(..) => None,
        }
    }

    /// The driver's own connection, if it is one to PostgreSQL.
    pub fn as_postgres(&mut self) -> Option<&mut PgConnection> {
        self.lent = true;
        match &mut self.link {
            Link::Sqlite(_) => None,
            Link::Postgres(connection, _) => Some(connection),
        }
    }

    pub(super) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Runs statements without parameters, whose rows nobody needs.
    pub(super) async fn run(&mut self, statements: impl Into<String>) -> sqlx::Result<()> {
        self.sound = false;
        let statements = raw_sql(AssertSqlSafe(statements.into()));
        let done = match &mut self.link {
            Link::Sqlite(db) => statements.execute(db).await.map(drop),
            Link::Postgres(db, _) => statements.execute(db).await.map(drop),
        };
        self.sound = done.as_ref().err().is_none_or(failure::leaves_connection);
        done
    }

    /// Begins a transaction. SQLite takes the write lock at once, because a reader that turns writer may
    /// find it has read too early and fail without waiting.
    pub(super) async fn begin(&mut self, access: Access) -> sqlx::Result<()> {
        let begin = match (&self.link, access) {
            (Link::Sqlite(_), Access::Write) => "BEGIN IMMEDIATE",
            (Link::Sqlite(_), Access::Read) => "BEGIN",
            (Link::Postgres(_, true), _) => "BEGIN ISOLATION LEVEL READ COMMITTED",
            (Link::Postgres(_, false), Access::Write) => for_one_transaction!("READ WRITE"),
            (Link::Postgres(_, false), Access::Read) => for_one_transaction!("READ ONLY"),
        };
        // Also if it fails: of several statements the first may have been done.
        self.in_transaction = true;
        let done = self.run(begin).await;
        if done.is_err() && self.is_sqlite() {
            self.in_transaction = false;
        }
        done
    }

    pub(super) async fn commit(&mut self) -> sqlx::Result<()> {
        self.run("COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    pub(super) async fn rollback(&mut self) -> sqlx::Result<()> {
        self.run("ROLLBACK").await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Before a statement: where the session belongs to everybody, the statement becomes a transaction,
    /// for the driver sends it in two steps.
    pub(super) async fn enter(&mut self, access: Access) -> sqlx::Result<Own> {
        let own = matches!(self.link, Link::Postgres(_, false)) && !self.in_transaction;
        if own {
            self.begin(access).await?;
        }
        self.sound = false;
        Ok(Own(own))
    }

    /// After the statement.
    pub(super) async fn leave<T>(&mut self, own: Own, done: sqlx::Result<T>) -> sqlx::Result<T> {
        self.sound = done.as_ref().err().is_none_or(failure::leaves_connection);
        if own.0 && self.sound {
            match &done {
                Ok(_) => self.commit().await?,
                // The statement's own error says more.
                Err(_) => drop(self.rollback().await),
            }
        }
        done
    }

    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self.link, Link::Sqlite(_))
    }

    /// Whether the next one can use it as it is.
    pub(super) fn is_clean(&self) -> bool {
        self.sound && !self.in_transaction && !self.lent
    }

    /// Whether it can be made clean.
    pub(super) fn can_be_mended(&self) -> bool {
        // SQLite is asked by its own thread, one thing after the other, and never falls silent.
        self.is_sqlite() || (self.sound && self.lent)
    }

    /// Undoes what was not ended. `None` if the connection is good for nothing any more.
    pub(super) async fn mended(mut self) -> Option<Self> {
        // An error says that there was nothing to undo.
        let undone = timeout(MEND_LIMIT, self.run("ROLLBACK")).await;
        let usable = undone.is_ok() && (self.is_sqlite() || self.sound);
        usable.then(|| Self::of(self.link))
    }

    /// Whether the server still answers.
    pub(super) async fn is_alive(&mut self) -> bool {
        // A file cannot go away, and to ask for it costs as much as a query.
        let Link::Postgres(db, _) = &mut self.link else { return true };
        self.sound = false;
        self.sound = matches!(timeout(PING_LIMIT, db.ping()).await, Ok(Ok(())));
        self.sound
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        let goodbye = async {
            match self.link {
                Link::Sqlite(db) => db.close().await,
                Link::Postgres(db, _) => db.close().await,
            }
        };
        // What it failed at ends with the connection.
        let _ = timeout(MEND_LIMIT, goodbye).await;
    }
}
