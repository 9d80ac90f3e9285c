//! What Redis said of late, used again until Redis takes it back: client-side caching by the server's
//! own invalidation messages (`CLIENT TRACKING … BCAST`, RESP3). Off unless the operator asks for it.
//!
//! Nothing is ever removed from the cache because of a message. Each answer carries a stamp of the
//! counters that messages raise, taken before the question was asked; it counts for as long as they
//! stand where they stood. So a message that overtakes an answer, or comes between a look and its
//! use, is never missed. A connection that is lost raises them all: what cannot be taken back is
//! not used. One that is silent cannot be told from one on which nothing happens; against that
//! stands the time for which an answer may be used at all.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::sync::Cache;
use redis::{Cmd, PushInfo, PushKind, Value};

use super::verify::Found;
use crate::account::Account;
use crate::clock::Timestamp;
use crate::id::AccountId;
use crate::token::access::AccessDigest;

/// How many answers are kept.
const KEPT: usize = 16_384;
/// How many counters the accounts share. Two that share one cost each other a look, nothing more.
const COUNTERS: usize = 1024;

/// What is known of a session: all that its requests are judged by.
#[derive(Clone)]
pub(super) struct Known {
    /// The session and its record.
    pub found: Arc<Found>,
    /// The epoch below which the account's sessions have ended.
    pub epoch: i64,
    /// The account.
    pub account: Arc<Account>,
    /// The server's clock, in milliseconds since 1970.
    pub server_now: i64,
}

/// Where the counters stood when a question was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    all: u64,
    account: u64,
}

/// The answers that may be used again, on one Redis connection after the other.
pub struct Near {
    life: Duration,
    prefix: String,
    answers: Cache<AccessDigest, (Known, Stamp, Timestamp)>,
    all: AtomicU64,
    accounts: Box<[AtomicU64]>,
}

impl Near {
    /// A cache of what stands under `prefix`, each answer for `life` at most.
    pub(super) fn new(prefix: &str, life: Duration) -> Self {
        Self {
            life,
            prefix: prefix.to_owned(),
            answers: Cache::new(KEPT),
            all: AtomicU64::new(0),
            accounts: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// What a new connection is told first: to say which of our keys anybody changes.
    pub(super) fn greeting(&self) -> Cmd {
        let mut greeting = redis::cmd("CLIENT");
        greeting.arg("TRACKING").arg("ON").arg("BCAST");
        for keys in ["{", "denylist"] {
            greeting.arg("PREFIX").arg(format!("{}:{keys}", self.prefix));
        }
        greeting
    }

    /// To be taken before a question is asked.
    pub(super) fn stamp(&self, account: &AccountId) -> Stamp {
        let all = self.all.load(Ordering::SeqCst);
        Stamp { all, account: self.counter(account.as_str().as_bytes()).load(Ordering::SeqCst) }
    }

    /// Keeps an answer to a question asked at `asked_at`, under the stamp from before it.
    pub(super) fn keep(
        &self,
        access: &AccessDigest,
        known: Known,
        stamp: Stamp,
        asked_at: Timestamp,
    ) {
        self.answers.insert(access.clone(), (known, stamp, asked_at));
    }

    /// What is known for certain at `now`, its clock moved on.
    pub(super) fn get(
        &self,
        account: &AccountId,
        access: &AccessDigest,
        now: Timestamp,
    ) -> Option<Known> {
        let (mut known, stamp, asked_at) = self.answers.get(access)?;
        // A clock that was set back makes an answer no younger.
        if !now.is_within(self.life, asked_at) || stamp != self.stamp(account) {
            return None;
        }
        known.server_now += now.as_millis() - asked_at.as_millis();
        Some(known)
    }

    /// Uses nothing of this account again: it has been changed from here, and whoever hears that it
    /// is done must find it so, before Redis' own message comes.
    pub(super) fn forget(&self, account: &AccountId) {
        self.raise(account.as_str().as_bytes());
    }

    /// Uses nothing again.
    pub(super) fn forget_all(&self) {
        self.all.fetch_add(1, Ordering::SeqCst);
    }

    /// Takes a message from Redis, or the news that its connection is gone.
    pub(super) fn hear(&self, message: &PushInfo) {
        match (&message.kind, message.data.as_slice()) {
            (PushKind::Invalidate, [Value::Array(keys)]) => {
                keys.iter().for_each(|key| match key {
                    Value::BulkString(key) => self.changed(key),
                    _ => self.forget_all(),
                });
            }
            // Everything was removed; or it is something that we do not know.
            (PushKind::Invalidate | PushKind::Disconnection, _) => self.forget_all(),
            _ => {}
        }
    }

    /// The account stands between braces: `dw:{account}:sessions`.
    fn changed(&self, key: &[u8]) {
        let account = key.split(|byte| *byte == b'{').nth(1);
        match account.and_then(|rest| rest.split(|byte| *byte == b'}').next()) {
            Some(account) => self.raise(account),
            None => self.forget_all(),
        }
    }

    fn raise(&self, account: &[u8]) {
        self.counter(account).fetch_add(1, Ordering::SeqCst);
    }

    fn counter(&self, account: &[u8]) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        account.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % COUNTERS as u64).unwrap_or_default();
        self.accounts.get(place).unwrap_or(&self.all)
    }
}
