//! Making a connection: the file of SQLite with its settings, a session of PostgreSQL with or without
//! a pooler in between.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _, raw_sql};
use tokio::time::{sleep, timeout};

use super::address::{PostgresAddress, SqlAddress, SqliteAddress};
use super::connection::{SESSION, SqlConnection};
use super::failure;

/// How long one attempt may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// How long after a refusal SQLite is told again.
const BETWEEN_GREETINGS: Duration = Duration::from_millis(20);

/// What every new connection to SQLite is told: readers go on while one writes (`WAL`), and what was
/// answered is on the disk (`FULL`, SR-73). What undoes a statement that fails halfway stays in memory:
/// with the rows of the audit trail it is more than 64 KiB, for which SQLite would make a file each time.
const SQLITE_GREETING: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
                               PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                               PRAGMA temp_store = MEMORY";

/// What a session has only if it was begun for this very connection: PostgreSQL takes a setting of any
/// name with a point in it, and poolers pass it on to nobody.
const MARK: &str = "doorward.own_session";

/// Where connections lead.
#[derive(Debug)]
pub(super) struct Target {
    address: SqlAddress,
    /// Whether something between us and PostgreSQL may give a session to others between two
    /// transactions. Once that was seen it is taken for granted.
    pooled: AtomicBool,
}

impl Target {
    pub fn new(address: SqlAddress) -> Self {
        Self { address, pooled: AtomicBool::new(false) }
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.address, SqlAddress::Sqlite(_))
    }

    /// Whether sessions are kept between two transactions.
    pub fn is_pooled(&self) -> bool {
        self.pooled.load(Ordering::Relaxed)
    }

    /// Makes a connection.
    pub async fn connect(&self) -> sqlx::Result<SqlConnection> {
        match &self.address {
            SqlAddress::Sqlite(address) => open(address).await,
            SqlAddress::Postgres(address) => self.reach(address).await,
        }
    }

    /// Connects to the first host that takes us; of several, to the first that takes changes.
    async fn reach(&self, address: &PostgresAddress) -> sqlx::Result<SqlConnection> {
        let mut failed = None;
        let many = address.hosts.len() > 1;
        for host in &address.hosts {
            let done = timeout(CONNECT_LIMIT, self.begin_session(host, many)).await;
            match done.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or(sqlx::Error::WorkerCrashed))
    }

    async fn begin_session(
        &self,
        host: &PgConnectOptions,
        many: bool,
    ) -> sqlx::Result<SqlConnection> {
        if !self.is_pooled() {
            match host.clone().options(SESSION).options([(MARK, "1")]).connect().await {
                Ok(mut connection) => {
                    let own = has_mark(&mut connection).await?;
                    self.pooled.fetch_or(!own, Ordering::Relaxed);
                    return accepted(connection, own, many).await;
                }
                Err(error) if failure::refuses_settings(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let connection = host.connect().await?;
        self.pooled.store(true, Ordering::Relaxed);
        accepted(connection, false, many).await
    }
}

/// Whether the session is the one that was begun for this connection.
async fn has_mark(connection: &mut PgConnection) -> sqlx::Result<bool> {
    // In one message: there may be a pooler that knows no more.
    let asked = concat!("SELECT current_setting('", "doorward.own_session", "', true)");
    let row = raw_sql(asked).fetch_one(connection).await?;
    Ok(row.try_get::<Option<String>, _>(0)?.is_some_and(|mark| mark == "1"))
}

/// The connection, unless it leads to one of several servers that takes no changes.
async fn accepted(
    mut connection: PgConnection,
    own_session: bool,
    many: bool,
) -> sqlx::Result<SqlConnection> {
    if many {
        let row = raw_sql("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await?;
        // As text, for it is asked in one message.
        if row.try_get::<bool, _>(0)? {
            return Err(sqlx::Error::Protocol("it is a standby, which takes no changes".into()));
        }
    }
    Ok(SqlConnection::postgres(connection, own_session))
}

async fn open(address: &SqliteAddress) -> sqlx::Result<SqlConnection> {
    let options = SqliteConnectOptions::new()
        .filename(address.filename())
        .read_only(address.read_only)
        .create_if_missing(false);
    let mut connection = SqlConnection::sqlite(options.connect().await?);
    let begun = Instant::now();
    loop {
        match connection.run(SQLITE_GREETING).await {
            // Where two programs turn a new file to WAL at once, SQLite refuses one of them without
            // waiting for `busy_timeout`.
            Err(error) if failure::is_locked(&error) && begun.elapsed() < CONNECT_LIMIT => {
                sleep(BETWEEN_GREETINGS).await;
            }
            done => return done.map(|_| connection),
        }
    }
}

/// Makes the file of an SQLite database, unless it is there.
pub(super) fn create_file(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        builder.mode(0o700);
        builder.recursive(true).create(directory)?;
    }
    let mut options = OpenOptions::new();
    // Never opens a file that is there: closing it again would release the locks that other
    // connections of this process hold on it (fcntl(2)).
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
