//! The check that every request passes: what Redis keeps, judged here.
//!
//! Redis says in one answer what holds at one moment, so judging it here or there is the same; what
//! was read of equal bytes before is not read again.

use std::hash::Hash;
use std::sync::{Arc, LazyLock};

use quick_cache::sync::Cache;
use redis::{Cmd, Script};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::fault::has_no_room;
use super::near::Known;
use super::{RedisStore, from_json, millis, script, unknown_answer};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{AccountId, SessionId};
use crate::session::store::Live;
use crate::session::{SEEN_EVERY, Session};
use crate::store::record::Record;
use crate::token::access::AccessDigest;

static LOOK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("look.lua")));
script!(MARK, "mark.lua");

/// How far a replica's clock may be off before Redis' own decides against a token (SR-75).
const LEEWAY_MILLIS: i64 = 30_000;

/// How many records, and how many accounts, are remembered as they were read: 10 MiB at most.
const REMEMBERED: usize = 4096;

/// What [`LOOK`] gives.
struct Looked<'a> {
    epoch: i64,
    /// The server's clock, in milliseconds.
    server_now: i64,
    record: &'a [u8],
    account: &'a [u8],
}

impl<'a> Looked<'a> {
    /// Reads a line of epoch, seconds, microseconds and the length of the record, and what follows it:
    /// the record and the account.
    fn read(answer: &'a [u8]) -> Option<Self> {
        let end = answer.iter().position(|byte| *byte == b'\n')?;
        let (head, rest) = answer.split_at_checked(end)?;
        let mut numbers = str::from_utf8(head).ok()?.split(' ');
        let mut number = || numbers.next()?.parse::<i64>().ok();
        let (epoch, seconds, micros, length) = (number()?, number()?, number()?, number()?);
        let server_now = seconds.saturating_mul(1000).saturating_add(micros / 1000);
        let (record, account) = rest.get(1..)?.split_at_checked(usize::try_from(length).ok()?)?;
        Some(Self { epoch, server_now, record, account })
    }
}

/// A record as it was read, and its session for all requests that are in it.
#[derive(Deserialize)]
#[serde(from = "Record")]
pub(super) struct Found {
    pub record: Record,
    pub session: Arc<Session>,
}

impl From<Record> for Found {
    fn from(record: Record) -> Self {
        let session = Arc::new(record.session.clone());
        Self { record, session }
    }
}

/// What was read of JSON, by the name of the thing and the very bytes.
pub(super) struct Reader<K, T>(Cache<K, (Arc<[u8]>, Arc<T>)>);

impl<K: Eq + Hash + Clone, T: DeserializeOwned> Default for Reader<K, T> {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED))
    }
}

impl<K: Eq + Hash + Clone, T: DeserializeOwned> Reader<K, T> {
    fn read(&self, name: &K, json: &[u8]) -> Result<Arc<T>> {
        if let Some((same, value)) = self.0.get(name)
            && *same == *json
        {
            return Ok(value);
        }
        let value: Arc<T> = Arc::new(from_json(json)?);
        self.0.insert(name.clone(), (json.into(), Arc::clone(&value)));
        Ok(value)
    }
}

/// What was read of Redis' answers, so that it is read once.
#[derive(Default)]
pub(super) struct Readers {
    records: Reader<SessionId, Found>,
    accounts: Reader<AccountId, Account>,
}

impl Readers {
    /// Whether this request has something to note: nobody knows here yet that the token was used
    /// (SR-36), or that the session was seen of late.
    fn needs_mark(&self, session: &SessionId, access: &AccessDigest, now: Timestamp) -> bool {
        self.records.0.get(session).is_none_or(|(_, found)| {
            let record = &found.record;
            record.access != *access || !record.used || record.session.is_unseen(now)
        })
    }
}

