//! What operations do: a draft of changes over the state in memory, committed later or not at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::entry::Entry;
use super::memory::{Key, Memory, Shown};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::id::{AccountId, SessionId};
use crate::session::Session;
use crate::session::store::{Opened, Opening, Pair, Rotation};
use crate::store::record::Record;
use crate::token::denylist::DeniedToken;
use crate::token::refresh::Lineage;

/// How much longer than it can be used a thing is kept at least: a session, so that clocks that
/// disagree never sweep away what is alive; the copy of an account, so that a sign-in that read
/// the account before a change meets the change.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// What a transaction writes: `None` deletes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// What is shown of accounts.
    pub accounts: HashMap<AccountId, Option<Shown>>,
    /// Sessions.
    pub sessions: HashMap<Key, Option<Arc<Entry>>>,
    /// Tokens that join the denylist.
    pub denied: Vec<DeniedToken>,
    /// Tokens that ran out by then leave the denylist.
    pub denied_until: Option<Timestamp>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
            && self.sessions.is_empty()
            && self.denied.is_empty()
            && self.denied_until.is_none()
    }
}

/// A rotation, as `session::store::Rotate` says it, but owning its parts.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// The account as SQL has it.
    pub account: Account,
    /// The session.
    pub session: SessionId,
    /// The token that was presented.
    pub old: Lineage,
    /// The pair that follows it.
    pub new: Pair,
    /// How long the new access token is to live.
    pub access_lifetime: Duration,
    /// How long the token before it is still answered.
    pub grace: Duration,
    /// The present moment.
    pub now: Timestamp,
}

/// Memory as it will be once the changes are committed.
pub(super) struct Draft<'a> {
    base: &'a Memory,
    changes: Changes,
}

impl<'a> Draft<'a> {
    /// A draft that changes nothing yet.
    pub fn over(base: &'a Memory) -> Self {
        Self { base, changes: Changes::default() }
    }

    /// What it came to.
    pub fn finish(self) -> Changes {
        self.changes
    }

    /// See `SessionStore::open`.
    pub fn open(
        &mut self,
        session: &Session,
        pair: &Pair,
        account: &Account,
        opening: Opening,
        now: Timestamp,
    ) -> Opened {
        if self.shown(&account.id).is_some_and(|shown| shown.account.version > account.version) {
            return Opened::AccountChanged;
        }
        let key = (session.account.clone(), session.id.clone());
        let is_open = || self.entry(&key).is_some_and(|entry| now < entry.ends_at());
        if opening == Opening::Renewal && !is_open() {
            return Opened::Gone;
        }
        self.publish(account, now);
        self.save(key, Entry::new(Record::new(session, pair)));
        Opened::Done
    }

    /// See `SessionStore::rotate`.
    pub fn rotate(&mut self, turn: &Turn) -> Rotation {
        let key = (turn.account.id.clone(), turn.session.clone());
        let Some(entry) = self.entry(&key) else { return Rotation::Unknown };
        let epoch = self.publish(&turn.account, turn.now).session_epoch;
        if !entry.is_live(epoch, turn.now) {
            self.drop(key);
            return Rotation::Unknown;
        }
        // The account was read before all sessions were ended: whoever asks was overtaken, and has
        // stolen nothing.
        if turn.account.session_epoch < epoch {
            return Rotation::Unknown;
        }
        let record = entry.record();
        let is_behind = record.is_behind(&turn.old);
        if is_behind || record.refresh == turn.old.digest {
            let record = succeed(record, turn);
            let session = record.session.clone();
            self.save(key, Entry::new(record));
            let outcome = if is_behind { Rotation::CaughtUp } else { Rotation::Rotated };
            return outcome(session);
        }
        let is_predecessor = record.previous.as_ref() == Some(&turn.old.digest)
            && record.access == turn.new.access
            && record.refresh == turn.new.refresh;
        let is_recent = turn.now.since(record.rotated_at) <= turn.grace;
        if is_predecessor && (is_recent || !record.used) {
            return Rotation::Repeated(self.repeat(key, &entry, record, turn));
        }
        self.drop(key);
        if record.is_outlived_by(&turn.old) { Rotation::Unknown } else { Rotation::Reused }
    }

    /// Gives the current pair once more: its access token with a new life, if the old one ran out
    /// before the answer arrived.
    fn repeat(&mut self, key: Key, entry: &Entry, mut record: Record, turn: &Turn) -> Session {
        let session = &mut record.session;
        if session.access_expires_at <= turn.now {
            session.issued_at = turn.now;
            session.access_expires_at =
                (turn.now + turn.access_lifetime).min(session.refresh_expires_at);
            let session = session.clone();
            self.save(key, entry.changed(record));
            return session;
        }
        record.session
    }

