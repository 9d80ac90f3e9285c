//! The real server on a real socket: requests that no well-meaning client sends (SR-42, SR-60).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use crate::support::binary::Server;
use crate::support::http::{self, Begun};

/// Sends these bytes and reads until the server closes, or for two seconds.
fn exchange(port: u16, bytes: &[u8]) -> String {
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends these bytes and nothing more, and reads until the server closes.
fn half_closed(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a time limit");
    stream.write_all(bytes).expect("sent");
    stream.shutdown(Shutdown::Write).expect("shut");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of the first answer in a stream; `0` where the connection was just closed.
fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[test]
fn sr_60_malformed_requests_are_refused_and_the_server_runs_on() {
    let server = Server::start(&[("DOORWARD_LOG_ACCESS", "false")]);
    let port = server.port();
    let close = "Connection: close\r\n\r\n";
    let post =
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for (what, request) in [
        ("two lengths", format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n{close}{{}}")),
        ("a length that is none", format!("{post}Content-Length: x\r\n{close}{{}}")),
        ("a negative length", format!("{post}Content-Length: -1\r\n{close}{{}}")),
        (
            "NUL in a header",
            format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n{close}"),
        ),
        ("CR in a header", format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n{close}")),
        ("a space before the colon", format!("GET /livez HTTP/1.1\r\nHost : localhost\r\n{close}")),
        ("no version", "GET /livez\r\n\r\n".to_owned()),
        ("a version to come", format!("GET /livez HTTP/9.9\r\nHost: localhost\r\n{close}")),
        ("garbage", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n".to_owned()),
    ] {
        let answer = exchange(port, request.as_bytes());
        assert!(matches!(status(&answer), 0 | 400 | 505), "{what}: {answer}");
    }
    let smuggled = format!(
        "{post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n{close}"
    );
    let answer = exchange(port, smuggled.as_bytes());
    assert!(!answer.contains("\"status\":\"ok\""), "a second request was smuggled: {answer}");
    assert_eq!(http::get(port, "/livez").expect("it runs").status, 200);
}

#[test]
fn sr_42_the_server_does_not_say_what_it_is() {
    let server = Server::start(&[("DOORWARD_LOG_ACCESS", "false")]);
    for path in ["/livez", "/login", "/nothing", "/api/v1/me"] {
        let answer = http::get(server.port(), path).expect("it answers");
        assert_eq!(answer.header("server"), None, "{path}");
        assert_eq!(answer.header("x-powered-by"), None, "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    // Memory does not follow what a length promises: the answer comes before the body.
    let request = "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                   Content-Length: 9999999999999\r\nConnection: close\r\n\r\n{}";
    let request = format!("{request}{}", " ".repeat(100));
    assert_eq!(status(&exchange(server.port(), request.as_bytes())), 415);
}

/// Sends these bytes and says what comes back, as long as it comes.
fn answered(port: u16, head: &str, more: &str) -> String {
    exchange(port, format!("{head}\r\nHost: localhost\r\n{more}").as_bytes())
}

#[test]
fn sr_60_http_2_is_not_spoken() {
    let server = Server::start(&[("DOORWARD_LOG_ACCESS", "false")]);
    let port = server.port();
    // A client that knows that a server speaks it begins so (RFC 9113 §3.4).
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let settings = "\0\0\0\x04";
    let answer = exchange(port, preface);
    assert!(matches!(status(&answer), 0 | 400 | 505) && !answer.contains(settings), "{answer:?}");
    let upgrade = "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    let answer = answered(port, "GET /livez HTTP/1.1", upgrade);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(http::get(port, "/livez").expect("it runs").status, 200);
}

#[test]
fn sr_60_what_the_server_keeps_of_an_unfinished_request_is_bounded() {
    let server = Server::start(&[("DOORWARD_LOG_ACCESS", "false")]);
    let port = server.port();
    let (kib, close) = ("x".repeat(1024), "Connection: close\r\n\r\n");
    let mib = kib.repeat(1024);
    let lines = |count: usize| (0..count).map(|n| format!("X-{n}: x\r\n")).collect::<String>();
    // None of the first ones ever ends its head.
    for (what, head, more, expected) in [
        ("an address", format!("GET /{mib}"), String::new(), 431),
        ("a header", "GET /livez HTTP/1.1".to_owned(), format!("X: {mib}"), 431),
        ("headers", "GET /livez HTTP/1.1".to_owned(), lines(100_000), 431),
        ("101 headers", "GET /livez HTTP/1.1".to_owned(), format!("{}{close}", lines(100)), 431),
        ("a method", format!("{mib} / HTTP/1.1"), close.to_owned(), 431),
        ("70 KiB", format!("GET /{} HTTP/1.1", kib.repeat(70)), close.to_owned(), 414),
        // Whether or not there is anything at this address.
        ("9 KiB", format!("GET /{} HTTP/1.1", kib.repeat(9)), close.to_owned(), 414),
        ("9 KiB", format!("GET /login?next={} HTTP/1.1", kib.repeat(9)), close.to_owned(), 414),
        (
            "33 KiB of headers",
            "GET /nothing HTTP/1.1".to_owned(),
            format!("X: {}\r\n{close}", kib.repeat(33)),
            431,
        ),
    ] {
        let answer = answered(port, &head, &more);
        assert_eq!(status(&answer), expected, "{what}: {}", answer.get(..200).unwrap_or(&answer));
    }
    let report = "POST /csp-report HTTP/1.1";
    let chunked = |chunks: &str| format!("Transfer-Encoding: chunked\r\n{close}{chunks}");
    for (what, chunks) in [
        ("an extension", format!("1;{mib}\r\nx\r\n0\r\n\r\n")),
        ("extensions", format!("1;{kib}\r\nx\r\n").repeat(1000)),
        ("trailers", format!("1\r\nx\r\n0\r\n{}\r\n", lines(100_000))),
        ("a length", "ffffffffffffffff\r\n".to_owned()),
        ("chunks", "1\r\nx\r\n".repeat(100_000)),
    ] {
        // Some end in the middle; none is kept.
        let answer = answered(port, report, &chunked(&chunks));
        assert!(matches!(status(&answer), 0 | 204 | 400 | 413), "{what}: {answer}");
    }
    let gzip = format!("Transfer-Encoding: gzip, chunked\r\n{close}0\r\n\r\n");
    assert_eq!(status(&answered(port, report, &gzip)), 501);
    assert_eq!(http::get(port, "/livez").expect("it runs").status, 200);
}

#[test]
fn sr_60_a_body_that_ends_too_early_is_none() {
    let server = Server::start(&[("DOORWARD_LOG_ACCESS", "false")]);
    let json = r#"{"email":"ada@example.org","password":"x"}"#;
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nContent-Type: application/json";
    for (framing, body) in [
        ("Content-Length: 200", json.to_owned()),
        ("Content-Length: 200", "{}".to_owned()),
        ("Transfer-Encoding: chunked", format!("{:x}\r\n{json}\r\n", json.len())),
        ("Transfer-Encoding: chunked", format!("{:x}\r\n{json}\r\nzz\r\n\r\n", json.len())),
    ] {
        let request = format!("{login}\r\nHost: localhost\r\n{framing}\r\n\r\n{body}");
        let answer = half_closed(server.port(), request.as_bytes());
        assert_eq!(status(&answer), 400, "{framing} {body}: {answer}");
    }
}

#[test]
fn what_http_1_allows_is_understood() {
    let server = Server::start(&[("DOORWARD_LOG_ACCESS", "false")]);
    let port = server.port();
    let json = r#"{"email":"nobody@example.org","password":"wrong"}"#;
    let (one, two) = json.split_at(20);
    let chunks = format!(
        "{:x};name=value\r\n{one}\r\n{:X}\r\n{two}\r\n0\r\nTrailer: x\r\n\r\n",
        one.len(),
        two.len()
    );
    let kind = "Content-Type: application/json\r\n";
    let login = "POST /api/v1/auth/login HTTP/1.1";
    let chunked = format!("{kind}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunks}");
    let answer = answered(port, login, &chunked);
    assert!(answer.contains("invalid_credentials"), "{answer}");

    let begun = Begun::send(port, "POST", "/api/v1/auth/login", "application/json", json.len());
    let answer = begun.expect("it asks for the body").finish(json.as_bytes());
    assert_eq!(answer.expect("an answer").status, 401);

    let old = answered(port, "GET /livez HTTP/1.0", "\r\n");
    assert!(old.starts_with("HTTP/1.0 200 ") && old.ends_with("{\"status\":\"ok\"}"), "{old}");
    // As a client sends it to a proxy (RFC 9112 §3.2.2).
    let absolute = format!("GET http://localhost:{port}/livez HTTP/1.1");
    assert_eq!(status(&answered(port, &absolute, "Connection: close\r\n\r\n")), 200);
    // Several at once, each answered in its turn.
    let many = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
    let last = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answers = exchange(port, format!("{many}{last}").as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 51);
}
