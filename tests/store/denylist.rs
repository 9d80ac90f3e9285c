//! Every promise of `Denylist`, on the embedded store and on Redis.

use std::sync::Arc;

use doorward::session::store::{Pair, SessionStore};
use doorward::store::embedded::{Embedded, Role};
use doorward::token::denylist::{DeniedToken, Denylist};

use super::bench::{ACCESS, Bench, Tokens, minutes, on_both_stores};

fn denial(bench: &Bench, pair: &Pair) -> DeniedToken {
    DeniedToken {
        digest: pair.access.clone(),
        denied_at: bench.now(),
        expires_at: bench.now() + ACCESS,
        reason: "found in a log".to_owned(),
    }
}

on_both_stores! {
    async fn a_denied_token_does_not_verify_though_its_session_lives(bench: Bench) {
        let (session, tokens) = bench.open().await;
        assert!(bench.verify(&session, &tokens).await.is_some());
        bench.store.deny(&denial(&bench, &tokens.pair()), bench.now()).await.unwrap();
        assert!(bench.verify(&session, &tokens).await.is_none());
        let (_, next) = bench.refresh(&session, &tokens).await;
        assert!(bench.verify(&session, &next).await.is_some());
    }

    async fn the_list_shows_what_has_not_run_out_and_the_first_reason_stays(bench: Bench) {
        let denied = denial(&bench, &Tokens::random().pair());
        bench.store.deny(&denied, bench.now()).await.unwrap();
        let again = DeniedToken { reason: "again".to_owned(), ..denied.clone() };
        bench.store.deny(&again, bench.now()).await.unwrap();
        assert_eq!(bench.store.denied(bench.now()).await.unwrap(), [denied]);
        bench.later(ACCESS);
        assert_eq!(bench.store.denied(bench.now()).await.unwrap(), []);
        // The next denial sweeps the old one up.
        let other = denial(&bench, &Tokens::random().pair());
        bench.store.deny(&other, bench.now()).await.unwrap();
        bench.later(minutes(1));
        assert_eq!(bench.store.denied(bench.now()).await.unwrap(), [other]);
    }
}

#[rocket::async_test]
async fn the_embedded_list_outlives_the_server_and_takes_what_a_command_adds() {
    let directory = crate::support::scratch_dir("denylist");
    let file = directory.path().join("doorward.db");
    let bench = Bench::embedded().await;
    let clock = || Arc::new(bench.clock.clone()) as Arc<dyn doorward::clock::Clock>;
    let server = Embedded::open(&file, Role::Server, clock()).await.unwrap();
    let guest = Embedded::open(&file, Role::Guest, clock()).await.unwrap();
    let denied = denial(&bench, &Tokens::random().pair());
    guest.deny(&denied, bench.now()).await.unwrap();
    assert_eq!(server.denied(bench.now()).await.unwrap(), std::slice::from_ref(&denied));
    assert_eq!(guest.denied(bench.now()).await.unwrap(), std::slice::from_ref(&denied));
    server.close().await;
    drop(server);
    let restarted = Embedded::open(&file, Role::Server, clock()).await.unwrap();
    assert_eq!(restarted.denied(bench.now()).await.unwrap(), [denied]);
}
