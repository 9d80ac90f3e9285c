//! Whatever happens to a session in whatever order: it has one living successor at most, and what is
//! dead stays dead (SR-34, SR-36, SR-37).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use doorward::error::Error;
use doorward::id::{SecretString, SessionId, from_base64url};
use doorward::limit::Gauge;
use doorward::session::{Client, Issued, Presented};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::app::*;

#[derive(Clone, Debug)]
enum Step {
    LogIn,
    /// Presents a refresh token that was once issued.
    Refresh(prop::sample::Index),
    /// Shows an access token that was once issued.
    Use(prop::sample::Index),
    /// Signs out with the tokens of some issue.
    LogOut(prop::sample::Index),
    /// Ends a session by its name.
    Revoke(prop::sample::Index),
    /// Ends all.
    RevokeAll,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any_token = any::<prop::sample::Index>;
    let step = prop_oneof![
        3 => Just(Step::LogIn),
        8 => any_token().prop_map(Step::Refresh),
        5 => any_token().prop_map(Step::Use),
        1 => any_token().prop_map(Step::LogOut),
        1 => any_token().prop_map(Step::Revoke),
        1 => Just(Step::RevokeAll),
        4 => prop_oneof![1..9u64, 11..40u64, 560..700u64, Just(90_000)].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..30)
}

/// A pair of tokens as it was issued.
struct Pair {
    session: SessionId,
    access: SecretString,
    refresh: SecretString,
}

impl From<Issued> for Pair {
    fn from(issued: Issued) -> Self {
        Self {
            session: issued.session.id.clone(),
            access: SecretString::new(issued.access.expose()),
            refresh: SecretString::new(issued.refresh.expose()),
        }
    }
}

/// What a test knows of one account's sessions.
struct Life<'a> {
    app: &'a TestApp,
    email: String,
    issued: Vec<Pair>,
    /// The names of each session's refresh tokens, each followed by its successor.
    chains: BTreeMap<SessionId, Vec<String>>,
    ended: Vec<SessionId>,
}

/// The `jti` of a token: it may be signed anew, and is the same token still.
fn jti(token: &SecretString) -> String {
    let payload = token.expose().split('.').nth(1).and_then(from_base64url).expect("a payload");
    let claims: serde_json::Value = serde_json::from_slice(&payload).expect("claims");
    claims["jti"].as_str().expect("a jti").to_owned()
}

fn client() -> Client {
    let (user_agent, gauge) = (String::new(), Gauge::default());
    Client { ip: IpAddr::V4(Ipv4Addr::LOCALHOST).into(), user_agent, gauge }
}

