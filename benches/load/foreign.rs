//! Others who do the same work: Flask with Flask-JWT-Extended, and Fastify with @fastify/jwt, from
//! their own package registries, on the server's core.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::Connection;
use crate::doorward::answers;
use crate::process::{Cores, Running, free_port};
use crate::visitor::{PASSWORD, Visitor, post};

/// The framework's packages, and how its server starts.
struct Framework {
    name: &'static str,
    /// The cookie that carries its token.
    cookie: &'static str,
    install: fn(&Path) -> Command,
    start: fn(Cores, &Path, u16) -> Command,
    /// What must be there when it is installed.
    installed: &'static str,
}

const FRAMEWORKS: [Framework; 2] = [
    Framework {
        name: "Flask, Flask-JWT-Extended",
        cookie: "access_token_cookie",
        install: |home| {
            let mut shell = Command::new("sh");
            shell.current_dir(home).args([
                "-c",
                "python3 -m venv python && python/bin/pip install --quiet flask flask-jwt-extended gunicorn redis argon2-cffi",
            ]);
            shell
        },
        start: |cores, home, port| {
            let mut gunicorn =
                cores.server(&home.join("python/bin/gunicorn").display().to_string());
            let address = format!("127.0.0.1:{port}");
            gunicorn.args(["--workers", "1", "--threads", "8", "--keep-alive", "75"]);
            gunicorn.args(["--log-level", "error", "--bind", &address, "app:app"]);
            gunicorn
        },
        installed: "python/bin/gunicorn",
    },
    Framework {
        name: "Fastify, @fastify/jwt",
        cookie: "at",
        install: |home| {
            let mut npm = Command::new("npm");
            npm.args(["install", "--silent", "--no-save", "--prefix"]).arg(home);
            npm.args(["fastify", "@fastify/jwt", "@fastify/cookie", "ioredis", "@node-rs/argon2"]);
            npm
        },
        start: |cores, _, port| {
            let mut node = cores.server("node");
            node.arg("app.mjs").env("PORT", port.to_string());
            node
        },
        installed: "node_modules/fastify/package.json",
    },
];

/// A server of another framework, with somebody signed in.
pub struct Foreign {
    /// Its name in the tables.
    pub name: &'static str,
    /// Its process.
    pub process: Running,
    cookies: String,
}

impl Foreign {
    /// Installs and starts all; those that this machine cannot have are named and left out.
    pub fn start_all(cores: Cores, redis: u16, runtime: &tokio::runtime::Runtime) -> Vec<Self> {
        let start = |framework: &Framework| match Self::start(framework, cores, redis, runtime) {
            Ok(foreign) => Some(foreign),
            Err(error) => {
                eprintln!("load: without {}: {error}", framework.name);
                None
            }
        };
        FRAMEWORKS.iter().filter_map(start).collect()
    }

    fn start(
        framework: &Framework,
        cores: Cores,
        redis: u16,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self, Box<dyn Error>> {
        let home = home()?;
        if !home.join(framework.installed).exists() {
            let status = (framework.install)(&home).status()?;
            if !status.success() {
                return Err(format!("its packages cannot be installed: {status}").into());
            }
        }
        let port = free_port()?;
        let mut command = (framework.start)(cores, &home, port);
        command.current_dir(&home).env("REDIS_PORT", redis.to_string());
        command.env("PEER_PASSWORD", PASSWORD);
        let process =
            Running::start(command, port, |port| answers(port, "/alive").unwrap_or(false))?;
        let cookies = runtime.block_on(async {
            let mut connection = Connection::open(port).await?;
            let answer = connection.exchange(&log_in()).await?;
            let token = answer.cookie(framework.cookie);
            let token = token.ok_or_else(|| std::io::Error::other(answer.head.to_owned()))?;
            Ok::<_, std::io::Error>(format!("{}={token}", framework.cookie))
        })?;
        Ok(Self { name: framework.name, process, cookies })
    }

    /// Somebody who asks who they are.
    pub fn asks_me(&self) -> Visitor {
        Visitor::asks("/me", &self.cookies)
    }

    /// Somebody who signs in.
    pub fn logs_in(&self) -> Visitor {
        Visitor::sends(log_in())
    }
}

fn log_in() -> Vec<u8> {
    post("/login", "", &format!(r#"{{"email":"ada@example.com","password":"{PASSWORD}"}}"#))
}

/// Where their packages are kept from run to run, with their programs beside them.
fn home() -> Result<PathBuf, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = root.join("target/bench-peers");
    fs::create_dir_all(&home)?;
    for program in ["app.py", "app.mjs"] {
        fs::copy(root.join("benches/load/peers").join(program), home.join(program))?;
    }
    Ok(home)
}