impl RedisStore {
    /// See [`crate::session::store::SessionStore::verify`].
    pub(super) async fn judge(
        &self,
        account: &AccountId,
        session: &SessionId,
        access: &AccessDigest,
        now: Timestamp,
    ) -> Result<Option<Live>> {
        let marks = self.readers.needs_mark(session, access, now);
        let near = self.pool.near().filter(|_| !marks);
        let known = match near.and_then(|near| near.get(account, access, now)) {
            Some(known) => Some(known),
            None => self.ask(account, session, access, now, marks).await?,
        };
        let Some(Known { found, epoch, account, server_now }) = known else { return Ok(None) };
        let record = &found.record;
        if record.session.id != *session
            || !record.admits(access, epoch, now)
            || is_overdue(record, server_now)
        {
            return Ok(None);
        }
        let mut session = Arc::clone(&found.session);
        if session.is_unseen(now) {
            Arc::make_mut(&mut session).last_seen_at = now;
        }
        Ok(Some(Live { session, account }))
    }

    /// Asks Redis, and notes what is to be noted.
    async fn ask(
        &self,
        account: &AccountId,
        session: &SessionId,
        access: &AccessDigest,
        now: Timestamp,
        marks: bool,
    ) -> Result<Option<Known>> {
        let stamp = self.pool.near().map(|near| (near, near.stamp(account)));
        let found = if marks {
            // Both are on their way together: a request never waits for a second answer.
            let (look, mark) =
                (self.look(account, session, access), self.mark(account, session, access, now));
            let (found, marked) = Box::pin(async { tokio::join!(look, mark) }).await;
            match marked {
                // What a mark is for can wait, the person cannot. Any other failure says that this
                // Redis may not be believed.
                Err(error) if has_no_room(&error) => {
                    tracing::debug!(%session, %error, "failed to mark token as used; Redis is full");
                }
                other => other?,
            }
            found?
        } else {
            self.look(account, session, access).await?
        };
        let Some(answer) = found else { return Ok(None) };
        let looked = Looked::read(&answer).ok_or_else(unknown_answer)?;
        let known = Known {
            found: self.readers.records.read(session, looked.record)?,
            epoch: looked.epoch,
            account: self.readers.accounts.read(account, looked.account)?,
            server_now: looked.server_now,
        };
        if let Some((near, stamp)) = stamp {
            near.keep(access, known.clone(), stamp, now);
        }
        Ok(Some(known))
    }

    async fn look(
        &self,
        account: &AccountId,
        session: &SessionId,
        access: &AccessDigest,
    ) -> Result<Option<Vec<u8>>> {
        let cluster = self.pool.is_cluster();
        let call = || {
            let mut call = Cmd::with_capacity(8, 320);
            call.arg("EVALSHA").arg(LOOK.get_hash()).arg(if cluster { 2 } else { 3 });
            for kind in ["account", "sessions"] {
                call.arg([&self.prefix, ":{", account.as_str(), "}:", kind].concat());
            }
            if !cluster {
                call.arg([&self.prefix, ":denylist"].concat());
            }
            call.arg(session.as_str()).arg(access.as_str());
            call
        };
        let found = self.pool.call(&LOOK, call);
        if !cluster {
            return found.await;
        }
        let denied = self.is_denied(access);
        let (found, denied) = Box::pin(async { tokio::try_join!(found, denied) }).await?;
        Ok(if denied { None } else { found })
    }

    /// Notes that the pair is in use and when the session was seen.
    async fn mark(
        &self,
        account: &AccountId,
        session: &SessionId,
        access: &AccessDigest,
        now: Timestamp,
    ) -> Result<()> {
        let mut call = self.on(&MARK, account);
        call.arg(session.as_str()).arg(access.as_str());
        call.arg(now.as_millis()).arg(millis(SEEN_EVERY));
        self.change::<i64>(account, &call, true).await.map(|_| ())
    }
}

/// Whether the pair is older than its access token may become by Redis' own clock: a replica whose
/// clock is behind lets no token live longer than its life (SR-75).
fn is_overdue(record: &Record, server_now: i64) -> bool {
    let session = &record.session;
    let life = session.access_expires_at.as_millis() - session.issued_at.as_millis();
    record.server_at.is_some_and(|at| server_now - at > life + LEEWAY_MILLIS)
}
