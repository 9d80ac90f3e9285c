//! Traces, as a collector gets them (docs/traces.md). `tests/otel` runs these.

use std::time::Instant;

use super::{ADA, create};
use crate::app::{ACCESS, PASSWORD};
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::collector::{Collector, Span};
use crate::support::http;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn find<'s>(spans: &'s [Span], name: &str) -> &'s Span {
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no span {name} in {names:?}"))
}

#[track_caller]
fn child<'s>(spans: &'s [Span], of: &Span, name: &str) -> &'s Span {
    let found = spans.iter().find(|span| span.name == name && span.parent == of.id);
    let found = found.unwrap_or_else(|| panic!("no {name} below {of:?} in {spans:#?}"));
    assert_eq!(found.trace, of.trace);
    found
}

/// Signs in and asks who one is, with the names of a trace that somebody began, and a secret in the query.
fn visit(server: &Server) {
    create(server, ADA, &[]).done();
    let ada = Person::signed_in(server.port(), ADA);
    let cookies = format!("{ACCESS}={}", ada.jar[ACCESS]);
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("Cookie", &*cookies), ("traceparent", &*traceparent)];
    let me = http::request(server.port(), "GET", "/api/v1/me?q=marked", &headers, b"");
    assert_eq!(me.expect("an answer").status, 200);
    http::get(server.port(), "/made/up").expect("an answer");
}

fn traced(settings: &[(&str, &str)]) -> (Collector, Server) {
    let collector = Collector::start();
    let endpoint = collector.endpoint();
    let server =
        Server::start(&[settings, &[("DOORWARD_TELEMETRY_OTLP_ENDPOINT", &*endpoint)]].concat());
    (collector, server)
}

#[test]
fn a_trace_tells_where_the_time_of_a_request_went() {
    let (collector, server) = traced(&[("DOORWARD_PROXIES_TRUSTED", "127.0.0.1")]);
    visit(&server);
    server.stop();
    let spans = collector.spans();
    let me = find(&spans, "GET /api/v1/me");
    assert_eq!((hex(&me.trace), hex(&me.parent), me.kind), (TRACE.into(), PARENT.into(), 2));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/v1/me"),
        ("http.response.status_code", "200"),
        ("url.path", "/api/v1/me"),
        ("url.scheme", "http"),
    ] {
        assert_eq!(me.attributes.get(name).map(String::as_str), Some(value), "{me:?}");
    }
    let line = server.lines().wait_for("/api/v1/me");
    let id = &me.attributes["doorward.request_id"];
    assert!(line.contains(id.as_str()), "{id} in {line}");
    assert_eq!(child(&spans, me, "sessions verify").kind, 3);

    let login = find(&spans, "POST /api/v1/auth/login");
    assert!(login.parent.is_empty() && hex(&login.trace) != TRACE, "{login:?}");
    child(&spans, login, "password hash");
    child(&spans, login, "sql account.credentials");
    child(&spans, login, "sessions open");
    assert_eq!(find(&spans, "GET").attributes["url.path"], "/made/up");

    let raw = collector.raw();
    assert!(raw.contains("service.name") && raw.contains("doorward"), "{raw}");
    for secret in [PASSWORD, ADA, "marked", "127.0.0.1", "eyJ"] {
        assert!(!raw.contains(secret), "{secret} in {raw}");
    }
    // Spans are no lines of the log.
    let log = server.lines().all().join("\n");
    assert!(!log.contains("otel."), "{log}");
}

#[test]
fn only_a_trusted_proxy_continues_a_trace_and_a_failure_is_an_error() {
    let (collector, server) = traced(&[]);
    visit(&server);
    server.fill_disk(true);
    assert_eq!(Person::at(server.port()).log_in(ADA, PASSWORD), 503);
    server.fill_disk(false);
    server.stop();
    let spans = collector.spans();
    let me = find(&spans, "GET /api/v1/me");
    assert!(me.parent.is_empty() && hex(&me.trace) != TRACE, "{me:?}");
    assert_eq!(me.status, 0);
    let failed = spans.iter().find(|span| span.status == 2).expect("an error");
    assert_eq!(failed.name, "POST /api/v1/auth/login");
    assert_eq!(failed.attributes["error.type"], "503");
}

#[test]
fn a_collector_that_is_away_keeps_nobody_waiting() {
    let nowhere = format!("http://127.0.0.1:{}", crate::support::free_port());
    let server = Server::start(&[
        ("DOORWARD_TELEMETRY_OTLP_ENDPOINT", &nowhere),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ]);
    visit(&server);
    // Whoever wonders where the traces are finds it in the log.
    server.lines().wait_for("opentelemetry");
    let asked = Instant::now();
    assert!(server.stop().success());
    assert!(asked.elapsed().as_secs() < 10, "{:?}", asked.elapsed());
}
