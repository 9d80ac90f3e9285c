//! What signals do to a server: none ends it that was not meant to.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::binary::Server;
use crate::support::{http, wait_until};

const LIMIT: Duration = Duration::from_secs(20);

/// A server that reads `text` as its `Rocket.toml`.
fn configured(text: &str) -> (Server, tempfile::TempDir) {
    let folder = crate::support::scratch_dir("signal");
    let file = folder.path().join("Rocket.toml");
    std::fs::write(&file, text).expect("a file");
    let file = file.display().to_string();
    let server = Server::start(&[
        ("ROCKET_CONFIG", &*file),
        ("DOORWARD_LOG_FORMAT", "json"),
        ("DOORWARD_PROXIES_TRUSTED", "127.0.0.1"),
    ]);
    (server, folder)
}

fn write(folder: &tempfile::TempDir, text: &str) {
    std::fs::write(folder.path().join("Rocket.toml"), text).expect("a file");
}

fn status(server: &Server, path: &str) -> u16 {
    http::get(server.port(), path).expect("an answer").status
}

/// What a proxy is told about a visitor who asks for the wiki.
fn wiki(server: &Server) -> u16 {
    let headers = [
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "localhost:3000"),
        ("X-Forwarded-Uri", "/wiki"),
        ("X-Forwarded-For", "198.51.100.1"),
    ];
    let path = "/api/authz/forward-auth";
    http::request(server.port(), "GET", path, &headers, b"").expect("an answer").status
}

/// Whether the events of reloads contain all of these, in the end: they are written in the background.
fn reported(server: &Server, texts: &[&str]) -> bool {
    wait_until(LIMIT, || {
        let events = server.run(&["audit", "list", "--json", "--kind", "sys_reloaded"], "").stdout;
        texts.iter().all(|text| events.contains(text))
    })
}

const RULE: &str = "[[default.access.rules]]\nhost = \"localhost:3000\"\nallow = ";

#[test]
fn sigquit_stops_as_sigterm_does() {
    let server = Server::start(&[("DOORWARD_DRAIN", "60s")]);
    server.signal(Signal::QUIT);
    assert!(wait_until(LIMIT, || status(&server, "/readyz") == 503));
    let answer = http::get(server.port(), "/readyz").expect("an answer");
    assert_eq!(answer.json()["status"], "stopping");
    // `stop` is the second signal.
    assert!(server.stop().success(), "{:?}", server.lines().all());
    server.restart();
    let events = server.run(&["audit", "list", "--json"], "").stdout;
    assert!(events.contains("sys_shutdown"), "{events}");
}

#[test]
fn sighup_takes_over_what_can_change() {
    let (server, folder) =
        configured(&format!("[default]\nlog.level = \"warn\"\n{RULE}\"public\"\n"));
    assert_eq!((status(&server, "/register"), wiki(&server)), (200, 200));
    write(
        &folder,
        &format!(
            "[default]\nregistration.open = false\nlog.level = \"info\"\ntokens.access_ttl = \"5m\"\n\
             limits.other_per_address = \"3/1h\"\n{RULE}\"users:read\"\n"
        ),
    );
    server.signal(Signal::HUP);
    // Said at the new level: at the old one there is no such line.
    let told = server.lines().wait_for("reloaded the configuration");
    for name in ["registration.open", "access.rules", "log.level", "limits.other_per_address"] {
        assert!(told.contains(name), "{name}: {told}");
    }
    // What it was started with and cannot change is named, with both values.
    let waiting = server.lines().wait_for("needs a restart");
    for text in ["tokens.access_ttl", "10m", "5m"] {
        assert!(waiting.contains(text), "{text}: {waiting}");
    }
    assert_ne!(status(&server, "/register"), 200, "registration is closed");
    assert_ne!(wiki(&server), 200, "the new rule holds");
    let limited = || status(&server, "/login") == 429;
    assert!(wait_until(LIMIT, limited), "the new limit holds");
    assert!(reported(&server, &["registration.open", "after a restart: tokens.access_ttl"]));
    assert!(server.stop().success());
}

#[test]
fn sighup_with_a_broken_configuration_changes_nothing() {
    let (server, folder) = configured(&format!("{RULE}\"public\"\n"));
    let broken = [
        "[default]\nregistration.open = false\nregistration.opne = false\n",
        "[default]\nregistration.open = false\nlimits.login_per_address = \"many\"\n",
        "[default]\nregistration.open = false\ntemplates.dir = \"/not/there\"\n",
        "[default]\nregistration.open = false\npasswords.breached_file = \"/not/there\"\n",
        "this is no TOML",
    ];
    for (number, text) in broken.iter().enumerate() {
        write(&folder, text);
        server.signal(Signal::HUP);
        let refusals = || {
            let lines = server.lines().all();
            lines.iter().filter(|line| line.contains("failed to reload the configuration")).count()
        };
        assert!(wait_until(LIMIT, || refusals() > number), "{text}: {:?}", server.lines().all());
        assert_eq!((status(&server, "/register"), wiki(&server)), (200, 200), "{text}");
    }
    // A good one is taken over afterwards.
    write(&folder, "[default]\nregistration.open = false\n");
    server.signal(Signal::HUP);
    assert!(wait_until(LIMIT, || status(&server, "/register") != 200));
    assert!(reported(&server, &["\"failure\"", "\"success\""]));
    assert!(server.stop().success());
}

#[test]
fn signals_without_a_meaning_are_ignored() {
    let server = Server::start(&[("DOORWARD_LOG_FORMAT", "json")]);
    let signals = [
        (Signal::USR1, "SIGUSR1"),
        (Signal::USR2, "SIGUSR2"),
        (Signal::ALARM, "SIGALRM"),
        (Signal::VTALARM, "SIGVTALRM"),
        (Signal::PROF, "SIGPROF"),
        (Signal::XCPU, "SIGXCPU"),
        (Signal::IO, "SIGIO"),
        (Signal::POWER, "SIGPWR"),
        (Signal::STKFLT, "SIGSTKFLT"),
        (Signal::PIPE, ""),
    ];
    for (signal, name) in signals {
        server.signal(signal);
        server.signal(signal);
        assert_eq!(status(&server, "/livez"), 200, "{signal:?}");
        if !name.is_empty() {
            server.lines().wait_for(&format!("\"signal\":\"{name}\""));
        }
    }
    for (_, name) in signals.iter().filter(|(_, name)| !name.is_empty()) {
        let text = format!("\"signal\":\"{name}\"");
        let told = server.lines().all().iter().filter(|line| line.contains(&text)).count();
        assert_eq!(told, 1, "{name}");
    }
    assert!(server.stop().success());
}
