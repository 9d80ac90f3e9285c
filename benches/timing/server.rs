//! The server under test, with its accounts.

use std::error::Error;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Running, free_port};

/// A limit would refuse before anything is hashed.
const LIMITS: [&str; 6] = [
    "LOGIN_PER_ADDRESS",
    "REGISTER_PER_ADDRESS",
    "REFRESH_PER_SESSION",
    "REFRESH_PER_ADDRESS",
    "OTHER_PER_ADDRESS",
    "ACCOUNT_FAILURES",
];

/// The real program on SQLite and the embedded store, ended with the value.
pub struct Server {
    process: Running,
    _data: TempDir,
}

impl Server {
    /// Makes the accounts, and starts the server without limits but with its other defaults.
    ///
    /// # Errors
    /// An account cannot be made, or the server does not start.
    pub fn start(known: &[String], disabled: &[String]) -> Result<Self, Box<dyn Error>> {
        let data = tempfile::Builder::new().prefix("doorward-timing-").tempdir()?;
        let port = free_port()?;
        let program = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
            command.current_dir(data.path()).env_clear();
            command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
            command.env("ROCKET_PROFILE", "release").env("ROCKET_PORT", port.to_string());
            command.env("DOORWARD_PUBLIC_URL", format!("http://localhost:{port}"));
            command.env("DOORWARD_DATA_DIR", data.path()).env("DOORWARD_LOG_ACCESS", "false");
            command.envs(LIMITS.map(|name| (format!("DOORWARD_LIMITS_{name}"), "off")));
            command
        };
        for address in known.iter().chain(disabled) {
            user(program(), &["create", "--email", address], "a tower of marzipan\n")?;
        }
        for address in disabled {
            user(program(), &["disable", address], "")?;
        }
        let process = Running::start(program(), port, |port| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })?;
        Ok(Self { process, _data: data })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.process.port
    }
}

/// Runs `doorward user …`.
fn user(mut command: Command, arguments: &[&str], input: &str) -> Result<(), Box<dyn Error>> {
    command.arg("user").args(arguments).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn()?;
    child.stdin.take().ok_or("no standard input")?.write_all(input.as_bytes())?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("{arguments:?}: {status}").into()) }
}
