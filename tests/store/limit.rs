//! Every promise of `LimitStore`, in the process, in Redis and on a Redis cluster.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::Timestamp;
use doorward::error::Error;
use doorward::id::Os;
use doorward::limit::store::{Attempt, LimitKey, LimitStore};
use doorward::limit::{Backoff, Quota};
use doorward::store::embedded::EmbeddedLimits;
use doorward::token::key::MasterSecret;
use futures::future::join_all;

use super::bench::{hours, minutes, redis_at, seconds};
use crate::support::fleet;
use crate::support::redis::{Options, RedisServer, server};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const BACKOFF: Backoff = Backoff { free: 5 };

fn quota(count: u32, per: Duration) -> Quota {
    Quota::new(count, per).expect("a quota")
}

/// A key that nothing was counted under.
fn key() -> LimitKey {
    let secret = MasterSecret::generate(&Os).derive(b"doorward/limit/v1");
    LimitKey::new(&secret, "login", b"192.0.2.1")
}

/// The number of the failure, or for how long there is none.
async fn attempt(store: &dyn LimitStore, key: &LimitKey, now: Timestamp) -> Result<u32, Duration> {
    match store.attempt(key, &BACKOFF, now).await.expect("counted") {
        Attempt::Counted { failures } => Ok(failures),
        Attempt::Delayed(wait) => Err(wait),
    }
}

macro_rules! on_all_stores {
    ($(async fn $name:ident($store:ident) $body:block)*) => {
        $(async fn $name($store: Arc<dyn LimitStore>) $body)*

        mod embedded {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(std::sync::Arc::new(super::EmbeddedLimits::default())).await;
            })*
        }

        mod redis {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(std::sync::Arc::new(super::redis_at(&super::server().database()))).await;
            })*
        }

        mod cluster {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(std::sync::Arc::new(super::redis_at(super::fleet::shared_cluster().url()))).await;
            })*
        }
    };
}

