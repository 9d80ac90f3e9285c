//! A real PostgreSQL: one that all tests share, each with a database of its own, and private ones
//! to stop and restart.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use super::process::Daemon;
use super::{
    START_LIMIT, Shared, bound_to_us, find_program, free_port, read_log, scratch_dir, shared,
};

/// The account that PostgreSQL runs as when the tests run as root, which it refuses to run as.
const SYSTEM_USER: &str = "postgres";

/// The PostgreSQL that all tests share.
pub fn server() -> &'static PostgresServer {
    static SERVER: Shared<PostgresServer> = OnceLock::new();
    shared(&SERVER, PostgresServer::try_start)
}

/// Creates an empty database on the shared server and returns its URL.
///
/// # Panics
/// When the server did not start or refuses.
pub async fn create_database() -> String {
    server().create_database().await
}

/// A running `postgres`, ended when the value drops or the test process ends.
pub struct PostgresServer {
    port: u16,
    programs: PathBuf,
    directory: TempDir,
    daemon: Mutex<Daemon>,
    created: AtomicU32,
}

impl PostgresServer {
    /// Starts a server of one's own, which takes about a second.
    ///
    /// # Panics
    /// With the reason and the server's log, when it does not start.
    pub fn start() -> Self {
        Self::try_start().unwrap_or_else(|reason| panic!("{reason}"))
    }

    fn try_start() -> Result<Self, String> {
        let programs = find_programs()?;
        let directory = scratch_dir("postgres");
        create_cluster(&programs, directory.path())?;
        let port = free_port();
        let daemon = Mutex::new(launch(&programs, directory.path(), port)?);
        Ok(Self { port, programs, directory, daemon, created: AtomicU32::new(0) })
    }

    /// The URL of a database of this name, whether or not it exists. The user is a superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The path of a program that comes with PostgreSQL, such as `pg_dump`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Creates an empty database and returns its URL. It goes with the server.
    ///
    /// # Panics
    /// When the server does not answer or refuses.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{}", self.created.fetch_add(1, Ordering::Relaxed));
        // `template0` has no connections that could make the copy fail.
        self.execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await;
        self.url(&name)
    }

    /// Runs statements as the superuser, such as one that ends all connections of a database.
    ///
    /// # Panics
    /// When the server does not answer or refuses.
    pub async fn execute(&self, statements: &str) {
        let mut connection =
            PgConnection::connect(&self.url("postgres")).await.expect("connect to PostgreSQL");
        connection
            .execute(sqlx::raw_sql(AssertSqlSafe(statements)))
            .await
            .expect("run the statements");
        connection.close().await.expect("close the connection to PostgreSQL");
    }

    /// Stops the server, breaking its connections (SIGINT, a "fast" shutdown).
    pub fn stop(&self) {
        self.daemon().stop(Signal::INT);
    }

    /// Lets the server stop answering while its connections stay open (SIGSTOP to each process).
    pub fn pause(&self) {
        let mut daemon = self.daemon();
        // First the one that would start others.
        daemon.signal(Signal::STOP);
        signal_children(daemon.pid(), Signal::STOP);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        let mut daemon = self.daemon();
        signal_children(daemon.pid(), Signal::CONT);
        daemon.signal(Signal::CONT);
    }

    /// Starts the server again, on the same port and with the same data, stopping it first if it
    /// still runs.
    ///
    /// # Panics
    /// With the reason, when it does not start.
    pub fn restart(&self) {
        let mut daemon = self.daemon();
        daemon.stop(Signal::INT);
        *daemon = launch(&self.programs, self.directory.path(), self.port)
            .unwrap_or_else(|reason| panic!("{reason}"));
    }

    fn daemon(&self) -> MutexGuard<'_, Daemon> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Killed outright, it would leave its workers and its shared memory behind.
        self.resume();
        self.daemon().stop(Signal::QUIT);
    }
}

/// Sends a signal to the processes that `parent` has started.
fn signal_children(parent: u32, signal: Signal) {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let children = list.unwrap_or_default();
    for pid in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
        // One that has just ended needs no signal.
        let _ = kill_process(pid, signal);
    }
}

/// The directory of `initdb` and `postgres`: Debian's newest, or else the one on the `PATH`.
fn find_programs() -> Result<PathBuf, String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let programs = entry.path().join("bin");
            programs.join("initdb").is_file().then_some((version, programs))
        })
        .max();
    if let Some((_, programs)) = newest {
        return Ok(programs);
    }
    // A link on the PATH points to where the server's other files are.
    let initdb = find_program(&["initdb"], "postgresql")?;
    let initdb = initdb.canonicalize().map_err(|error| error.to_string())?;
    initdb.parent().map(Path::to_path_buf).ok_or_else(|| "initdb has no directory".to_owned())
}

/// Creates the data directory of a new server, which trusts every local client.
fn create_cluster(programs: &Path, directory: &Path) -> Result<(), String> {
    if is_root() {
        run(Command::new("chown").arg(SYSTEM_USER).arg(directory))?;
    }
    let mut initdb = as_system_user(&programs.join("initdb"));
    initdb.arg("--pgdata").arg(directory.join("data")).current_dir(directory).args([
        "--username=postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "--no-instructions",
    ]);
    run(&mut initdb)
}

/// Starts `postgres` and waits until it accepts connections.
fn launch(programs: &Path, directory: &Path, port: u16) -> Result<Daemon, String> {
    let log = directory.join("log");
    let output = File::create(&log).map_err(|error| error.to_string())?;
    let errors = output.try_clone().map_err(|error| error.to_string())?;
    let mut command = as_system_user(&programs.join("postgres"));
    command.arg("-D").arg(directory.join("data")).current_dir(directory);
    let port = format!("port={port}");
    for setting in [
        port.as_str(),
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=300",
        // The data ends with the run, so nothing has to survive a loss of power.
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "wal_level=minimal",
        "max_wal_senders=0",
    ] {
        command.args(["-c", setting]);
    }
    command.stdout(output).stderr(errors);

    // What a server left behind that was stopped must not count as this one's.
    let pid_file = directory.join("data/postmaster.pid");
    let mut daemon = Daemon::spawn("postgres", command)?;
    let pid = daemon.pid().to_string();
    daemon.wait_ready(
        START_LIMIT,
        || read_log(&log),
        || {
            let state = std::fs::read_to_string(&pid_file).unwrap_or_default();
            let mut lines = state.lines();
            // The first line is the process, the eighth its state: what `pg_ctl --wait` reads too.
            lines.next() == Some(&pid) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
        },
    )?;
    Ok(daemon)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A PostgreSQL program as a user it accepts, ended in order with the test process (SIGQUIT, an
/// "immediate" shutdown, which also frees the shared memory).
fn as_system_user(program: &Path) -> Command {
    let user = [format!("--reuid={SYSTEM_USER}"), format!("--regid={SYSTEM_USER}")];
    let switches: &[&str] = if is_root() { &[&user[0], &user[1], "--init-groups"] } else { &[] };
    bound_to_us(program, "QUIT", switches)
}

/// Runs a command to its end.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} failed ({}):\n{errors}", output.status))
}
