//! What the near cache promises: it asks no more than it has to, and uses nothing that was taken back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::error::Error;
use doorward::session::Session;
use rocket::tokio;

use super::bench::{Bench, NEAR, Tokens, near_redis_at, redis_at, start};
use crate::support::redis::{Options, RedisServer};

/// How long Redis' word may take to be heard here: far longer than it does, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// A replica with a near cache, and another one on the same Redis and clock.
fn replicas(server: &RedisServer) -> (Bench, Bench) {
    let near = Bench::on(Arc::new(near_redis_at(&server.url(), NEAR)), start());
    let other = Bench { store: Arc::new(redis_at(&server.url())), ..near.clone() };
    (near, other)
}

/// A session that the replica knows well enough to ask no more.
async fn well_known(near: &Bench) -> (Session, Tokens) {
    let (session, tokens) = near.open().await;
    // Noted as used; heard that it was noted; asked again.
    for _ in 0..3 {
        assert!(near.verify(&session, &tokens).await.is_some());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (session, tokens)
}

async fn scripts_run(server: &RedisServer) -> u64 {
    let client = ::redis::Client::open(server.url()).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connect");
    let stats: String =
        ::redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.expect("INFO");
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

/// How long it takes until the token is refused.
async fn refused_after(near: &Bench, session: &Session, tokens: &Tokens) -> Duration {
    let asked = Instant::now();
    while near.verify(session, tokens).await.is_some() {
        assert!(asked.elapsed() < PATIENCE, "what was ended elsewhere is still let in");
        tokio::task::yield_now().await;
    }
    asked.elapsed()
}

#[rocket::async_test]
async fn redis_is_asked_once_for_as_long_as_nothing_changes() {
    let server = RedisServer::start(Options::default());
    let (near, _) = replicas(&server);
    let (session, tokens) = well_known(&near).await;
    let before = scripts_run(&server).await;
    for _ in 0..100 {
        assert!(near.verify(&session, &tokens).await.is_some());
    }
    assert_eq!(scripts_run(&server).await, before);
    near.later(NEAR);
    assert!(near.verify(&session, &tokens).await.is_some());
    assert_eq!(scripts_run(&server).await, before + 1);
}

#[rocket::async_test]
async fn what_is_done_here_holds_here_at_once() {
    let server = RedisServer::start(Options::default());
    let (near, _) = replicas(&server);
    for _ in 0..20 {
        let (session, tokens) = well_known(&near).await;
        near.store.end(&session.account, &session.id).await.unwrap();
        assert!(near.verify(&session, &tokens).await.is_none());
    }
}

#[rocket::async_test]
async fn what_is_done_on_another_replica_holds_here_as_soon_as_redis_says_so() {
    let server = RedisServer::start(Options::default());
    let (near, other) = replicas(&server);
    let mut took = Vec::new();
    for _ in 0..20 {
        let (session, tokens) = well_known(&near).await;
        other.store.end(&session.account, &session.id).await.unwrap();
        took.push(refused_after(&near, &session, &tokens).await);
    }
    took.sort_unstable();
    println!("refused after {:?} (median), {:?} (longest)", took[10], took[19]);

    let (session, tokens) = well_known(&near).await;
    let mut changed = other.clone();
    changed.change(true);
    other.store.revoke(&changed.account, None, other.now()).await.unwrap();
    refused_after(&near, &session, &tokens).await;

    let mut near = near;
    near.account = changed.account;
    let (session, tokens) = well_known(&near).await;
    server.flush();
    refused_after(&near, &session, &tokens).await;
}

/// Nothing is let in by memory when Redis cannot take it back any more.
#[rocket::async_test]
async fn sr_70_with_the_connection_goes_what_came_on_it() {
    let server = RedisServer::start(Options::default());
    let (near, _) = replicas(&server);
    let (session, tokens) = well_known(&near).await;
    server.kill();
    let (access, asked) = (tokens.access.digest(), Instant::now());
    loop {
        match near.store.verify(&session.account, &session.id, &access, near.now()).await {
            Err(Error::Unavailable(_)) => break,
            Ok(Some(_)) => assert!(asked.elapsed() < PATIENCE, "let in without Redis"),
            other => panic!("{other:?}"),
        }
        tokio::task::yield_now().await;
    }
    // And so it stays, though the answer would still be young enough.
    for _ in 0..10 {
        let answer = near.store.verify(&session.account, &session.id, &access, near.now()).await;
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    }
}

#[rocket::async_test]
async fn a_revocation_while_the_connection_is_cut_is_found_when_it_is_back() {
    let server = RedisServer::start(Options::default());
    let (near, other) = replicas(&server);
    for _ in 0..10 {
        let (session, tokens) = well_known(&near).await;
        server.command("CLIENT KILL TYPE normal SKIPME yes").unwrap();
        other.store.end(&session.account, &session.id).await.unwrap();
        refused_after(&near, &session, &tokens).await;
    }
}

#[rocket::async_test]
async fn sr_70_a_silent_redis_is_believed_no_longer_than_an_answer_may_be_used() {
    let server = RedisServer::start(Options::default());
    let (near, _) = replicas(&server);
    let (session, tokens) = well_known(&near).await;
    server.pause();
    assert!(near.verify(&session, &tokens).await.is_some());
    near.later(NEAR);
    let access = tokens.access.digest();
    let answer = near.store.verify(&session.account, &session.id, &access, near.now()).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    server.resume();
}
