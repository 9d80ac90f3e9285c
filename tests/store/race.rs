//! Any story of one account, told to a store and to a model of it: they agree on every word.

use std::time::Duration;

use doorward::clock::{Clock, Timestamp};
use doorward::session::Session;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rocket::tokio;

use doorward::session::store::{Opened, Opening, Rotation};

use super::bench::{ACCESS, Bench, GRACE, IDLE, Tokens, on_both_stores, word};

/// What can happen. Numbers choose among the tokens ever issued, or the sessions ever opened.
#[derive(Clone, Debug)]
enum Step {
    LogIn,
    Refresh(prop::sample::Index),
    Verify(prop::sample::Index),
    End(prop::sample::Index),
    RevokeAll,
    Later(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::LogIn),
        6 => any::<prop::sample::Index>().prop_map(Step::Refresh),
        4 => any::<prop::sample::Index>().prop_map(Step::Verify),
        1 => any::<prop::sample::Index>().prop_map(Step::End),
        1 => Just(Step::RevokeAll),
        3 => prop_oneof![
            Just(Duration::from_secs(1)),
            Just(GRACE),
            Just(Duration::from_secs(61)),
            Just(ACCESS),
            Just(IDLE / 2),
            Just(3 * IDLE),
        ]
        .prop_map(Step::Later),
    ]
}

/// A session as the model knows it: its tokens by their places in the list of all.
struct Known {
    session: Session,
    alive: bool,
    current: usize,
    previous: Option<usize>,
    used: bool,
    rotated_at: Timestamp,
    access_expires_at: Timestamp,
    refresh_expires_at: Timestamp,
}

/// What was ever issued, and by the model's lights is alive.
#[derive(Default)]
struct Model {
    sessions: Vec<Known>,
    tokens: Vec<(usize, Tokens)>,
}

impl Model {
    fn open(&mut self, session: Session, tokens: Tokens) {
        self.tokens.push((self.sessions.len(), tokens));
        self.sessions.push(Known {
            alive: true,
            current: self.tokens.len() - 1,
            previous: None,
            used: false,
            rotated_at: session.issued_at,
            access_expires_at: session.access_expires_at,
            refresh_expires_at: session.refresh_expires_at,
            session,
        });
    }

    fn verify(&mut self, token: usize, now: Timestamp) -> bool {
        let known = &mut self.sessions[self.tokens[token].0];
        let passes = known.alive && known.current == token && now < known.access_expires_at;
        known.used |= passes;
        passes
    }

    /// The word for the rotation; a successor, if there is one, takes the place `next`.
    fn refresh(&mut self, token: usize, now: Timestamp) -> &'static str {
        let next = self.tokens.len();
        let known = &mut self.sessions[self.tokens[token].0];
        if !known.alive || now >= known.refresh_expires_at {
            known.alive = false;
            return "unknown";
        }
        if known.current == token {
            known.refresh_expires_at = (now + IDLE).min(known.session.absolute_expires_at);
            known.access_expires_at = (now + ACCESS).min(known.refresh_expires_at);
            known.previous = Some(token);
            (known.current, known.used, known.rotated_at) = (next, false, now);
            return "rotated";
        }
        let in_grace = now.since(known.rotated_at) <= GRACE;
        if known.previous == Some(token) && (in_grace || !known.used) {
            if known.access_expires_at <= now {
                known.access_expires_at = (now + ACCESS).min(known.refresh_expires_at);
            }
            return "repeated";
        }
        known.alive = false;
        "reused"
    }

    fn living(&self, now: Timestamp) -> usize {
        self.sessions.iter().filter(|known| known.alive && now < known.refresh_expires_at).count()
    }
}

async fn tell(mut bench: Bench, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for step in steps {
        let now = bench.now();
        match step {
            Step::Later(by) => bench.later(by),
            Step::LogIn => {
                let (session, tokens) = bench.open().await;
                model.open(session, tokens);
            }
            Step::RevokeAll => {
                bench.change(true);
                let ended = bench.store.revoke(&bench.account, None, now).await.unwrap();
                prop_assert_eq!(ended as usize, model.living(now));
                model.sessions.iter_mut().for_each(|known| known.alive = false);
            }
            _ if model.tokens.is_empty() => {}
            Step::Verify(index) => {
                let token = index.index(model.tokens.len());
                let (owner, tokens) = model.tokens[token].clone();
                let live = bench.verify(&model.sessions[owner].session, &tokens).await;
                prop_assert_eq!(live.is_some(), model.verify(token, now));
            }
            Step::Refresh(index) => {
                let token = index.index(model.tokens.len());
                let (owner, tokens) = model.tokens[token].clone();
                let session = model.sessions[owner].session.clone();
                let rotation = bench.rotate(&session, &tokens).await;
                prop_assert_eq!(word(&rotation), model.refresh(token, now));
                if word(&rotation) == "rotated" {
                    model.tokens.push((owner, bench.after(&session, &tokens)));
                }
            }
            Step::End(index) => {
                let chosen = index.index(model.sessions.len());
                let known = &mut model.sessions[chosen];
                let id = &known.session.id;
                let ended = bench.store.end(&bench.account.id, id).await.unwrap();
                // One that ran out may be there still, or swept up.
                if now < known.refresh_expires_at {
                    prop_assert_eq!(ended, known.alive);
                }
                known.alive = false;
            }
        }
        prop_assert_eq!(bench.list().await.len(), model.living(bench.now()));
        at_most_one_pair_lives(&bench, &mut model).await?;
    }
    Ok(())
}