on_all_stores! {
    async fn sr_23_a_bucket_gives_its_burst_and_then_what_flows_in(store) {
        let (key, quota) = (key(), quota(20, minutes(1)).with_burst(10));
        for left in (0..10).rev() {
            let taken = store.take(&key, &quota, START).await.unwrap();
            assert!(taken.allowed);
            assert_eq!(taken.remaining, left);
            assert_eq!(taken.retry_after, if left == 0 { seconds(3) } else { Duration::ZERO });
        }
        let now = START + Duration::from_millis(2_999);
        let refused = store.take(&key, &quota, now).await.unwrap();
        assert_eq!((refused.allowed, refused.remaining), (false, 0));
        assert_eq!(refused.retry_after, Duration::from_millis(1));
        assert!(store.take(&key, &quota, START + seconds(3)).await.unwrap().allowed);
        assert!(!store.take(&key, &quota, START + seconds(3)).await.unwrap().allowed);
        let taken = store.take(&key, &quota, START + hours(1)).await.unwrap();
        assert_eq!((taken.allowed, taken.remaining), (true, 9));
    }

    async fn sr_23_over_an_hour_a_limit_is_exact(store) {
        for (count, per, ms) in [(600, minutes(1), 7), (7, seconds(1), 33), (1000, hours(1), 1500)] {
            let (key, quota) = (key(), quota(count, per));
            let (mut allowed, mut at) = (0_u32, START);
            while at < START + per * 3 {
                allowed += u32::from(store.take(&key, &quota, at).await.unwrap().allowed);
                at = at + Duration::from_millis(ms);
            }
            // What the bucket held, and what flowed in.
            let asked = u32::try_from((per * 3).as_millis().div_ceil(u128::from(ms))).unwrap();
            let expected = (count * 4).min(asked);
            assert!(allowed.abs_diff(expected) <= 1 + expected / 100, "{allowed} of {expected}");
        }
    }

    async fn sr_23_of_fifty_at_once_the_burst_gets_through(store) {
        let (key, quota) = (key(), quota(20, minutes(1)).with_burst(10));
        let takes = join_all((0..50).map(|_| store.take(&key, &quota, START))).await;
        assert_eq!(takes.iter().filter(|taken| taken.as_ref().unwrap().allowed).count(), 10);
        let key = self::key();
        let tries = join_all((0..50).map(|_| attempt(&*store, &key, START))).await;
        let mut counted: Vec<u32> = tries.iter().filter_map(|one| one.ok()).collect();
        counted.sort_unstable();
        assert_eq!(counted, [1, 2, 3, 4, 5]);
    }

    async fn what_was_spent_before_it_was_counted_is_owed(store) {
        let (key, quota) = (key(), quota(60, minutes(1)));
        let taken = store.charge(&key, &quota, 59, START).await.unwrap();
        assert_eq!((taken.allowed, taken.remaining, taken.retry_after), (true, 1, Duration::ZERO));
        let taken = store.charge(&key, &quota, 11, START).await.unwrap();
        assert_eq!((taken.allowed, taken.remaining, taken.retry_after), (false, 0, seconds(11)));
        assert!(!store.take(&key, &quota, START + Duration::from_millis(10_999)).await.unwrap().allowed);
        assert!(store.take(&key, &quota, START + seconds(11)).await.unwrap().allowed);
    }

    async fn limits_do_not_touch_one_another(store) {
        let (one, other, quota) = (key(), key(), quota(1, minutes(1)));
        assert!(store.take(&one, &quota, START).await.unwrap().allowed);
        assert!(!store.take(&one, &quota, START).await.unwrap().allowed);
        assert!(store.take(&other, &quota, START).await.unwrap().allowed);
        assert_ne!(one.to_string(), other.to_string());
    }

    async fn sr_22_failures_cost_longer_and_longer_delays(store) {
        let (key, mut now) = (key(), START);
        for number in 1..=5 {
            assert_eq!(attempt(&*store, &key, now).await, Ok(number));
        }
        for (number, delay) in (6..).zip([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]) {
            assert_eq!(attempt(&*store, &key, now).await, Err(seconds(delay)));
            now = now + seconds(delay);
            assert_eq!(attempt(&*store, &key, now - Duration::from_millis(1)).await, Err(Duration::from_millis(1)));
            assert_eq!(attempt(&*store, &key, now).await, Ok(number));
        }
        now = now + Backoff::MEMORY;
        assert_eq!(attempt(&*store, &key, now).await, Ok(1));
    }

    async fn sr_75_a_clock_that_is_set_back_lets_one_through_and_counts_on(store) {
        for back in [hours(1), hours(24)] {
            let (used, spent) = (key(), key());
            let quota = quota(20, minutes(1)).with_burst(10);
            store.take(&used, &quota, START).await.unwrap();
            for _ in 0..10 {
                assert!(store.take(&spent, &quota, START).await.unwrap().allowed);
            }
            let now = START - back;
            for key in [&used, &spent] {
                assert!(store.take(key, &quota, now).await.unwrap().allowed);
                let taken = store.take(key, &quota, now).await.unwrap();
                assert_eq!((taken.allowed, taken.retry_after), (false, seconds(3)));
                // Asking again makes it no later.
                assert!(!store.take(key, &quota, now + seconds(2)).await.unwrap().allowed);
                assert!(store.take(key, &quota, now + seconds(3)).await.unwrap().allowed);
                assert!(!store.take(key, &quota, now + seconds(5)).await.unwrap().allowed);
                assert!(store.take(key, &quota, now + minutes(2)).await.unwrap().allowed);
            }
        }
    }

    async fn sr_75_a_clock_that_is_set_back_leaves_no_debt_but_its_own(store) {
        let (key, quota) = (key(), quota(600, minutes(1)));
        store.charge(&key, &quota, 6, START).await.unwrap();
        let now = START - hours(1);
        let taken = store.charge(&key, &quota, 6, now).await.unwrap();
        assert_eq!((taken.allowed, taken.retry_after), (false, Duration::from_millis(100)));
        assert!(store.charge(&key, &quota, 1, now + seconds(1)).await.unwrap().allowed);
        // Nothing owes more than a full bucket, whatever was spent before it was counted.
        let taken = store.charge(&key, &quota, 100_000, now + seconds(1)).await.unwrap();
        assert_eq!(taken.retry_after, minutes(1) + Duration::from_millis(100));
        assert!(store.charge(&key, &quota, 1, now + minutes(3)).await.unwrap().allowed);
    }

    async fn sr_75_a_clock_that_is_set_back_ends_a_delay_and_forgets_no_failure(store) {
        for back in [hours(1), hours(24), hours(100)] {
            let (key, mut now) = (key(), START);
            for _ in 0..8 {
                while let Err(wait) = attempt(&*store, &key, now).await {
                    now = now + wait;
                }
            }
            assert_eq!(attempt(&*store, &key, now).await, Err(seconds(8)));
            let now = now - back;
            assert_eq!(attempt(&*store, &key, now).await, Ok(9));
            assert_eq!(attempt(&*store, &key, now + seconds(5)).await, Err(seconds(11)));
            assert_eq!(attempt(&*store, &key, now + seconds(16)).await, Ok(10));
        }
    }

    async fn sr_75_replicas_whose_clocks_disagree_let_no_more_through(store) {
        let (key, failing) = (key(), key());
        let quota = quota(20, minutes(1)).with_burst(10);
        let (ahead, mut allowed) = (seconds(20), 0);
        for n in 0..60_u64 {
            let now = START + seconds(n);
            for now in [now, now + ahead] {
                allowed += u32::from(store.take(&key, &quota, now).await.unwrap().allowed);
            }
        }
        // What the bucket held, what flowed in within a minute, and within those 20 s.
        assert!(allowed <= 10 + 20 + 7, "{allowed}");
        let mut counted = 0;
        for n in 0..60_u64 {
            for now in [START + seconds(n) + ahead, START + seconds(n)] {
                counted += u32::from(attempt(&*store, &failing, now).await.is_ok());
            }
        }
        assert!(counted <= 12, "{counted}");
    }

    async fn sr_22_failures_are_forgotten_or_one_is_taken_back(store) {
        let key = key();
        for _ in 0..5 {
            attempt(&*store, &key, START).await.unwrap();
        }
        store.give_back(&key, 4).await.unwrap();
        assert_eq!(attempt(&*store, &key, START).await, Err(seconds(1)), "another was counted since");
        store.give_back(&key, 5).await.unwrap();
        assert_eq!(attempt(&*store, &key, START).await, Ok(5));
        assert_eq!(attempt(&*store, &key, START).await, Err(seconds(1)));
        store.clear(&key).await.unwrap();
        store.give_back(&key, 5).await.unwrap();
        store.clear(&key).await.unwrap();
        assert_eq!(attempt(&*store, &key, START).await, Ok(1));
    }
}

