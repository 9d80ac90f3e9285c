//! `doorward keys`, beside a running server.

use std::time::Duration;

use serde_json::{Value, json};

use super::foreign::judge;
use super::kid;
use crate::app::{ACCESS, PASSWORD};
use crate::support::binary::Server;
use crate::support::{http, wait_until};

/// Runs `doorward keys … --json`, which must succeed.
#[track_caller]
fn keys(server: &Server, arguments: &[&str]) -> Value {
    let arguments = [&["keys"], arguments, &["--json"]].concat();
    let finished = server.run(&arguments, "");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "", "{finished:?}");
    serde_json::from_str(&finished.stdout).expect("JSON")
}

/// Registers somebody; gives the access token.
#[track_caller]
fn register(server: &Server, email: &str) -> String {
    let headers = [("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")];
    let body = json!({ "email": email, "password": PASSWORD }).to_string();
    let path = "/api/v1/auth/register";
    let answer = http::request(server.port(), "POST", path, &headers, body.as_bytes());
    let answer = answer.expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
    let start = format!("{ACCESS}=");
    let cookie = answer.headers.iter().find_map(|(_, value)| value.strip_prefix(&start));
    cookie.and_then(|cookie| cookie.split(';').next()).expect("an access cookie").to_owned()
}

/// Whether the running server publishes exactly so many keys, now or within two looks.
fn publishes(server: &Server, count: usize) -> bool {
    wait_until(Duration::from_secs(15), || {
        let set = http::get(server.port(), "/.well-known/jwks.json").expect("an answer").json();
        set["keys"].as_array().is_some_and(|keys| keys.len() == count)
    })
}

/// What PyJWT's own client, which fetches the keys, says of tokens.
#[track_caller]
fn verdicts(server: &Server, tokens: Value) -> Value {
    judge(json!({
        "url": server.url("/.well-known/jwks.json"),
        "issuer": server.url(""),
        "audience": server.url(""),
        "tokens": tokens,
    }))
}

#[test]
fn sr_39_a_running_server_follows_what_the_operator_does_to_the_keys() {
    let server = Server::start(&[]);
    let old = register(&server, "ada@example.org");
    let listed = keys(&server, &["list"]);
    assert_eq!(listed["items"][0]["kid"], kid(&old));
    assert_eq!(listed["items"][0]["state"], "current");
    assert_eq!(verdicts(&server, json!({ "old": old })), json!({ "old": "good" }));

    let made = keys(&server, &["rotate", "--algorithm", "es256"]);
    assert_eq!(made["key"]["algorithm"], "ES256");
    assert_eq!(made["key"]["state"], "next");
    assert!(publishes(&server, 2), "the server follows without a restart");
    assert_eq!(verdicts(&server, json!({ "old": old })), json!({ "old": "good" }));
    let again = server.run(&["keys", "rotate"], "");
    assert_eq!(again.code, Some(1), "{again:?}");
    assert_eq!(again.stderr, "doorward: a rotation is under way already\n");

    let made = keys(&server, &["rotate", "--now", "--algorithm", "eddsa"]);
    assert!(publishes(&server, 1));
    let new = register(&server, "grace@example.org");
    assert_eq!(made["key"]["kid"], kid(&new));
    let judged = verdicts(&server, json!({ "old": old, "new": new }));
    assert_eq!(judged, json!({ "old": "UnknownKey", "new": "good" }));

    let text = server.run(&["keys", "list"], "").stdout;
    let states: Vec<&str> =
        text.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(states, ["withdrawn", "withdrawn", "current"], "{text}");

    server.restart();
    assert!(publishes(&server, 1));
    assert_eq!(verdicts(&server, json!({ "new": new })), json!({ "new": "good" }));
    assert_eq!(server.run(&["keys", "rotate", "--algorithm", "hs256"], "").code, Some(2));
}
