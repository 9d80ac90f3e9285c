//! The database as the stores use it: reading, writing, and the time that either may take.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rocket::figment::Figment;
use serde::Deserialize;
use tokio::time::timeout;

use super::address::SqlAddress;
use super::connect::{Target, create_file};
use super::failure;
use super::kept::{Place, Turn, Write};
use super::lease::{Connections as Shared, Lease};
use super::migrate;
use super::statement::{SqlRow, Statement};
use crate::error::{Cause, Error, Outage, Result};
use crate::id::SecretString;
use crate::store::health::{self, Health};

/// How long an operation may take, so that a client hears within five seconds (SR-72).
const ANSWER_LIMIT: Duration = Duration::from_millis(4_500);
/// Connections kept where the configuration does not say.
const DEFAULT_POOL_SIZE: u32 = 10;
/// How many more there are on SQLite: those that are kept for what is done all the time.
const KEPT: u32 = 2;

/// A pool of connections to an SQLite or PostgreSQL database.
///
/// As a [`rocket_db_pools::Pool`] it can be attached to a Rocket application; it then reads the
/// keys `url` and `pool_size` of its section of the configuration. Clones share the connections.
#[derive(Clone, Debug)]
pub struct SqlPool {
    connections: Shared,
    kept: Kept,
    /// What it is and where, for the operator.
    store: Arc<str>,
    health: Arc<Health>,
}

/// SQLite's connections for what is done all the time.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// For whoever's turn it is to write: a fair queue, where the file's lock has none.
    writer: Place,
    reader: Place,
}

impl SqlPool {
    /// A pool of at most `pool_size` connections to `sqlite://path` or `postgres://…`.
    ///
    /// A missing SQLite file is made, with its directory, for the present user alone. Connections
    /// are made when they are needed, so this also succeeds while PostgreSQL is down.
    ///
    /// # Errors
    /// [`Error::Internal`] for a URL that cannot be used; [`Error::Unavailable`] if the SQLite file
    /// cannot be made.
    pub async fn open(url: &SecretString, pool_size: u32) -> Result<Self> {
        Self::open_as(url, pool_size, "its URL").await
    }

    /// The same, where `setting` says in messages what the URL was taken from.
    ///
    /// # Errors
    /// As [`SqlPool::open`].
    pub async fn open_as(url: &SecretString, pool_size: u32, setting: &str) -> Result<Self> {
        let address = SqlAddress::parse(url.expose()).map_err(|what| {
            let store = format!("database ({setting})").into();
            Error::internal(Outage::new(&store, Cause::Other, format!("its URL {what}")))
        })?;
        let store: Arc<str> = format!("{} ({setting})", address.describe()).into();
        if let SqlAddress::Sqlite(file) = &address {
            prepare_file(file, &store)?;
        }
        let more = if address.path().is_some() { KEPT } else { 0 };
        let connections = Shared::new(Target::new(address), &store, pool_size.max(1) + more);
        let health = Arc::new(Health::silent(health::DATABASE));
        Ok(Self { connections, kept: Kept::default(), store, health })
    }

