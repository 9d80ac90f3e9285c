//! Sessions: one sign-in, one session, one family of tokens, from `log_in` to `log_out`.

mod admission;
mod checks;
pub mod deny;
pub mod device;
mod everybody;
mod judge;
pub mod others;
mod reauth;
mod recognise;
mod record;
mod sign_in;
pub mod store;
pub mod survey;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::account::notice::{Notice, NoticeKind};
use crate::account::{Account, Accounts, Status};
use crate::audit::{Audit, Entry, Kind};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::id::{AccountId, Random, SecretString, SessionId, random_bytes};
use crate::metric::{self, Logins, Refreshes, Registry};
use crate::token::access::AccessJti;
use crate::token::refresh::{RefreshDigest, RefreshJti, Succession};
use crate::token::{Grant, Tokens};
pub use checks::{CheckedStandings, DatabaseChecks};
pub use reauth::Reauthenticated;
pub use recognise::Recognised;
pub use record::{Client, Issued, Lifetimes, Presented, SEEN_EVERY, Session};
pub use sign_in::Registration;
use store::{Live, Pair, Rotate, Rotation, SessionStore};

/// How much longer than any of its tokens can live it is remembered that a session has ended, so that a
/// clock that is a day off, ahead or behind, forgets nothing too soon.
const CLOCK_MARGIN: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// The service behind sign-in, every request's check, refresh and sign-out.
pub struct Sessions {
    accounts: Arc<Accounts>,
    store: Arc<dyn SessionStore>,
    checks: Arc<DatabaseChecks>,
    tokens: Arc<Tokens>,
    succession: Succession,
    lifetimes: Lifetimes,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    logins: Logins,
    refreshes: Refreshes,
}

impl Sessions {
    /// Puts the service together.
    #[allow(clippy::too_many_arguments, reason = "each is another service, named once, in `app`")]
    pub fn new(
        accounts: Arc<Accounts>,
        store: Arc<dyn SessionStore>,
        checks: Arc<DatabaseChecks>,
        tokens: Arc<Tokens>,
        succession: Succession,
        lifetimes: Lifetimes,
        audit: Arc<Audit>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let (logins, refreshes) = (Logins::default(), Refreshes::default());
        Self {
            accounts,
            store,
            checks,
            tokens,
            succession,
            lifetimes,
            audit,
            clock,
            random,
            logins,
            refreshes,
        }
    }

    /// Counts from now on how sign-ins and refreshes come out.
    #[must_use]
    pub fn watched(self, registry: &Registry) -> Self {
        Self { logins: Logins::of(registry), refreshes: Refreshes::of(registry), ..self }
    }

    /// Judges the access token of a request: signature and claims first, then the session store.
    /// One round trip, seldom two; no SQL.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`], [`Error::TokenExpired`], [`Error::SessionEnded`];
    /// [`Error::Unavailable`] if the store does not answer, so that nothing passes unchecked (SR-70).
    pub async fn verify(&self, access: &SecretString) -> Result<Live> {
        let now = self.clock.now();
        let claims = self.tokens.read_access(access, now).await?;
        let live = self.store.verify(&claims.account, &claims.session, &claims.digest, now).await?;
        match live {
            Some(live) if live.account.status != Status::Active => Err(Error::SessionEnded),
            Some(live) if self.outlived(&live.session, &live.account, now) => {
                Err(Error::SessionEnded)
            }
            Some(live) => Ok(live),
            None => Err(Error::SessionEnded),
        }
    }

