//! A PostgreSQL with its defaults, on the load's core: what is committed is on its disk.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::measure::Done;
use crate::process::{Running, free_port};

/// The account that it runs as when the run is root's, as whom it refuses to run.
const SYSTEM_USER: &str = "postgres";

/// A server that ends with the run.
pub struct Postgres {
    programs: PathBuf,
    process: Running,
    directory: TempDir,
}

impl Postgres {
    /// Starts one; `None` if it is not installed.
    ///
    /// # Errors
    /// It does not start.
    pub fn start() -> Done<Option<Self>> {
        let Some(programs) = programs() else {
            eprintln!("load: PostgreSQL is not installed; its rows are left out");
            return Ok(None);
        };
        let directory = tempfile::Builder::new().prefix("doorward-postgres-").tempdir()?;
        if is_root() {
            finish(Command::new("chown").arg(SYSTEM_USER).arg(directory.path()))?;
        }
        let data = directory.path().join("data");
        let mut initdb = as_system_user(&programs.join("initdb"), directory.path());
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        finish(initdb.arg("--pgdata").arg(&data))?;
        let port = free_port()?;
        let mut server = as_system_user(&programs.join("postgres"), directory.path());
        server.arg("-D").arg(&data).args(["-c", &format!("port={port}")]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        server.stderr(Stdio::null());
        let process = Running::start(server, port, |port| {
            let refused = |error: std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
            TcpStream::connect(("127.0.0.1", port)).map_or_else(|error| !refused(error), |_| true)
        })?;
        Ok(Some(Self { programs, process, directory }))
    }

    /// The URL of its one database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.process.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killed outright, it would leave its shared memory behind.
        let mut stop = as_system_user(&self.programs.join("pg_ctl"), self.directory.path());
        stop.args(["stop", "-m", "immediate", "-D"]).arg(self.directory.path().join("data"));
        let _ = finish(&mut stop);
    }
}

/// Where Debian puts the newest of its servers.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|version| version.path()).filter(|path| number(path).is_some());
    newest.max_by_key(number).map(|path| path.join("bin"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_system_user(program: &Path, directory: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        let user = [format!("--reuid={SYSTEM_USER}"), format!("--regid={SYSTEM_USER}")];
        command.args(user).arg("--init-groups").arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(directory);
    command
}

fn finish(command: &mut Command) -> Done<()> {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
