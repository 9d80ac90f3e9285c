//! The proxies in front (`deploy/nginx`, `deploy/caddy`, `deploy/haproxy`) keep slow clients away and pass on the
//! address of a client as nobody can forge it (SR-61, SR-24). docs/deploy/in-front.md

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::app::{LIMITS, PASSWORD};
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::http::{self, Response};
use crate::support::process::Daemon;
use crate::support::slow::SlowClients;
use crate::support::{START_LIMIT, bound_to_us, find_program, free_port, read_log, scratch_dir};

/// Who signs in.
const ADA: &str = "ada@example.org";
/// The clients that send their header a byte at a time.
const SLOW: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxy {
    Nginx,
    Caddy,
    Haproxy,
}

/// A proxy with the configuration of `deploy/`, and Doorward behind it, where Ada has an account.
struct Front {
    port: u16,
    doorward: Server,
    directory: TempDir,
    _proxy: Daemon,
}

impl Front {
    fn start(proxy: Proxy) -> Self {
        let port = free_port();
        let public_url = format!("http://localhost:{port}");
        let mut settings =
            vec![("DOORWARD_PUBLIC_URL", &*public_url), ("DOORWARD_PROXIES_TRUSTED", "127.0.0.1")];
        settings.extend(LIMITS.map(|(name, _)| (name, "off")));
        let doorward = Server::start(&settings);
        let create = ["user", "create", "--email", ADA];
        let created = doorward.run(&create, &format!("{PASSWORD}\n"));
        assert_eq!(created.code, Some(0), "{created:?}");
        let (directory, _proxy) = start(proxy, port, &[doorward.port()]);
        Self { port, doorward, directory, _proxy }
    }

    /// All that the proxy has logged.
    fn log(&self) -> String {
        ["log", "access.log", "error.log"]
            .map(|name| read_log(&self.directory.path().join(name)))
            .concat()
    }
}

/// How a proxy is started here: its file below `deploy/`, what is replaced in it, and the program.
struct Plan {
    file: &'static str,
    changes: Vec<(&'static str, String)>,
    program: [&'static str; 2],
    arguments: &'static [&'static str],
}

impl Plan {
    /// nginx, without TLS; its other two servers listen where nobody asks.
    fn nginx(home: &str, port: u16) -> Self {
        let changes = vec![
            ("listen 443 ssl http2;", format!("listen 127.0.0.1:{port};")),
            ("listen [::]:443 ssl http2;", String::new()),
            ("listen 80 default_server;", format!("listen unix:{home}/80;")),
            ("listen [::]:80 default_server;", String::new()),
            ("listen 443 ssl default_server;", format!("listen unix:{home}/443 ssl;")),
            ("listen [::]:443 ssl default_server;", String::new()),
            ("ssl_certificate     /etc/ssl/doorward/fullchain.pem;", String::new()),
            ("ssl_certificate_key /etc/ssl/doorward/key.pem;", String::new()),
            ("pid /run/nginx.pid;", format!("pid {home}/pid;")),
            ("/var/log/nginx/", format!("{home}/")),
            ("    server_tokens off;", temporary_paths(home)),
        ];
        let arguments = &["-e", "stderr", "-g", "daemon off;", "-c"];
        let program = ["nginx", "/usr/sbin/nginx"];
        Self { file: "nginx/nginx.conf", changes, program, arguments }
    }

    fn caddy(port: u16) -> Self {
        let alone = "\tadmin off\n\tdefault_bind 127.0.0.1\n\tservers {".to_owned();
        let changes = vec![
            ("{$LOGIN_HOST:login.example.com} {", format!("http://localhost:{port} {{")),
            ("\tservers {", alone),
        ];
        let arguments = &["run", "--adapter", "caddyfile", "--config"];
        Self { file: "caddy/Caddyfile", changes, program: ["caddy", "/usr/bin/caddy"], arguments }
    }

