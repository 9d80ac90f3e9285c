//! A server that is asked to end, alone and one replica after the other.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};
use rustix::process::Signal;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

use super::*;
use crate::person::Person;
use crate::support::process::Server;
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
    let registration = std::thread::spawn(move || {
        let body = json!({ "email": "ada@example.org", "password": PASSWORD });
        Person::at(port).call("POST", "/api/v1/auth/register", body).expect("an answer")
    });
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    server.signal(Signal::TERM);
    let refuses = || http::get(port, "/livez").is_err();
    assert!(wait_until(Duration::from_secs(1), refuses), "nobody new is let in");
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
    let server = Server::start(&[("ROCKET_SHUTDOWN", "{grace=1,mercy=1}")]);
    let mut probe = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("a connection");
    probe.set_read_timeout(Some(STOP_LIMIT)).expect("a limit");
    // A probe that was on its way when the signal came.
    probe.write_all(b"GET /readyz HTTP/1.1\r\n").expect("half a request");
    std::thread::sleep(Duration::from_millis(200));
    server.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(200));
    probe.write_all(b"Host: localhost\r\nConnection: close\r\n\r\n").expect("the other half");
    let mut answer = String::new();
    probe.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\"status\":\"stopping\""), "{answer}");
    assert!(http::get(server.port(), "/readyz").is_err(), "a new probe finds nobody");
    assert!(server.stop().success());
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
        ("ROCKET_SHUTDOWN", "{grace=2,mercy=1}"),
    ];
    let settings = [&limits[..], &own[..]].concat();
    [Server::start(&settings), Server::start(&settings)]
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
        for server in &servers {
            let before = answered.load(Ordering::Relaxed);
            let busy = || answered.load(Ordering::Relaxed) > before + 20;
            assert!(wait_until(START_LIMIT, busy));
            assert!(server.stop().success(), "{:?}", server.lines().all());
            server.restart();
        }
        done.store(true, Ordering::Relaxed);
    });
}
