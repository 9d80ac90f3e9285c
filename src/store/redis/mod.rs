//! Sessions in Redis: shared by all replicas, each operation one script in one round trip.
//!
//! An account's keys share a hash tag, so a script also runs on a cluster. All state that a request
//! is judged by is in Redis and nowhere else (SR-34): what is missing there does not exist, so a
//! Redis that lost its data ends sessions and revives none (SR-71).

mod address;
mod attach;
mod connect;
mod denylist;
mod fault;
mod gather;
mod handle;
mod index;
mod limit;
mod near;
mod outage;
mod pool;
mod probe;
mod rights;
mod submission;
mod verify;
mod watch;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use redis::{FromRedisValue, Script, ScriptInvocation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::Record;
use crate::account::Account;
use crate::account::store::Standings;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{AccountId, SessionId};
use crate::session::store::{Live, Opened, Opening, Pair, Rotate, Rotation, SessionStore, Vouched};
use crate::session::survey::{Stretch, Survey};
use crate::session::{SEEN_EVERY, Session};
use crate::token::access::AccessDigest;
use crate::token::refresh::{Lineage, RefreshDigest};

pub use address::check;
pub use handle::RedisConnection;
pub use pool::RedisPool;
use verify::Readers;

/// Declares a script by the name of its file.
macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("common.lua"), include_str!($file))));
    };
}

use script;

script!(OPEN, "open.lua");
script!(VOUCH, "vouch.lua");
script!(CURRENT, "current.lua");
script!(ROTATE, "rotate.lua");
script!(REAUTHENTICATE, "reauthenticate.lua");
script!(END, "end.lua");
script!(LIST, "list.lua");
script!(PUBLISH, "publish.lua");
script!(REVOKE, "revoke.lua");

/// A write for which a Redis that is full has room, too.
static PING_TO_REVOKE: LazyLock<Script> =
    LazyLock::new(|| Script::new("redis.call('UNLINK', KEYS[1]) return 1"));

/// The session store in Redis. Clones share the connection.
#[derive(Clone)]
pub struct RedisStore {
    pool: RedisPool,
    prefix: String,
    readers: Arc<Readers>,
}

impl RedisStore {
    /// A store whose keys begin with `prefix` and a colon.
    pub fn new(pool: RedisPool, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        pool.write_below(&prefix);
        Self { pool, prefix, readers: Arc::default() }
    }

    /// Puts a session on the list of all once more, after one refresh in eight: chance, which the
    /// new token is made of, decides. Nobody waits for it.
    fn add_again(&self, session: &Session, rotate: &Rotate<'_>) {
        let chosen = rotate.new.refresh.as_str().bytes().next().is_some_and(|byte| byte % 8 == 0);
        if chosen {
            let (store, session, now) = (self.clone(), session.clone(), rotate.now);
            tokio::spawn(async move { store.add_to_index(&session, now).await });
        }
    }

    /// A call of `script` on the keys of an account. The braces are the hash tag of a cluster.
    fn on<'a>(&self, script: &'a Script, account: &AccountId) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        for kind in ["account", "sessions", "ends"] {
            call.key(format!("{}:{{{account}}}:{kind}", self.prefix));
        }
        call
    }

    /// Runs a script that may change what is known of an account.
    async fn change<T: FromRedisValue>(
        &self,
        account: &AccountId,
        call: &ScriptInvocation<'_>,
        repeatable: bool,
    ) -> Result<T> {
        let done = self.pool.run(call, repeatable).await;
        // Also where it failed: it may have been done.
        self.pool.near().inspect(|near| near.forget(account));
        done
    }
}

#[async_trait]
impl Standings for RedisStore {
    async fn publish(&self, account: &Account, _now: Timestamp) -> Result<()> {
        let mut call = self.on(&PUBLISH, &account.id);
        with_account(&mut call, account)?;
        self.change(&account.id, &call, true).await
    }

