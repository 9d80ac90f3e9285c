//! The list of everybody's sessions, on the embedded store and on Redis.

use std::collections::BTreeSet;
use std::sync::Arc;

use doorward::id::SessionId;
use doorward::session::Session;
use doorward::session::store::{Live, Opened, Opening};
use doorward::session::survey::{Place, Survey, network};
use rocket::tokio;

use super::bench::{Bench, Tokens, account, hours, minutes, on_both_stores, redis_at, seconds};
use crate::support;

/// Opens a session of another account, that begins now at this address.
async fn stranger_from(bench: &Bench, ip: &str) -> Session {
    let other = Bench { account: account(bench.now()), ..bench.clone() };
    let session = Session { ip: ip.parse().expect("an address"), ..other.session() };
    let opened = other.open_as(&session, &Tokens::random(), Opening::New).await;
    assert_eq!(opened, Opened::Done);
    session
}

/// Everything that a survey meets, page by page.
async fn all(bench: &Bench, within: Option<&str>, limit: usize) -> Vec<Live> {
    let network = within.map(|text| network(text).expect("a network"));
    let (mut met, mut after) = (Vec::new(), None);
    for _ in 0..1000 {
        let survey = Survey { network, after, limit };
        let stretch = bench.store.survey(&survey, bench.now()).await.expect("the store answers");
        assert!(stretch.live.len() <= limit);
        met.extend(stretch.live);
        after = stretch.next;
        if after.is_none() {
            return met;
        }
    }
    panic!("there is no end to it");
}

fn ids(live: &[Live]) -> Vec<SessionId> {
    live.iter().map(|live| live.session.id.clone()).collect()
}

/// Waits until the store has taken note of what it does when nobody waits.
async fn settle(bench: &Bench, count: u64) {
    for _ in 0..200 {
        if bench.store.count().await.expect("the store answers") == count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} are counted, not {count}", bench.store.count().await.expect("the store answers"));
}

on_both_stores! {
    async fn sessions_of_all_accounts_are_met_once_the_latest_first(bench: Bench) {
        let mut opened = Vec::new();
        for n in 0..60 {
            // Many begin in the same millisecond.
            if n % 20 == 0 {
                bench.later(seconds(1));
            }
            opened.push(stranger_from(&bench, "203.0.113.7").await);
        }
        opened.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id.clone())));
        let expected: Vec<SessionId> = opened.iter().map(|session| session.id.clone()).collect();
        for limit in [1, 7, 59, 60, 200] {
            assert_eq!(ids(&all(&bench, None, limit).await), expected, "by {limit}");
        }
        assert_eq!(bench.store.count().await.expect("the store answers"), 60);
        let first = &all(&bench, None, 1).await[0];
        assert_eq!(*first.session, opened[0]);
        assert_eq!(first.account.id, opened[0].account);
    }

    async fn a_survey_of_a_network_meets_those_who_are_in_it(bench: Bench) {
        let addresses = [
            "203.0.113.6", "203.0.113.7", "203.0.113.8", "203.0.114.0", "203.0.112.255",
            "2001:db8::1", "2001:db8:0:1::", "2001:db9::", "::1", "10.0.0.1",
        ];
        for address in addresses {
            bench.later(seconds(1));
            stranger_from(&bench, address).await;
        }
        let later = stranger_from(&bench, "203.0.113.7").await;
        for (within, expected) in [
            ("203.0.113.7", &["203.0.113.7", "203.0.113.7"][..]),
            ("203.0.113.0/24", &["203.0.113.8", "203.0.113.7", "203.0.113.7", "203.0.113.6"]),
            ("2001:db8::/32", &["2001:db8:0:1::", "2001:db8::1"]),
            ("::/0", &["2001:db9::", "2001:db8:0:1::", "2001:db8::1", "::1"]),
            ("192.0.2.0/24", &[]),
        ] {
            for limit in [1, 3, 50] {
                let met = all(&bench, Some(within), limit).await;
                let met: Vec<String> = met.iter().map(|live| live.session.ip.to_string()).collect();
                assert_eq!(met, expected, "{within} by {limit}");
            }
        }
        assert_eq!(all(&bench, Some("0.0.0.0/0"), 50).await.len(), 7);
        assert_eq!(all(&bench, Some("203.0.113.7"), 50).await[0].session.id, later.id);
        // A place of another network, as in a link that somebody changed.
        let place = Place { ip: "10.0.0.1".parse().unwrap(), ..Place::of(&later) };
        let survey = Survey { network: network("203.0.113.0/24"), after: Some(place), limit: 5 };
        let stretch = bench.store.survey(&survey, bench.now()).await.expect("the store answers");
        assert!(stretch.live.is_empty() && stretch.next.is_none());
    }

    async fn what_has_ended_in_whatever_way_is_not_met_and_is_forgotten(mut bench: Bench) {
        let (signed_out, _) = bench.open().await;
        stranger_from(&bench, "203.0.113.7").await;
        bench.later(hours(23));
        bench.open().await;
        let (kept, _) = bench.open().await;
        let young = stranger_from(&bench, "203.0.113.7").await;
        assert_eq!(all(&bench, None, 2).await.len(), 5);
        assert!(bench.store.end(&signed_out.account, &signed_out.id).await.expect("ended"));
        bench.change(true);
        bench.store.revoke(&bench.account, Some(&kept.id), bench.now()).await.expect("revoked");
        bench.later(minutes(61));
        let expected = BTreeSet::from([kept.id.clone(), young.id.clone()]);
        for _ in 0..2 {
            let met = all(&bench, None, 2).await;
            assert_eq!(ids(&met).into_iter().collect::<BTreeSet<_>>(), expected);
            assert_eq!(ids(&all(&bench, Some("203.0.113.7"), 1).await), std::slice::from_ref(&young.id));
        }
    }

    async fn a_session_keeps_its_place_as_it_is_refreshed_and_shows_how_it_is_now(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.later(minutes(1));
        let above = stranger_from(&bench, "203.0.113.7").await;
        let mut current = (session.clone(), tokens);
        for _ in 0..30 {
            current = bench.refresh(&current.0, &current.1).await;
        }
        bench.change(false);
        bench.account.display_name = "Ada L.".to_owned();
        bench.store.publish(&bench.account, bench.now()).await.expect("published");
        let met = all(&bench, None, 50).await;
        assert_eq!(ids(&met), [above.id, session.id]);
        assert_eq!(*met[1].session, current.0);
        assert_eq!(met[1].account.display_name, "Ada L.");
        settle(&bench, 2).await;
    }

    async fn the_owner_of_a_session_is_known_by_its_name_alone(bench: Bench) {
        let (session, _) = bench.open().await;
        let stranger = stranger_from(&bench, "203.0.113.7").await;
        let owner = async |id: &SessionId| bench.store.owner(id).await.expect("the store answers");
        assert_eq!(owner(&session.id).await, Some(session.account.clone()));
        assert_eq!(owner(&stranger.id).await, Some(stranger.account.clone()));
        let nobodys = SessionId::random(&doorward::id::Os);
        assert_eq!(owner(&nobodys).await, None);
        bench.store.end(&session.account, &session.id).await.expect("ended");
        settle(&bench, 1).await;
        assert_eq!(owner(&session.id).await, None);
    }
}

