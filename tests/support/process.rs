//! Programs as processes of their own: in the background with the lines that they write, or run to
//! their end.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::{START_LIMIT, spawn, wait_until};

/// How long a process may take to end after it was asked to.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How long a command of [`finish`] may take.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// A child process in the background, killed when the value drops or the test process ends.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    child: Child,
    parting: Option<Signal>,
}

impl Daemon {
    /// Starts a command made by [`bound_to_us`](super::bound_to_us). `name` is for messages.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(name: &'static str, mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::null());
        let child = spawn(command).map_err(|error| format!("{name} does not start: {error}"))?;
        Ok(Self { name, child, parting: None })
    }

    /// Asks the process with `signal` before it is killed: one that has workers takes them along.
    pub fn parting_with(mut self, signal: Signal) -> Self {
        self.parting = Some(signal);
        self
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// With `log`, when the process ended first or `limit` has passed.
    pub fn wait_ready(
        &mut self,
        limit: Duration,
        log: impl FnOnce() -> String,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), String> {
        let mut ended = None;
        let in_time = wait_until(limit, || {
            ended = self.exit_status();
            ended.is_some() || ready()
        });
        match (ended, in_time) {
            (None, true) => Ok(()),
            (None, false) => Err(format!("{} not ready after {limit:?}:\n{}", self.name, log())),
            (Some(status), _) => Err(format!("{} ended ({status}):\n{}", self.name, log())),
        }
    }

    /// How the process ended, `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("ask for the state of a child process")
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.exit_status().is_none() {
            // Until it has been waited for, the process id cannot belong to anybody else.
            kill_process(Pid::from_child(&self.child), signal).expect("signal a child process");
        }
    }

    /// Lets no file that the process writes grow beyond this many bytes; without a limit, any.
    /// To SQLite a write beyond it is what a full disk is.
    pub fn limit_files(&mut self, bytes: Option<u64>) {
        // The hard limit stays, or the soft one could not be raised again.
        let limit = Rlimit { current: bytes, maximum: None };
        let pid = Some(Pid::from_child(&self.child));
        prlimit(pid, Resource::Fsize, limit).expect("limit a child process");
    }

    /// Asks the process to end with `signal`, also when it is paused, and waits until it has.
    ///
    /// # Panics
    /// When it still runs after 20 seconds.
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.signal(Signal::CONT);
        wait_until(STOP_LIMIT, || self.exit_status().is_some());
        let status = self.exit_status();
        status.unwrap_or_else(|| panic!("{} does not end within {STOP_LIMIT:?}", self.name))
    }

    /// Ends the process at once (SIGKILL).
    pub fn kill(&mut self) {
        // Fails only when the process has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(signal) = self.parting {
            self.signal(signal);
            wait_until(Duration::from_secs(2), || self.exit_status().is_some());
        }
        self.kill();
    }
}

/// The lines that a process has written to its standard output and error, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Lines {
    /// Collects the lines of both streams, which must be piped, until they end.
    pub fn of(daemon: &mut Daemon) -> Self {
        let lines = Self::default();
        let output =
            daemon.child.stdout.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>);
        let errors =
            daemon.child.stderr.take().map(|stream| Box::new(stream) as Box<dyn Read + Send>);
        for stream in [output, errors].into_iter().flatten() {
            let lines = lines.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                    lines.list().push(String::from_utf8_lossy(&line).into_owned());
                    lines.0.1.notify_all();
                }
            });
        }
        lines
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        self.list().clone()
    }

    /// Waits for a line that contains `text` and returns the first one.
    ///
    /// # Panics
    /// With all lines, when there is none within 20 seconds.
    pub fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + START_LIMIT;
        let mut list = self.list();
        loop {
            if let Some(line) = list.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no line with {text:?} in:\n{}", list.join("\n"));
            list = self.0.1.wait_timeout(list, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a command ended and what it wrote.
#[derive(Debug)]
pub struct Finished {
    /// The exit code, `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command to its end with `input` as its standard input.
///
/// # Panics
/// When it cannot be started or still runs after 60 seconds.
pub fn finish(command: Command, input: &str) -> Finished {
    finish_within(command, input, RUN_LIMIT)
}

/// Runs a command to its end with `input` as its standard input.
///
/// # Panics
/// When it cannot be started or still runs after `limit`.
pub fn finish_within(mut command: Command, input: &str, limit: Duration) -> Finished {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command).expect("start the command");
    let stdin = child.stdin.take();
    let input = input.to_owned();
    std::thread::spawn(move || {
        // A command may end without reading all of its input.
        let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
    });
    let pid = Pid::from_child(&child);
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(limit) else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("the command still runs after {limit:?}");
    };
    let output = output.expect("read the command's output");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
