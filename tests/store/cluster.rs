//! The store on a Redis cluster: three nodes, each with a third of the slots.

use std::sync::Arc;
use std::time::{Duration, Instant};

use doorward::error::Error;
use doorward::id::AccountId;
use doorward::session::survey::Survey;
use rocket::tokio;

use super::bench::{Bench, account, redis_at, seconds, start, word};
use crate::support::fleet::{self, LAST_SLOTS};
use crate::support::redis::RedisServer;

struct Cluster {
    nodes: Vec<RedisServer>,
}

impl Cluster {
    fn start() -> Self {
        Self { nodes: fleet::cluster(0) }
    }

    /// Which node keeps the sessions of an account.
    fn owner(&self, id: &AccountId) -> usize {
        let answer = self.nodes[0].command(&format!("CLUSTER KEYSLOT {{{id}}}"));
        let slot: usize = answer.expect("Redis answers")[1..].parse().expect("a slot");
        LAST_SLOTS.iter().take_while(|last| **last < slot).count()
    }

    /// A bench on the cluster, once every node knows all the others.
    async fn bench(&self) -> Bench {
        let nodes: Vec<_> =
            self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        let store = Arc::new(redis_at(&format!("redis+cluster://{}", nodes.join(","))));
        let bench = Bench::on(store, start());
        let deadline = Instant::now() + seconds(30);
        let mut in_a_row = 0;
        while in_a_row < 30 {
            let id = account(bench.now()).id;
            match bench.store.list(&id, bench.now()).await {
                Ok(_) => in_a_row += 1,
                Err(error) => {
                    assert!(Instant::now() < deadline, "no cluster: {error:?}");
                    in_a_row = 0;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        bench
    }
}

#[rocket::async_test]
async fn every_operation_works_on_every_slot() {
    let cluster = Cluster::start();
    let bench = cluster.bench().await;
    bench.store.ping().await.unwrap();
    for _ in 0..30 {
        let mut bench = Bench { account: account(bench.now()), ..bench.clone() };
        let (session, tokens) = bench.open().await;
        let (other, others) = bench.open().await;
        let (session, tokens) = bench.refresh(&session, &tokens).await;
        assert!(bench.verify(&session, &tokens).await.is_some());
        assert!(bench.store.end(&session.account, &session.id).await.unwrap());
        assert_eq!(bench.list().await, std::slice::from_ref(&other));
        let survey = Survey { network: None, after: None, limit: 50 };
        let stretch = bench.store.survey(&survey, bench.now()).await.unwrap();
        let met: Vec<_> = stretch.live.into_iter().map(|live| live.session).collect();
        assert_eq!(met, [other.clone().into()]);
        assert_eq!(bench.store.owner(&other.id).await.unwrap().as_ref(), Some(&other.account));
        bench.change(true);
        bench.store.publish(&bench.account, bench.now()).await.unwrap();
        assert_eq!(bench.store.revoke(&bench.account, None, bench.now()).await.unwrap(), 1);
        assert_eq!(word(&bench.rotate(&other, &others).await), "unknown");
    }
}

#[rocket::async_test]
async fn sr_70_a_node_that_hangs_holds_up_nobody_elses_sessions_and_is_used_again() {
    let cluster = Cluster::start();
    let bench = cluster.bench().await;
    let ids: Vec<_> = (0..60).map(|_| account(bench.now()).id).collect();
    let (hangs, others): (Vec<_>, Vec<_>) = ids.iter().partition(|id| cluster.owner(id) == 1);
    cluster.nodes[1].pause();
    for id in &hangs[..3] {
        let asked = Instant::now();
        let answer = bench.store.list(id, bench.now()).await;
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
        assert!(asked.elapsed() < seconds(1), "took {:?}", asked.elapsed());
        bench.store.list(others[0], bench.now()).await.expect("the other nodes answer");
    }
    for id in others {
        bench.store.list(id, bench.now()).await.expect("the other nodes answer");
    }
    cluster.nodes[1].resume();
    let deadline = Instant::now() + seconds(5);
    for id in hangs {
        while let Err(error) = bench.store.list(id, bench.now()).await {
            assert!(Instant::now() < deadline, "{error:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[rocket::async_test]
async fn sr_70_a_cluster_that_was_gone_altogether_is_used_again() {
    let cluster = Cluster::start();
    let bench = cluster.bench().await;
    cluster.nodes.iter().for_each(RedisServer::kill);
    for _ in 0..3 {
        let asked = Instant::now();
        let answer = bench.store.list(&bench.account.id, bench.now()).await;
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
        assert!(asked.elapsed() < seconds(1), "took {:?}", asked.elapsed());
    }
    cluster.nodes.iter().for_each(RedisServer::restart);
    // The nodes take a few seconds to find each other before they serve anybody.
    let deadline = Instant::now() + seconds(20);
    // One that answers may not know yet that the others are back.
    while let Err(error) = bench.store.list(&bench.account.id, bench.now()).await {
        assert!(Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.open().await;
}
