//! Stores that somebody watches: what they are asked is timed, what fails is counted, and each
//! operation is a span of its request. The SQL store does this itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::account::Account;
use crate::account::store::Standings;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{AccountId, SessionId};
use crate::limit::store::{Attempt, LimitKey, LimitStore, Taken};
use crate::limit::{Backoff, Quota};
use crate::metric::{Registry, Timer};
use crate::session::Session;
use crate::session::store::{Live, Opened, Opening, Pair, Rotate, Rotation, SessionStore, Vouched};
use crate::session::survey::{Stretch, Survey};
use crate::submission::store::{Claim, Claimed, SubmissionKey, SubmissionStore};
use crate::token::access::AccessDigest;
use crate::token::denylist::{DeniedToken, Denylist};
use crate::token::refresh::{Lineage, RefreshDigest};
use crate::trace;

/// `store`, watched if anybody watches.
pub fn sessions(store: Arc<dyn SessionStore>, registry: &Registry) -> Arc<dyn SessionStore> {
    if registry.is_on() || trace::is_on() {
        Arc::new(Sessions { store, timers: SessionTimers::of(registry, "sessions") })
    } else {
        store
    }
}

/// `store`, watched if anybody watches.
pub fn limits(store: Arc<dyn LimitStore>, registry: &Registry) -> Arc<dyn LimitStore> {
    if registry.is_on() || trace::is_on() {
        Arc::new(Limits { store, timers: LimitTimers::of(registry, "limits") })
    } else {
        store
    }
}

/// `store`, watched if anybody watches.
pub fn submissions(
    store: Arc<dyn SubmissionStore>,
    registry: &Registry,
) -> Arc<dyn SubmissionStore> {
    if registry.is_on() || trace::is_on() {
        Arc::new(Submissions { store, timers: SubmissionTimers::of(registry, "submissions") })
    } else {
        store
    }
}

/// Declares a timer for each operation of a store.
macro_rules! timers {
    ($name:ident: $($operation:ident)*) => {
        struct $name {
            $($operation: Timer,)*
        }

        impl $name {
            fn of(registry: &Registry, store: &'static str) -> Self {
                Self { $($operation: Timer::new(registry, store, stringify!($operation)),)* }
            }
        }
    };
}

timers!(SessionTimers:
    publish revoke ping deny denied open verify vouch is_current rotate reauthenticate end list survey
    owner count);
timers!(LimitTimers: take charge attempt clear give_back);
timers!(SubmissionTimers: claim finish give_up);

struct Sessions {
    store: Arc<dyn SessionStore>,
    timers: SessionTimers,
}

#[async_trait]
impl Standings for Sessions {
    async fn publish(&self, account: &Account, now: Timestamp) -> Result<()> {
        self.timers.publish.time(self.store.publish(account, now)).await
    }

    async fn revoke(
        &self,
        account: &Account,
        keep: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<u64> {
        self.timers.revoke.time(self.store.revoke(account, keep, now)).await
    }

    async fn ping(&self) -> Result<()> {
        self.timers.ping.time(self.store.ping()).await
    }

    async fn ping_to_revoke(&self) -> Result<()> {
        self.timers.ping.time(self.store.ping_to_revoke()).await
    }
}

#[async_trait]
impl Denylist for Sessions {
    async fn deny(&self, token: &DeniedToken, now: Timestamp) -> Result<()> {
        self.timers.deny.time(self.store.deny(token, now)).await
    }

    async fn denied(&self, now: Timestamp) -> Result<Vec<DeniedToken>> {
        self.timers.denied.time(self.store.denied(now)).await
    }
}

#[async_trait]
impl SessionStore for Sessions {
    async fn open(
        &self,
        session: &Session,
        pair: &Pair,
        account: &Account,
        opening: Opening,
        now: Timestamp,
    ) -> Result<Opened> {
        self.timers.open.time(self.store.open(session, pair, account, opening, now)).await
    }

    async fn verify(
        &self,
        account: &AccountId,
        session: &SessionId,
        access: &AccessDigest,
        now: Timestamp,
    ) -> Result<Option<Live>> {
        self.timers.verify.time(self.store.verify(account, session, access, now)).await
    }

    async fn vouch(
        &self,
        account: &AccountId,
        session: &SessionId,
        refresh: &Lineage,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Vouched> {
        self.timers.vouch.time(self.store.vouch(account, session, refresh, grace, now)).await
    }

    async fn is_current(
        &self,
        account: &AccountId,
        session: &SessionId,
        refresh: &RefreshDigest,
        now: Timestamp,
    ) -> Result<bool> {
        self.timers.is_current.time(self.store.is_current(account, session, refresh, now)).await
    }

    async fn rotate(&self, rotate: Rotate<'_>) -> Result<Rotation> {
        self.timers.rotate.time(self.store.rotate(rotate)).await
    }

    async fn reauthenticate(
        &self,
        account: &AccountId,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        self.timers.reauthenticate.time(self.store.reauthenticate(account, session, now)).await
    }

    async fn end(&self, account: &AccountId, session: &SessionId) -> Result<bool> {
        self.timers.end.time(self.store.end(account, session)).await
    }

    async fn list(&self, account: &AccountId, now: Timestamp) -> Result<Vec<Session>> {
        self.timers.list.time(self.store.list(account, now)).await
    }

    async fn survey(&self, survey: &Survey, now: Timestamp) -> Result<Stretch> {
        self.timers.survey.time(self.store.survey(survey, now)).await
    }

    async fn owner(&self, session: &SessionId) -> Result<Option<AccountId>> {
        self.timers.owner.time(self.store.owner(session)).await
    }

    async fn count(&self) -> Result<u64> {
        self.timers.count.time(self.store.count()).await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

struct Limits {
    store: Arc<dyn LimitStore>,
    timers: LimitTimers,
}

#[async_trait]
impl LimitStore for Limits {
    async fn take(&self, key: &LimitKey, quota: &Quota, now: Timestamp) -> Result<Taken> {
        self.timers.take.time(self.store.take(key, quota, now)).await
    }

    async fn charge(
        &self,
        key: &LimitKey,
        quota: &Quota,
        tokens: u32,
        now: Timestamp,
    ) -> Result<Taken> {
        self.timers.charge.time(self.store.charge(key, quota, tokens, now)).await
    }

    async fn attempt(&self, key: &LimitKey, backoff: &Backoff, now: Timestamp) -> Result<Attempt> {
        self.timers.attempt.time(self.store.attempt(key, backoff, now)).await
    }

    async fn clear(&self, key: &LimitKey) -> Result<()> {
        self.timers.clear.time(self.store.clear(key)).await
    }

    async fn give_back(&self, key: &LimitKey, failures: u32) -> Result<()> {
        self.timers.give_back.time(self.store.give_back(key, failures)).await
    }
}

struct Submissions {
    store: Arc<dyn SubmissionStore>,
    timers: SubmissionTimers,
}

#[async_trait]
impl SubmissionStore for Submissions {
    async fn claim(
        &self,
        key: &SubmissionKey,
        claim: &Claim,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Claimed> {
        self.timers.claim.time(self.store.claim(key, claim, lease, now)).await
    }

    async fn finish(
        &self,
        key: &SubmissionKey,
        claim: &Claim,
        sealed: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<()> {
        self.timers.finish.time(self.store.finish(key, claim, sealed, lifetime, now)).await
    }

    async fn give_up(&self, key: &SubmissionKey, claim: &Claim) -> Result<()> {
        self.timers.give_up.time(self.store.give_up(key, claim)).await
    }
}
