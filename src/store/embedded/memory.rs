//! The live state of the embedded store, in memory, where requests are judged.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use super::draft::Changes;
use super::entry::Entry;
use super::order::Order;
use crate::account::Account;
use crate::clock::Timestamp;
use crate::id::{AccountId, SessionId};
use crate::session::Session;
use crate::session::store::{Live, Vouched};
use crate::session::survey::{Place, Stretch, Survey};
use crate::token::access::AccessDigest;
use crate::token::denylist::DeniedToken;
use crate::token::refresh::{Lineage, RefreshDigest};

/// How many locks share the accounts.
const SHARDS: usize = 16;

/// How often a survey goes on where it met sessions that have ended.
const SURVEY_ROUNDS: usize = 20;

/// What names a session row.
pub(super) type Key = (AccountId, SessionId);

/// What is shown of an account.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The account as last published.
    pub account: Arc<Account>,
    /// Until when it stays, even without sessions.
    pub kept_until: Timestamp,
}

/// An account with its sessions.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// The account.
    pub shown: Shown,
    /// Its sessions.
    pub sessions: HashMap<SessionId, Arc<Entry>>,
}

type Shard = HashMap<AccountId, Standing>;

/// Every account that has sessions or was changed lately.
#[derive(Debug, Default)]
pub(super) struct Memory {
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
    noted: Mutex<Vec<Key>>,
    /// The denylist.
    denied: RwLock<HashMap<AccessDigest, DeniedToken>>,
    /// All sessions in the orders of a survey. Never locked together with a shard.
    order: RwLock<Order>,
}

impl Memory {
    /// Judges a request (see `SessionStore::verify`): one read lock, held shortly.
    pub fn verify(&self, key: &Key, access: &AccessDigest, now: Timestamp) -> Option<Live> {
        let shard = self.read(&key.0);
        let standing = shard.get(&key.0)?;
        let entry = standing.sessions.get(&key.1)?;
        let (record, account) = (&entry.record, &standing.shown.account);
        let admitted = record.admits(access, account.session_epoch, now);
        if !admitted || self.denied_tokens().contains_key(access) {
            return None;
        }
        self.mark(key, entry, now);
        Some(entry.live(account))
    }

    /// Judges a refresh token that is not traded in (see `SessionStore::vouch`).
    pub fn vouch(&self, key: &Key, refresh: &Lineage, grace: Duration, now: Timestamp) -> Vouched {
        let shard = self.read(&key.0);
        let found = shard.get(&key.0).and_then(|one| Some((one, one.sessions.get(&key.1)?)));
        let Some((standing, entry)) = found else { return Vouched::Unknown };
        let (record, account) = (&entry.record, &standing.shown.account);
        if !record.is_live(account.session_epoch, now) {
            return Vouched::Unknown;
        }
        if record.refresh == refresh.digest {
            self.mark(key, entry, now);
        } else if !record.is_behind(refresh) {
            // Its immediate predecessor, where a refresh would be answered once more.
            let unused = !entry.is_used();
            let answered = unused || now.since(record.rotated_at) <= grace;
            if record.previous.as_ref() != Some(&refresh.digest) || !answered {
                let outlived = record.is_outlived_by(refresh);
                return if outlived { Vouched::Unknown } else { Vouched::Spent };
            }
        }
        Vouched::Good(Box::new(entry.live(account)))
    }

    /// Whether a refresh token is the current one of a live session (see `SessionStore::is_current`).
    pub fn is_current(&self, key: &Key, refresh: &RefreshDigest, now: Timestamp) -> bool {
        let shard = self.read(&key.0);
        let found = shard.get(&key.0).and_then(|one| Some((one, one.sessions.get(&key.1)?)));
        found.is_some_and(|(standing, entry)| {
            let epoch = standing.shown.account.session_epoch;
            entry.record.refresh == *refresh && entry.record.is_live(epoch, now)
        })
    }

    /// Notes that a session's pair was accepted.
    fn mark(&self, key: &Key, entry: &Entry, now: Timestamp) {
        if entry.mark(now) {
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        }
    }

