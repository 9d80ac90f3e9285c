//! The proxies in front (`deploy/nginx`, `deploy/caddy`, `deploy/haproxy`) keep slow clients away and pass on the
//! address of a client as nobody can forge it (SR-61, SR-24). docs/deploy/in-front.md

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::app::{LIMITS, PASSWORD};
use crate::person::Person;
use crate::support::http::{self, Response};
use crate::support::process::{Daemon, Server};
use crate::support::{START_LIMIT, bound_to_us, find_program, free_port, read_log, scratch_dir};

/// The clients that send their header a byte at a time.
const SLOW: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxy {
    Nginx,
    Caddy,
    Haproxy,
}

/// A proxy with the configuration of `deploy/`, and Doorward behind it.
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
        let directory = scratch_dir("front");
        let ports = (port, doorward.port());
        let command = command(proxy, directory.path(), ports).unwrap_or_else(|why| panic!("{why}"));
        let _proxy = launch(command, directory.path(), port);
        Self { port, doorward, directory, _proxy }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("the proxy lets us in")
    }

    /// All that the proxy has logged.
    fn log(&self) -> String {
        ["log", "access.log", "error.log"]
            .map(|name| read_log(&self.directory.path().join(name)))
            .concat()
    }
}

/// The proxy with its file of `deploy/`. What is replaced has to be there.
fn command(proxy: Proxy, home: &Path, (port, server): (u16, u16)) -> Result<Command, String> {
    let here = home.display().to_string();
    let (listen, server) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{server}"));
    let (file, mut changes, names, arguments) = match proxy {
        Proxy::Nginx => (
            "nginx/nginx.conf",
            vec![
                ("listen 443 ssl http2;", format!("listen {listen};")),
                ("listen [::]:443 ssl http2;", String::new()),
                // The other two servers, on ports that nobody can have.
                ("listen 80 default_server;", format!("listen unix:{here}/80;")),
                ("listen [::]:80 default_server;", String::new()),
                ("listen 443 ssl default_server;", format!("listen unix:{here}/443 ssl;")),
                ("listen [::]:443 ssl default_server;", String::new()),
                ("ssl_certificate     /etc/ssl/doorward/fullchain.pem;", String::new()),
                ("ssl_certificate_key /etc/ssl/doorward/key.pem;", String::new()),
                ("pid /run/nginx.pid;", format!("pid {here}/pid;")),
                ("/var/log/nginx/", format!("{here}/")),
                ("    server_tokens off;", temporary_paths(&here)),
            ],
            ["nginx", "/usr/sbin/nginx"],
            vec!["-e", "stderr", "-g", "daemon off;", "-c"],
        ),
        Proxy::Caddy => (
            "caddy/Caddyfile",
            vec![
                ("{$LOGIN_HOST:login.example.com} {", format!("http://localhost:{port} {{")),
                ("\tservers {", "\tadmin off\n\tdefault_bind 127.0.0.1\n\tservers {".to_owned()),
            ],
            ["caddy", "/usr/bin/caddy"],
            vec!["run", "--adapter", "caddyfile", "--config"],
        ),
        Proxy::Haproxy => (
            "haproxy/haproxy.cfg",
            vec![
                ("bind :80\n", format!("bind unix@{here}/80\n")),
                (
                    "bind :443 ssl crt /etc/haproxy/doorward.pem alpn h2,http/1.1",
                    format!("bind {listen}"),
                ),
                ("    user haproxy\n    group haproxy\n", String::new()),
            ],
            ["haproxy", "/usr/sbin/haproxy"],
            vec!["-db", "-f"],
        ),
    };
    changes.push(("127.0.0.1:8000", server));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file);
    let mut text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
    for (old, new) in &changes {
        if !text.contains(old) {
            return Err(format!("{file} does not say {old:?}"));
        }
        text = text.replace(old, new);
    }
    text = text.replace("login.example.com", "localhost");
    let config = home.join("proxy.conf");
    fs::write(&config, text).map_err(|error| error.to_string())?;
    let mut command = bound_to_us(&find_program(&names, names[0])?, "KILL", &[]);
    command.args(arguments).arg(config).env("HOME", home);
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
    let mut daemon = Daemon::spawn("the proxy", command).unwrap_or_else(|why| panic!("{why}"));
    daemon
        .wait_ready(
            START_LIMIT,
            || read_log(&log),
            || http::get(port, "/readyz").is_ok_and(|answer| answer.status == 200),
        )
        .unwrap_or_else(|why| panic!("{why}"));
    daemon
}

