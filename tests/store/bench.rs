//! A session store on a bench: a clock that stands still, an account, and tokens by their digests.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use doorward::account::email::Email;
use doorward::account::{Account, Status};
use doorward::clock::{Clock, Manual, Timestamp};
use doorward::id::{AccountId, Os, SecretString, SessionId};
use doorward::session::Session;
use doorward::session::store::{Live, Opened, Opening, Pair, Rotate, Rotation, SessionStore};
use doorward::store::embedded::{Embedded, Role};
use doorward::store::redis::{RedisPool, RedisStore};
use doorward::token::access::AccessJti;
use doorward::token::key::MasterSecret;
use doorward::token::refresh::{Lineage, RefreshDigest, RefreshJti, Succession};
use tempfile::TempDir;

use crate::support;

pub const ACCESS: Duration = minutes(10);
pub const GRACE: Duration = Duration::from_secs(10);
pub const NEAR: Duration = Duration::from_secs(2);
pub const IDLE: Duration = hours(24);
pub const ABSOLUTE: Duration = hours(7 * 24);

pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

pub const fn hours(n: u64) -> Duration {
    Duration::from_secs(60 * 60 * n)
}

/// Runs each test on both stores, and on Redis with its near cache.
macro_rules! on_both_stores {
    ($($(#[doc = $doc:literal])* async fn $name:ident($($bench:ident)+ : Bench) $body:block)*) => {
        $($(#[doc = $doc])* async fn $name($($bench)+ : Bench) $body)*

        mod embedded {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(super::Bench::embedded().await).await;
            })*
        }

        mod redis {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(super::Bench::redis()).await;
            })*
        }

        mod redis_with_near_cache {
            $(#[rocket::async_test]
            async fn $name() {
                super::$name(super::Bench::redis_with_near_cache()).await;
            })*
        }
    };
}
pub(crate) use on_both_stores;

/// The tokens of one moment of a session.
#[derive(Clone)]
pub struct Tokens {
    pub access: AccessJti,
    pub refresh: RefreshJti,
    pub follows: Option<RefreshDigest>,
}

impl Tokens {
    pub fn random() -> Self {
        Self { access: AccessJti::random(&Os), refresh: RefreshJti::random(&Os), follows: None }
    }

    /// What the refresh token says of itself, in a session as it was when it was issued.
    pub fn lineage(&self, session: &Session) -> Lineage {
        let (digest, follows) = (self.refresh.digest(), self.follows.clone());
        Lineage { digest, follows, issued_at: session.issued_at }
    }

    pub fn pair(&self) -> Pair {
        Pair { access: self.access.digest(), refresh: self.refresh.digest() }
    }
}

#[derive(Clone)]
pub struct Bench {
    pub store: Arc<dyn SessionStore>,
    pub clock: Manual,
    /// The account as SQL has it.
    pub account: Account,
    pub succession: Arc<Succession>,
    /// Where the embedded store keeps its file.
    pub _directory: Option<Arc<TempDir>>,
}

impl Bench {
    pub async fn embedded() -> Self {
        let directory = support::scratch_dir("embedded");
        let clock = start();
        let file = directory.path().join("doorward.db");
        let store = Embedded::open(&file, Role::Server, Arc::new(clock.clone())).await;
        let store = Arc::new(store.expect("open the embedded store"));
        Self { _directory: Some(Arc::new(directory)), ..Self::on(store, clock) }
    }

    pub fn redis() -> Self {
        Self::on(Arc::new(redis_at(&support::redis::server().database())), start())
    }

    pub fn redis_with_near_cache() -> Self {
        let url = support::redis::server().database();
        Self::on(Arc::new(near_redis_at(&url, NEAR)), start())
    }

