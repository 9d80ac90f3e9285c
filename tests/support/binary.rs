//! Doorward's own binary, as a server and on the command line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::{Daemon, Finished, Lines, finish};
use super::{START_LIMIT, bound_to_us, free_port, http, scratch_dir};

/// The real binary as a server, on a free port and with an SQLite database in a fresh data
/// directory; killed when the value drops or the test process ends.
pub struct Server {
    port: u16,
    directory: TempDir,
    environment: Vec<(String, String)>,
    running: Mutex<(Daemon, Lines)>,
}

impl Server {
    /// Starts the server and waits until `GET /livez` answers 200. `environment` is added to the
    /// settings described at [`Server`] and wins over them.
    ///
    /// # Panics
    /// With what it wrote, when it ends instead or takes more than 20 seconds.
    pub fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_at(free_port(), environment)
    }

    /// As [`start`](Self::start), on this port.
    pub fn start_at(port: u16, environment: &[(&str, &str)]) -> Self {
        let directory = scratch_dir("doorward");
        let data = directory.path().display();
        let mut settings: Vec<(String, String)> = [
            ("PORT", port.to_string()),
            ("ROCKET_PORT", port.to_string()),
            ("ROCKET_ADDRESS", "127.0.0.1".to_owned()),
            ("DOORWARD_PUBLIC_URL", format!("http://localhost:{port}")),
            ("DOORWARD_DATA_DIR", data.to_string()),
            ("DOORWARD_DATABASE_URL", format!("sqlite://{data}/doorward.db")),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        settings.extend(environment.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
        let running = Mutex::new(launch(port, directory.path(), &settings));
        Self { port, directory, environment: settings, running }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The public URL of a path, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// The data directory, which is also the working directory.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// What the server has written since its last start.
    pub fn lines(&self) -> Lines {
        self.running().1.clone()
    }

    /// Runs another `doorward` command with the settings of this server.
    pub fn run(&self, arguments: &[&str], input: &str) -> Finished {
        let mut command = doorward(self.directory.path(), pairs(&self.environment));
        command.args(arguments);
        finish(command, input)
    }

    /// Runs a script in bash, where somebody would type commands for this server: in its directory,
    /// with its settings, and with `doorward` on the `PATH`.
    pub fn shell(&self, script: &str) -> Finished {
        let folder = Path::new(DOORWARD).parent().expect("it lies in a folder");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [folder.to_owned()].into_iter().chain(std::env::split_paths(&path));
        let mut command = alone("bash", self.directory.path(), pairs(&self.environment));
        command.env("PATH", std::env::join_paths(folders).expect("names of folders"));
        command.args(["-c", script]);
        finish(command, "")
    }

    /// Sends the server a signal.
    pub fn signal(&self, signal: Signal) {
        self.running().0.signal(signal);
    }

    /// Fills the disk, as far as the server can tell, or clears it again.
    pub fn fill_disk(&self, full: bool) {
        self.running().0.limit_files(full.then_some(0));
    }

    /// Asks the server to end (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// When it still runs after 20 seconds.
    pub fn stop(&self) -> ExitStatus {
        self.running().0.stop(Signal::TERM)
    }

    /// Kills the server (SIGKILL), as a crash would.
    pub fn kill(&self) {
        self.running().0.kill();
    }

    /// Starts the server again, on the same port and with the same data, stopping it first if it
    /// still runs.
    ///
    /// # Panics
    /// As [`start`](Self::start) does.
    pub fn restart(&self) {
        let mut running = self.running();
        running.0.stop(Signal::TERM);
        *running = launch(self.port, self.directory.path(), &self.environment);
    }

    fn running(&self) -> MutexGuard<'_, (Daemon, Lines)> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn launch(port: u16, directory: &Path, environment: &[(String, String)]) -> (Daemon, Lines) {
    let (mut daemon, lines) = spawn(doorward(directory, pairs(environment)));
    daemon
        .wait_ready(
            START_LIMIT,
            || lines.all().join("\n"),
            || http::get(port, "/livez").is_ok_and(|answer| answer.status == 200),
        )
        .unwrap_or_else(|reason| panic!("{reason}"));
    (daemon, lines)
}

fn spawn(mut command: Command) -> (Daemon, Lines) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = Daemon::spawn("doorward", command).unwrap_or_else(|reason| panic!("{reason}"));
    let lines = Lines::of(&mut daemon);
    (daemon, lines)
}

fn pairs(environment: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    environment.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// Runs the `doorward` command to its end, in an empty directory, with `input` as its standard
/// input. Of this process's environment it sees nothing that configures Doorward.
///
/// # Panics
/// When it still runs after 60 seconds.
pub fn run(arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Finished {
    let directory = scratch_dir("run");
    let mut command = doorward(directory.path(), environment.iter().copied());
    command.args(arguments);
    finish(command, input)
}

/// Starts a `doorward` command as [`run`] does, and leaves it running. Its directory and what it
/// writes come along.
pub fn background(arguments: &[&str], environment: &[(&str, &str)]) -> (TempDir, Daemon, Lines) {
    let directory = scratch_dir("run");
    let mut command = doorward(directory.path(), environment.iter().copied());
    command.args(arguments);
    let (daemon, lines) = spawn(command);
    (directory, daemon, lines)
}

/// Starts a `doorward` command as [`run`] does, and leaves it running with these streams.
pub fn unheard(
    arguments: &[&str],
    environment: &[(&str, &str)],
    stdout: Stdio,
    stderr: Stdio,
) -> (TempDir, Daemon) {
    let directory = scratch_dir("run");
    let mut command = doorward(directory.path(), environment.iter().copied());
    command.args(arguments).stdout(stdout).stderr(stderr);
    let daemon = Daemon::spawn("doorward", command).unwrap_or_else(|reason| panic!("{reason}"));
    (directory, daemon)
}

/// The binary under test.
const DOORWARD: &str = env!("CARGO_BIN_EXE_doorward");

/// The binary under test, with no setting but those of `environment`.
fn doorward<'a>(
    directory: &Path,
    environment: impl Iterator<Item = (&'a str, &'a str)>,
) -> Command {
    alone(DOORWARD, directory, environment)
}

/// A program that sees no setting of Doorward but those of `environment`.
fn alone<'a>(
    program: &str,
    directory: &Path,
    environment: impl Iterator<Item = (&'a str, &'a str)>,
) -> Command {
    // What a full disk is to us is a signal to a process with a limit; there it is none.
    let mut command = bound_to_us(Path::new("env"), "KILL", &[]);
    command.arg("--ignore-signal=XFSZ").arg(program);
    command.current_dir(directory);
    for (key, _) in std::env::vars_os().filter(|(key, _)| configures_doorward(key)) {
        command.env_remove(key);
    }
    command.envs(environment);
    command
}

fn configures_doorward(key: &OsStr) -> bool {
    let key = key.to_string_lossy();
    key.starts_with("DOORWARD_")
        || key.starts_with("ROCKET_")
        || ["DATABASE_URL", "REDIS_URL", "PORT", "RUST_LOG"].contains(&key.as_ref())
}
