//! A server whose output nobody reads, or for which there is no room.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::binary::unheard;
use crate::support::{START_LIMIT, free_port, http};

fn full() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there").into()
}

fn closed() -> Stdio {
    std::io::pipe().expect("a pipe").1.into()
}

/// Starts a server with these streams, and has it serve, be asked to stop, and end with 0.
fn serves(what: &str, stdout: Stdio, stderr: Stdio) {
    let port = free_port().to_string();
    // At this level a request writes many lines.
    let settings = [("ROCKET_PORT", &*port), ("DOORWARD_LOG_LEVEL", "trace")];
    let (_directory, mut server) = unheard(&["serve"], &settings, stdout, stderr);
    let port: u16 = port.parse().expect("a port");
    let answers = || http::get(port, "/livez").is_ok_and(|answer| answer.status == 200);
    server
        .wait_ready(START_LIMIT, || what.to_owned(), answers)
        .unwrap_or_else(|error| panic!("{error}"));
    for _ in 0..400 {
        let begun = Instant::now();
        assert_eq!(http::get(port, "/login").expect("an answer").status, 200, "{what}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{what}");
    }
    assert!(server.stop(Signal::TERM).success(), "{what}");
}

#[test]
fn output_that_is_closed_full_or_unread_is_no_reason_to_stop() {
    serves("closed", closed(), closed());
    serves("full", full(), full());
    let (mut unread, writer) = std::io::pipe().expect("a pipe");
    let (mut errors, error_writer) = std::io::pipe().expect("a pipe");
    serves("unread", writer.into(), error_writer.into());
    let mut text = String::new();
    unread.read_to_string(&mut text).expect("text");
    assert!(
        text.contains("/setup?token="),
        "it is all there, up to where the pipe was full: {text}"
    );
    errors.read_to_string(&mut String::new()).expect("text");
    // The other stream says it once.
    let (mut errors, writer) = std::io::pipe().expect("a pipe");
    serves("full, and its errors are read", full(), writer.into());
    let mut text = String::new();
    errors.read_to_string(&mut text).expect("text");
    assert_eq!(text.matches("failed to write the log to standard output").count(), 1, "{text}");
    assert_eq!(text.matches("doorward setup-link").count(), 1, "{text}");
}
