//! Sessions: one sign-in, one session, one family of tokens, from `log_in` to `log_out`.

pub mod device;
mod record;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use crate::account::notice::{Notice, NoticeKind};
use crate::account::{Account, Accounts, Status};
use crate::audit::{Audit, Entry, Kind};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::id::{AccountId, Random, SecretString, SessionId, random_bytes};
use crate::token::access::AccessJti;
use crate::token::refresh::{RefreshJti, Succession};
use crate::token::{Grant, Tokens};
use device::Device;
pub use record::{Client, Issued, Lifetimes, Presented, SEEN_EVERY, Session};
use store::{Live, Opened, Opening, Pair, Rotate, Rotation, SessionStore};

/// What a person says to get an account.
pub struct Registration<'a> {
    /// The e-mail address, as it was typed.
    pub email: &'a str,
    /// The password.
    pub password: SecretString,
    /// The name to show; may be empty.
    pub display_name: &'a str,
}

/// The service behind sign-in, every request's check, refresh and sign-out.
pub struct Sessions {
    accounts: Arc<Accounts>,
    store: Arc<dyn SessionStore>,
    tokens: Arc<Tokens>,
    succession: Succession,
    lifetimes: Lifetimes,
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Sessions {
    /// Puts the service together.
    #[allow(clippy::too_many_arguments, reason = "each is another service, named once, in `app`")]
    pub fn new(
        accounts: Arc<Accounts>,
        store: Arc<dyn SessionStore>,
        tokens: Arc<Tokens>,
        succession: Succession,
        lifetimes: Lifetimes,
        audit: Arc<Audit>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { accounts, store, tokens, succession, lifetimes, audit, clock, random }
    }

    /// Signs a person in: a new session with new tokens, and an end to the one that was presented
    /// along with the request (SR-25).
    ///
    /// # Errors
    /// As [`Accounts::authenticate`].
    pub async fn log_in(
        &self,
        email: &str,
        password: SecretString,
        remember: bool,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let account = self.accounts.authenticate(email, password).await?;
        let issued = self.open(account, remember, client, presented).await?;
        let id = &issued.account.id;
        let event = Entry::of(Kind::LoginSuccess).about(id).by(id.as_str());
        self.audit.record(event.from(issued.session.ip)).await;
        Ok(issued)
    }

    /// Registers a person and signs them in.
    ///
    /// # Errors
    /// As [`Accounts::register`].
    pub async fn register(
        &self,
        registration: Registration<'_>,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let Registration { email, password, display_name } = registration;
        let account = self.accounts.register(email, password, display_name).await?;
        self.open(account, false, client, presented).await
    }

    /// Makes the first administrator, for whoever holds the set-up token, and signs them in.
    ///
    /// # Errors
    /// As [`Accounts::set_up`].
    pub async fn set_up(
        &self,
        token: &SecretString,
        registration: Registration<'_>,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let Registration { email, password, display_name } = registration;
        let account = self.accounts.set_up(token, email, password, display_name).await?;
        self.open(account, false, client, presented).await
    }

    /// Changes the password of whoever is signed in: every other session ends, and this one gets
    /// new tokens.
    ///
    /// # Errors
    /// As [`Accounts::change_password`].
    pub async fn change_password(
        &self,
        live: &Live,
        current: SecretString,
        new: SecretString,
    ) -> Result<Issued> {
        let session = &live.session;
        let account =
            self.accounts.change_password(&session.account, current, new, &session.id).await?;
        self.reissue(session, account).await
    }

    /// Opens a session for an account whose owner has just proved who they are.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] if the account was changed so that this no longer counts.
    async fn open(
        &self,
        account: Account,
        remember: bool,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let now = self.clock.now();
        let session = Session::begin(
            &account,
            remember,
            client,
            &self.lifetimes,
            self.access_lifetime(),
            now,
            &*self.random,
        );
        let device = Device::from_user_agent(&session.user_agent).name;
        let account = self.accounts.meet(account, &device, &session.id).await;
        let issued = self.establish(session, account, Opening::New, now).await?;
        let (id, session) = (&issued.account.id, &issued.session);
        let event = Entry::of(Kind::SessionCreated).about(id).by(id.as_str()).from(session.ip);
        self.audit.record(event.detail(format!("session {} on {device}", session.id))).await;
        self.log_out(presented).await?;
        Ok(issued)
    }

    /// Gives a session a new pair of tokens under the account's present epoch: after a change of
    /// the password, which ends every other session.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] if it ended meanwhile.
    async fn reissue(&self, session: &Session, account: Account) -> Result<Issued> {
        let now = self.clock.now();
        let session = session.renewed(&account, self.access_lifetime(), now);
        self.establish(session, account, Opening::Renewal, now).await
    }

    /// Judges the access token of a request: signature and claims first, then the session store.
    /// One round trip, no SQL.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`], [`Error::TokenExpired`], [`Error::SessionEnded`];
    /// [`Error::Unavailable`] if the store does not answer, so that nothing passes unchecked (SR-70).
    pub async fn verify(&self, access: &SecretString) -> Result<Live> {
        let now = self.clock.now();
        let claims = self.tokens.read_access(access, now)?;
        let live = self.store.verify(&claims.account, &claims.session, &claims.digest, now).await?;
        match live {
            Some(live) if live.account.status == Status::Active => Ok(live),
            _ => Err(Error::SessionEnded),
        }
    }

    /// Trades a refresh token for the pair that follows it (SR-36).
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`], [`Error::SessionEnded`]; [`Error::TokenReused`], after which the
    /// session is over for everybody.
    pub async fn refresh(&self, presented: &SecretString) -> Result<Issued> {
        let now = self.clock.now();
        let claims = self.tokens.read_refresh(presented, now)?;
        let account = self.accounts.current(&claims.account).await?;
        let Some(account) = account.filter(|account| account.status == Status::Active) else {
            self.store.end(&claims.account, &claims.session).await?;
            return Err(Error::SessionEnded);
        };
        let (refresh, access) = self.succession.after(&claims.session, &claims.jti);
        let pair = Pair { access: access.digest(), refresh: refresh.digest() };
        let rotation = self
            .store
            .rotate(Rotate {
                account: &account,
                session: &claims.session,
                old: &claims.jti.digest(),
                new: &pair,
                access_lifetime: self.access_lifetime(),
                grace: self.lifetimes.reuse_grace,
                now,
            })
            .await?;
        match rotation {
            Rotation::Rotated(session) | Rotation::Repeated(session) => {
                self.sign(session, account, &access, &refresh)
            }
            Rotation::Reused => {
                let event = Entry::of(Kind::TokenReuse).about(&account.id);
                self.audit.record(event.detail(format!("session {}", claims.session))).await;
                let notice = Notice::new(NoticeKind::TokenReused, now);
                let told = self.accounts.try_notify(account, notice).await;
                // The owner's other sessions show it from their next request on. The answer is
                // the same if that fails: they learn of it at their next refresh.
                let _ = self.store.publish(&told, now).await;
                Err(Error::TokenReused)
            }
            Rotation::Unknown => Err(Error::SessionEnded),
        }
    }

    /// Ends the session that a request's tokens name, if they are ours at all. A token that has
    /// run out or was rotated still names its session: whoever holds it may end it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: then it is not done, and must not be said to be (SR-70).
    pub async fn log_out(&self, presented: &Presented) -> Result<()> {
        let access = presented.access.as_ref().and_then(|token| self.tokens.name_of(token));
        let refresh = presented.refresh.as_ref().and_then(|token| self.tokens.name_of(token));
        let second = refresh.filter(|other| Some(other) != access.as_ref());
        for (account, session) in access.into_iter().chain(second) {
            if self.store.end(&account, &session).await? {
                // Whoever holds a session's token acts for its account.
                let event = Entry::of(Kind::SessionEnded).about(&account).by(account.as_str());
                self.audit.record(event.detail(format!("session {session}, signed out"))).await;
            }
        }
        Ok(())
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
        if self.store.end(account, session).await? {
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
            if session.id != *keep && self.store.end(account, &session.id).await? {
                ended += 1;
            }
        }
        let event = Entry::of(Kind::SessionEnded).about(account);
        self.audit.record(event.detail(format!("all others: {ended}"))).await;
        Ok(ended)
    }

    /// Writes a session with a fresh pair of tokens, and signs them. If the account is changed
    /// while that goes on, what it was is not enough: it is read again.
    async fn establish(
        &self,
        mut session: Session,
        mut account: Account,
        opening: Opening,
        now: Timestamp,
    ) -> Result<Issued> {
        let (refresh, access) =
            (RefreshJti::random(&*self.random), AccessJti::random(&*self.random));
        let pair = Pair { access: access.digest(), refresh: refresh.digest() };
        loop {
            match self.store.open(&session, &pair, &account, opening, now).await? {
                Opened::Done => return self.sign(session, account, &access, &refresh),
                Opened::Gone => return Err(Error::SessionEnded),
                Opened::AccountChanged => {
                    let read_again = self.accounts.current(&account.id).await?;
                    // A raised epoch: the password was changed, or all sessions were ended.
                    account = read_again
                        .filter(|a| a.status == Status::Active && a.session_epoch == session.epoch)
                        .ok_or(Error::InvalidCredentials)?;
                    session.epoch = account.session_epoch;
                }
            }
        }
    }

    fn sign(
        &self,
        session: Session,
        account: Account,
        access: &AccessJti,
        refresh: &RefreshJti,
    ) -> Result<Issued> {
        let grant =
            Grant { account: &account.id, session: &session.id, issued_at: session.issued_at };
        let access =
            self.tokens.sign_access(&grant, access, session.access_expires_at, &account.roles)?;
        let refresh = self.tokens.sign_refresh(&grant, refresh, session.refresh_expires_at)?;
        Ok(Issued { session, account, access, refresh })
    }

    /// The life of an access token, up to 5 % shorter than configured, so that the tokens of a
    /// browser's tabs do not all run out at once.
    fn access_lifetime(&self) -> Duration {
        let full = self.lifetimes.access_lifetime;
        let [dice] = random_bytes::<1>(&*self.random);
        full - full.mul_f64(0.05 * f64::from(dice) / 256.0)
    }
}
