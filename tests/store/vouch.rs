//! What a refresh token is worth that is shown and kept, on the embedded store and on Redis.

use doorward::session::Session;
use doorward::session::store::Vouched;

use super::bench::{ACCESS, Bench, GRACE, IDLE, Tokens, minutes, on_both_stores, seconds, word};

async fn vouch(bench: &Bench, session: &Session, tokens: &Tokens) -> Vouched {
    let refresh = tokens.lineage(session);
    let vouched =
        bench.store.vouch(&session.account, &session.id, &refresh, GRACE, bench.now()).await;
    vouched.expect("the store answers")
}

async fn worth(bench: &Bench, session: &Session, tokens: &Tokens) -> &'static str {
    match vouch(bench, session, tokens).await {
        Vouched::Good(_) => "good",
        Vouched::Spent => "spent",
        Vouched::Unknown => "unknown",
    }
}

async fn is_current(bench: &Bench, session: &Session, tokens: &Tokens) -> bool {
    let digest = tokens.lineage(session).digest;
    let current = bench.store.is_current(&session.account, &session.id, &digest, bench.now()).await;
    current.expect("the store answers")
}

on_both_stores! {
    async fn a_current_refresh_token_vouches_for_its_session_and_stays_current(bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.later(ACCESS + minutes(1));
        let Vouched::Good(live) = vouch(&bench, &session, &tokens).await else { panic!("good") };
        let seen = Session { last_seen_at: bench.now(), ..session.clone() };
        assert_eq!((&*live.session, &*live.account), (&seen, &bench.account));
        assert_eq!(worth(&bench, &session, &tokens).await, "good");
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "rotated");
    }

    async fn vouching_makes_the_session_live_no_longer(bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.later(IDLE - seconds(1));
        assert_eq!(worth(&bench, &session, &tokens).await, "good");
        bench.later(seconds(1));
        assert_eq!(worth(&bench, &session, &tokens).await, "unknown");
    }

    async fn a_predecessor_vouches_as_long_as_a_refresh_would_be_answered(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (session, next) = bench.refresh(&session, &tokens).await;
        bench.later(GRACE + minutes(1));
        assert_eq!(worth(&bench, &session, &tokens).await, "good", "the successor may be lost");
        // Vouching with the successor is a use of it.
        assert_eq!(worth(&bench, &session, &next).await, "good");
        assert_eq!(worth(&bench, &session, &tokens).await, "spent");
        // The session is as it was.
        assert_eq!(worth(&bench, &session, &next).await, "good");
    }

    async fn a_predecessor_vouches_within_the_grace_after_its_successor_was_used(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (session, next) = bench.refresh(&session, &tokens).await;
        assert!(bench.verify(&session, &next).await.is_some());
        bench.later(GRACE);
        assert_eq!(worth(&bench, &session, &tokens).await, "good");
        bench.later(std::time::Duration::from_millis(1));
        assert_eq!(worth(&bench, &session, &tokens).await, "spent");
        let (session, after) = bench.refresh(&session, &next).await;
        assert_eq!(worth(&bench, &session, &tokens).await, "spent", "no longer the one before");
        assert_eq!(worth(&bench, &session, &Tokens::random()).await, "spent");
        assert_eq!(worth(&bench, &session, &after).await, "good");
    }

    async fn sr_37_an_ended_session_vouches_for_nobody(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (other, others) = bench.open().await;
        bench.store.end(&session.account, &session.id).await.expect("ended");
        assert_eq!(worth(&bench, &session, &tokens).await, "unknown");
        assert_eq!(worth(&bench, &other, &others).await, "good");
        bench.change(true);
        bench.store.publish(&bench.account, bench.now()).await.expect("published");
        assert_eq!(worth(&bench, &other, &others).await, "unknown", "SR-38");
    }

    async fn one_refresh_token_is_current_and_asking_uses_nothing(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        assert!(is_current(&bench, &session, &tokens).await);
        let (session, next) = bench.refresh(&session, &tokens).await;
        assert!(is_current(&bench, &session, &next).await);
        assert!(!is_current(&bench, &session, &tokens).await, "though it would be answered");
        // The successor is as unused as before: its predecessor is answered beyond the grace.
        bench.later(GRACE + minutes(1));
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "repeated");
        bench.change(true);
        bench.store.publish(&bench.account, bench.now()).await.expect("published");
        assert!(!is_current(&bench, &session, &next).await, "SR-38");
        let (session, tokens) = bench.open().await;
        bench.later(IDLE);
        assert!(!is_current(&bench, &session, &tokens).await, "it ran out");
    }
}
