//! Processes: on which core they run, what they cost, and that they end with the run.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer its first request.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Linux tells processor time in hundredths of a second (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Which core the servers have; the load, and Redis, have the other one.
const SERVERS_CORE: &str = "0";
const OTHER_CORE: &str = "1";

/// How the cores are shared out.
#[derive(Clone, Copy, Debug)]
pub enum Cores {
    /// The server under test has one, everything else the other.
    Apart,
    /// The machine has one core, or no `taskset`: all share what there is.
    Shared,
}

impl Cores {
    /// Moves this process, before it has a second thread, to the core that the load has.
    pub fn share_out() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let moved = Command::new("taskset")
            .args(["-cp", OTHER_CORE, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status();
        if cores > 1 && moved.is_ok_and(|status| status.success()) {
            Self::Apart
        } else {
            Self::Shared
        }
    }

    /// A command whose process runs on the servers' core.
    pub fn server(self, program: &str) -> Command {
        match self {
            Self::Apart => {
                let mut command = Command::new("taskset");
                command.args(["-c", SERVERS_CORE, program]);
                command
            }
            Self::Shared => Command::new(program),
        }
    }
}

/// A running process, killed when the value drops.
pub struct Running {
    child: Child,
    /// Where it listens.
    pub port: u16,
    /// How long it took to its first answer.
    pub start: Duration,
}

impl Running {
    /// Starts a server and waits until it takes connections and `ready` says yes.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready in time.
    pub fn start(
        mut command: Command,
        port: u16,
        ready: impl Fn(u16) -> bool,
    ) -> Result<Self, Box<dyn Error>> {
        let began = Instant::now();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let name = format!("{command:?}");
        let child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        let mut running = Self { child, port, start: Duration::ZERO };
        while !ready(port) {
            if let Some(status) = running.child.try_wait()? {
                return Err(format!("{name} ended: {status}").into());
            }
            if began.elapsed() > START_LIMIT {
                return Err(format!("{name} does not get ready").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        running.start = began.elapsed();
        Ok(running)
    }

    /// The processor time that it has used, with the processes that it started itself.
    pub fn processor_time(&self) -> Duration {
        let own = self.child.id().to_string();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let names = processes.filter_map(|process| process.file_name().into_string().ok());
        let children = names.filter(|process| parent(process).is_some_and(|it| it == own));
        processor_time(&own) + children.map(|child| processor_time(&child)).sum::<Duration>()
    }

    /// The memory that it holds at this moment, in MiB.
    pub fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.unwrap_or(0.0) / 1024.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that a process has used; `self` is this one.
pub fn processor_time(process: &str) -> Duration {
    let ticks = |at| field(process, at).and_then(|text| text.parse().ok());
    // User and system time.
    TICK * (ticks(11).unwrap_or(0u32) + ticks(12).unwrap_or(0))
}

fn parent(process: &str) -> Option<String> {
    field(process, 1)
}

/// A field of what Linux says of a process, counted from behind its name in parentheses.
fn field(process: &str, at: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(at).map(str::to_owned)
}

/// A port that nobody listens on.
///
/// # Errors
/// The system gives none.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Starts a Redis that keeps nothing on disk, on the load's core.
///
/// # Errors
/// `redis-server` is missing or does not start.
pub fn redis() -> Result<Running, Box<dyn Error>> {
    let port = free_port()?;
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
    command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
    Running::start(command, port, |port| match std::net::TcpStream::connect(("127.0.0.1", port)) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::ConnectionRefused,
    })
}