/// Whether the other side has hung up, after what it may have said.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    let mut answer = [0; 1024];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

fn slow_clients_are_cut_off_and_nobody_else(proxy: Proxy) {
    let front = Front::start(proxy);
    let email = "ada@example.org";
    let create =
        front.doorward.run(&["user", "create", "--email", email], &format!("{PASSWORD}\n"));
    assert_eq!(create.code, Some(0), "{create:?}");
    let begun = Instant::now();
    let mut slow: Vec<TcpStream> = (0..SLOW).map(|_| front.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").expect("sent");
    }
    let mut slowest = Duration::ZERO;
    while !slow.is_empty() && begun.elapsed() < Duration::from_secs(25) {
        let asked = Instant::now();
        assert_eq!(Person::at(front.port).log_in(email, PASSWORD), 200, "{}", front.log());
        slowest = slowest.max(asked.elapsed());
        // They go on sending, so that no time limit between two reads ends them.
        slow.retain_mut(|stream| stream.write_all(b"a").is_ok() && !is_closed(stream));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(slow.is_empty(), "{} of {SLOW} are still there", slow.len());
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(9), "nobody has to be that fast: {took:?}");
    // SR-61 says 1 s on a machine of its own; the tests share theirs.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

fn what_a_client_says_of_its_address_is_not_believed(proxy: Proxy) {
    let front = Front::start(proxy);
    let email = "eve@example.org";
    let create =
        front.doorward.run(&["user", "create", "--email", email], &format!("{PASSWORD}\n"));
    assert_eq!(create.code, Some(0), "{create:?}");
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let send = |path: &str, body: &str| -> Response {
        let headers = [
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
            ("X-Forwarded-For", "6.6.6.6"),
            ("Forwarded", "for=6.6.6.6"),
            ("X-Real-IP", "6.6.6.6"),
        ];
        let method = if body.is_empty() { "GET" } else { "POST" };
        http::request(front.port, method, path, &headers, body.as_bytes()).expect("an answer")
    };
    assert_eq!(send("/api/v1/auth/login", &body).status, 200);
    // A link that works once is in no log of the proxy.
    send("/setup?token=marked-token", "");
    let told = front.doorward.run(&["user", "show", email, "--json"], "");
    assert_eq!(told.code, Some(0), "{told:?}");
    front.doorward.stop();
    let log = front.doorward.lines().all().join("\n");
    assert!(log.contains("127.0.0.1") && !log.contains("6.6.6.6"), "{log}");
    assert!(!front.log().contains("marked-token"), "{}", front.log());
}

fn what_is_too_large_does_not_reach_the_server(proxy: Proxy) {
    let front = Front::start(proxy);
    let body = "x".repeat(70_000);
    let kind = [("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")];
    let path = "/api/v1/auth/login";
    // The proxy may hang up on us while we still send.
    if let Ok(answer) = http::request(front.port, "POST", path, &kind, body.as_bytes()) {
        assert!(matches!(answer.status, 400 | 413), "{}", answer.status);
    }
    assert_eq!(http::get(front.port, "/readyz").expect("an answer").status, 200);
    let page = http::get(front.port, "/login").expect("an answer");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy");
    assert!(policy.is_some_and(|policy| policy.contains("default-src 'none'")), "{policy:?}");
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
    what_is_too_large_does_not_reach_the_server
}
