//! A real proxy in front of the real binary and an app, configured by what `proxy-config` prints.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::Command;
use std::sync::Mutex;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::upstream;
use crate::app::{LIMITS, PASSWORD};
use crate::support::binary::Server;
use crate::support::http::{self, Response};
use crate::support::process::Daemon;
use crate::support::{
    START_LIMIT, Shared, bound_to_us, find_program, free_port, read_log, scratch_dir, shared,
};

/// The proxies that Debian has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    Nginx,
    Caddy,
    Haproxy,
}

/// The proxy, Doorward and the app.
pub struct Stack {
    /// Where the sign-in pages are, through the proxy.
    pub login: u16,
    /// Where the app is, through the proxy.
    pub app: u16,
    pub doorward: Server,
    _running: Mutex<Daemon>,
    _directory: TempDir,
}

/// The stack that all tests of a proxy share.
pub fn stack(proxy: Proxy) -> &'static Stack {
    static NGINX: Shared<Stack> = Shared::new();
    static CADDY: Shared<Stack> = Shared::new();
    static HAPROXY: Shared<Stack> = Shared::new();
    let cell = match proxy {
        Proxy::Nginx => &NGINX,
        Proxy::Caddy => &CADDY,
        Proxy::Haproxy => &HAPROXY,
    };
    shared(cell, || Stack::start(proxy))
}

impl Stack {
    /// A stack of one's own.
    ///
    /// # Errors
    /// With the reason and the proxy's log.
    pub fn start(proxy: Proxy) -> Result<Self, String> {
        Self::start_with(proxy, &[])
    }

    /// As [`start`](Self::start), with more settings.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(proxy: Proxy, more: &[(&str, &str)]) -> Result<Self, String> {
        let (login, app, upstream) = (free_port(), free_port(), upstream::serve());
        let host = format!("localhost:{app}");
        let rules = json!([
            { "host": host, "path": "/public", "allow": "public" },
            { "host": host, "path": "/admin", "allow": "users:read", "audience": "the-admin-app" },
            { "host": host, "path": "/reports", "allow": "users:read" },
            { "host": host, "allow": "signed_in" },
        ]);
        let (rules, public_url) = (rules.to_string(), format!("http://localhost:{login}"));
        let mut settings = vec![
            ("DOORWARD_PUBLIC_URL", public_url.as_str()),
            ("DOORWARD_ACCESS_RULES", rules.as_str()),
            ("DOORWARD_PROXIES_TRUSTED", "127.0.0.1/32"),
        ];
        settings.extend(LIMITS.map(|(name, _)| (name, "off")));
        settings.extend(more);
        let doorward = Server::start(&settings);
        let directory = scratch_dir("proxy");
        let print = |which: &str| {
            let to = format!("127.0.0.1:{upstream}");
            let arguments = ["proxy-config", which, "--host", &host, "--upstream", &to];
            let printed = doorward.run(&arguments, "");
            assert_eq!(printed.code, Some(0), "{printed:?}");
            printed.stdout
        };
        let command = command(proxy, &directory, print)?;
        let running = launch(command, &directory, login)?;
        let (_running, _directory) = (Mutex::new(running), directory);
        Ok(Self { login, app, doorward, _running, _directory })
    }

    /// Somebody new.
    pub fn stranger(&self) -> Guest<'_> {
        Guest { stack: self, jar: BTreeMap::new() }
    }

    /// Somebody who has registered and so is signed in.
    #[track_caller]
    pub fn registered(&self, email: &str) -> Guest<'_> {
        let mut guest = self.stranger();
        let body = json!({ "email": email, "password": PASSWORD }).to_string();
        let answer = guest.send(self.login, "POST", "/api/v1/auth/register", JSON, &body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        guest
    }

    /// An administrator who is signed in.
    #[track_caller]
    pub fn administrator(&self, email: &str) -> Guest<'_> {
        let create = ["user", "create", "--email", email, "--role", "admin"];
        let created = self.doorward.run(&create, &format!("{PASSWORD}\n"));
        assert_eq!(created.code, Some(0), "{created:?}");
        let mut guest = self.stranger();
        let body = json!({ "email": email, "password": PASSWORD }).to_string();
        let answer = guest.send(self.login, "POST", "/api/v1/auth/login", JSON, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        guest
    }

    /// Where a page of the app is.
    pub fn url(&self, target: &str) -> String {
        format!("http://localhost:{}{target}", self.app)
    }
}

/// What stands around the printed part. One process, so that it ends as a whole; the system's own
/// configuration is not read.
fn nginx_main(here: &str) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {here}/{kind};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {here}/pid;\nerror_log stderr;\n\
         events {{}}\nhttp {{\naccess_log off;\n{temporary}include {here}/doorward.conf;\n}}\n"
    )
}

/// The command that runs the proxy in the foreground, with its files in `directory`.
fn command(
    proxy: Proxy,
    directory: &TempDir,
    print: impl Fn(&str) -> String,
) -> Result<Command, String> {
    let path = |name: &str| directory.path().join(name);
    let write = |name: &str, text: &str| {
        std::fs::write(path(name), text).map_err(|error| format!("{name}: {error}"))
    };
    let here = directory.path().display();
    Ok(match proxy {
        Proxy::Nginx => {
            write("doorward.conf", &print("nginx"))?;
            write("nginx.conf", &nginx_main(&here.to_string()))?;
            let program = find_program(&["nginx", "/usr/sbin/nginx"], "nginx")?;
            // Killed, it would leave its workers behind.
            let mut command = bound_to_us(&program, "TERM", &[]);
            command
                .args(["-e", "stderr", "-p"])
                .arg(directory.path())
                .arg("-c")
                .arg(path("nginx.conf"));
            command
        }
        Proxy::Caddy => {
            let ours = "\n{\n\tadmin off\n\tdefault_bind 127.0.0.1\n";
            write("Caddyfile", &print("caddy").replacen("\n{\n", ours, 1))?;
            let program = find_program(&["caddy"], "caddy")?;
            let mut command = bound_to_us(&program, "KILL", &[]);
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(path("Caddyfile"));
            command.env("HOME", directory.path());
            command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_DATA_HOME");
            command
        }
        Proxy::Haproxy => {
            write("doorward.lua", &print("haproxy-lua"))?;
            let script = path("doorward.lua").display().to_string();
            let text = print("haproxy").replace("/etc/haproxy/doorward.lua", &script);
            write("haproxy.cfg", &text)?;
            let program = find_program(&["haproxy", "/usr/sbin/haproxy"], "haproxy")?;
            let mut command = bound_to_us(&program, "KILL", &[]);
            command.args(["-db", "-f"]).arg(path("haproxy.cfg"));
            command
        }
    })
}

