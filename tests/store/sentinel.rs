//! The store on a primary that a sentinel names, and on its replica after the primary's end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rocket::tokio;

use super::bench::{Bench, redis_at, seconds, start};
use crate::support::fleet::sentinel;
use crate::support::free_port;
use crate::support::redis::{Options, RedisServer};

/// Waits until `bench` works, for at most `limit`.
async fn works(bench: &Bench, limit: Duration) {
    let deadline = Instant::now() + limit;
    while let Err(error) = bench.store.ping().await {
        assert!(Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[rocket::async_test]
async fn sr_70_a_failover_is_followed() {
    let primary = RedisServer::start(Options::default());
    let follow = ["--replicaof", "127.0.0.1", &primary.port().to_string()].map(str::to_owned);
    // A replica that waits to save several answers of its primary would slow the test only.
    let fast = ["--repl-diskless-sync-delay", "0"].map(str::to_owned);
    let arguments = [&follow[..], &fast[..]].concat();
    let replica = RedisServer::start(Options { arguments, ..Options::default() });
    let port = free_port();
    let settings = ["down-after-milliseconds sessions 500", "failover-timeout sessions 3000"];
    let (_sentinel, directory) = sentinel(port, primary.port(), 1, &settings.map(str::to_owned));

    let address = format!("redis+sentinel://127.0.0.1:{port}/sessions");
    let bench = Bench::on(Arc::new(redis_at(&address)), start());
    works(&bench, seconds(20)).await;
    let (session, tokens) = bench.open().await;
    // The session is on the replica, and the sentinel knows of the replica.
    let deadline = Instant::now() + seconds(20);
    let size = |server: &RedisServer| server.command("DBSIZE").unwrap_or_default();
    let replicated = || !matches!(&*size(&primary), "" | ":0") && size(&replica) == size(&primary);
    let discovered = || {
        let config = std::fs::read_to_string(directory.path().join("sentinel.conf"));
        config.is_ok_and(|text| text.contains(&format!("127.0.0.1 {}", replica.port())))
    };
    while !(replicated() && discovered()) {
        assert!(Instant::now() < deadline, "no replica");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    primary.kill();
    works(&bench, seconds(30)).await;
    assert!(bench.verify(&session, &tokens).await.is_some());
    bench.refresh(&session, &tokens).await;
}