    /// From now on the log says when the database is away and when it is back.
    pub fn speak(&self) {
        self.health.speak();
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// Brings the tables up to date. Any number of processes may do so at once; one that is killed
    /// meanwhile leaves nothing half done. A database that a newer release has migrated already is
    /// left as it is.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Internal`] if a migration that ran here was altered, or if a
    /// later one has taken away what this release needs.
    pub async fn migrate(&self) -> Result<()> {
        let done = migrate::migrate(&self.connections, &self.store).await;
        done.map_err(|error| failure::of(&self.store, error))
    }

    /// Closes all connections, when nobody needs them any more.
    pub async fn finish(&self) {
        tokio::join!(self.kept.writer.clear(), self.kept.reader.clear());
        self.connections.close().await;
    }

    /// How many connections there are at this moment.
    pub fn connections(&self) -> Connections {
        let numbers = self.connections.numbers();
        let places = [&self.kept.writer, &self.kept.reader];
        let kept = places.into_iter().filter(|place| place.is_idle()).count();
        let idle = numbers.idle + u32::try_from(kept).unwrap_or_default();
        let idle = idle.min(numbers.open);
        Connections { used: numbers.open - idle, idle, limit: numbers.limit }
    }

    /// Whether it is SQLite.
    pub(super) fn is_sqlite(&self) -> bool {
        self.connections.is_sqlite()
    }

    /// Whether a pooler in between gives sessions to others between two transactions.
    pub fn is_pooled(&self) -> bool {
        self.connections.is_pooled()
    }

    /// A connection, for several statements.
    pub(super) async fn acquire(&self) -> Result<Lease> {
        self.connections.acquire().await
    }

    /// Reads at most one row, on a connection that is kept for it if there is one.
    pub(super) async fn read_one(&self, query: Statement) -> Result<Option<SqlRow>> {
        if !self.is_sqlite() {
            return self.fetch_optional(query).await;
        }
        let mut turn = self.kept.reader.turn_or_other(&self.connections).await?;
        let row = query.fetch_optional(&mut turn).await?;
        turn.end();
        Ok(row)
    }

    /// Reads at most one row.
    pub(super) async fn fetch_optional(&self, query: Statement) -> Result<Option<SqlRow>> {
        let mut lease = self.acquire().await?;
        match query.clone().fetch_optional(&mut lease).await {
            Err(error) if !failure::leaves_connection(&error) => {}
            done => return Ok(done?),
        }
        // The server hung up since the connection was last used: nothing was done that could be twice.
        drop(lease);
        Ok(query.fetch_optional(&mut *self.acquire().await?).await?)
    }

    /// Reads the row that is certain to be there.
    pub(super) async fn fetch_one(&self, query: Statement) -> Result<SqlRow> {
        let row = self.fetch_optional(query).await?;
        row.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Reads all rows.
    pub(super) async fn fetch_all(&self, query: Statement) -> Result<Vec<SqlRow>> {
        let mut lease = self.acquire().await?;
        match query.clone().fetch_all(&mut lease).await {
            Err(error) if !failure::leaves_connection(&error) => {}
            done => return Ok(done?),
        }
        drop(lease);
        Ok(query.fetch_all(&mut *self.acquire().await?).await?)
    }

    /// Begins a transaction that may write. Dropped without [`Write::commit`], it changes nothing.
    pub(super) async fn write(&self) -> Result<Write> {
        match Write::begin(self.turn().await?).await {
            Err(error) if !failure::leaves_connection(&error) => {
                Ok(Write::begin(self.turn().await?).await?)
            }
            done => Ok(done?),
        }
    }

    /// Runs one statement that writes, and is a transaction by itself; says how many rows it changed.
    pub(super) async fn write_alone(&self, statement: Statement) -> Result<u64> {
        let mut turn = self.turn().await?;
        let changed = statement.execute(&mut turn).await?.rows_affected();
        turn.end();
        Ok(changed)
    }

    /// Waits until it is this writer's turn, where there can be but one.
    async fn turn(&self) -> Result<Turn> {
        if !self.is_sqlite() {
            return Turn::once(&self.connections).await;
        }
        let turn = timeout(ANSWER_LIMIT, self.kept.writer.turn(&self.connections)).await;
        turn.unwrap_or_else(|late| Err(Error::unavailable(late)))
    }

    /// The result of `work`, or [`Error::Unavailable`] if it takes too long (SR-72).
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = timeout(ANSWER_LIMIT, work).await;
        let done = done.unwrap_or_else(|late| Err(Error::unavailable(late)));
        done.map_err(|error| failure::of(&self.store, error))
    }
}

/// Makes the file of an SQLite database, unless it is there.
fn prepare_file(file: &super::address::SqliteAddress, store: &Arc<str>) -> Result<()> {
    if file.path.is_dir() {
        let outage = Outage::new(store, Cause::Other, "it is a folder, not a file");
        return Err(Error::unavailable(outage.advise("name a file in it, such as doorward.db")));
    }
    if file.read_only {
        return Ok(());
    }
    create_file(&file.path).map_err(|error| failure::of(store, sqlx::Error::Io(error).into()))
}

/// How many connections to the database there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Those that somebody works with.
    pub used: u32,
    /// Those that wait for somebody.
    pub idle: u32,
    /// How many there may be.
    pub limit: u32,
}

/// The section of the configuration that describes a pool.
#[derive(Deserialize)]
struct Settings {
    url: SecretString,
    pool_size: Option<u32>,
}

#[rocket::async_trait]
impl rocket_db_pools::Pool for SqlPool {
    type Connection = Lease;
    type Error = Error;

    async fn init(figment: &Figment) -> Result<Self> {
        let settings: Settings = figment.extract().map_err(Error::internal)?;
        Self::open(&settings.url, settings.pool_size.unwrap_or(DEFAULT_POOL_SIZE)).await
    }

    async fn get(&self) -> Result<Self::Connection> {
        self.connections.acquire().await
    }

    /// Rocket asks for this as soon as a shutdown begins, when requests that are being finished
    /// still need the database (SR-74): [`SqlPool::finish`] does it when all is done.
    async fn close(&self) {}
}