/// Nothing verifies that the model holds dead, and no session has two living pairs.
async fn at_most_one_pair_lives(bench: &Bench, model: &mut Model) -> Result<(), TestCaseError> {
    let now = bench.now();
    // A verified pair counts as used, so only those are tried that must not pass.
    for (owner, (token, tokens)) in
        model.tokens.iter().enumerate().map(|(at, (owner, tokens))| (*owner, (at, tokens)))
    {
        let known = &model.sessions[owner];
        let may_pass = known.alive && known.current == token && now < known.access_expires_at;
        if !may_pass {
            prop_assert!(bench.verify(&known.session, tokens).await.is_none());
        }
    }
    Ok(())
}

fn any_story(make: impl Future<Output = Bench>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let bench = runtime.block_on(make);
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(64) });
    let told = runner.run(&prop::collection::vec(step(), 1..40), |steps| {
        // Every story has an account of its own.
        let account = super::bench::account(bench.clock.now());
        runtime.block_on(tell(Bench { account, ..bench.clone() }, steps))
    });
    told.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn any_story_ends_alike_on_the_embedded_store() {
    any_story(Bench::embedded());
}

#[test]
fn any_story_ends_alike_on_redis() {
    any_story(async { Bench::redis() });
}

#[test]
fn any_story_ends_alike_on_redis_with_a_near_cache() {
    any_story(async { Bench::redis_with_near_cache() });
}

on_both_stores! {
    async fn sr_37_whatever_races_with_a_revocation_is_dead_after_it(bench: Bench) {
        let people = (0..16).map(|_| {
            let bench = bench.clone();
            tokio::spawn(async move { refresh_and_sign_in_until_revoked(&bench).await })
        });
        let people: Vec<_> = people.collect();
        let mut admin = bench.clone();
        for _ in 0..5 {
            tokio::task::yield_now().await;
            bench.list().await;
        }
        admin.change(true);
        admin.store.revoke(&admin.account, None, admin.now()).await.unwrap();
        assert!(bench.list().await.is_empty());
        for person in people {
            for (session, tokens) in person.await.unwrap() {
                assert!(bench.verify(&session, &tokens).await.is_none());
                assert_eq!(word(&bench.rotate(&session, &tokens).await), "unknown");
            }
        }
    }

    async fn of_any_number_who_end_a_session_one_did(bench: Bench) {
        let (session, _) = bench.open().await;
        let ends = (0..20).map(|_| bench.store.end(&session.account, &session.id));
        let ended = futures::future::join_all(ends).await;
        assert_eq!(ended.into_iter().filter(|ended| *ended.as_ref().unwrap()).count(), 1);
    }

    async fn an_end_beats_every_refresh_that_it_races_with(bench: Bench) {
        for _ in 0..20 {
            let (session, tokens) = bench.open().await;
            let next = bench.after(&session, &tokens);
            let (first, ended, second) = tokio::join!(
                bench.rotate(&session, &tokens),
                bench.store.end(&session.account, &session.id),
                bench.rotate(&session, &tokens),
            );
            assert!(ended.unwrap());
            assert!(["rotated", "unknown"].contains(&word(&first)));
            assert_ne!(word(&second), "reused");
            assert!(bench.verify(&session, &next).await.is_none());
        }
    }
}

/// Refreshes one session and opens others with an account as it was, until that is refused; gives
/// all that was issued.
async fn refresh_and_sign_in_until_revoked(bench: &Bench) -> Vec<(Session, Tokens)> {
    let mut issued = Vec::new();
    let (session, mut tokens) = (bench.session(), Tokens::random());
    if bench.open_as(&session, &tokens, Opening::New).await == Opened::AccountChanged {
        return issued;
    }
    issued.push((session.clone(), tokens.clone()));
    loop {
        match bench.rotate(&session, &tokens).await {
            Rotation::Rotated(_) => tokens = bench.after(&session, &tokens),
            Rotation::Unknown => return issued,
            other => panic!("{other:?}"),
        }
        issued.push((session.clone(), tokens.clone()));
        let (other, others) = (bench.session(), Tokens::random());
        match bench.open_as(&other, &others, Opening::New).await {
            Opened::Done => issued.push((other, others)),
            Opened::AccountChanged => {}
            Opened::Gone => panic!("a new session cannot be gone"),
        }
    }
}
