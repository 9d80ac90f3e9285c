//! That the owner of a session proved again who they are, as the session stores keep it (SR-52).

use doorward::id::{Os, SessionId};
use doorward::session::Session;

use super::bench::{Bench, IDLE, minutes, on_both_stores, word};

impl Bench {
    async fn reauthenticate(&self, session: &Session) -> Option<Session> {
        let noted = self.store.reauthenticate(&session.account, &session.id, self.now()).await;
        noted.expect("the store answers")
    }
}

on_both_stores! {
    async fn sr_52_a_proof_is_kept_over_rotations_and_leaves_the_tokens_as_they_are(bench: Bench) {
        let (session, tokens) = bench.open().await;
        assert_eq!(session.authenticated_at(), session.created_at);
        bench.later(minutes(5));
        let proved_at = bench.now();
        let noted = bench.reauthenticate(&session).await.expect("it lives");
        assert_eq!(noted.authenticated_at(), proved_at);
        let live = bench.verify(&session, &tokens).await.expect("its token is current still");
        assert_eq!(live.session.authenticated_at(), proved_at);
        assert_eq!(live.session.created_at, session.created_at);
        bench.later(minutes(3));
        let (rotated, next) = bench.refresh(&session, &tokens).await;
        assert_eq!(rotated.authenticated_at(), proved_at);
        let live = bench.verify(&session, &next).await.expect("live");
        assert_eq!(live.session.authenticated_at(), proved_at);
        assert_eq!(bench.list().await[0].authenticated_at(), proved_at);
    }

    async fn sr_52_a_session_that_has_ended_proves_nothing(mut bench: Bench) {
        let (ended, _) = bench.open().await;
        bench.store.end(&ended.account, &ended.id).await.expect("the store answers");
        assert!(bench.reauthenticate(&ended).await.is_none());
        assert!(bench.list().await.is_empty());
        let unknown = Session { id: SessionId::random(&Os), ..ended };
        assert!(bench.reauthenticate(&unknown).await.is_none());

        let (idle, _) = bench.open().await;
        bench.later(IDLE);
        assert!(bench.reauthenticate(&idle).await.is_none());

        let (old, tokens) = bench.open().await;
        bench.change(true);
        bench.store.publish(&bench.account, bench.now()).await.expect("published");
        assert!(bench.reauthenticate(&old).await.is_none());
        assert_eq!(word(&bench.rotate(&old, &tokens).await), "unknown");
    }
}

#[test]
fn sr_52_a_session_of_an_earlier_release_counts_from_its_beginning() {
    let written = r#"{"id":"AAAAAAAAAAAAAAAAAAAAAA","account":"AAAAAAAAAAAAAAAAAAAAAA",
        "created_at":1800000000000,"last_seen_at":1800000000001,"issued_at":1800000000002,
        "access_expires_at":1800000000003,"refresh_expires_at":1800000000004,
        "absolute_expires_at":1800000000005,"idle_lifetime":{"secs":60,"nanos":0},"epoch":1,
        "remember":false,"user_agent":"","ip":"127.0.0.1"}"#;
    let session: Session = serde_json::from_str(written).expect("it is read");
    assert_eq!(session.authenticated_at(), session.created_at);
    let again = serde_json::to_string(&session).expect("it is written");
    assert!(!again.contains("reauthenticated_at"), "an earlier release reads what it knows");
}