    /// The live sessions of an account.
    pub fn list(&self, account: &AccountId, now: Timestamp) -> Vec<Session> {
        let shard = self.read(account);
        let Some(standing) = shard.get(account) else { return Vec::new() };
        let epoch = standing.shown.account.session_epoch;
        let live = standing.sessions.values().filter(|entry| entry.is_live(epoch, now));
        live.map(|entry| entry.record().session).collect()
    }

    /// The part of all live sessions that `survey` asks for (see `SessionStore::survey`).
    pub fn survey(&self, survey: &Survey, now: Timestamp) -> Stretch {
        let mut stretch = Stretch { live: Vec::new(), next: survey.after.clone() };
        for _ in 0..SURVEY_ROUNDS {
            let wanted = survey.limit + 1 - stretch.live.len();
            let after = stretch.next.take();
            let found = self.order().after(survey.network.as_ref(), after.as_ref(), wanted);
            let exhausted = found.len() < wanted;
            for (place, account) in found {
                let Some(live) = self.live(&(account, place.session.clone()), now) else {
                    stretch.next = Some(place);
                    continue;
                };
                if stretch.live.len() == survey.limit {
                    stretch.next = stretch.live.last().map(|live| Place::of(&live.session));
                    return stretch;
                }
                stretch.live.push(live);
                stretch.next = Some(place);
            }
            if exhausted {
                stretch.next = None;
                return stretch;
            }
        }
        stretch
    }

