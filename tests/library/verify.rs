//! Applications in other languages that verify access tokens by our public keys: `examples/verify`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::app::*;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::http::{self, Response};
use crate::support::process::Daemon;
use crate::support::{START_LIMIT, bound_to_us, find_program, free_port, python};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/verify");

/// The example application, beside the server.
struct App {
    port: u16,
    _process: Daemon,
}

impl App {
    fn start(name: &'static str, program: &Path, script: &Path, doorward: &Server) -> Self {
        let port = free_port();
        let mut command = bound_to_us(program, "KILL", &[]);
        command.arg(script).env("PORT", port.to_string()).env("DOORWARD", doorward.url(""));
        let mut process = Daemon::spawn(name, command).unwrap_or_else(|reason| panic!("{reason}"));
        let ready = || http::get(port, "/").is_ok();
        process.wait_ready(START_LIMIT, String::new, ready).unwrap_or_else(|e| panic!("{e}"));
        Self { port, _process: process }
    }

    fn ask(&self, path: &str, token: &str) -> Response {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", &*authorization)];
        http::request(self.port, "GET", path, &headers, b"").expect("an answer")
    }
}

/// What holds of an example in any language.
fn lets_in_who_has_a_good_access_token(start: impl FnOnce(&Server) -> App) {
    let doorward = Server::start(&[]);
    let app = start(&doorward);
    let created = doorward.run(
        &["user", "create", "--email", "ada@example.org", "--role", "user"],
        &format!("{PASSWORD}\n"),
    );
    assert_eq!(created.code, Some(0), "{}", created.stderr);
    let ada = Person::signed_in(doorward.port(), "ada@example.org");
    let access = &ada.jar[ACCESS];
    let me = ada.clone().get("/api/v1/me").json();

    let answer = app.ask("/", access);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["account"], me["user"]["id"]);
    assert_eq!(answer.json()["roles"], serde_json::json!(["user"]));
    assert_eq!(app.ask("/admin", access).status, 403);

    let stranger = http::get(app.port, "/").expect("an answer");
    assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(app.ask("/", &ada.jar[REFRESH]).status, 401, "a refresh token is none");
    let other = Server::start(&[]);
    let created = other.run(
        &["user", "create", "--email", "ada@example.org", "--role", "admin"],
        &format!("{PASSWORD}\n"),
    );
    assert_eq!(created.code, Some(0), "{}", created.stderr);
    let elsewhere = Person::signed_in(other.port(), "ada@example.org");
    assert_eq!(app.ask("/", &elsewhere.jar[ACCESS]).status, 401, "another server's token is none");
    for broken in ["", "x", &access[1..], &format!("{access}A"), "e30.e30."] {
        assert_eq!(app.ask("/", broken).status, 401, "{broken}");
    }
}

#[test]
fn an_application_in_python_lets_in_who_has_a_good_access_token() {
    lets_in_who_has_a_good_access_token(|doorward| {
        let script = Path::new(EXAMPLES).join("app.py");
        App::start("the Python example", python::interpreter(), &script, doorward)
    });
}

#[test]
fn an_application_on_node_lets_in_who_has_a_good_access_token() {
    lets_in_who_has_a_good_access_token(|doorward| {
        let node = find_program(&["node", "nodejs"], "nodejs").unwrap_or_else(|e| panic!("{e}"));
        App::start("the Node example", &node, &installed(), doorward)
    });
}

/// The Node example with what it needs, in a folder below the build directory.
fn installed() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("verify-node");
    std::fs::create_dir_all(&folder).expect("a folder");
    for file in ["app.mjs", "package.json"] {
        std::fs::copy(Path::new(EXAMPLES).join(file), folder.join(file)).expect("a copy");
    }
    let npm = find_program(&["npm"], "npm").unwrap_or_else(|error| panic!("{error}"));
    let mut install = Command::new(npm);
    install.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]);
    let output = install.current_dir(&folder).output().expect("npm runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("app.mjs")
}
