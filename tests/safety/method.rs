//! Methods that a path does not have, or that nobody knows (RFC 9110 §9.1, §15.5.6, §15.6.2).

use crate::support::binary::Server;
use crate::support::http;

/// Asks with this method for this target; reads all that comes.
fn ask(port: u16, method: &str, target: &str, more: &str) -> String {
    let message = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    http::raw(port, &message).expect("an answer")
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// The value of a header, in an answer as it came.
fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = answer.split("\r\n\r\n").next().unwrap_or_default().lines().skip(1);
    lines.find_map(|line| {
        let (have, value) = line.split_once(':')?;
        have.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

const TARGETS: [&str; 9] = [
    "/",
    "/login",
    "/logout",
    "/profile",
    "/nothing",
    "/static/app.css",
    "/livez",
    "/api/v1/me",
    "/api/v1/nothing",
];

#[test]
fn sr_60_a_method_that_nobody_knows_is_said_not_to_be_implemented() {
    let server = Server::start(&[("DOORWARD_LOG_FORMAT", "json")]);
    let long = "M".repeat(20_000);
    for method in ["QUERY", "PROPFIND", "SEARCH", "get", "Post", "GETX", "PURGE", "PRI", &*long] {
        for target in TARGETS {
            let answer = ask(server.port(), method, target, "");
            assert_eq!(status(&answer), 501, "{target}: {answer}");
            // An answer like all others, although Rocket could not read the request.
            for name in ["x-content-type-options", "content-security-policy", "x-request-id"] {
                assert!(header(&answer, name).is_some(), "{name}: {answer}");
            }
            assert_eq!(header(&answer, "cache-control"), Some("no-store"));
            let problem = target.starts_with("/api/");
            let expected =
                if problem { "application/problem+json" } else { "text/html; charset=utf-8" };
            assert_eq!(header(&answer, "content-type"), Some(expected), "{target}");
            assert_eq!(problem, answer.contains("\"code\":\"method_not_allowed\""));
        }
    }
    let json = ask(server.port(), "QUERY", "/login", "Accept: application/json\r\n");
    assert!(json.contains("\"status\":501"), "{json}");
    let refused = "QUERY /login HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&http::raw(server.port(), refused).expect("an answer")), 421);
    let line = server.lines().wait_for("\"status\":501");
    assert!(line.contains("\"method\":\"unknown\""), "{line}");
}

#[test]
fn sr_60_a_known_method_that_a_path_does_not_have_is_told_those_that_it_has() {
    let server = Server::start(&[("DOORWARD_LOG_ACCESS", "false")]);
    for (target, allow) in [
        ("/login", "GET, HEAD, POST"),
        ("/logout", "POST"),
        ("/livez", "GET, HEAD"),
        ("/api/v1/me", "DELETE, GET, HEAD, PATCH"),
        ("/static/app.css", "GET, HEAD"),
        ("/api/authz/ext-authz/a/page", "DELETE, GET, HEAD, PATCH, POST, PUT"),
    ] {
        for method in ["TRACE", "PUT", "OPTIONS", "DELETE"] {
            let answer = ask(server.port(), method, target, "");
            if allow.contains(method) || (method == "OPTIONS" && target.contains("authz")) {
                continue;
            }
            assert_eq!(status(&answer), 405, "{method} {target}: {answer}");
            assert_eq!(header(&answer, "allow"), Some(allow), "{method} {target}");
        }
    }
    assert_eq!(status(&ask(server.port(), "TRACE", "/nothing", "")), 404);
    // It asks for a tunnel, of which there is none: no target of ours.
    assert_eq!(status(&ask(server.port(), "CONNECT", "localhost:443", "")), 501);
    assert_eq!(http::get(server.port(), "/livez").expect("it runs").status, 200);
}