/// Only Redis has a list of its own, which can get lost without the sessions.
#[rocket::async_test]
async fn a_list_that_got_lost_fills_again_as_sessions_are_refreshed() {
    let url = support::redis::server().database();
    let bench = Bench::on(Arc::new(redis_at(&url)), super::bench::start());
    let (mut session, mut tokens) = bench.open().await;
    let mut raw = ::redis::Client::open(&*url).expect("a URL");
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*index-*").query(&mut raw).expect("keys");
    assert!(keys.len() >= 2, "{keys:?}");
    let _: () = ::redis::cmd("DEL").arg(&keys).query(&mut raw).expect("deleted");
    assert!(all(&bench, None, 50).await.is_empty());
    assert_eq!(bench.list().await.len(), 1, "nothing is judged by that list");
    for _ in 0..200 {
        bench.later(seconds(11));
        (session, tokens) = bench.refresh(&session, &tokens).await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        if !all(&bench, None, 50).await.is_empty() {
            return;
        }
    }
    panic!("the session does not come back");
}

/// Entries that nobody comes across go when no session can be that old.
#[rocket::async_test]
async fn what_nobody_looks_at_does_not_stay_on_the_list_for_ever() {
    let bench = Bench::redis();
    for _ in 0..200 {
        stranger_from(&bench, "203.0.113.7").await;
    }
    assert_eq!(bench.store.count().await.expect("the store answers"), 200);
    bench.later(super::bench::ABSOLUTE + hours(2));
    for _ in 0..200 {
        stranger_from(&bench, "203.0.113.8").await;
    }
    let left = bench.store.count().await.expect("the store answers");
    assert!(left < 250, "{left} are left");
}

/// A session that has just begun is not taken off the list because its record is not there yet.
#[rocket::async_test]
async fn a_survey_that_races_with_sign_ins_loses_none() {
    let bench = Bench::redis();
    let opens = (0..100).map(|_| {
        let bench = bench.clone();
        tokio::spawn(async move {
            let met = all(&bench, None, 50).await.len();
            (stranger_from(&bench, "203.0.113.7").await, met)
        })
    });
    for open in futures::future::join_all(opens).await {
        open.expect("opened");
    }
    assert_eq!(all(&bench, None, 50).await.len(), 100);
}
