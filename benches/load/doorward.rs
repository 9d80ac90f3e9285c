//! The release binary as a server, with accounts in it.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use doorward::id::{Os, SecretString};
use doorward::token::key::{MasterSecret, SigningKey};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Cores, Running, free_port};

/// No limit stops the load.
const NO_LIMIT: &str = "off";

/// A server, with the data that it keeps until the value drops.
pub struct Doorward {
    /// Its process.
    pub process: Running,
    data: TempDir,
}

impl Doorward {
    /// Starts one, in production's profile and with its defaults: SQLite, and for sessions the
    /// embedded store or the Redis at a port. `settings` are added as environment variables.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(
        cores: Cores,
        redis: Option<u16>,
        settings: &[(&str, &str)],
    ) -> Result<Self, Box<dyn Error>> {
        let data = tempfile::Builder::new().prefix("doorward-load-").tempdir()?;
        Self::start_on(data, cores, redis, settings)
    }

    /// As [`Doorward::start`], on the data of another that was stopped.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_on(
        data: TempDir,
        cores: Cores,
        redis: Option<u16>,
        settings: &[(&str, &str)],
    ) -> Result<Self, Box<dyn Error>> {
        let port = free_port()?;
        let mut environment = vec![
            ("ROCKET_PROFILE".to_owned(), "release".to_owned()),
            ("ROCKET_PORT".to_owned(), port.to_string()),
            ("DOORWARD_PUBLIC_URL".to_owned(), format!("http://localhost:{port}")),
            ("DOORWARD_DATA_DIR".to_owned(), data.path().display().to_string()),
        ];
        if let Some(redis) = redis {
            environment
                .push(("DOORWARD_STORE_URL".to_owned(), format!("redis://127.0.0.1:{redis}")));
            let keys = [
                ("signing", SigningKey::generate_pem()?),
                ("secret", MasterSecret::generate_base64(&Os)),
            ];
            for (name, key) in keys {
                let file = data.path().join(name);
                keep_secret(&file, &key)?;
                let variable = format!("DOORWARD_KEYS_{}_FILE", name.to_uppercase());
                environment.push((variable, file.display().to_string()));
            }
        }
        environment.extend(settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
        let program = env!("CARGO_BIN_EXE_doorward");
        let dress = |mut command: Command, environment: &[(String, String)]| {
            command
                .current_dir(data.path())
                .env_clear()
                .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
            command.envs(environment.iter().cloned());
            command
        };
        let check = dress(Command::new(program), &environment);
        environment.extend(high_limits(check)?);
        let process = Running::start(dress(cores.server(program), &environment), port, is_alive)?;
        Ok(Self { process, data })
    }

    /// Stops it, and gives what it kept.
    pub fn stop(self) -> TempDir {
        drop(self.process);
        self.data
    }
}

/// Settings that raise every rate limit out of reach.
fn high_limits(mut check: Command) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let output = check.args(["check-config", "--json"]).stderr(Stdio::inherit()).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let mut names = Vec::new();
    collect_limits(&report, &mut names);
    let variable = |name: String| format!("DOORWARD_{}", name.replace('.', "_").to_uppercase());
    Ok(names.into_iter().map(|name| (variable(name), NO_LIMIT.to_owned())).collect())
}

/// The names of settings that begin with `limits.`, wherever the report has them.
fn collect_limits(report: &Value, names: &mut Vec<String>) {
    match report {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            if key.starts_with("limits.") {
                names.push(key.clone());
            }
            collect_limits(value, names);
        }),
        Value::Array(items) => items.iter().for_each(|item| collect_limits(item, names)),
        Value::String(text) if text.starts_with("limits.") => names.push(text.clone()),
        _ => {}
    }
}

fn keep_secret(file: &Path, secret: &SecretString) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(file)?;
    file.write_all(secret.expose().as_bytes())
}

/// Whether the server answers 200.
pub fn is_alive(port: u16) -> bool {
    answers(port, "/livez").unwrap_or(false)
}

/// Whether a server answers a path with 200.
pub fn answers(port: u16, path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(start.ends_with(b"200"))
}

/// How large the released program is, in MiB.
pub fn program_mib() -> f64 {
    let size = fs::metadata(env!("CARGO_BIN_EXE_doorward")).map_or(0, |file| file.len());
    size as f64 / 1024.0 / 1024.0
}