fn launch(mut command: Command, directory: &TempDir, login: u16) -> Result<Daemon, String> {
    let log = directory.path().join("log");
    let output = File::create(&log).map_err(|error| error.to_string())?;
    command.stdout(output.try_clone().map_err(|error| error.to_string())?).stderr(output);
    let mut daemon = Daemon::spawn("the proxy", command)?.parting_with(Signal::TERM);
    daemon.wait_ready(
        START_LIMIT,
        || read_log(&log),
        || http::get(login, "/livez").is_ok_and(|answer| answer.status == 200),
    )?;
    Ok(daemon)
}

/// What a browser sends when a person opens a page.
pub const PAGE: &[(&str, &str)] =
    &[("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("Sec-Fetch-Mode", "navigate")];
/// What a script sends.
pub const SCRIPT: &[(&str, &str)] = &[("Accept", "*/*"), ("Sec-Fetch-Mode", "cors")];
/// What a script of the sign-in pages sends.
pub const JSON: &[(&str, &str)] =
    &[("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")];
/// What a browser sends with a form of the sign-in pages.
pub const FORM: &[(&str, &str)] =
    &[("Content-Type", "application/x-www-form-urlencoded"), ("Sec-Fetch-Site", "same-origin")];

/// A browser in front of the proxy.
#[derive(Clone)]
pub struct Guest<'s> {
    pub stack: &'s Stack,
    /// The cookies, which a browser sends to all ports of a host.
    pub jar: BTreeMap<String, String>,
}

impl Guest<'_> {
    /// Sends a request; what the answer sets is in the jar afterwards.
    #[track_caller]
    pub fn send(
        &mut self,
        port: u16,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let pairs: Vec<String> =
            self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = pairs.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        let answer = http::request(port, method, target, &headers, body.as_bytes());
        let answer = answer.unwrap_or_else(|error| panic!("{method} {target}: {error}"));
        for (_, set) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, attributes) = set.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a value");
            if attributes.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Asks the app.
    #[track_caller]
    pub fn app(&mut self, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
        self.send(self.stack.app, method, target, headers, "")
    }

    /// Asks the app, which has to get the request; what it tells of it.
    #[track_caller]
    pub fn seen(&mut self, target: &str, headers: &[(&str, &str)]) -> Seen {
        let answer = self.app("GET", target, headers);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        Seen(answer.json())
    }

    /// Opens an address as a browser follows a link, with the redirects that it meets.
    #[track_caller]
    pub fn open(&mut self, url: &str) -> (String, Response) {
        let mut url = url.to_owned();
        for _ in 0..6 {
            let (port, target) = split(&url);
            let answer = self.send(port, "GET", &target, PAGE, "");
            match answer.header("location") {
                Some(to) if (300..400).contains(&answer.status) => {
                    url = if to.starts_with('/') {
                        format!("http://localhost:{port}{to}")
                    } else {
                        to.to_owned()
                    };
                }
                _ => return (url, answer),
            }
        }
        panic!("{url} goes round in circles");
    }

    /// Signs in on the sign-in page that `page` is; where that leads.
    #[track_caller]
    pub fn sign_in(&mut self, page: &Response, email: &str) -> String {
        let html = page.text();
        let hidden = |name: &str| {
            let start = format!("name=\"{name}\" value=\"");
            let value = html.split(&start).nth(1).and_then(|rest| rest.split('"').next());
            value.unwrap_or_default().replace("&amp;", "&").replace("&#x2F;", "/")
        };
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", email), ("password", PASSWORD)])
            .extend_pairs([("next", hidden("next")), ("csrf_token", hidden("csrf_token"))])
            .finish();
        let answer = self.send(self.stack.login, "POST", "/login", FORM, &body);
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.header("location").expect("a location").to_owned()
    }

    /// Signs out.
    #[track_caller]
    pub fn sign_out(&mut self) {
        let answer = self.send(self.stack.login, "POST", "/api/v1/auth/logout", JSON, "");
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
}

/// Port and target of an address of this machine.
fn split(url: &str) -> (u16, String) {
    let url = url::Url::parse(url).expect("an address");
    assert_eq!(url.host_str(), Some("localhost"), "{url}");
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    (url.port().expect("a port"), format!("{}{query}", url.path()))
}

/// A request as the app got it.
#[derive(Debug)]
pub struct Seen(pub Value);

impl Seen {
    /// All values of headers whose name an app could take for `name`; empty ones say nothing.
    pub fn all(&self, name: &str) -> Vec<String> {
        let plain = |name: &str| name.to_lowercase().replace('_', "-");
        let headers = self.0["headers"].as_array().expect("headers");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let named = headers.iter().filter(|header| plain(&text(&header[0])) == plain(name));
        named.map(|header| text(&header[1])).filter(|value| !value.is_empty()).collect()
    }
}
