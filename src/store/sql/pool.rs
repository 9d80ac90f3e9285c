//! Connections to the database: how they are made, shared, and given up in time.

use std::fs::{DirBuilder, OpenOptions};
use std::future::Future;
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use rocket::figment::Figment;
use serde::Deserialize;
use sqlx::any::{Any, AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, Executor, Pool};
use tokio::time::timeout;

use super::change::Statement;
use super::kept::{Place, Turn, Write};
use crate::error::{Error, Result};
use crate::id::SecretString;

/// How long an operation may take, so that a client hears within five seconds (SR-72).
const ANSWER_LIMIT: Duration = Duration::from_millis(4_500);
/// How long a free connection is waited for: less, so that the log names the true reason.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(4);
/// How long a connection that comes back to the pool may take to show that it is alive.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);
/// How long migrations wait for another process that migrates.
const MIGRATION_LIMIT: Duration = Duration::from_secs(60);
/// Connections kept where the configuration does not say.
const DEFAULT_POOL_SIZE: u32 = 10;
/// How many more there are on SQLite: those that are kept for what is done all the time.
const KEPT: u32 = 2;

/// Which database it is: the one place where the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    fn of(url: &str) -> Result<Self> {
        match url.split_once(':') {
            Some(("sqlite", _)) => Ok(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres),
            // The text itself stays out of the message: it may hold a password.
            _ => Err(Error::internal("the database URL must begin with sqlite: or postgres:")),
        }
    }

    /// What every new connection is told.
    ///
    /// SQLite: readers go on while one writes (`WAL`), and what was answered is on the disk
    /// (`FULL`, SR-73). What undoes a statement that fails halfway stays in memory: with the rows of the
    /// audit trail it is more than 64 KiB, for which SQLite would make a file each time. PostgreSQL gives up shortly before we do, so that no lock outlives the
    /// request that waits for it, and frees the locks of a server that vanished.
    fn greeting(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
                 PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                 PRAGMA temp_store = MEMORY"
            }
            Self::Postgres => {
                "SET statement_timeout = 4000; SET idle_in_transaction_session_timeout = 10000"
            }
        }
    }
}

/// A pool of connections to an SQLite or PostgreSQL database.
///
/// As a [`rocket_db_pools::Pool`] it can be attached to a Rocket application; it then reads the
/// keys `url` and `pool_size` of its section of the configuration. Clones share the connections.
#[derive(Clone, Debug)]
pub struct SqlPool {
    connections: Pool<Any>,
    engine: Engine,
    kept: Option<Lines>,
}

