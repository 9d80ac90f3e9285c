//! The real server on a real socket: requests that no well-meaning client sends (SR-42, SR-60).

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::support::binary::Server;
use crate::support::http;

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
