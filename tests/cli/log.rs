//! The log, as whoever collects it reads it.

use serde_json::Value;

use super::{ADA, create};
use crate::app::{ACCESS, PASSWORD};
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::http;

/// What the server has written, line by line as JSON.
fn written(server: &Server) -> Vec<Value> {
    server.stop();
    let lines = server.lines().all();
    lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[track_caller]
fn find<'l>(lines: &'l [Value], what: &[(&str, &str)]) -> &'l Value {
    let fits = |line: &&Value| what.iter().all(|(name, value)| line[name] == *value);
    lines.iter().find(fits).unwrap_or_else(|| panic!("no line with {what:?} in {lines:#?}"))
}

#[test]
fn a_line_says_what_became_of_a_request_and_whose_it_was() {
    let server = Server::start(&[("DOORWARD_LOG_FORMAT", "json")]);
    create(&server, ADA, &["admin"]).done();
    let mut ada = Person::signed_in(server.port(), ADA);
    let me = ada.get("/api/v1/me").json();
    let session = ada.get("/api/v1/me/sessions").json()["items"][0]["id"].clone();
    ada.get("/api/v1/admin/users/AAAAAAAAAAAAAAAAAAAAAA?q=marked");
    Person::at(server.port()).get("/made/up");

    let lines = written(&server);
    let target = ("target", "access");
    let line = find(&lines, &[target, ("path", "/api/v1/admin/users/AAAAAAAAAAAAAAAAAAAAAA")]);
    let mut fields: Vec<&str> =
        line.as_object().expect("fields").keys().map(String::as_str).collect();
    fields.sort_unstable();
    let expected = [
        "account",
        "ip",
        "level",
        "method",
        "micros",
        "path",
        "request_id",
        "route",
        "session",
        "status",
        "target",
        "timestamp",
    ];
    assert_eq!(fields, expected);
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/api/v1/admin/users/<id>");
    assert_eq!(line["status"], 404);
    assert_eq!(line["ip"], "127.0.0.1");
    assert_eq!((&line["account"], &line["session"]), (&me["user"]["id"], &session));
    assert!(line["micros"].as_u64().is_some_and(|micros| micros > 0), "{line}");
    let stranger = find(&lines, &[target, ("path", "/made/up")]);
    for unknown in ["account", "session", "route"] {
        assert!(stranger.get(unknown).is_none(), "{stranger}");
    }
    let token = &ada.jar[ACCESS];
    let all = server.lines().all().join("\n");
    assert!(!all.contains("marked") && !all.contains(&token[token.len() - 30..]), "{all}");
}

#[test]
fn a_request_has_one_name_wherever_it_is_written_down() {
    let server = Server::start(&[
        ("DOORWARD_LOG_FORMAT", "json"),
        ("DOORWARD_PROXIES_TRUSTED", "127.0.0.1"),
    ]);
    create(&server, ADA, &[]).done();
    let log_in = |name: &str, password: &str| {
        let body = serde_json::json!({ "email": ADA, "password": password }).to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
            ("X-Forwarded-For", "198.51.100.1"),
            ("X-Request-Id", name),
        ];
        let path = "/api/v1/auth/login";
        let answer = http::request(server.port(), "POST", path, &headers, body.as_bytes());
        answer.expect("an answer")
    };
    let wrong = log_in("from-the-proxy-1", "not the password at all");
    assert_eq!((wrong.status, wrong.header("x-request-id")), (401, Some("from-the-proxy-1")));
    assert_eq!(wrong.json()["request_id"], "from-the-proxy-1");
    server.fill_disk(true);
    let failed = log_in("from-the-proxy-2", PASSWORD);
    server.fill_disk(false);
    assert_eq!((failed.status, failed.header("x-request-id")), (503, Some("from-the-proxy-2")));

    let lines = written(&server);
    let first = ("request_id", "from-the-proxy-1");
    assert_eq!(find(&lines, &[first, ("target", "access")])["status"], 401);
    let event = find(&lines, &[first, ("target", "audit")]);
    assert_eq!(
        (&event["event"], &event["ip"]),
        (&"authn_login_fail".into(), &"198.51.100.1".into())
    );
    let second = ("request_id", "from-the-proxy-2");
    assert_eq!(find(&lines, &[second, ("target", "access")])["status"], 503);
    // Why it failed stands in the log alone, under the same name.
    let why = find(&lines, &[second, ("level", "ERROR")]);
    assert!(why["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{why}");
}

#[test]
fn in_development_a_line_is_for_people() {
    let server = Server::start(&[("DOORWARD_LOG_FORMAT", "text")]);
    http::get(server.port(), "/login?token=marked").expect("an answer");
    server.stop();
    let line = server.lines().wait_for("GET /login");
    assert!(line.contains(" 200 ") && line.contains("ms"), "{line}");
    assert!(!line.contains("marked") && !line.contains('\u{1b}'), "{line}");
}