/// SQLite's connections that are kept.
#[derive(Clone, Debug, Default)]
struct Lines {
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
        sqlx::any::install_default_drivers();
        let engine = Engine::of(url.expose())?;
        // These errors may repeat parts of the URL, so they are dropped.
        let unusable = |_| Error::internal("the database URL cannot be used");
        let mut options = AnyConnectOptions::from_str(url.expose()).map_err(unusable)?;
        match engine {
            Engine::Sqlite => {
                let file = SqliteConnectOptions::from_str(url.expose()).map_err(unusable)?;
                create_file(url.expose(), file.get_filename())?;
            }
            Engine::Postgres => {
                let url = &mut options.database_url;
                if !url.query_pairs().any(|(key, _)| key == "application_name") {
                    url.query_pairs_mut().append_pair("application_name", "doorward");
                }
            }
        }
        let kept = (engine == Engine::Sqlite).then(Lines::default);
        let connections = AnyPoolOptions::new()
            .max_connections(pool_size.max(1) + kept.as_ref().map_or(0, |_| KEPT))
            .acquire_timeout(ACQUIRE_LIMIT)
            // SQLite cannot go away, and to ask it costs as much as a query.
            .test_before_acquire(engine == Engine::Postgres)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(sqlx::raw_sql(engine.greeting())).await.map(|_| ())
                })
            })
            .after_release(move |connection, _| {
                Box::pin(async move {
                    if engine == Engine::Sqlite {
                        // What was given up is undone; an error says that there was nothing.
                        let _ = connection.execute(sqlx::raw_sql("ROLLBACK")).await;
                        return Ok(true);
                    }
                    // The pool's own test has no limit: each request to a server that fell silent
                    // would cost it a connection until TCP gives up, which takes a quarter of an hour.
                    let alive = timeout(RELEASE_LIMIT, connection.ping()).await;
                    alive.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
                    Ok(!connection.is_in_transaction())
                })
            })
            .connect_lazy_with(options);
        Ok(Self { connections, engine, kept })
    }

    /// Brings the tables up to date. Any number of processes may do so at once; one that is killed
    /// meanwhile leaves nothing half done. A database that a newer release has migrated already is
    /// left as it is.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::Internal`] if a migration that ran here was altered, or if a
    /// later one has taken away what this release needs.
    pub async fn migrate(&self) -> Result<()> {
        let migrator = migrator();
        match self.engine {
            Engine::Sqlite => self.migrate_sqlite(&migrator).await?,
            Engine::Postgres => self.migrate_postgres(&migrator).await?,
        }
        let floor: i64 = sqlx::query_scalar("SELECT migration FROM schema_floor WHERE one = 1")
            .fetch_one(&self.connections)
            .await?;
        if floor > newest_migration() {
            return Err(Error::internal(format!(
                "a newer release has changed this database so that this one cannot work with it: it \
                 would have to know migration {floor}, and knows {}",
                newest_migration()
            )));
        }
        Ok(())
    }

    /// All in one transaction: SQLite's write lock keeps the others waiting.
    ///
    /// (`Migrator::run` does the same as `run_direct`, but no task can be made of it: its future is
    /// not `Send` for every lifetime.)
    async fn migrate_sqlite(&self, migrator: &Migrator) -> Result<()> {
        let patience = tokio::time::Instant::now() + MIGRATION_LIMIT;
        let mut transaction = loop {
            // Not one of ours: the driver has to know of it, for each migration is one within it.
            match self.connections.begin_with("BEGIN IMMEDIATE").await.map_err(Error::from) {
                Err(Error::Unavailable(_)) if tokio::time::Instant::now() < patience => (),
                other => break other?,
            }
        };
        migrator.run_direct(None, &mut *transaction, false).await?;
        Ok(transaction.commit().await?)
    }

    /// Under an advisory lock that the migrator takes; each migration is a transaction.
    async fn migrate_postgres(&self, migrator: &Migrator) -> Result<()> {
        // A connection of its own: if this fails or is given up, the lock goes with it.
        let mut connection = self.connections.acquire().await?.detach();
        let patience = "SET statement_timeout = 0; SET lock_timeout = '60s'";
        connection.execute(sqlx::raw_sql(patience)).await?;
        migrator.run_direct(None, &mut connection, false).await?;
        Ok(connection.close().await?)
    }

    /// Closes all connections, when nobody needs them any more.
    pub async fn finish(&self) {
        if let Some(kept) = &self.kept {
            tokio::join!(kept.writer.clear(), kept.reader.clear());
        }
        self.connections.close().await;
    }

    /// How many connections there are at this moment.
    pub fn connections(&self) -> Connections {
        let (open, idle) = (self.connections.size(), self.connections.num_idle());
        let places = self.kept.iter().flat_map(|kept| [&kept.writer, &kept.reader]);
        let idle = idle + places.filter(|place| place.is_idle()).count();
        let idle = u32::try_from(idle).unwrap_or(u32::MAX).min(open);
        let limit = self.connections.options().get_max_connections();
        Connections { used: open - idle, idle, limit }
    }

    /// Whether it is SQLite.
    pub(super) fn is_sqlite(&self) -> bool {
        self.engine == Engine::Sqlite
    }

    /// The pool itself, for reading.
    pub(super) fn reader(&self) -> &Pool<Any> {
        &self.connections
    }

    /// Reads at most one row, on a connection that is kept for it if there is one.
    pub(super) async fn read_one(&self, query: Statement<'_>) -> Result<Option<AnyRow>> {
        match &self.kept {
            Some(kept) => kept.reader.read_one(&self.connections, query).await,
            None => Ok(query.fetch_optional(&self.connections).await?),
        }
    }

    /// Begins a transaction that may write. Dropped without [`Write::commit`], it changes nothing.
    pub(super) async fn write(&self) -> Result<Write> {
        if let Some(turn) = self.turn().await? {
            return Write::begin(turn).await;
        }
        // On PostgreSQL each statement after a row lock must see what the lock's last holder committed,
        // whatever the server's default is.
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
        Ok(Write::Pooled(self.connections.begin_with(begin).await?))
    }

    /// Runs one statement that writes, and is a transaction by itself; says how many rows it changed.
    pub(super) async fn write_alone(&self, statement: Statement<'_>) -> Result<u64> {
        let Some(mut turn) = self.turn().await? else {
            return Ok(statement.execute(&self.connections).await?.rows_affected());
        };
        let changed = statement.execute(&mut *turn).await?.rows_affected();
        turn.end();
        Ok(changed)
    }

    /// Waits until it is this writer's turn, where there can be but one.
    async fn turn(&self) -> Result<Option<Turn>> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let turn = timeout(ANSWER_LIMIT, kept.writer.turn(&self.connections)).await;
        turn.unwrap_or_else(|late| Err(Error::unavailable(late))).map(Some)
    }
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

/// The migrations of this release, beside which later ones may have run.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.set_ignore_missing(true);
    migrator
}

/// The last migration that this release knows.
pub(super) fn newest_migration() -> i64 {
    migrator().iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// The result of `work`, or [`Error::Unavailable`] if it takes too long (SR-72).
pub(super) async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(ANSWER_LIMIT, work).await.unwrap_or_else(|late| Err(Error::unavailable(late)))
}

/// Makes the file of an SQLite database, unless it is there.
fn create_file(url: &str, path: &Path) -> Result<()> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        // Each connection would see a database of its own.
        return Err(Error::internal("the SQLite database must be a file"));
    }
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        builder.mode(0o700);
        builder.recursive(true).create(directory).map_err(Error::unavailable)?;
    }
    let mut options = OpenOptions::new();
    // Never opens a file that is there: closing it again would release the locks that other
    // connections of this process hold on it (fcntl(2)).
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::unavailable(error))
        }
        _ => Ok(()),
    }
}

/// The section of the configuration that describes a pool.
#[derive(Deserialize)]
struct Settings {
    url: SecretString,
    pool_size: Option<u32>,
}

#[rocket::async_trait]
impl rocket_db_pools::Pool for SqlPool {
    type Connection = PoolConnection<Any>;
    type Error = Error;

    async fn init(figment: &Figment) -> Result<Self> {
        let settings: Settings = figment.extract().map_err(Error::internal)?;
        Self::open(&settings.url, settings.pool_size.unwrap_or(DEFAULT_POOL_SIZE)).await
    }

    async fn get(&self) -> Result<Self::Connection> {
        Ok(self.connections.acquire().await?)
    }

    /// Rocket asks for this as soon as a shutdown begins, when requests that are being finished
    /// still need the database (SR-74): [`SqlPool::finish`] does it when all is done.
    async fn close(&self) {}
}
