//! Sessions: one sign-in, one session, one family of tokens, from `log_in` to `log_out`.

pub mod device;
pub mod store;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::{Account, Accounts, Status};
use crate::audit;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::id::{AccountId, Random, SecretString, SessionId, random_bytes};
use crate::token::access::{AccessJti, AccessToken};
use crate::token::refresh::{RefreshJti, RefreshToken, Succession};
use crate::token::{Grant, Tokens};
use store::{Live, Opened, Opening, Pair, Rotate, Rotation, SessionStore};

/// How often at most a session's `last_seen_at` is written.
pub const SEEN_EVERY: Duration = Duration::from_secs(60);

/// Longest user agent that is kept, in bytes.
const MAX_USER_AGENT: usize = 512;

/// How long things live (SR-33).
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// An access token.
    pub access_lifetime: Duration,
    /// A session that nobody refreshes.
    pub idle_lifetime: Duration,
    /// A session, whatever happens.
    pub absolute_lifetime: Duration,
    /// A remembered session that nobody refreshes.
    pub remember_idle_lifetime: Duration,
    /// A remembered session, whatever happens.
    pub remember_absolute_lifetime: Duration,
    /// An administrator's session that nobody refreshes.
    pub admin_idle_lifetime: Duration,
    /// An administrator's session, whatever happens.
    pub admin_absolute_lifetime: Duration,
    /// How long after a rotation the token before it is still answered (SR-36).
    pub reuse_grace: Duration,
}

/// A sign-in on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Names it; no secret.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last seen, to the minute.
    pub last_seen_at: Timestamp,
    /// When its current tokens were issued.
    pub issued_at: Timestamp,
    /// When its current access token runs out.
    pub access_expires_at: Timestamp,
    /// When it ends if nobody refreshes it.
    pub refresh_expires_at: Timestamp,
    /// When it ends whatever happens.
    pub absolute_expires_at: Timestamp,
    /// How long it may go unrefreshed.
    pub idle_lifetime: Duration,
    /// The account's session epoch when it began (SR-38).
    pub epoch: i64,
    /// Whether its cookies outlive the browser's window.
    pub remember: bool,
    /// The browser as it named itself; may be empty.
    pub user_agent: String,
    /// The address it began from.
    pub ip: IpAddr,
}

/// Who asks, as far as the network tells.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client's address (SR-24).
    pub ip: IpAddr,
    /// What it calls itself.
    pub user_agent: String,
}

/// A session's tokens, fresh, for the client to keep.
pub struct Issued {
    /// The session they name.
    pub session: Session,
    /// Its account.
    pub account: Account,
    /// The access token.
    pub access: AccessToken,
    /// The refresh token.
    pub refresh: RefreshToken,
}

/// The tokens that came with a request; none of them checked.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// The access token.
    pub access: Option<SecretString>,
    /// The refresh token.
    pub refresh: Option<SecretString>,
}

/// The service behind sign-in, every request's check, refresh and sign-out.
pub struct Sessions {
    accounts: Arc<Accounts>,
    store: Arc<dyn SessionStore>,
    tokens: Arc<Tokens>,
    succession: Succession,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Sessions {
    /// Puts the service together.
    pub fn new(
        accounts: Arc<Accounts>,
        store: Arc<dyn SessionStore>,
        tokens: Arc<Tokens>,
        succession: Succession,
        lifetimes: Lifetimes,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self { accounts, store, tokens, succession, lifetimes, clock, random }
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
        let account = match self.accounts.authenticate(email, password).await {
            Ok(account) => account,
            Err(error) => {
                if matches!(error, Error::InvalidCredentials) {
                    audit::record(audit::Kind::LoginFail, None, Some(client.ip));
                }
                return Err(error);
            }
        };
        self.open(account, remember, client, presented).await
    }

    /// Opens a session for an account whose owner has just proved who they are.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`] if the account was changed so that this no longer counts.
    pub async fn open(
        &self,
        account: Account,
        remember: bool,
        client: Client,
        presented: &Presented,
    ) -> Result<Issued> {
        let now = self.clock.now();
        let session = self.new_session(&account, remember, client, now);
        let issued = self.establish(session, account, Opening::New, now).await?;
        self.log_out(presented).await?;
        audit::record(audit::Kind::LoginSuccess, Some(&issued.account.id), Some(issued.session.ip));
        Ok(issued)
    }

    /// Gives a session a new pair of tokens under the account's present epoch: after a change of
    /// the password, which ends every other session.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] if it ended meanwhile.
    pub async fn reissue(&self, session: &Session, account: Account) -> Result<Issued> {
        let now = self.clock.now();
        let refresh_expires_at = (now + session.idle_lifetime).min(session.absolute_expires_at);
        let session = Session {
            issued_at: now,
            last_seen_at: now,
            access_expires_at: (now + self.access_lifetime()).min(refresh_expires_at),
            refresh_expires_at,
            epoch: account.session_epoch,
            ..session.clone()
        };
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
                audit::record(audit::Kind::TokenReuse, Some(&account.id), None);
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
                audit::record(audit::Kind::SessionEnd, Some(&account), None);
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
            audit::record(audit::Kind::SessionEnd, Some(account), None);
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
        Ok(ended)
    }

    fn new_session(
        &self,
        account: &Account,
        remember: bool,
        client: Client,
        now: Timestamp,
    ) -> Session {
        let lifetimes = &self.lifetimes;
        let (mut idle, mut absolute) = if remember {
            (lifetimes.remember_idle_lifetime, lifetimes.remember_absolute_lifetime)
        } else {
            (lifetimes.idle_lifetime, lifetimes.absolute_lifetime)
        };
        if account.is_admin() {
            idle = idle.min(lifetimes.admin_idle_lifetime);
            absolute = absolute.min(lifetimes.admin_absolute_lifetime);
        }
        let refresh_expires_at = now + idle.min(absolute);
        let mut user_agent = client.user_agent;
        user_agent.truncate(user_agent.floor_char_boundary(MAX_USER_AGENT));
        Session {
            id: SessionId::random(&*self.random),
            account: account.id.clone(),
            created_at: now,
            last_seen_at: now,
            issued_at: now,
            access_expires_at: (now + self.access_lifetime()).min(refresh_expires_at),
            refresh_expires_at,
            absolute_expires_at: now + absolute,
            idle_lifetime: idle,
            epoch: account.session_epoch,
            remember,
            user_agent,
            ip: client.ip,
        }
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