    pub fn on(store: Arc<dyn SessionStore>, clock: Manual) -> Self {
        let account = account(clock.now());
        let succession = Arc::new(Succession::new(&MasterSecret::generate(&Os)));
        Self { store, clock, account, succession, _directory: None }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn later(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Changes the account in SQL, as far as a store can tell.
    pub fn change(&mut self, ends_sessions: bool) {
        self.account.version += 1;
        self.account.session_epoch += i64::from(ends_sessions);
    }

    /// A session that begins now; not opened.
    pub fn session(&self) -> Session {
        let now = self.now();
        Session {
            id: SessionId::random(&Os),
            account: self.account.id.clone(),
            created_at: now,
            reauthenticated_at: None,
            last_seen_at: now,
            issued_at: now,
            access_expires_at: now + ACCESS,
            refresh_expires_at: now + IDLE,
            absolute_expires_at: now + ABSOLUTE,
            idle_lifetime: IDLE,
            epoch: self.account.session_epoch,
            remember: false,
            user_agent: "Mozilla/5.0 \"é/\\\u{1}\u{0}".to_owned(),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST).into(),
        }
    }

    pub async fn open(&self) -> (Session, Tokens) {
        let (session, tokens) = (self.session(), Tokens::random());
        let opened = self.open_as(&session, &tokens, Opening::New).await;
        assert_eq!(opened, Opened::Done);
        (session, tokens)
    }

    pub async fn open_as(&self, session: &Session, tokens: &Tokens, opening: Opening) -> Opened {
        let opened =
            self.store.open(session, &tokens.pair(), &self.account, opening, self.now()).await;
        opened.expect("the store answers")
    }

    pub async fn verify(&self, session: &Session, tokens: &Tokens) -> Option<Live> {
        let access = tokens.access.digest();
        let live = self.store.verify(&session.account, &session.id, &access, self.now()).await;
        live.expect("the store answers")
    }

    /// The tokens that follow these.
    pub fn after(&self, session: &Session, tokens: &Tokens) -> Tokens {
        let (refresh, access) = self.succession.after(&session.id, &tokens.refresh);
        Tokens { access, refresh, follows: Some(tokens.refresh.digest()) }
    }

    pub async fn rotate(&self, session: &Session, tokens: &Tokens) -> Rotation {
        let rotation = self.try_rotate(session, tokens).await;
        rotation.expect("the store answers")
    }

    pub async fn try_rotate(
        &self,
        session: &Session,
        tokens: &Tokens,
    ) -> doorward::error::Result<Rotation> {
        let next = self.after(session, tokens).pair();
        self.store
            .rotate(Rotate {
                account: &self.account,
                session: &session.id,
                old: &tokens.lineage(session),
                new: &next,
                access_lifetime: ACCESS,
                grace: GRACE,
                now: self.now(),
            })
            .await
    }

    /// Rotates current tokens; gives the session after it and the tokens that follow.
    pub async fn refresh(&self, session: &Session, tokens: &Tokens) -> (Session, Tokens) {
        match self.rotate(session, tokens).await {
            Rotation::Rotated(rotated) => {
                let next = self.after(session, tokens);
                (rotated, next)
            }
            other => panic!("rotated: {other:?}"),
        }
    }

    pub async fn list(&self) -> Vec<Session> {
        let listed = self.store.list(&self.account.id, self.now()).await;
        let mut listed = listed.expect("the store answers");
        listed.sort_by(|a, b| a.id.cmp(&b.id));
        listed
    }
}

pub fn start() -> Manual {
    Manual::at(Timestamp::from_millis(1_764_000_000_123))
}

pub fn redis_at(url: &str) -> RedisStore {
    let pool = RedisPool::new(&SecretString::new(url)).expect("an address of Redis");
    RedisStore::new(pool, "test")
}

/// The same with a cache of what Redis said.
pub fn near_redis_at(url: &str, life: Duration) -> RedisStore {
    let pool = RedisPool::with_near_cache(&SecretString::new(url), "test", life);
    RedisStore::new(pool.expect("an address of Redis"), "test")
}

pub fn account(now: Timestamp) -> Account {
    Account {
        id: AccountId::random(&Os),
        email: Email::parse("ada@example.org").expect("an address"),
        display_name: "Ada \u{1f469}".to_owned(),
        status: Status::Active,
        roles: [doorward::role::RoleName::user()].into(),
        permissions: [].into(),
        created_at: now,
        last_login_at: None,
        version: 1,
        session_epoch: 0,
        must_change_password: false,
        notices: Vec::new(),
    }
}

/// What a rotation came to, without the session.
pub fn word(rotation: &Rotation) -> &'static str {
    match rotation {
        Rotation::Rotated(_) => "rotated",
        Rotation::CaughtUp(_) => "caught_up",
        Rotation::Repeated(_) => "repeated",
        Rotation::Reused => "reused",
        Rotation::Unknown => "unknown",
    }
}