    /// Whose session it is.
    pub fn owner(&self, session: &SessionId) -> Option<AccountId> {
        self.shards.iter().find_map(|shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let mut all = shard.iter();
            all.find(|(_, standing)| standing.sessions.contains_key(session))
                .map(|(account, _)| account.clone())
        })
    }

    /// How many sessions there are.
    pub fn count(&self) -> u64 {
        self.order().count()
    }

    fn live(&self, key: &Key, now: Timestamp) -> Option<Live> {
        let shard = self.read(&key.0);
        let standing = shard.get(&key.0)?;
        let account = &standing.shown.account;
        let entry = standing.sessions.get(&key.1)?;
        entry.is_live(account.session_epoch, now).then(|| entry.live(account))
    }

    fn order(&self) -> RwLockReadGuard<'_, Order> {
        self.order.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts entries in order, and takes others out.
    fn reorder(&self, gone: impl IntoIterator<Item = Arc<Entry>>, come: &[Arc<Entry>]) {
        let mut order = self.order.write().unwrap_or_else(PoisonError::into_inner);
        gone.into_iter().for_each(|entry| order.remove(&entry.record.session));
        come.iter().for_each(|entry| order.insert(&entry.record.session));
    }

    /// What is shown of an account.
    pub fn shown(&self, account: &AccountId) -> Option<Shown> {
        self.read(account).get(account).map(|standing| standing.shown.clone())
    }

    /// One session.
    pub fn entry(&self, key: &Key) -> Option<Arc<Entry>> {
        self.read(&key.0).get(&key.0)?.sessions.get(&key.1).cloned()
    }

    /// All sessions of an account, dead ones included.
    pub fn entries(&self, account: &AccountId) -> HashMap<SessionId, Arc<Entry>> {
        self.read(account).get(account).map(|s| s.sessions.clone()).unwrap_or_default()
    }

    /// Whether the denylist holds anything, be it that it has run out.
    pub fn any_denied(&self) -> bool {
        !self.denied_tokens().is_empty()
    }

    /// The tokens on the denylist that have not run out.
    pub fn denied(&self, now: Timestamp) -> Vec<DeniedToken> {
        let denied = self.denied_tokens();
        denied.values().filter(|token| now < token.expires_at).cloned().collect()
    }

    /// Puts what was read from the database in the place of the denylist.
    pub fn replace_denied(&self, tokens: Vec<DeniedToken>) {
        let tokens = tokens.into_iter().map(|token| (token.digest.clone(), token)).collect();
        *self.denied.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    fn denied_tokens(&self) -> RwLockReadGuard<'_, HashMap<AccessDigest, DeniedToken>> {
        self.denied.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply_denied(&self, tokens: Vec<DeniedToken>, until: Option<Timestamp>) {
        let mut denied = self.denied.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(until) = until {
            denied.retain(|_, token| until < token.expires_at);
        }
        for token in tokens {
            denied.entry(token.digest.clone()).or_insert(token);
        }
    }

    /// Makes changes visible that have been committed.
    pub fn apply(&self, changes: Changes) {
        if !changes.denied.is_empty() || changes.denied_until.is_some() {
            self.apply_denied(changes.denied, changes.denied_until);
        }
        // Accounts first, so that a new session finds its own.
        for (id, shown) in changes.accounts {
            let mut shard = self.write(&id);
            match (shown, shard.get_mut(&id)) {
                (None, _) => {
                    let standing = shard.remove(&id);
                    drop(shard);
                    let gone = standing.map(|standing| standing.sessions).unwrap_or_default();
                    self.reorder(gone.into_values(), &[]);
                }
                (Some(shown), Some(standing)) => standing.shown = shown,
                (Some(shown), None) => {
                    shard.insert(id, Standing { shown, sessions: HashMap::new() });
                }
            }
        }
        for ((account, session), entry) in changes.sessions {
            let mut shard = self.write(&account);
            let Some(standing) = shard.get_mut(&account) else { continue };
            let gone = match &entry {
                Some(entry) => standing.sessions.insert(session, Arc::clone(entry)),
                None => standing.sessions.remove(&session),
            };
            drop(shard);
            // A new version of a session stands where the old one stood.
            if gone.is_none() != entry.is_none() {
                self.reorder(gone, entry.as_slice());
            }
        }
    }

    /// Puts what was read from the database in the place of what is known of an account, but for
    /// the marks of pairs that are still the same.
    pub fn replace(&self, account: &AccountId, standing: Option<Standing>) {
        let mut shard = self.write(account);
        let known = shard.remove(account);
        let gone = known.iter().flat_map(|known| known.sessions.values().cloned()).collect();
        let gone: Vec<Arc<Entry>> = gone;
        let Some(mut standing) = standing else {
            drop(shard);
            return self.reorder(gone, &[]);
        };
        for (id, entry) in &mut standing.sessions {
            let known = known.as_ref().and_then(|known| known.sessions.get(id));
            if let Some(known) = known.filter(|known| known.record.access == entry.record.access) {
                *entry = Arc::new(known.changed(entry.record.clone()));
            }
        }
        let come: Vec<Arc<Entry>> = standing.sessions.values().cloned().collect();
        shard.insert(account.clone(), standing);
        drop(shard);
        self.reorder(gone, &come);
    }

    /// The sessions whose marks wait to be written, which they do no more.
    pub fn take_noted(&self) -> Vec<Key> {
        let keys = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        for key in &keys {
            if let Some(entry) = self.entry(key) {
                entry.take_note();
            }
        }
        keys
    }

    /// Lets marks wait again that could not be written.
    pub fn note_again(&self, keys: Vec<Key>) {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).extend(keys);
    }

    /// The sessions that ended before `before`, and the accounts without sessions that need not
    /// be kept at `now`.
    pub fn ended(&self, before: Timestamp, now: Timestamp) -> (Vec<Key>, Vec<AccountId>) {
        let (mut sessions, mut accounts) = (Vec::new(), Vec::new());
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            for (account, standing) in shard.iter() {
                let ended = standing.sessions.iter().filter(|(_, entry)| entry.ends_at() <= before);
                sessions.extend(ended.map(|(id, _)| (account.clone(), id.clone())));
                if standing.sessions.is_empty() && standing.shown.kept_until <= now {
                    accounts.push(account.clone());
                }
            }
        }
        (sessions, accounts)
    }

    #[allow(clippy::indexing_slicing, reason = "the remainder is below the length")]
    fn shard(&self, account: &AccountId) -> &RwLock<Shard> {
        let hash = self.hasher.hash_one(account);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
    }

    fn read(&self, account: &AccountId) -> RwLockReadGuard<'_, Shard> {
        self.shard(account).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, account: &AccountId) -> RwLockWriteGuard<'_, Shard> {
        self.shard(account).write().unwrap_or_else(PoisonError::into_inner)
    }
}
