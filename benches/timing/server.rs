//! The server under test, with its accounts.

use std::error::Error;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use doorward::id::{Os, SecretString};
use doorward::token::key::{MasterSecret, SigningKey};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tempfile::TempDir;

use crate::kind::{KINDS, RIGHT, Step, address};
use crate::process::{Running, free_port, redis};

/// A limit would refuse before anything is hashed.
const LIMITS: [&str; 7] = [
    "LOGIN_PER_ADDRESS",
    "REGISTER_PER_ADDRESS",
    "REFRESH_PER_SESSION",
    "REFRESH_PER_ADDRESS",
    "OTHER_PER_ADDRESS",
    "ACCOUNT_FAILURES",
    "CONFIRM_PER_SESSION",
];

/// Where sessions are kept.
#[derive(Clone, Copy)]
pub enum Store {
    /// In the process.
    Embedded,
    /// In a Redis.
    Redis,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "With the embedded store",
            Self::Redis => "With Redis",
        })
    }
}

/// The real program on SQLite, ended with the value.
pub struct Server {
    process: Running,
    _redis: Option<Running>,
    _data: TempDir,
}

impl Server {
    /// Makes so many accounts of each kind, and starts the server without limits but with its other
    /// defaults.
    ///
    /// # Errors
    /// An account cannot be made, or the server does not start.
    pub async fn start(store: Store, accounts: usize) -> Result<Self, Box<dyn Error>> {
        let data = tempfile::Builder::new().prefix("doorward-timing-").tempdir()?;
        let port = free_port()?;
        let mut settings = vec![
            ("ROCKET_PROFILE".to_owned(), "release".to_owned()),
            ("ROCKET_PORT".to_owned(), port.to_string()),
            ("DOORWARD_PUBLIC_URL".to_owned(), format!("http://localhost:{port}")),
            ("DOORWARD_DATA_DIR".to_owned(), data.path().display().to_string()),
            ("DOORWARD_LOG_ACCESS".to_owned(), "false".to_owned()),
        ];
        settings.extend(LIMITS.map(|name| (format!("DOORWARD_LIMITS_{name}"), "off".to_owned())));
        let redis = match store {
            Store::Embedded => None,
            Store::Redis => {
                let redis = redis()?;
                let url = format!("redis://127.0.0.1:{}", redis.port);
                settings.push(("DOORWARD_STORE_URL".to_owned(), url));
                settings.extend(keys(data.path())?);
                Some(redis)
            }
        };
        let program = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
            command.current_dir(data.path()).env_clear();
            command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
            command.envs(settings.iter().cloned());
            command
        };
        for (kind, steps) in KINDS.iter().map(|kind| kind.steps).enumerate() {
            for number in 0..accounts {
                for step in steps {
                    take(step, &address(kind, number), data.path(), program()).await?;
                }
            }
        }
        let process = Running::start(program(), port, |port| {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })?;
        Ok(Self { process, _redis: redis, _data: data })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.process.port
    }
}

/// The settings of keys, which Redis asks for.
fn keys(folder: &Path) -> Result<[(String, String); 2], Box<dyn Error>> {
    let keep = |name: &str, secret: SecretString| -> std::io::Result<(String, String)> {
        let path = folder.join(name);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
        file.write_all(secret.expose().as_bytes())?;
        let variable = format!("DOORWARD_KEYS_{}_FILE", name.to_uppercase());
        Ok((variable, path.display().to_string()))
    };
    Ok([
        keep("signing", SigningKey::generate_pem()?)?,
        keep("secret", MasterSecret::generate_base64(&Os))?,
    ])
}

async fn take(
    step: &Step,
    address: &str,
    folder: &Path,
    mut program: Command,
) -> Result<(), Box<dyn Error>> {
    match step {
        Step::Command(words) => {
            let words = words.iter().map(|word| if *word == "{}" { address } else { word });
            program.arg("user").args(words).stdin(Stdio::piped()).stdout(Stdio::null());
            let mut child = program.spawn()?;
            let mut stdin = child.stdin.take().ok_or("no standard input")?;
            // A command that asks for no password may have ended already.
            let _ = stdin.write_all(format!("{RIGHT}\n").as_bytes());
            drop(stdin);
            let status = child.wait()?;
            if !status.success() {
                return Err(format!("{program:?}: {status}").into());
            }
        }
        Step::Sql(statement) => {
            let file = format!("sqlite://{}", folder.join("doorward.db").display());
            let mut database = SqliteConnection::connect(&file).await?;
            let changed = sqlx::query(AssertSqlSafe(*statement)).bind(address);
            let changed = changed.execute(&mut database).await?.rows_affected();
            database.close().await?;
            if changed != 1 {
                return Err(format!("{statement}: {changed} accounts").into());
            }
        }
    }
    Ok(())
}