#[rocket::async_test]
async fn sr_23_every_key_in_redis_ends_by_itself_and_shows_nobody() {
    let server = RedisServer::start(Options::default());
    let store = redis_at(&server.url());
    let (bucket, failures) = (key(), key());
    store.take(&bucket, &quota(20, minutes(1)), START).await.unwrap();
    store.charge(&key(), &quota(600, minutes(1)), 600, START).await.unwrap();
    for _ in 0..6 {
        store.attempt(&failures, &BACKOFF, START).await.unwrap();
    }
    store.give_back(&failures, 5).await.unwrap();
    store.give_back(&key(), 1).await.unwrap();
    assert_eq!(server.command("DBSIZE").unwrap(), ":3");
    for (key, longest) in [(&bucket, 4_000), (&failures, 86_400_000)] {
        let ttl = format!("PTTL test:{{limit:{key}}}");
        let ttl: i64 = server.command(&ttl).unwrap()[1..].parse().unwrap();
        assert!((1..=longest).contains(&ttl), "{key}: {ttl}");
        assert!(!key.to_string().contains("192.0.2.1"));
    }
}

#[rocket::async_test]
async fn sr_70_what_cannot_be_counted_is_unavailable() {
    let server = RedisServer::start(Options::default());
    let store = redis_at(&server.url());
    server.pause();
    let quota = quota(1, minutes(1));
    assert!(matches!(store.take(&key(), &quota, START).await, Err(Error::Unavailable(_))));
    assert!(matches!(store.attempt(&key(), &BACKOFF, START).await, Err(Error::Unavailable(_))));
    server.resume();
}

#[rocket::async_test]
async fn sr_23_replicas_count_together() {
    let url = server().database();
    let replicas = [redis_at(&url), redis_at(&url), redis_at(&url)];
    let (key, other) = (key(), key());
    let quota = quota(20, minutes(1)).with_burst(10);
    let takes = (0..30).map(|n| replicas[n % 3].take(&key, &quota, START));
    let allowed = join_all(takes).await.into_iter().filter(|taken| taken.as_ref().unwrap().allowed);
    assert_eq!(allowed.count(), 10);
    let tries = join_all((0..30).map(|n| attempt(&replicas[n % 3], &other, START)));
    assert_eq!(tries.await.iter().filter(|one| one.is_ok()).count(), 5);
}
