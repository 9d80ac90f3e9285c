//! A real Redis: one that all tests share, and private ones to stop, pause and restart.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Daemon;
use super::{
    START_LIMIT, Shared, bound_to_us, find_program, free_port, read_log, scratch_dir, shared,
};

/// How many databases a server has; each test can take one of its own.
const DATABASES: u32 = 10_000;

/// The Redis that all tests share; it keeps nothing on disk.
///
/// A test takes a database of its own with [`RedisServer::database`], and starts a private server
/// when it stops it, pauses it or depends on publish/subscribe, which is not split by database.
pub fn server() -> &'static RedisServer {
    static SERVER: Shared<RedisServer> = OnceLock::new();
    shared(&SERVER, || RedisServer::try_start(Options::default()))
}

/// What a private server may have beyond the defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Writes every change to disk before answering, so that a restart finds it.
    pub persistent: bool,
    /// The password that clients must give.
    pub password: Option<String>,
    /// Further arguments of `redis-server`, such as `--maxmemory 2mb`, one word each.
    pub arguments: Vec<String>,
}

/// A running `redis-server`, killed when the value drops or the test process ends.
pub struct RedisServer {
    port: u16,
    options: Options,
    directory: TempDir,
    daemon: Mutex<Daemon>,
    next_database: AtomicU32,
}

impl RedisServer {
    /// Starts a server of one's own.
    ///
    /// # Panics
    /// With the reason and the server's log, when it does not start.
    pub fn start(options: Options) -> Self {
        Self::try_start(options).unwrap_or_else(|reason| panic!("{reason}"))
    }

    fn try_start(options: Options) -> Result<Self, String> {
        let port = free_port();
        let directory = scratch_dir("redis");
        let daemon = launch(port, &options, &directory)?;
        let next_database = AtomicU32::new(1);
        Ok(Self { port, options, directory, daemon: Mutex::new(daemon), next_database })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of database 0, with the password if there is one.
    pub fn url(&self) -> String {
        let password = self.options.password.as_deref();
        let login = password.map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{login}127.0.0.1:{}", self.port)
    }

    /// The address of an empty database that no other caller gets.
    ///
    /// # Panics
    /// When all databases are taken.
    pub fn database(&self) -> String {
        let number = self.next_database.fetch_add(1, Ordering::Relaxed);
        assert!(number < DATABASES, "raise DATABASES: all {DATABASES} are taken");
        format!("{}/{number}", self.url())
    }

    /// Sends one command, such as `FLUSHALL` or `CONFIG SET maxmemory 2mb`, and returns the first
    /// line of the answer.
    ///
    /// # Errors
    /// When the server does not answer within a second.
    pub fn command(&self, command: &str) -> io::Result<String> {
        command_at(self.port, self.options.password.as_deref(), command)
    }

    /// Empties every database.
    pub fn flush(&self) {
        assert_eq!(self.command("FLUSHALL").expect("Redis answers"), "+OK");
    }

    /// Lets the server stop answering while its connections stay open (SIGSTOP).
    pub fn pause(&self) {
        self.daemon().signal(Signal::STOP);
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.daemon().signal(Signal::CONT);
    }

    /// Shuts the server down in order and waits for its end.
    pub fn stop(&self) {
        self.daemon().stop(Signal::TERM);
    }

    /// Kills the server, as a crash would.
    pub fn kill(&self) {
        self.daemon().kill();
    }

    /// Starts the server again, on the same port and with the same directory, ending it first if
    /// it still runs. Only a persistent server has kept its data.
    ///
    /// # Panics
    /// With the reason, when it does not start.
    pub fn restart(&self) {
        let mut daemon = self.daemon();
        daemon.stop(Signal::TERM);
        *daemon = launch(self.port, &self.options, &self.directory)
            .unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Everything that the server holds, as it writes it to its disk (`SAVE`).
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn dump(&self) -> Vec<u8> {
        assert_eq!(self.command("SAVE").expect("Redis answers"), "+OK");
        std::fs::read(self.dump_file()).expect("the file that Redis has written")
    }

    /// Kills the server, and starts it again with what it held at an earlier time.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restore(&self, dump: &[u8]) {
        self.kill();
        std::fs::write(self.dump_file(), dump).expect("write the file that Redis reads");
        self.restart();
    }

    fn dump_file(&self) -> PathBuf {
        self.directory.path().join("dump.rdb")
    }

    fn daemon(&self) -> MutexGuard<'_, Daemon> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts `redis-server` and waits until it answers.
fn launch(port: u16, options: &Options, directory: &TempDir) -> Result<Daemon, String> {
    let program = find_program(&["redis-server"], "redis-server")?;
    let log = directory.path().join("log");
    let output = File::create(&log).map_err(|error| error.to_string())?;
    let mut command = bound_to_us(&program, "KILL", &[]);
    // An empty configuration: the system's own is not read.
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"])
        .args(["--save", "", "--databases", &DATABASES.to_string()])
        .arg("--dir")
        .arg(directory.path());
    if options.persistent {
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    if let Some(password) = &options.password {
        command.args(["--requirepass", password]);
    }
    command.args(&options.arguments).stdout(output);
    let mut daemon = Daemon::spawn("redis-server", command)?;
    let password = options.password.as_deref();
    daemon.wait_ready(
        START_LIMIT,
        || read_log(&log),
        || command_at(port, password, "PING").is_ok_and(|answer| answer == "+PONG"),
    )?;
    Ok(daemon)
}

/// Speaks the inline form of the Redis protocol.
fn command_at(port: u16, password: Option<&str>, command: &str) -> io::Result<String> {
    const LIMIT: Duration = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut ask = |command: &str| {
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    };
    if let Some(password) = password {
        ask(&format!("AUTH {password}"))?;
    }
    ask(command)
}