    fn haproxy(home: &str, port: u16) -> Self {
        let secure = "bind :443 ssl crt /etc/haproxy/doorward.pem alpn h2,http/1.1";
        let changes = vec![
            ("bind :80\n", format!("bind unix@{home}/80\n")),
            (secure, format!("bind 127.0.0.1:{port}")),
            ("    user haproxy\n    group haproxy\n", String::new()),
        ];
        let program = ["haproxy", "/usr/sbin/haproxy"];
        Self { file: "haproxy/haproxy.cfg", changes, program, arguments: &["-db", "-f"] }
    }
}

/// nginx with its file of `deploy/`, listening at `port`, in front of these servers.
pub fn nginx(port: u16, servers: &[u16]) -> (TempDir, Daemon) {
    start(Proxy::Nginx, port, servers)
}

fn start(proxy: Proxy, port: u16, servers: &[u16]) -> (TempDir, Daemon) {
    let directory = scratch_dir("front");
    let command =
        command(proxy, directory.path(), port, servers).unwrap_or_else(|why| panic!("{why}"));
    let daemon = launch(command, directory.path(), port);
    (directory, daemon)
}

/// The proxy with its file of `deploy/`. What is replaced has to be there. Only nginx is started with
/// more than one server behind.
fn command(proxy: Proxy, home: &Path, port: u16, servers: &[u16]) -> Result<Command, String> {
    let here = home.display().to_string();
    let mut plan = match proxy {
        Proxy::Nginx => Plan::nginx(&here, port),
        Proxy::Caddy => Plan::caddy(port),
        Proxy::Haproxy => Plan::haproxy(&here, port),
    };
    let (first, others) = servers.split_first().expect("a server");
    plan.changes.push(("127.0.0.1:8000", format!("127.0.0.1:{first}")));
    if !others.is_empty() {
        let second = "# server 127.0.0.1:8001 max_fails=1 fail_timeout=1s;";
        let line = |port| second.trim_start_matches("# ").replace("8001", &format!("{port}"));
        plan.changes.push((second, others.iter().map(line).collect::<Vec<_>>().join("\n")));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(plan.file);
    let mut text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", plan.file))?;
    for (old, new) in &plan.changes {
        if !text.contains(old) {
            return Err(format!("{} does not say {old:?}", plan.file));
        }
        text = text.replace(old, new);
    }
    let config = home.join("proxy.conf");
    let text = text.replace("login.example.com", "localhost");
    fs::write(&config, text).map_err(|error| error.to_string())?;
    let program = find_program(&plan.program, plan.program[0])?;
    // Killed, nginx would leave its workers behind.
    let mut command = bound_to_us(&program, "TERM", &[]);
    command.args(plan.arguments).arg(config).env("HOME", home);
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "LOGIN_HOST", "LOGIN_UPSTREAMS"] {
        command.env_remove(name);
    }
    Ok(command)
}

/// Where nginx keeps bodies, for a user who may not write where Debian's does.
fn temporary_paths(here: &str) -> String {
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {here}/{kind};\n"))
        .concat()
}

fn launch(mut command: Command, home: &Path, port: u16) -> Daemon {
    let log = home.join("log");
    let output = File::create(&log).expect("a log");
    command.stdout(output.try_clone().expect("a log")).stderr(output);
    let daemon = Daemon::spawn("the proxy", command).unwrap_or_else(|why| panic!("{why}"));
    let mut daemon = daemon.parting_with(Signal::TERM);
    daemon
        .wait_ready(
            START_LIMIT,
            || read_log(&log),
            || http::get(port, "/readyz").is_ok_and(|answer| answer.status == 200),
        )
        .unwrap_or_else(|why| panic!("{why}"));
    daemon
}

fn slow_clients_are_cut_off_and_nobody_else(proxy: Proxy) {
    let front = Front::start(proxy);
    let mut slowest = Duration::ZERO;
    SlowClients::connect(front.port, SLOW).assert_cut_off(|| {
        let asked = Instant::now();
        assert_eq!(Person::at(front.port).log_in(ADA, PASSWORD), 200, "{}", front.log());
        slowest = slowest.max(asked.elapsed());
    });
    // SR-61 says 1 s on a machine of its own; the tests share theirs.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

fn what_a_client_says_of_its_address_is_not_believed(proxy: Proxy) {
    let front = Front::start(proxy);
    let body = json!({ "email": ADA, "password": PASSWORD }).to_string();
    let send = |path: &str, body: &str| -> Response {
        let headers = [
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
            ("X-Forwarded-For", "6.6.6.6"),
            ("Forwarded", "for=6.6.6.6"),
            ("X-Real-IP", "6.6.6.6"),
            ("X-Request-Id", "6.6.6.6-request"),
        ];
        let method = if body.is_empty() { "GET" } else { "POST" };
        http::request(front.port, method, path, &headers, body.as_bytes()).expect("an answer")
    };
    let answer = send("/api/v1/auth/login", &body);
    assert_eq!(answer.status, 200);
    // The proxy names the request, and both logs have its name.
    let name = answer.header("x-request-id").expect("a name").to_owned();
    assert!(name.len() >= 32 && !name.contains('_'), "{name}");
    // A link that works once is in no log of the proxy.
    send("/setup?token=marked-token", "");
    front.doorward.stop();
    let log = front.doorward.lines().all().join("\n");
    assert!(log.contains("127.0.0.1") && !log.contains("6.6.6.6"), "{log}");
    assert!(log.contains(&name), "{name} in {log}");
    assert!(proxy == Proxy::Caddy || front.log().contains(&name), "{name} in {}", front.log());
    assert!(!front.log().contains("marked-token"), "{}", front.log());
}

fn what_is_too_large_is_refused_in_front(proxy: Proxy) {
    let front = Front::start(proxy);
    let body = "x".repeat(70_000);
    let kind = [("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")];
    let path = "/api/v1/auth/login";
    // The proxy may hang up on us while we still send. Caddy passes a body on as it comes, and breaks off.
    if let Ok(answer) = http::request(front.port, "POST", path, &kind, body.as_bytes()) {
        let expected = if proxy == Proxy::Caddy { 413..=502 } else { 413..=413 };
        assert!(expected.contains(&answer.status), "{}", answer.status);
    }
    // Headers of an answer, with the longest of policies, come through whole.
    let page = http::get(front.port, "/login").expect("an answer");
    let policy = page.header("content-security-policy");
    assert!(policy.is_some_and(|policy| policy.contains("default-src 'none'")), "{policy:?}");
    front.doorward.stop();
    let log = front.doorward.lines().all().join("\n");
    assert!(log.contains("/login") && (proxy == Proxy::Caddy || !log.contains(path)), "{log}");
}

/// One test behind every proxy.
macro_rules! behind_every_proxy {
    ($($name:ident)*) => {$(
        mod $name {
            use super::Proxy;

            #[test]
            fn nginx() {
                super::$name(Proxy::Nginx);
            }

            #[test]
            fn caddy() {
                super::$name(Proxy::Caddy);
            }

            #[test]
            fn haproxy() {
                super::$name(Proxy::Haproxy);
            }
        }
    )*};
}

behind_every_proxy! {
    slow_clients_are_cut_off_and_nobody_else
    what_a_client_says_of_its_address_is_not_believed
    what_is_too_large_is_refused_in_front
}
