//! What the tests stand on: a real Redis, PostgreSQL and Chromium, and Doorward's own binary.
//!
//! Each server starts when the first test asks for it, on a free loopback port and with its files
//! in one scratch directory. Everything ends with the test process, however that ends: servers are
//! bound to it by the kernel, and a small keeper process removes the scratch directory. A shared
//! server is a plain address and a process, nothing that belongs to one test's async runtime.
#![allow(dead_code, reason = "a helper may wait for the first test that needs it")]

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub mod binary;
pub mod browser;
#[cfg(feature = "otel")]
pub mod collector;
pub mod fleet;
pub mod http;
pub mod kit;
pub mod node;
pub mod postgres;
pub mod process;
pub mod python;
pub mod redis;
mod self_test;
pub mod slow;

/// How long a server may take to start on a busy machine.
pub const START_LIMIT: Duration = Duration::from_secs(20);

/// A server that all tests share. A failed start is kept too, so that every test that needs the
/// server fails at once with the same reason instead of trying again.
pub type Shared<T> = OnceLock<Result<T, String>>;

/// Returns the shared server, which the first caller starts.
///
/// # Panics
/// With the reason, when the server did not start.
pub fn shared<T>(
    cell: &'static Shared<T>,
    start: impl FnOnce() -> Result<T, String>,
) -> &'static T {
    cell.get_or_init(start).as_ref().unwrap_or_else(|reason| panic!("{reason}"))
}

/// Asks `done` every few milliseconds; false when it was never true within `limit`.
pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !done() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// A loopback port that nobody listens on and no other test of this process was given.
///
/// It lies below the range from which Linux takes the local ports of outgoing connections (32768
/// and up). A port of that range could be taken before the server binds it or while a test has the
/// server stopped; a client retrying it could even connect to itself.
pub fn free_port() -> u16 {
    const FIRST: u32 = 15_000;
    const COUNT: u32 = 17_000;
    static HANDED_OUT: AtomicU16 = AtomicU16::new(0);
    // Concurrent test processes start at different places.
    let start = std::process::id().wrapping_mul(97) % COUNT;
    for _ in 0..COUNT {
        let step = u32::from(HANDED_OUT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + (start + step) % COUNT).expect("below 32768");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// Creates a fresh directory for one server or one test, removed when the value drops or else when
/// the test process ends.
pub fn scratch_dir(name: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(scratch_root())
        .expect("create a directory in the scratch directory")
}

/// The scratch directory of this test process.
///
/// Statics are not dropped and a killed process drops nothing, so a keeper process removes it: it
/// waits for the end of its standard input, which the kernel closes together with this process.
fn scratch_root() -> &'static Path {
    const KEEPER: &str = r#"
        trap '' HUP INT TERM
        cat >/dev/null
        n=0
        while [ -e "$1" ] && [ $n -lt 50 ]; do rm -rf -- "$1"; sleep 0.1; n=$((n + 1)); done
        sleep 1
        rm -rf -- "$1"
    "#;
    static ROOT: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let (root, _keeper) = ROOT.get_or_init(|| {
        let root = tempfile::Builder::new()
            .prefix("doorward-tests-")
            // PostgreSQL, which may run as another user, has to pass through.
            .permissions(std::fs::Permissions::from_mode(0o711))
            .tempdir()
            .expect("create the scratch directory")
            .keep();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&root)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("start the keeper of the scratch directory");
        (root, keeper)
    });
    root
}

/// Finds a program on the `PATH`, under the first of its names that exists.
///
/// # Errors
/// Names the program and the Debian package to install.
pub fn find_program(names: &[&str], package: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = names.iter().find_map(|name| {
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
    });
    found.ok_or_else(|| {
        let names = names.join(" or ");
        format!("{names} is missing: run `tests/run`, or install the Debian package `{package}`")
    })
}

/// A command that the kernel sends `signal` ("KILL", "QUIT") when this test process is gone.
///
/// It must be started by [`spawn`]. `switches` are further options of `setpriv`.
pub fn bound_to_us(program: &Path, signal: &str, switches: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(switches).args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

/// What a server wrote to its log, for the message of a failed start.
pub fn read_log(path: &Path) -> String {
    std::fs::read(path).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
}

/// Starts a command from a thread that lives as long as the test process.
///
/// The parent-death signal comes when the *thread* that started the child ends (prctl(2)), and the
/// thread of a test ends with the test.
pub fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // The asker waits for the answer, so it is there to take it.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    spawner.send((command, answer)).expect("the spawning thread never ends");
    child.recv().expect("the spawning thread answers every order")
}