    async fn revoke(
        &self,
        account: &Account,
        keep: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64> {
        let mut call = self.on(&REVOKE, &account.id);
        call.arg(keep.map_or("", SessionId::as_str)).arg(now.as_millis());
        with_account(&mut call, account)?;
        self.change(&account.id, &call, false).await
    }

    async fn ping(&self) -> Result<()> {
        self.check_rights().await
    }

    async fn ping_to_revoke(&self) -> Result<()> {
        let mut call = PING_TO_REVOKE.prepare_invoke();
        call.key(format!("{}:ping", self.prefix));
        self.pool.run(&call, true).await
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn open(
        &self,
        session: &Session,
        pair: &Pair,
        account: &Account,
        opening: Opening,
        now: Timestamp,
    ) -> Result<Opened> {
        let mut call = self.on(&OPEN, &session.account);
        call.arg(session.id.as_str())
            .arg(to_json(&Record::new(session, pair))?)
            .arg(session.refresh_expires_at.as_millis())
            .arg(now.as_millis())
            .arg(u8::from(opening == Opening::Renewal));
        with_account(&mut call, account)?;
        let listed = async {
            match opening {
                Opening::New => self.add_to_index(session, now).await,
                Opening::Renewal => Ok(()),
            }
        };
        let (opened, listed) =
            tokio::join!(self.change::<String>(&session.account, &call, false), listed);
        if let (Ok(_), Err(error)) = (&opened, listed) {
            tracing::warn!(session = %session.id, %error, "a session is not yet on the list of all");
        }
        match opened?.as_str() {
            "done" => Ok(Opened::Done),
            "account_changed" => Ok(Opened::AccountChanged),
            "gone" => Ok(Opened::Gone),
            _ => Err(unknown_answer()),
        }
    }

    async fn verify(
        &self,
        account: &AccountId,
        session: &SessionId,
        access: &AccessDigest,
        now: Timestamp,
    ) -> Result<Option<Live>> {
        self.judge(account, session, access, now).await
    }

    async fn vouch(
        &self,
        account: &AccountId,
        session: &SessionId,
        refresh: &Lineage,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Vouched> {
        let mut call = self.on(&VOUCH, account);
        call.arg(session.as_str()).arg(refresh.digest.as_str()).arg(millis(grace));
        call.arg(now.as_millis()).arg(millis(SEEN_EVERY));
        with_lineage(&mut call, refresh);
        let answer: Vec<Vec<u8>> = self.change(account, &call, true).await?;
        match answer.as_slice() {
            [word, record, account] if word == b"good" => {
                let session = session_of(record)?;
                Ok(Vouched::Good(Box::new(Live {
                    session: Arc::new(session),
                    account: Arc::new(from_json(account)?),
                })))
            }
            [word] if word == b"spent" => Ok(Vouched::Spent),
            [word] if word == b"unknown" => Ok(Vouched::Unknown),
            _ => Err(unknown_answer()),
        }
    }

    async fn is_current(
        &self,
        account: &AccountId,
        session: &SessionId,
        refresh: &RefreshDigest,
        now: Timestamp,
    ) -> Result<bool> {
        let mut call = self.on(&CURRENT, account);
        call.arg(session.as_str()).arg(refresh.as_str()).arg(now.as_millis());
        self.pool.run(&call, true).await
    }

    async fn rotate(&self, rotate: Rotate<'_>) -> Result<Rotation> {
        let mut call = self.on(&ROTATE, &rotate.account.id);
        call.arg(rotate.session.as_str())
            .arg(rotate.old.digest.as_str())
            .arg(rotate.new.access.as_str())
            .arg(rotate.new.refresh.as_str())
            .arg(millis(rotate.access_lifetime))
            .arg(millis(rotate.grace))
            .arg(rotate.now.as_millis());
        with_lineage(&mut call, rotate.old);
        with_account(&mut call, rotate.account)?;
        let answer: Vec<Vec<u8>> = self.change(&rotate.account.id, &call, false).await?;
        match answer.as_slice() {
            [word, record] if word == b"rotated" || word == b"caught_up" => {
                let session = session_of(record)?;
                self.add_again(&session, &rotate);
                let caught_up = word == b"caught_up";
                let outcome = if caught_up { Rotation::CaughtUp } else { Rotation::Rotated };
                Ok(outcome(session))
            }
            [word, record] if word == b"repeated" => Ok(Rotation::Repeated(session_of(record)?)),
            [word] if word == b"reused" => Ok(Rotation::Reused),
            [word] if word == b"unknown" => Ok(Rotation::Unknown),
            _ => Err(unknown_answer()),
        }
    }

    async fn reauthenticate(
        &self,
        account: &AccountId,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        let mut call = self.on(&REAUTHENTICATE, account);
        call.arg(session.as_str()).arg(now.as_millis());
        let record: Option<Vec<u8>> = self.change(account, &call, true).await?;
        record.as_deref().map(session_of).transpose()
    }

    async fn end(&self, account: &AccountId, session: &SessionId) -> Result<bool> {
        let mut call = self.on(&END, account);
        call.arg(session.as_str());
        let existed = self.change(account, &call, false).await?;
        if existed {
            self.forget_in_index(vec![session.clone()]);
        }
        Ok(existed)
    }

    async fn list(&self, account: &AccountId, now: Timestamp) -> Result<Vec<Session>> {
        let call = self.on(&LIST, account);
        let (epoch, records): (Option<i64>, Vec<Vec<u8>>) = self.pool.run(&call, true).await?;
        // Without the account's copy no session passes either.
        let Some(epoch) = epoch else { return Ok(Vec::new()) };
        let mut sessions = Vec::with_capacity(records.len());
        for record in &records {
            let record: Record = from_json(record)?;
            if record.is_live(epoch, now) {
                sessions.push(record.session);
            }
        }
        Ok(sessions)
    }

    async fn survey(&self, survey: &Survey, now: Timestamp) -> Result<Stretch> {
        self.survey_index(survey, now).await
    }

    async fn owner(&self, session: &SessionId) -> Result<Option<AccountId>> {
        self.owner_in_index(session).await
    }

    async fn count(&self) -> Result<u64> {
        self.count_in_index().await
    }
}

/// Adds version, epoch and copy of the account: the last arguments of every script that shows it.
fn with_account(call: &mut ScriptInvocation<'_>, account: &Account) -> Result<()> {
    call.arg(account.version).arg(account.session_epoch).arg(to_json(account)?);
    Ok(())
}

/// Adds what a refresh token says of its place in its family.
fn with_lineage(call: &mut ScriptInvocation<'_>, token: &Lineage) {
    call.arg(token.follows.as_ref().map_or("", RefreshDigest::as_str));
    call.arg(token.issued_at.as_millis());
}

fn session_of(record: &[u8]) -> Result<Session> {
    from_json::<Record>(record).map(|record| record.session)
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// Reads what we once wrote. The error says where it cannot be read, not what stands there.
fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Error::internal(format!("a value in Redis is not readable at {line}:{column}"))
    })
}

fn unknown_answer() -> Error {
    Error::internal("a script in Redis gave an answer that it should not")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
