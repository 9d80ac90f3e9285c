//! What holds when a part of the whole is away, slow or wiped: the lines of docs/failure-contract.md,
//! each under its own name.

mod clock;
mod crash;
mod output;
mod redis;
mod restored;
mod signal;
mod slow;
mod sql;
mod start;
mod stop;
mod submission;
mod trail;
mod wiped;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::app::*;
use crate::support::redis::{Options, RedisServer};

/// What a request may take that needs the session store, whatever that does (SR-70).
const SESSION_LIMIT: Duration = Duration::from_secs(1);
/// What a request may take that needs the database, whatever that does (SR-72).
const DATABASE_LIMIT: Duration = Duration::from_secs(5);
/// How soon all is well again once a store is back (SR-70).
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);

/// An application on a Redis of its own.
async fn on_own_redis() -> (RedisServer, TestApp) {
    let redis = RedisServer::start(Options::default());
    let app = on_redis_at(&redis.url()).await;
    (redis, app)
}

/// An application on SQLite and the Redis at `url`.
async fn on_redis_at(url: &str) -> TestApp {
    TestApp::boot_with(Backend::SqliteRedis, &[("DOORWARD_STORE_URL", url)]).await
}

/// The answer, which has to come within `limit`.
async fn within(limit: Duration, what: &str, answer: impl Future<Output = Answer>) -> Answer {
    let begun = Instant::now();
    let answer = answer.await;
    let took = begun.elapsed();
    assert!(took < limit, "{what}: {took:?}");
    answer
}

/// Fails unless this says that a store is away, when to try again and no word more, and leaves the
/// cookies alone.
#[track_caller]
fn refused_for_now(answer: Answer) {
    let answer = answer.expect_problem(503, "store_unavailable");
    assert_eq!(answer.header("Retry-After"), Some("2"));
    assert_eq!(answer.all("Set-Cookie"), [""; 0]);
    assert_eq!(answer.header("Clear-Site-Data"), None);
    assert_fields(&answer.json(), &format!("{PROBLEM} retry_after"));
    for inside in ["redis", "Redis", "ostgres", "127.0.0.1", "connection", "timed out", "pool"] {
        assert!(!answer.text().contains(inside), "{}", answer.text());
    }
}

/// Asks until the answer has this status: the server comes back by itself, and soon.
async fn back<F: Future<Output = Answer>>(status: u16, mut ask: impl FnMut() -> F) {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if answer.status.code == status {
            return;
        }
        assert!(begun.elapsed() < RECOVERY_LIMIT, "{}", answer.text());
        rocket::tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The names in the contract: the first word of each row of its tables.
fn contract() -> BTreeSet<String> {
    let text = std::fs::read_to_string("docs/failure-contract.md").expect("the contract");
    let names: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .collect();
    let distinct: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(distinct.len(), names.len(), "a line stands there twice");
    distinct
}

/// The names of the tests in this folder, as the contract writes them.
fn tests() -> BTreeSet<String> {
    let files = std::fs::read_dir("tests/fault").expect("this folder");
    let files = files.map(|file| file.expect("a file").path());
    let name = |rest: &str| {
        let name = rest.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
        name.expect("a test has a name").replace('_', "-")
    };
    files
        .filter(|path| !path.ends_with("mod.rs"))
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).expect("a source file");
            let tests = text.replace("#[rocket::async_test]", "#[test]");
            tests.split("#[test]").skip(1).map(name).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_line_of_the_contract_is_a_test_and_every_test_a_line() {
    let (contract, tests) = (contract(), tests());
    let unproved: Vec<_> = contract.difference(&tests).collect();
    let untold: Vec<_> = tests.difference(&contract).collect();
    assert!(unproved.is_empty() && untold.is_empty(), "no test: {unproved:?}, no line: {untold:?}");
    assert!(contract.len() > 20, "{contract:?}");
}
