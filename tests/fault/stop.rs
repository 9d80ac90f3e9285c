//! A server that is asked to end, alone and one replica after the other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};
use rustix::process::Signal;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::*;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::http::Begun;
use crate::support::{START_LIMIT, http, postgres, redis, wait_until};

/// How long a server may take to end (SR-74).
const STOP_LIMIT: Duration = Duration::from_secs(10);

fn runtime() -> tokio::runtime::Runtime {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

#[test]
fn sigterm_lets_running_requests_finish() {
    let server = Server::start(&LIMITS.map(|(name, _)| (name, "off")));
    let url = format!("sqlite://{}", server.data_dir().join("doorward.db").display());
    let runtime = runtime();
    // A registration that runs for as long as somebody else writes.
    let mut writer = runtime.block_on(SqliteConnection::connect(&url)).expect("the database");
    runtime.block_on(writer.execute("BEGIN IMMEDIATE")).expect("the lock");
    let port = server.port();
    let body = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    let (path, kind) = ("/api/v1/auth/register", "application/json");
    let running = Begun::send(port, "POST", path, kind, body.len()).expect("it runs");
    let registration =
        std::thread::spawn(move || running.finish(body.as_bytes()).expect("an answer"));
    let begun = Instant::now();
    server.signal(Signal::TERM);
    let refuses = || http::get(port, "/livez").is_err();
    assert!(wait_until(Duration::from_secs(5), refuses), "nobody new is let in");
    assert!(!registration.is_finished());
    runtime.block_on(writer.execute("ROLLBACK")).expect("the lock is given back");
    let answer = registration.join().expect("it ends");
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(server.stop().success(), "{:?}", server.lines().all());
    assert!(begun.elapsed() < STOP_LIMIT, "{:?}", begun.elapsed());
    server.restart();
    assert_eq!(Person::at(port).log_in("ada@example.org", PASSWORD), 200);
}

#[test]
fn sigterm_ends_readiness_first() {
    let server = Server::start(&[("DOORWARD_DRAIN", "2s")]);
    assert_eq!(http::get(server.port(), "/readyz").expect("an answer").status, 200);
    server.signal(Signal::TERM);
    let begun = Instant::now();
    let answer = |path| http::get(server.port(), path).expect("it goes on serving");
    assert!(wait_until(Duration::from_secs(1), || answer("/readyz").status == 503));
    assert_eq!(answer("/readyz").json()["status"], "stopping");
    assert_eq!((answer("/livez").status, answer("/login").status), (200, 200));
    let refuses = || http::get(server.port(), "/livez").is_err();
    assert!(wait_until(STOP_LIMIT, refuses), "nobody new is let in");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(server.stop().success());
}

#[test]
fn sigterm_turns_proxies_away_before_the_port_closes() {
    let limits = LIMITS.map(|(name, _)| (name, "off"));
    let server = Server::start(&[&limits[..], &[("DOORWARD_DRAIN", "2s")]].concat());
    let ask = |method: &str, path: &str, header: &str| {
        // It does not ask for the end of the connection: if that comes, the server wants it.
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{header}");
        http::raw(server.port(), &format!("{head}Content-Length: 0\r\n\r\n"))
    };
    let others = "X-Other-Replicas: yes\r\n";
    server.signal(Signal::TERM);
    let unready = || http::get(server.port(), "/readyz").is_ok_and(|answer| answer.status == 503);
    assert!(wait_until(Duration::from_secs(1), unready));
    let mut turned_away = 0;
    // The port closes at last.
    while let Ok(answer) = ask("GET", "/login", others) {
        // It may close between two requests.
        let Ok(posted) = ask("POST", "/login", others) else { break };
        let Ok(direct) = ask("GET", "/login", "") else { break };
        for (said, what) in [(&posted, "a form"), (&direct, "who comes directly")] {
            let refused = said.starts_with("HTTP/1.1 502");
            assert!(!refused, "{what}: {said}");
        }
        if answer.starts_with("HTTP/1.1 502") {
            assert!(!answer.to_lowercase().contains("set-cookie"), "{answer}");
            turned_away += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 200") && turned_away == 0, "{answer}");
        }
    }
    assert!(turned_away > 0);
    assert!(server.stop().success(), "{:?}", server.lines().all());
}

#[test]
fn ctrl_c_and_a_second_signal_stop_at_once() {
    let server = Server::start(&[("DOORWARD_DRAIN", "60s")]);
    server.signal(Signal::INT);
    assert!(server.stop().success(), "{:?}", server.lines().all());
    server.restart();
    server.signal(Signal::TERM);
    let unready = || http::get(server.port(), "/readyz").is_ok_and(|answer| answer.status == 503);
    assert!(wait_until(Duration::from_secs(5), unready));
    // `stop` is the second one.
    assert!(server.stop().success(), "{:?}", server.lines().all());
}

/// Two servers on the same stores.
fn replicas() -> [Server; 2] {
    let database = runtime().block_on(postgres::create_database());
    let store = redis::server().database();
    let pem = SigningKey::generate_pem().expect("a key");
    let secret = MasterSecret::generate_base64(&Os);
    let limits = LIMITS.map(|(name, _)| (name, "off"));
    let own = [
        ("DOORWARD_DATABASE_URL", &*database),
        ("DOORWARD_STORE_URL", &*store),
        ("DOORWARD_PUBLIC_URL", "http://localhost:8000"),
        ("DOORWARD_KEYS_SIGNING", pem.expose()),
        ("DOORWARD_KEYS_SECRET", secret.expose()),
        ("DOORWARD_DRAIN", "1s"),
        ("ROCKET_SHUTDOWN", "{grace=2,mercy=1}"),
    ];
    let settings = [&limits[..], &own[..]].concat();
    [Server::start(&settings), Server::start(&settings)]
}

/// A flag that goes up when this value drops, however that comes about.
struct RaisedAtTheEnd<'a>(&'a AtomicBool);

impl Drop for RaisedAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn rolling_restart_loses_no_request() {
    let servers = replicas();
    let ports = [servers[0].port(), servers[1].port()];
    let mut ada = Person::at(ports[0]);
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    let made = ada.call("POST", "/api/v1/auth/register", body).expect("an answer");
    assert_eq!(made.status, 201, "{}", made.text());
    let (done, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    // What a proxy does: the other replica is asked if one cannot be reached.
    let work = |who: usize| {
        for turn in who.. {
            if done.load(Ordering::Relaxed) {
                return;
            }
            let order = [ports[turn % 2], ports[(turn + 1) % 2]];
            let ask = |port| ada.clone().moved(port).send("GET", "/api/v1/me", "text/plain", "");
            let answer = ask(order[0]).or_else(|_| ask(order[1])).expect("one of them answers");
            assert_eq!(answer.status, 200, "{}", answer.text());
            answered.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|who| drop(scope.spawn(move || work(who))));
        // Also if this thread fails: the scope waits for the others.
        let _end = RaisedAtTheEnd(&done);
        for server in &servers {
            let before = answered.load(Ordering::Relaxed);
            let busy = || answered.load(Ordering::Relaxed) > before + 20;
            assert!(wait_until(START_LIMIT, busy));
            assert!(server.stop().success(), "{:?}", server.lines().all());
            server.restart();
        }
    });
}