impl Life<'_> {
    fn pick(&self, index: &prop::sample::Index) -> Option<&Pair> {
        (!self.issued.is_empty()).then(|| index.get(&self.issued))
    }

    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let sessions = self.app.sessions();
        match step {
            Step::LogIn => {
                let client = client();
                let password = SecretString::new(PASSWORD);
                let nothing = Presented::default();
                let issued = sessions.log_in(&self.email, password, false, client, &nothing).await;
                let pair: Pair = issued.expect("the password is right").into();
                self.chains.insert(pair.session.clone(), vec![jti(&pair.refresh)]);
                self.issued.push(pair);
            }
            Step::Refresh(index) => {
                let Some(pair) = self.pick(index) else { return Ok(()) };
                let (session, presented) = (pair.session.clone(), jti(&pair.refresh));
                match sessions.refresh(&pair.refresh, &client()).await {
                    Ok(next) => {
                        let next: Pair = next.into();
                        prop_assert!(!self.ended.contains(&session), "an ended session refreshed");
                        prop_assert_eq!(&next.session, &session);
                        let chain = self.chains.get_mut(&session).expect("a chain");
                        match chain.iter().rev().position(|name| *name == presented) {
                            Some(0) => chain.push(jti(&next.refresh)),
                            // The predecessor: the same successor again, never another.
                            Some(1) => prop_assert_eq!(chain.last(), Some(&jti(&next.refresh))),
                            _ => prop_assert!(false, "a token of the past was refreshed"),
                        }
                        self.issued.push(next);
                    }
                    Err(Error::TokenReused | Error::SessionEnded) => self.note_end(session).await?,
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            Step::Use(index) => {
                let Some(pair) = self.pick(index) else { return Ok(()) };
                let alive = sessions.verify(&pair.access).await.is_ok();
                let ended = self.ended.contains(&pair.session);
                prop_assert!(!(alive && ended), "a token of an ended session passed");
            }
            Step::LogOut(index) => {
                let Some(pair) = self.pick(index) else { return Ok(()) };
                let access = Some(pair.access.clone());
                let refresh = Some(pair.refresh.clone());
                let session = pair.session.clone();
                let presented = Presented { access, refresh, device: None };
                sessions.log_out(&presented).await.expect("the store answers");
                self.ended.push(session);
            }
            Step::Revoke(index) => {
                let Some(pair) = self.pick(index) else { return Ok(()) };
                let session = pair.session.clone();
                let account = self.app.accounts().find(&self.email).await.expect("it is there");
                let ended = sessions.end(&account.id, &session).await;
                prop_assert!(matches!(ended, Ok(()) | Err(Error::NotFound)));
                self.ended.push(session);
            }
            Step::RevokeAll => {
                let account = self.app.accounts().find(&self.email).await.expect("it is there");
                self.app.accounts().end_own_sessions(&account.id).await.expect("the store answers");
                self.ended.extend(self.issued.iter().map(|pair| pair.session.clone()));
            }
            Step::Wait(secs) => self.app.later(seconds(*secs)),
        }
        self.holds().await
    }

    /// A refusal of reuse, or of a session that is over, means it for every token of that session;
    /// only a token that itself ran out says nothing about the others.
    async fn note_end(&mut self, session: SessionId) -> Result<(), TestCaseError> {
        let account = self.app.accounts().find(&self.email).await.expect("it is there");
        let live = self.app.sessions().list(&account.id).await.expect("the store answers");
        if live.iter().all(|other| other.id != session) {
            self.ended.push(session);
        }
        Ok(())
    }

    /// Of each session one access token passes at most, and none of one that has ended.
    async fn holds(&self) -> Result<(), TestCaseError> {
        let account = self.app.accounts().find(&self.email).await.expect("it is there");
        let live = self.app.sessions().list(&account.id).await.expect("the store answers");
        for session in &live {
            prop_assert!(!self.ended.contains(&session.id), "an ended session is listed");
        }
        Ok(())
    }

    /// At the end of everything: one living access token a session, and only of living sessions.
    async fn settle(&self) -> Result<(), TestCaseError> {
        let mut living: Vec<(&SessionId, &str)> = Vec::new();
        for pair in &self.issued {
            if self.app.sessions().verify(&pair.access).await.is_ok() {
                prop_assert!(!self.ended.contains(&pair.session));
                let token = (&pair.session, pair.access.expose());
                if !living.contains(&token) {
                    living.push(token);
                }
            }
        }
        let mut names: BTreeMap<&SessionId, BTreeSet<String>> = BTreeMap::new();
        for (session, token) in living {
            names.entry(session).or_default().insert(jti(&SecretString::new(token)));
        }
        prop_assert!(names.values().all(|tokens| tokens.len() == 1), "two access tokens live");
        Ok(())
    }
}

/// Tries `cases` orders of events on one application, each with an account of its own.
fn live_through(backend: Backend, cases: u32) {
    let runtime = rocket::tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let app = runtime.block_on(TestApp::boot(backend));
    let number = std::cell::Cell::new(0);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(async {
            number.set(number.get() + 1);
            let email = format!("user{}@example.org", number.get());
            app.create(&email, &["user"]).await;
            let mut life = Life {
                app: &app,
                email,
                issued: Vec::new(),
                chains: BTreeMap::new(),
                ended: Vec::new(),
            };
            for step in &steps {
                life.take(step).await?;
            }
            life.settle().await
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    runtime.block_on(async { drop(app) });
}

#[test]
fn sr_36_no_order_of_events_revives_or_forks_a_session_in_the_embedded_store() {
    live_through(Backend::SqliteEmbedded, 64);
}

#[test]
fn sr_36_no_order_of_events_revives_or_forks_a_session_in_redis() {
    live_through(Backend::SqliteRedis, 32);
}
