//! A store that has lost its last moments meets tokens that it has never seen (SR-36, SR-70): on the
//! embedded store and on Redis.

use doorward::session::Session;
use doorward::session::store::{Rotation, Vouched};

use super::bench::{Bench, GRACE, Tokens, minutes, on_both_stores, seconds, word};

/// The session as it was when a token was issued so much later, of which the store knows nothing.
fn issued_later(session: &Session, by: std::time::Duration) -> Session {
    Session { issued_at: session.issued_at + by, ..session.clone() }
}

async fn worth(bench: &Bench, session: &Session, tokens: &Tokens) -> &'static str {
    let (account, shown) = (&session.account, tokens.lineage(session));
    match bench.store.vouch(account, &session.id, &shown, GRACE, bench.now()).await.unwrap() {
        Vouched::Good(_) => "good",
        Vouched::Spent => "spent",
        Vouched::Unknown => "unknown",
    }
}

on_both_stores! {
    async fn a_lost_rotation_is_made_up_for_and_signs_nobody_out(bench: Bench) {
        let (session, tokens) = bench.open().await;
        // The store has never heard of it.
        let next = bench.after(&session, &tokens);
        assert!(bench.verify(&session, &next).await.is_none());
        assert_eq!(worth(&bench, &session, &next).await, "good");
        bench.later(minutes(1));
        let caught_up = match bench.rotate(&session, &next).await {
            Rotation::CaughtUp(session) => session,
            other => panic!("{other:?}"),
        };
        assert_eq!(caught_up.issued_at, bench.now());
        let after = bench.after(&session, &next);
        assert_eq!(word(&bench.rotate(&session, &next).await), "repeated", "a second tab");
        assert!(bench.verify(&session, &after).await.is_some());
        let (session, last) = bench.refresh(&session, &after).await;
        assert!(bench.verify(&session, &last).await.is_some());
    }

    async fn what_a_lost_rotation_replaced_is_spent_once_it_is_made_up_for(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let next = bench.after(&session, &tokens);
        assert_eq!(word(&bench.rotate(&session, &next).await), "caught_up");
        assert_eq!(worth(&bench, &session, &tokens).await, "spent");
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "reused");
        assert_eq!(word(&bench.rotate(&session, &next).await), "unknown");
    }

    async fn a_token_younger_than_all_the_store_knows_ends_the_session_without_an_alarm(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let lost = bench.after(&session, &bench.after(&session, &tokens));
        let later = issued_later(&session, seconds(31));
        assert_eq!(worth(&bench, &later, &lost).await, "unknown");
        assert_eq!(word(&bench.rotate(&later, &lost).await), "unknown");
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown", "it has ended");
    }

    async fn sr_36_a_token_that_only_a_fast_clock_made_younger_is_reused(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let other = bench.after(&session, &bench.after(&session, &tokens));
        let later = issued_later(&session, seconds(30));
        assert_eq!(worth(&bench, &later, &other).await, "spent");
        assert_eq!(word(&bench.rotate(&later, &other).await), "reused");
    }
}
