//! What a session is, how long it lives, and what a client holds of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::address::ClientAddress;
use crate::clock::Timestamp;
use crate::id::{AccountId, Random, SecretString, SessionId};
use crate::limit::Gauge;
use crate::limit::device::DeviceToken;
use crate::token::access::AccessToken;
use crate::token::refresh::RefreshToken;

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
    /// A session of somebody with power over Doorward (an administrator's) that nobody refreshes.
    pub admin_idle_lifetime: Duration,
    /// An administrator's session, whatever happens.
    pub admin_absolute_lifetime: Duration,
    /// How long ago a session's owner may have proved who they are for what is dangerous (SR-52).
    pub reauth_after: Duration,
    /// How long after a rotation the token before it is still answered (SR-36).
    pub reuse_grace: Duration,
}

impl Lifetimes {
    /// The idle and the absolute life of a session of `account`: an administrator's are short,
    /// remembered or not.
    fn of(&self, account: &Account, remember: bool) -> (Duration, Duration) {
        let (idle, absolute) = if remember {
            (self.remember_idle_lifetime, self.remember_absolute_lifetime)
        } else {
            (self.idle_lifetime, self.absolute_lifetime)
        };
        if account.has_power() {
            (idle.min(self.admin_idle_lifetime), absolute.min(self.admin_absolute_lifetime))
        } else {
            (idle, absolute)
        }
    }
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
    /// When its owner last proved again who they are, if they did (SR-52). A record of an earlier
    /// release has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reauthenticated_at: Option<Timestamp>,
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
    pub ip: ClientAddress,
}

impl Session {
    /// The session that begins at `now` for `account`, whose first access token lives for
    /// `access_lifetime`.
    pub fn begin(
        account: &Account,
        remember: bool,
        client: Client,
        lifetimes: &Lifetimes,
        access_lifetime: Duration,
        now: Timestamp,
        random: &dyn Random,
    ) -> Self {
        let (idle_lifetime, absolute) = lifetimes.of(account, remember);
        let refresh_expires_at = now + idle_lifetime.min(absolute);
        let mut user_agent = client.user_agent;
        user_agent.truncate(user_agent.floor_char_boundary(MAX_USER_AGENT));
        Self {
            id: SessionId::random(random),
            account: account.id.clone(),
            created_at: now,
            reauthenticated_at: None,
            last_seen_at: now,
            issued_at: now,
            access_expires_at: (now + access_lifetime).min(refresh_expires_at),
            refresh_expires_at,
            absolute_expires_at: now + absolute,
            idle_lifetime,
            epoch: account.session_epoch,
            remember,
            user_agent,
            ip: client.ip,
        }
    }

    /// Whether it is to be noted that the session was seen at `now`: it was not for a while, or was last
    /// by a clock that was set back since.
    pub fn is_unseen(&self, now: Timestamp) -> bool {
        self.last_seen_at.abs_diff(now) >= SEEN_EVERY
    }

    /// When its owner last proved who they are: when they signed in, or later with a fresh password.
    pub fn authenticated_at(&self) -> Timestamp {
        self.reauthenticated_at.unwrap_or(self.created_at)
    }

    /// The same session with its lives begun anew at `now`, when its owner has proved who they are,
    /// under the account's present epoch.
    pub fn renewed(&self, account: &Account, access_lifetime: Duration, now: Timestamp) -> Self {
        let refresh_expires_at = (now + self.idle_lifetime).min(self.absolute_expires_at);
        Self {
            reauthenticated_at: Some(now),
            issued_at: now,
            last_seen_at: now,
            access_expires_at: (now + access_lifetime).min(refresh_expires_at),
            refresh_expires_at,
            epoch: account.session_epoch,
            ..self.clone()
        }
    }
}

/// Who asks, as far as the network tells.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client's address (SR-24).
    pub ip: ClientAddress,
    /// What it calls itself.
    pub user_agent: String,
    /// Where the limits that the request is counted under are noted.
    pub gauge: Gauge,
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
    /// What the browser is known by from now on, if its owner has just proved who they are.
    pub device: Option<DeviceToken>,
}

/// What a request brings along to be known by; none of it checked.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// The access token.
    pub access: Option<SecretString>,
    /// The refresh token.
    pub refresh: Option<SecretString>,
    /// The device cookie.
    pub device: Option<SecretString>,
}