    /// Trades a refresh token for the pair that follows it (SR-36).
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`], [`Error::SessionEnded`]; [`Error::TokenReused`], after which the
    /// session is over for everybody; [`Error::Throttled`].
    pub async fn refresh(&self, presented: &SecretString, client: &Client) -> Result<Issued> {
        let refreshed = self.rotate(presented, client).await;
        self.refreshes.count(match &refreshed {
            Ok((_, outcome)) => *outcome,
            Err(Error::TokenReused) => metric::Refresh::Reused,
            Err(Error::SessionEnded) => metric::Refresh::Ended,
            Err(Error::RefreshInvalid) => metric::Refresh::Invalid,
            Err(Error::Throttled(_)) => metric::Refresh::Throttled,
            Err(_) => metric::Refresh::Failed,
        });
        refreshed.map(|(issued, _)| issued)
    }

    async fn rotate(
        &self,
        presented: &SecretString,
        client: &Client,
    ) -> Result<(Issued, metric::Refresh)> {
        let now = self.clock.now();
        let claims = self.tokens.read_refresh(presented, now).await?;
        // Only now: what is no token of ours uses up nobody's refreshes.
        self.limits().refresh(&claims.session, client.ip, &client.gauge).await?;
        let account = self.ask_database(&claims.account, &claims.session, claims.epoch).await?;
        if self.is_idle(&claims, &account, now) {
            self.store.end(&claims.account, &claims.session).await?;
            return Err(Error::SessionEnded);
        }
        let (refresh, access) = self.succession.after(&claims.session, &claims.jti);
        let pair = Pair { access: access.digest(), refresh: refresh.digest() };
        let (grace, presented) = (self.lifetimes.reuse_grace, claims.lineage());
        let rotate = Rotate {
            account: &account,
            session: &claims.session,
            old: &presented,
            new: &pair,
            access_lifetime: self.access_lifetime(),
            grace,
            now,
        };
        let (session, outcome) = match self.store.rotate(rotate).await? {
            Rotation::Rotated(session) => (session, metric::Refresh::Rotated),
            Rotation::CaughtUp(session) => (session, metric::Refresh::CaughtUp),
            Rotation::Repeated(session) if now.since(session.issued_at) <= grace => {
                (session, metric::Refresh::RepeatedInGrace)
            }
            Rotation::Repeated(session) => (session, metric::Refresh::RepeatedUnused),
            Rotation::Reused => return Err(self.reused(&claims.session, account, now).await),
            Rotation::Unknown => return Err(Error::SessionEnded),
        };
        if self.outlived(&session, &account, now) {
            self.store.end(&account.id, &session.id).await?;
            return Err(Error::SessionEnded);
        }
        let follows = Some(&presented.digest);
        Ok((self.sign(session, account, (&access, &refresh), follows)?, outcome))
    }

    /// Whether a refresh token is the current one of a live session, so that a browser may be given it
    /// once more: an older one would end the session when it is used (SR-36).
    ///
    /// # Errors
    /// What is wrong with the token; [`Error::Unavailable`].
    pub async fn is_current(&self, refresh: &SecretString) -> Result<bool> {
        let now = self.clock.now();
        let claims = self.tokens.read_refresh(refresh, now).await?;
        self.store.is_current(&claims.account, &claims.session, &claims.jti.digest(), now).await
    }

    /// Records that a spent token of a session was shown, for which the store has ended it, and
    /// tells the owner.
    async fn reused(&self, session: &SessionId, account: Account, now: Timestamp) -> Error {
        self.remember_ended(std::slice::from_ref(session)).await;
        let event = Entry::of(Kind::TokenReuse).about(&account.id);
        self.audit.record(event.detail(format!("session {session}"))).await;
        let told =
            self.accounts.try_notify(account, Notice::new(NoticeKind::TokenReused, now)).await;
        // The owner's other sessions show it from their next request on. The answer is the same if
        // that fails: they learn of it at their next refresh.
        let _ = self.store.publish(&told, now).await;
        Error::TokenReused
    }

    /// Ends the session that a request's tokens name, if they are ours at all. A token that has
    /// run out or was rotated still names its session: whoever holds it may end it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: then it is not done, and must not be said to be (SR-70).
    pub async fn log_out(&self, presented: &Presented) -> Result<()> {
        let access = self.named_by(presented.access.as_ref()).await?;
        let refresh = self.named_by(presented.refresh.as_ref()).await?;
        let second = refresh.filter(|other| Some(other) != access.as_ref());
        for (account, session) in access.into_iter().chain(second) {
            if self.finish(&account, &session).await? {
                // Whoever holds a session's token acts for its account.
                let event = Entry::of(Kind::SessionEnded).about(&account).by(account.as_str());
                self.audit.record(event.detail(format!("session {session}, signed out"))).await;
            } else {
                // It may have ended by an attempt whose answer was lost, and that nobody noted.
                self.remember_ended(std::slice::from_ref(&session)).await;
            }
        }
        Ok(())
    }

    async fn named_by(
        &self,
        token: Option<&SecretString>,
    ) -> Result<Option<(AccountId, SessionId)>> {
        match token {
            Some(token) => self.tokens.name_of(token).await,
            None => Ok(None),
        }
    }

    /// The live sessions of an account, the last seen first.
    pub async fn list(&self, account: &AccountId) -> Result<Vec<Session>> {
        let mut sessions = self.store.list(account, self.clock.now()).await?;
        sessions.sort_by(|a, b| (b.last_seen_at, &b.id).cmp(&(a.last_seen_at, &a.id)));
        Ok(sessions)
    }

    /// Ends one session of an account.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the account has no such session.
    pub async fn end(&self, account: &AccountId, session: &SessionId) -> Result<()> {
        if self.finish(account, session).await? {
            let event = Entry::of(Kind::SessionEnded).about(account);
            self.audit.record(event.detail(format!("session {session}"))).await;
            Ok(())
        } else {
            Err(Error::NotFound)
        }
    }

    /// Ends every session of an account but `keep`; says how many ended.
    pub async fn end_others(&self, account: &AccountId, keep: &SessionId) -> Result<u64> {
        let mut ended = 0;
        for session in self.store.list(account, self.clock.now()).await? {
            if session.id != *keep && self.finish(account, &session.id).await? {
                ended += 1;
            }
        }
        let event = Entry::of(Kind::SessionEnded).about(account);
        self.audit.record(event.detail(format!("all others: {ended}"))).await;
        Ok(ended)
    }

    /// Ends a session for good; whether there was one. It is over in the session store first, for
    /// that is what requests ask, and then in SQL, which a restored session store cannot overrule.
    async fn finish(&self, account: &AccountId, session: &SessionId) -> Result<bool> {
        let existed = self.store.end(account, session).await?;
        if existed {
            self.remember_ended(std::slice::from_ref(session)).await;
        }
        Ok(existed)
    }

    /// Remembers that sessions have ended for as long as any of their refresh tokens could live.
    ///
    /// They are over already. A database that is away is no reason to tell their owners that they
    /// are not; it only leaves open what a session store that is restored later would say.
    async fn remember_ended(&self, sessions: &[SessionId]) {
        let longest =
            self.lifetimes.remember_absolute_lifetime.max(self.lifetimes.absolute_lifetime);
        let until = self.clock.now() + longest + CLOCK_MARGIN;
        if let Err(error) = self.accounts.note_ended(sessions, until).await {
            let sessions = sessions.iter().map(SessionId::as_str).collect::<Vec<_>>().join(" ");
            tracing::warn!(%sessions, %error, "ended sessions are not remembered in the database");
        }
    }

    /// Whether an administrator's session is older than those may be: it began before its account
    /// became one (SR-33).
    fn outlived(&self, session: &Session, account: &Account, now: Timestamp) -> bool {
        account.has_power()
            && now.since(session.created_at) >= self.lifetimes.admin_absolute_lifetime
    }

    pub(super) fn sign(
        &self,
        session: Session,
        account: Account,
        (access, refresh): (&AccessJti, &RefreshJti),
        follows: Option<&RefreshDigest>,
    ) -> Result<Issued> {
        let grant = Grant {
            account: &account.id,
            session: &session.id,
            issued_at: session.issued_at,
            epoch: session.epoch,
            follows,
        };
        // Other servers read the roles without asking us.
        let none = BTreeSet::new();
        let roles = if account.must_change_password { &none } else { &account.roles };
        let access = self.tokens.sign_access(&grant, access, session.access_expires_at, roles)?;
        let refresh = self.tokens.sign_refresh(&grant, refresh, session.refresh_expires_at)?;
        Ok(Issued { session, account, access, refresh, device: None })
    }

    /// The life of an access token, up to 5 % shorter than configured, so that the tokens of a
    /// browser's tabs do not all run out at once.
    pub(super) fn access_lifetime(&self) -> Duration {
        let full = self.lifetimes.access_lifetime;
        let [dice] = random_bytes::<1>(&*self.random);
        full - full.mul_f64(0.05 * f64::from(dice) / 256.0)
    }
}