    /// See `SessionStore::reauthenticate`.
    pub fn reauthenticate(&mut self, key: Key, now: Timestamp) -> Option<Session> {
        let epoch = self.shown(&key.0)?.account.session_epoch;
        let entry = self.entry(&key).filter(|entry| entry.is_live(epoch, now))?;
        let mut record = entry.record();
        record.session.reauthenticated_at = Some(now);
        let session = record.session.clone();
        self.save(key, entry.changed(record));
        Some(session)
    }

    /// See `SessionStore::end`.
    pub fn end(&mut self, key: Key) -> bool {
        let existed = self.entry(&key).is_some();
        if existed {
            self.drop(key);
        }
        existed
    }

    /// Shows `account` unless it is older than what is shown; gives what is shown then.
    pub fn publish(&mut self, account: &Account, now: Timestamp) -> Arc<Account> {
        let shown = self.shown(&account.id);
        let kept_until = now + MARGIN;
        if let Some(shown) = &shown
            && shown.account.version >= account.version
            && shown.kept_until >= kept_until
        {
            return Arc::clone(&shown.account);
        }
        let account = match shown {
            Some(shown) if shown.account.version >= account.version => shown.account,
            _ => Arc::new(account.clone()),
        };
        // Twice as long as needed, so that not every operation has to write it.
        let shown = Shown { account: Arc::clone(&account), kept_until: kept_until + MARGIN };
        self.changes.accounts.insert(account.id.clone(), Some(shown));
        account
    }

    /// See `Standings::revoke`.
    pub fn revoke(&mut self, account: &Account, keep: Option<&SessionId>, now: Timestamp) -> u64 {
        let epoch = self.publish(account, now).session_epoch;
        let mut ended = 0;
        for (id, entry) in self.entries(&account.id) {
            let is_open = now < entry.ends_at();
            let key = (account.id.clone(), id);
            if is_open && keep == Some(&key.1) {
                let mut record = entry.record();
                record.session.epoch = record.session.epoch.max(epoch);
                self.save(key, entry.changed(record));
                continue;
            }
            ended += u64::from(is_open);
            self.drop(key);
        }
        ended
    }

    /// Writes the marks of sessions.
    pub fn flush(&mut self, keys: &[Key]) {
        for key in keys {
            if let Some(entry) = self.entry(key) {
                self.changes.sessions.insert(key.clone(), Some(entry));
            }
        }
    }

    /// As [`crate::token::denylist::Denylist::deny`].
    pub fn deny(&mut self, token: DeniedToken) {
        self.changes.denied.push(token);
    }

    /// Deletes what ended long ago.
    pub fn sweep(&mut self, now: Timestamp) {
        if self.base.any_denied() {
            self.changes.denied_until = Some(now);
        }
        let (sessions, accounts) = self.base.ended(now - MARGIN, now);
        for key in sessions {
            self.drop(key);
        }
        for account in accounts {
            self.changes.accounts.insert(account, None);
        }
    }

    fn shown(&self, account: &AccountId) -> Option<Shown> {
        match self.changes.accounts.get(account) {
            Some(changed) => changed.clone(),
            None => self.base.shown(account),
        }
    }

    fn entry(&self, key: &Key) -> Option<Arc<Entry>> {
        match self.changes.sessions.get(key) {
            Some(changed) => changed.clone(),
            None => self.base.entry(key),
        }
    }

    fn entries(&self, account: &AccountId) -> HashMap<SessionId, Arc<Entry>> {
        let mut entries = self.base.entries(account);
        let changed = self.changes.sessions.iter().filter(|((owner, _), _)| owner == account);
        for ((_, id), entry) in changed {
            match entry {
                Some(entry) => entries.insert(id.clone(), Arc::clone(entry)),
                None => entries.remove(id),
            };
        }
        entries
    }

    fn save(&mut self, key: Key, entry: Entry) {
        self.changes.sessions.insert(key, Some(Arc::new(entry)));
    }

    fn drop(&mut self, key: Key) {
        self.changes.sessions.insert(key, None);
    }
}

/// The session after its current refresh token gave way to the next.
fn succeed(record: Record, turn: &Turn) -> Record {
    let session = record.session;
    let refresh_expires_at = (turn.now + session.idle_lifetime).min(session.absolute_expires_at);
    Record {
        session: Session {
            issued_at: turn.now,
            last_seen_at: turn.now,
            access_expires_at: (turn.now + turn.access_lifetime).min(refresh_expires_at),
            refresh_expires_at,
            ..session
        },
        access: turn.new.access.clone(),
        refresh: turn.new.refresh.clone(),
        previous: Some(turn.old.digest.clone()),
        used: false,
        rotated_at: turn.now,
        server_at: None,
    }
}
