//! Every promise of `SessionStore` and `Standings`, on the embedded store and on Redis.

use doorward::account::Status;
use doorward::id::{Os, SessionId};
use doorward::session::Session;
use doorward::session::store::{Opened, Opening, Rotation};
use futures::future::join_all;

use super::bench::{
    ABSOLUTE, ACCESS, Bench, IDLE, Tokens, hours, minutes, on_both_stores, seconds, word,
};

on_both_stores! {
    async fn sr_38_a_refresh_that_was_overtaken_by_a_change_of_the_password_changes_nothing(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        let overtaken = bench.clone();
        bench.change(true);
        bench.store.revoke(&bench.account, Some(&session.id), bench.now()).await.expect("revoked");
        assert_eq!(word(&overtaken.rotate(&session, &tokens).await), "unknown");

        let (renewed, reissued) = (bench.session(), Tokens::random());
        let renewed = Session { id: session.id.clone(), ..renewed };
        let opened = bench.open_as(&renewed, &reissued, Opening::Renewal).await;
        assert_eq!(opened, Opened::Done);
        assert_eq!(word(&overtaken.rotate(&session, &tokens).await), "unknown");
        assert!(bench.verify(&session, &reissued).await.is_some());
    }

    async fn an_open_session_verifies_and_reads_back_as_it_was(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let live = bench.verify(&session, &tokens).await.expect("live");
        assert_eq!(*live.session, session);
        assert_eq!(*live.account, bench.account);
    }

    async fn only_the_current_access_token_of_the_very_session_verifies(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (other, others) = bench.open().await;
        assert!(bench.verify(&session, &others).await.is_none());
        assert!(bench.verify(&other, &tokens).await.is_none());
        assert!(bench.verify(&session, &Tokens::random()).await.is_none());
        let elsewhere = Session { account: super::bench::account(bench.now()).id, ..session.clone() };
        assert!(bench.verify(&elsewhere, &tokens).await.is_none());
        let (_, next) = bench.refresh(&session, &tokens).await;
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert!(bench.verify(&session, &next).await.is_some());
    }

    async fn an_access_token_ends_on_the_millisecond(bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.later(ACCESS - std::time::Duration::from_millis(1));
        assert!(bench.verify(&session, &tokens).await.is_some());
        bench.later(std::time::Duration::from_millis(1));
        assert!(bench.verify(&session, &tokens).await.is_none());
    }

    async fn a_session_is_seen_at_most_once_a_minute(bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.later(seconds(59));
        assert_eq!(bench.verify(&session, &tokens).await.unwrap().session.last_seen_at, session.created_at);
        bench.later(seconds(1));
        let seen = bench.now();
        assert_eq!(bench.verify(&session, &tokens).await.unwrap().session.last_seen_at, seen);
        bench.later(seconds(30));
        assert_eq!(bench.verify(&session, &tokens).await.unwrap().session.last_seen_at, seen);
        assert_eq!(bench.list().await[0].last_seen_at, seen);
    }

    async fn a_published_account_is_shown_at_once_and_never_an_older_one(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        let old = bench.account.clone();
        bench.change(false);
        bench.account.status = Status::Disabled;
        bench.account.display_name = "Ada L.".to_owned();
        bench.store.publish(&bench.account, bench.now()).await.unwrap();
        assert_eq!(*bench.verify(&session, &tokens).await.unwrap().account, bench.account);
        bench.store.publish(&old, bench.now()).await.unwrap();
        assert_eq!(*bench.verify(&session, &tokens).await.unwrap().account, bench.account);
    }

    async fn sr_38_a_raised_epoch_ends_what_was_opened_before(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.change(true);
        bench.store.publish(&bench.account, bench.now()).await.unwrap();
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert!(bench.list().await.is_empty());
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
        let (session, tokens) = bench.open().await;
        assert!(bench.verify(&session, &tokens).await.is_some());
    }

    async fn sr_38_a_refresh_ends_a_session_of_a_lower_epoch_that_the_store_still_has(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.change(true);
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert!(!bench.store.end(&session.account, &session.id).await.unwrap());
    }

    async fn sr_37_revocation_ends_all_sessions_but_the_one_to_keep(mut bench: Bench) {
        let mut sessions = Vec::new();
        for _ in 0..4 {
            sessions.push(bench.open().await);
        }
        let (kept, kept_tokens) = sessions.pop().unwrap();
        bench.change(true);
        let ended = bench.store.revoke(&bench.account, Some(&kept.id), bench.now()).await.unwrap();
        assert_eq!(ended, 3);
        for (session, tokens) in &sessions {
            assert!(bench.verify(session, tokens).await.is_none());
            assert_eq!(word(&bench.rotate(session, tokens).await), "unknown");
        }
        let live = bench.verify(&kept, &kept_tokens).await.expect("kept");
        assert_eq!(*live.account, bench.account);
        assert_eq!(live.session.epoch, bench.account.session_epoch);
        bench.refresh(&kept, &kept_tokens).await;
        assert_eq!(bench.list().await.len(), 1);
    }

    async fn revocation_of_all_leaves_nothing_and_counts_what_lived(mut bench: Bench) {
        let (gone, _) = bench.open().await;
        bench.later(IDLE);
        let (session, tokens) = bench.open().await;
        bench.change(true);
        assert_eq!(bench.store.revoke(&bench.account, None, bench.now()).await.unwrap(), 1);
        assert_eq!(bench.store.revoke(&bench.account, None, bench.now()).await.unwrap(), 0);
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert!(!bench.store.end(&gone.account, &gone.id).await.unwrap());
        // A session to keep that is none of ours is not made by being named.
        let stranger = SessionId::random(&Os);
        assert_eq!(bench.store.revoke(&bench.account, Some(&stranger), bench.now()).await.unwrap(), 0);
        assert!(bench.list().await.is_empty());
    }

    async fn a_sign_in_that_read_the_account_before_a_change_is_told_so(mut bench: Bench) {
        let before = bench.clone();
        bench.change(true);
        bench.store.revoke(&bench.account, None, bench.now()).await.unwrap();
        bench.later(minutes(59));
        let (session, tokens) = (before.session(), Tokens::random());
        assert_eq!(before.open_as(&session, &tokens, Opening::New).await, Opened::AccountChanged);
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert!(bench.list().await.is_empty());
        let session = bench.session();
        assert_eq!(bench.open_as(&session, &tokens, Opening::New).await, Opened::Done);
    }

    async fn a_renewal_replaces_the_tokens_of_a_session(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.change(true);
        bench.later(minutes(1));
        let renewed = Session {
            issued_at: bench.now(),
            last_seen_at: bench.now(),
            epoch: bench.account.session_epoch,
            ..session.clone()
        };
        let next = Tokens::random();
        assert_eq!(bench.open_as(&renewed, &next, Opening::Renewal).await, Opened::Done);
        assert_eq!(*bench.verify(&session, &next).await.unwrap().session, renewed);
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert_eq!(bench.list().await, [renewed]);
    }

    async fn a_session_that_ended_is_not_renewed(bench: Bench) {
        let (session, _) = bench.open().await;
        let next = Tokens::random();
        assert!(bench.store.end(&session.account, &session.id).await.unwrap());
        assert_eq!(bench.open_as(&session, &next, Opening::Renewal).await, Opened::Gone);
        assert!(bench.verify(&session, &next).await.is_none());
        let (session, _) = bench.open().await;
        bench.later(IDLE);
        assert_eq!(bench.open_as(&session, &next, Opening::Renewal).await, Opened::Gone);
    }

    async fn a_session_ends_once(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (other, others) = bench.open().await;
        assert!(bench.store.end(&session.account, &session.id).await.unwrap());
        assert!(!bench.store.end(&session.account, &session.id).await.unwrap());
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
        assert!(bench.verify(&other, &others).await.is_some());
        assert_eq!(bench.list().await, [other]);
    }

    async fn the_list_holds_what_is_alive_and_nothing_of_others(bench: Bench) {
        let (first, _) = bench.open().await;
        let mut stranger = bench.clone();
        stranger.account = super::bench::account(bench.now());
        stranger.open().await;
        bench.later(hours(23));
        let (second, _) = bench.open().await;
        let mut both = [first, second.clone()];
        both.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(bench.list().await, both);
        bench.later(hours(1));
        assert_eq!(bench.list().await, [second]);
    }

    async fn nothing_is_known_of_an_account_that_never_was(bench: Bench) {
        let (session, tokens) = (bench.session(), Tokens::random());
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
        assert!(!bench.store.end(&session.account, &session.id).await.unwrap());
        assert!(bench.list().await.is_empty());
        assert_eq!(bench.store.revoke(&bench.account, None, bench.now()).await.unwrap(), 0);
        bench.store.publish(&bench.account, bench.now()).await.unwrap();
        bench.store.ping().await.unwrap();
    }

    async fn a_rotation_moves_the_idle_end_and_never_the_absolute_one(bench: Bench) {
        let (mut session, mut tokens) = bench.open().await;
        let (created_at, end) = (session.created_at, session.absolute_expires_at);
        for _ in 0..7 {
            bench.later(hours(23));
            (session, tokens) = bench.refresh(&session, &tokens).await;
            assert_eq!(session.issued_at, bench.now());
            assert_eq!(session.last_seen_at, bench.now());
            assert_eq!(session.access_expires_at, bench.now() + ACCESS);
            assert_eq!(session.refresh_expires_at, (bench.now() + IDLE).min(end));
            assert_eq!((session.absolute_expires_at, session.created_at), (end, created_at));
            assert_eq!(*bench.verify(&session, &tokens).await.unwrap().session, session);
        }
        bench.later(hours(7 * 24 - 7 * 23) - minutes(5));
        (session, tokens) = bench.refresh(&session, &tokens).await;
        assert_eq!((session.access_expires_at, session.refresh_expires_at), (end, end));
        bench.later(minutes(5));
        assert!(bench.now() == created_at + ABSOLUTE);
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
    }

    async fn a_session_that_nobody_refreshed_in_time_is_over(bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.later(IDLE);
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
        assert!(bench.list().await.is_empty());
    }

    async fn a_rotation_shows_the_account_that_it_brings(mut bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.change(false);
        let (session, tokens) = bench.refresh(&session, &tokens).await;
        assert_eq!(*bench.verify(&session, &tokens).await.unwrap().account, bench.account);
        let newer = bench.account.clone();
        bench.account.version -= 1;
        let (session, tokens) = bench.refresh(&session, &tokens).await;
        assert_eq!(*bench.verify(&session, &tokens).await.unwrap().account, newer);
    }

    async fn sr_36_fifty_parallel_refreshes_have_one_successor(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let rotations = join_all((0..50).map(|_| {
            let (bench, session, tokens) = (bench.clone(), session.clone(), tokens.clone());
            rocket::tokio::spawn(async move { bench.rotate(&session, &tokens).await })
        }))
        .await;
        let words: Vec<_> = rotations.iter().map(|rotation| word(rotation.as_ref().unwrap())).collect();
        assert_eq!(words.iter().filter(|word| **word == "rotated").count(), 1);
        assert_eq!(words.iter().filter(|word| **word == "repeated").count(), 49);
        let next = bench.after(&session, &tokens);
        assert!(bench.verify(&session, &next).await.is_some());
        bench.refresh(&session, &next).await;
    }

    async fn sr_36_the_predecessor_is_answered_within_the_grace_though_its_successor_was_used(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (session, next) = bench.refresh(&session, &tokens).await;
        assert!(bench.verify(&session, &next).await.is_some());
        bench.later(seconds(10));
        match bench.rotate(&session, &tokens).await {
            Rotation::Repeated(repeated) => assert_eq!(repeated, session),
            other => panic!("{other:?}"),
        }
        assert!(bench.verify(&session, &next).await.is_some());
    }

    async fn sr_36_a_lost_answer_is_given_again_a_minute_later(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (session, next) = bench.refresh(&session, &tokens).await;
        bench.later(minutes(1));
        match bench.rotate(&session, &tokens).await {
            Rotation::Repeated(repeated) => assert_eq!(repeated, session),
            other => panic!("{other:?}"),
        }
        assert!(bench.verify(&session, &next).await.is_some());
    }

    async fn sr_36_a_lost_answer_is_given_again_when_its_access_token_has_run_out(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (session, next) = bench.refresh(&session, &tokens).await;
        bench.later(minutes(11));
        assert!(bench.verify(&session, &next).await.is_none());
        let repeated = match bench.rotate(&session, &tokens).await {
            Rotation::Repeated(repeated) => repeated,
            other => panic!("{other:?}"),
        };
        let expected = Session {
            issued_at: bench.now(),
            access_expires_at: bench.now() + ACCESS,
            ..session.clone()
        };
        assert_eq!(repeated, expected);
        assert_eq!(bench.verify(&session, &next).await.unwrap().session.id, session.id);
        // The new life of the access token gives its predecessor no new grace.
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "reused");
    }

    async fn sr_36_a_new_life_does_not_outlast_the_session(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (session, next) = bench.refresh(&session, &tokens).await;
        bench.later(IDLE - minutes(1));
        match bench.rotate(&session, &tokens).await {
            Rotation::Repeated(repeated) => {
                assert_eq!(repeated.access_expires_at, session.refresh_expires_at);
                assert_eq!(repeated.refresh_expires_at, session.refresh_expires_at);
            }
            other => panic!("{other:?}"),
        }
        bench.later(minutes(1));
        assert!(bench.verify(&session, &next).await.is_none());
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
    }

    async fn sr_36_the_predecessor_ends_the_family_once_its_successor_was_used(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (session, next) = bench.refresh(&session, &tokens).await;
        assert!(bench.verify(&session, &next).await.is_some());
        bench.later(seconds(12));
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "reused");
        assert!(bench.verify(&session, &next).await.is_none());
        assert_eq!(word(&bench.rotate(&session, &next).await), "unknown");
        assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
        assert!(bench.list().await.is_empty());
    }

    async fn sr_36_the_token_before_the_predecessor_ends_the_family_at_once(bench: Bench) {
        let (session, first) = bench.open().await;
        let (session, second) = bench.refresh(&session, &first).await;
        let (session, third) = bench.refresh(&session, &second).await;
        assert_eq!(word(&bench.rotate(&session, &first).await), "reused");
        assert!(bench.verify(&session, &third).await.is_none());
        assert_eq!(word(&bench.rotate(&session, &third).await), "unknown");
    }

    async fn sr_36_a_token_that_never_was_of_the_session_ends_it(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let (other, others) = bench.open().await;
        assert_eq!(word(&bench.rotate(&session, &others).await), "reused");
        assert!(bench.verify(&session, &tokens).await.is_none());
        assert!(bench.verify(&other, &others).await.is_some());
    }

    async fn sr_36_a_predecessor_with_another_successor_ends_the_family(bench: Bench) {
        let (session, tokens) = bench.open().await;
        bench.refresh(&session, &tokens).await;
        let secret = doorward::token::key::MasterSecret::generate(&Os);
        let succession = doorward::token::refresh::Succession::new(&secret).into();
        let elsewhere = Bench { succession, ..bench.clone() };
        assert_eq!(word(&elsewhere.rotate(&session, &tokens).await), "reused");
    }

    async fn sr_75_a_clock_that_steps_back_changes_nothing(bench: Bench) {
        let (session, tokens) = bench.open().await;
        let early = Bench { clock: super::bench::start(), ..bench.clone() };
        bench.later(seconds(30));
        let (session, next) = bench.refresh(&session, &tokens).await;
        assert!(early.verify(&session, &next).await.is_some());
        assert_eq!(word(&early.rotate(&session, &tokens).await), "repeated");
        early.refresh(&session, &next).await;
    }

    async fn sessions_that_ended_long_ago_make_room(bench: Bench) {
        for _ in 0..20 {
            bench.open().await;
            bench.later(hours(26));
        }
        assert!(bench.list().await.is_empty());
        let (session, tokens) = bench.open().await;
        assert!(bench.verify(&session, &tokens).await.is_some());
        assert_eq!(bench.list().await, [session]);
    }
}
