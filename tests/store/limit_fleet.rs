//! Limits in a Redis that is several servers: through a failover, and while one of them hangs.

use std::time::{Duration, Instant};

use doorward::clock::Timestamp;
use doorward::error::Error;
use doorward::id::Os;
use doorward::limit::store::{Attempt, LimitKey, LimitStore};
use doorward::limit::{Backoff, Quota};
use doorward::store::redis::RedisStore;
use doorward::token::key::MasterSecret;
use rocket::tokio;

use super::bench::{redis_at, seconds};
use crate::support::fleet::{Fleet, Kind};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Nobody waits for a failover, which takes longer. On a busy machine a refusal after 0.9 s arrives late.
const SOON: Duration = Duration::from_secs(3);
const BACKOFF: Backoff = Backoff { free: 5 };

/// What is counted of one client: a bucket, and failures.
struct Client {
    bucket: LimitKey,
    failures: LimitKey,
}

impl Client {
    /// So many that some are counted on every primary.
    fn some() -> Vec<Self> {
        let secret = MasterSecret::generate(&Os).derive(b"doorward/limit/v1");
        let key = |rule, n: u8| LimitKey::new(&secret, rule, &[n]);
        let client = |n| Self { bucket: key("login", n), failures: key("account", n) };
        (0..12).map(client).collect()
    }

    async fn take(&self, store: &RedisStore) -> Result<bool, Error> {
        let quota = Quota::new(20, seconds(60)).expect("a quota").with_burst(10);
        store.take(&self.bucket, &quota, START).await.map(|taken| taken.allowed)
    }

    async fn attempt(&self, store: &RedisStore) -> Attempt {
        store.attempt(&self.failures, &BACKOFF, START).await.expect("counted")
    }

    /// Leaves three of the ten tokens, and makes as many failures as cost a delay.
    async fn use_up(&self, store: &RedisStore) {
        for _ in 0..7 {
            assert!(self.take(store).await.expect("counted"));
        }
        for failures in 1..=5 {
            assert_eq!(self.attempt(store).await, Attempt::Counted { failures });
        }
    }

    /// Fails unless three tokens are left, and the delay runs.
    async fn assert_exact(&self, store: &RedisStore) {
        let mut allowed = 0;
        for _ in 0..6 {
            allowed += u32::from(self.take(store).await.expect("counted"));
        }
        assert_eq!(allowed, 3, "{}", self.bucket);
        assert_eq!(self.attempt(store).await, Attempt::Delayed(seconds(1)), "{}", self.failures);
    }

    /// Whether what is counted of it can be reached. Changes nothing: there is no such failure.
    async fn is_reached(&self, store: &RedisStore) -> bool {
        let (one, other) =
            (store.give_back(&self.bucket, 99).await, store.give_back(&self.failures, 99).await);
        !matches!(one, Err(Error::Unavailable(_))) && other.is_ok()
    }
}

/// A fleet with clients that have used up most of their limits, which every replica knows.
async fn begun(kind: Kind) -> (Fleet, RedisStore, Vec<Client>) {
    let fleet = Fleet::start(kind);
    let store = redis_at(fleet.url());
    let clients = Client::some();
    reached(&store, &clients).await;
    for client in &clients {
        client.use_up(&store).await;
    }
    for primary in fleet.primaries() {
        let copies = fleet.nodes[primary].command("WAIT 1 900").expect("Redis answers");
        assert_ne!(copies, ":0", "a replica is behind");
    }
    (fleet, store, clients)
}

async fn reached(store: &RedisStore, clients: &[Client]) {
    let begun = Instant::now();
    for client in clients {
        while !client.is_reached(store).await {
            assert!(begun.elapsed() < seconds(90), "no Redis");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The primary that keeps a key.
fn owner(fleet: &Fleet, key: &LimitKey) -> usize {
    fleet.owner(&format!("test:{{limit:{key}}}"))
}

/// A primary is killed, and replaced.
async fn limits_survive_a_failover(kind: Kind) {
    let (fleet, store, clients) = begun(kind).await;
    let victim = owner(&fleet, &clients[0].bucket);
    fleet.nodes[victim].kill();
    let asked = Instant::now();
    let refused = clients[0].take(&store).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "nothing is let through uncounted");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    reached(&store, &clients).await;
    for client in &clients {
        client.assert_exact(&store).await;
    }
}

#[rocket::async_test]
async fn sr_23_limits_stay_exact_when_sentinels_replace_a_lost_primary() {
    limits_survive_a_failover(Kind::Sentinel).await;
}

#[rocket::async_test]
async fn sr_23_limits_stay_exact_when_a_cluster_replaces_a_lost_primary() {
    limits_survive_a_failover(Kind::Cluster).await;
}

#[rocket::async_test]
async fn sr_70_a_node_of_a_cluster_that_hangs_holds_up_its_own_limits_and_is_replaced() {
    let (fleet, store, clients) = begun(Kind::Cluster).await;
    let hung = owner(&fleet, &clients[0].bucket);
    let (its, others): (Vec<_>, Vec<_>) =
        clients.iter().partition(|client| owner(&fleet, &client.bucket) == hung);
    let (elsewhere, apart): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|client| owner(&fleet, &client.failures) != hung);
    assert!(!elsewhere.is_empty(), "no client is counted elsewhere alone");
    fleet.hang(hung);
    for client in &its[..1] {
        let asked = Instant::now();
        let refused = client.take(&store).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
    for client in &elsewhere {
        client.assert_exact(&store).await;
    }
    reached(&store, &clients).await;
    for client in &its {
        assert!(client.take(&store).await.expect("counted"), "three were left");
    }
    // It comes back as a replica, and with it nothing of what it knew.
    fleet.go_on(hung);
    fleet.wait_whole();
    for (clients, left) in [(its, 2), (elsewhere, 0), (apart, 3)] {
        for client in clients {
            let mut allowed = 0;
            for _ in 0..6 {
                allowed += u32::from(client.take(&store).await.expect("counted"));
            }
            assert_eq!(allowed, left, "{}", client.bucket);
            assert_eq!(client.attempt(&store).await, Attempt::Delayed(seconds(1)));
        }
    }
}
