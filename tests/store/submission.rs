//! Every promise of `SubmissionStore`, in the process, in Redis and on a Redis cluster.

use std::sync::Arc;
use std::time::Duration;

use doorward::clock::Timestamp;
use doorward::id::{Os, SessionId};
use doorward::store::embedded::EmbeddedSubmissions;
use doorward::submission::store::{Claim, Claimed, SubmissionKey, SubmissionStore};
use futures::future::join_all;

use super::bench::{minutes, redis_at, seconds};
use crate::support::fleet;
use crate::support::redis::server;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LEASE: Duration = seconds(10);
const LIFE: Duration = minutes(1);

/// A form that nobody has submitted.
fn form() -> SubmissionKey {
    SubmissionKey::new(SessionId::random(&Os).as_str())
}

fn claim(content: &str, holder: &str) -> Claim {
    Claim { content: content.to_owned(), holder: holder.to_owned() }
}

async fn ask(
    store: &dyn SubmissionStore,
    key: &SubmissionKey,
    claim: &Claim,
    now: Timestamp,
) -> Claimed {
    store.claim(key, claim, LEASE, now).await.expect("the store answers")
}

macro_rules! on_all_stores {
    ($(async fn $name:ident($store:ident) $body:block)*) => {
        $(async fn $name($store: Arc<dyn SubmissionStore>) $body)*

        mod embedded {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(std::sync::Arc::new(super::EmbeddedSubmissions::default())).await;
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
    async fn of_many_identical_submissions_one_is_the_first(store) {
        let key = form();
        let claims: Vec<Claim> = (0..20).map(|n| claim("same", &n.to_string())).collect();
        let all = join_all(claims.iter().map(|one| ask(&*store, &key, one, START))).await;
        assert_eq!(all.iter().filter(|claimed| **claimed == Claimed::First).count(), 1);
        assert_eq!(all.iter().filter(|claimed| **claimed == Claimed::Running).count(), 19);
        // Who asks once more, because an answer was lost, is told the same.
        let first = all.iter().position(|claimed| *claimed == Claimed::First).expect("one");
        assert_eq!(ask(&*store, &key, &claims[first], START).await, Claimed::First);
    }

    async fn the_second_gets_the_result_for_as_long_as_it_lives(store) {
        let (key, one, two) = (form(), claim("same", "one"), claim("same", "two"));
        assert_eq!(ask(&*store, &key, &one, START).await, Claimed::First);
        store.finish(&key, &one, "sealed", LIFE, START).await.expect("kept");
        let done = Claimed::Done("sealed".to_owned());
        assert_eq!(ask(&*store, &key, &two, START).await, done);
        assert_eq!(ask(&*store, &key, &two, START + seconds(59)).await, done);
        assert_eq!(ask(&*store, &key, &two, START + LIFE).await, Claimed::First);
    }

    async fn only_the_last_submission_of_a_form_counts(store) {
        let (key, one, two) = (form(), claim("this", "one"), claim("that", "two"));
        assert_eq!(ask(&*store, &key, &one, START).await, Claimed::First);
        store.finish(&key, &one, "sealed", LIFE, START).await.expect("kept");
        assert_eq!(ask(&*store, &key, &two, START).await, Claimed::First);
        // This, that and this again is not this twice.
        let again = claim("this", "three");
        assert_eq!(ask(&*store, &key, &again, START).await, Claimed::First);
        // Whoever was overtaken keeps nothing and takes nothing back.
        store.finish(&key, &two, "late", LIFE, START).await.expect("answered");
        store.give_up(&key, &two).await.expect("answered");
        assert_eq!(ask(&*store, &key, &claim("this", "four"), START).await, Claimed::Running);
        assert_eq!(ask(&*store, &form(), &one, START).await, Claimed::First, "another form");
    }

    async fn what_is_given_up_makes_room_for_the_next(store) {
        let (key, one, two) = (form(), claim("same", "one"), claim("same", "two"));
        assert_eq!(ask(&*store, &key, &one, START).await, Claimed::First);
        store.give_up(&key, &two).await.expect("answered");
        assert_eq!(ask(&*store, &key, &two, START).await, Claimed::Running, "not theirs to give");
        store.give_up(&key, &one).await.expect("given up");
        assert_eq!(ask(&*store, &key, &two, START).await, Claimed::First);
    }

    async fn a_lease_runs_out(store) {
        let (key, one, two) = (form(), claim("same", "one"), claim("same", "two"));
        assert_eq!(ask(&*store, &key, &one, START).await, Claimed::First);
        assert_eq!(ask(&*store, &key, &two, START + seconds(9)).await, Claimed::Running);
        assert_eq!(ask(&*store, &key, &two, START + LEASE).await, Claimed::First);
        store.finish(&key, &one, "sealed", LIFE, START + LEASE).await.expect("answered");
        let three = claim("same", "three");
        assert_eq!(ask(&*store, &key, &three, START + LEASE).await, Claimed::Running);
    }
}
