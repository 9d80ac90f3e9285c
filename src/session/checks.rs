//! What the database said of sessions a short while ago, so that it is not asked with every request.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use quick_cache::sync::Cache;

use crate::account::Account;
use crate::account::store::Standings;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{AccountId, SessionId};

/// How many answers are kept; of more sessions the database is asked more often.
const KEPT: usize = 16_384;
/// How many counters the accounts share. Two that share one cost each other a question.
const COUNTERS: usize = 1024;

/// The database's answers that a session may go on.
///
/// An answer saves a question to the database and nothing else: the session store is asked every
/// time, so what ends a session there ends it here too. Any change that is made to an account in
/// this process voids the answers about its sessions, also if the store could not be told.
#[derive(Debug)]
pub struct DatabaseChecks {
    answers: Cache<SessionId, Answer>,
    changes: Box<[AtomicU64]>,
}

/// Counts the changes of an account: taken before the database is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64);

/// The database let a session go on.
#[derive(Clone, Copy, Debug)]
struct Answer {
    epoch: i64,
    version: i64,
    stamp: Stamp,
    asked_at: Timestamp,
}

impl Default for DatabaseChecks {
    fn default() -> Self {
        let changes = (0..COUNTERS).map(|_| AtomicU64::new(0)).collect();
        Self { answers: Cache::new(KEPT), changes }
    }
}

impl DatabaseChecks {
    /// To be taken before the database is asked: a change in between voids the answer.
    pub(super) fn stamp(&self, account: &AccountId) -> Stamp {
        Stamp(self.counter(account).load(Ordering::SeqCst))
    }

    /// Keeps the answer that `session` may go on, which was asked for at `asked_at`.
    pub(super) fn keep(
        &self,
        session: &SessionId,
        account: &Account,
        stamp: Stamp,
        asked_at: Timestamp,
    ) {
        let (epoch, version) = (account.session_epoch, account.version);
        self.answers.insert(session.clone(), Answer { epoch, version, stamp, asked_at });
    }

    /// Whether the database let `session` go on under `epoch` within the last `lifetime`, and the
    /// store shows an `account` that is no older than the database had it then: one that does has
    /// been restored since.
    pub(super) fn hold(
        &self,
        session: &SessionId,
        epoch: i64,
        account: &Account,
        lifetime: Duration,
        now: Timestamp,
    ) -> bool {
        self.answers.get(session).is_some_and(|answer| {
            // A clock that was set back makes an answer no younger.
            now.is_within(lifetime, answer.asked_at)
                && answer.epoch == epoch
                && answer.version <= account.version
                && answer.stamp == self.stamp(&account.id)
        })
    }

    /// Voids what was said of the sessions of an account.
    fn forget(&self, account: &AccountId) {
        self.counter(account).fetch_add(1, Ordering::SeqCst);
    }

    #[allow(clippy::indexing_slicing, reason = "the remainder is below the length")]
    fn counter(&self, account: &AccountId) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        account.hash(&mut hasher);
        &self.changes[usize::try_from(hasher.finish() % COUNTERS as u64).unwrap_or_default()]
    }
}

/// The copies of accounts in `store`, where each change also voids what the database said before it.
pub struct CheckedStandings {
    /// What is voided.
    pub checks: Arc<DatabaseChecks>,
    /// Where the copies are kept.
    pub store: Arc<dyn Standings>,
}

#[async_trait]
impl Standings for CheckedStandings {
    async fn publish(&self, account: &Account, now: Timestamp) -> Result<()> {
        self.checks.forget(&account.id);
        self.store.publish(account, now).await
    }

    async fn revoke(
        &self,
        account: &Account,
        keep: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64> {
        self.checks.forget(&account.id);
        self.store.revoke(account, keep, now).await
    }

    async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }

    async fn ping_to_revoke(&self) -> Result<()> {
        self.store.ping_to_revoke().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Status;
    use crate::account::email::Email;
    use crate::id::Os;

    const LIFE: Duration = Duration::from_secs(600);
    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn account() -> Account {
        Account {
            id: AccountId::random(&Os),
            email: Email::parse("ada@example.org").unwrap(),
            display_name: String::new(),
            status: Status::Active,
            roles: Default::default(),
            permissions: Default::default(),
            created_at: NOW,
            last_login_at: None,
            version: 7,
            session_epoch: 2,
            must_change_password: false,
            notices: Vec::new(),
        }
    }

    #[test]
    fn an_answer_holds_for_one_life_under_its_epoch_and_for_no_older_account() {
        let (checks, account) = (DatabaseChecks::default(), account());
        let session = SessionId::random(&Os);
        assert!(!checks.hold(&session, 2, &account, LIFE, NOW), "nobody was asked");
        checks.keep(&session, &account, checks.stamp(&account.id), NOW);
        let holds = |epoch, version, now| {
            let shown = Account { version, ..account.clone() };
            checks.hold(&session, epoch, &shown, LIFE, now)
        };
        assert!(holds(2, 7, NOW) && holds(2, 8, NOW + LIFE - Duration::from_millis(1)));
        assert!(!holds(2, 7, NOW + LIFE), "its time is over");
        assert!(!holds(2, 7, NOW - Duration::from_millis(1)), "the clock was set back");
        assert!(!holds(3, 7, NOW) && !holds(1, 7, NOW), "another epoch");
        assert!(!holds(2, 6, NOW), "the store was restored since");
        assert!(!checks.hold(&SessionId::random(&Os), 2, &account, LIFE, NOW), "another session");
    }

    #[test]
    fn a_change_voids_an_answer_also_if_it_came_while_the_database_was_asked() {
        let (checks, account) = (DatabaseChecks::default(), account());
        let session = SessionId::random(&Os);
        let before = checks.stamp(&account.id);
        checks.forget(&account.id);
        checks.keep(&session, &account, before, NOW);
        assert!(!checks.hold(&session, 2, &account, LIFE, NOW));
        checks.keep(&session, &account, checks.stamp(&account.id), NOW);
        assert!(checks.hold(&session, 2, &account, LIFE, NOW));
        checks.forget(&account.id);
        assert!(!checks.hold(&session, 2, &account, LIFE, NOW));
    }
}
