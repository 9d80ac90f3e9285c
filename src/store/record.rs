//! What the session stores keep of a session: the [`Session`] itself and the digests of its tokens.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::session::Session;
use crate::session::store::Pair;
use crate::token::access::AccessDigest;
use crate::token::refresh::{Lineage, RefreshDigest};

/// A session as a store keeps it. It holds digests, never a token (SR-34).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The session.
    pub session: Session,
    /// The current access token.
    pub access: AccessDigest,
    /// The current refresh token.
    pub refresh: RefreshDigest,
    /// The refresh token before it, once there was a rotation.
    pub previous: Option<RefreshDigest>,
    /// Whether the current access token was ever accepted (SR-36).
    pub used: bool,
    /// When the current pair replaced the one before it.
    pub rotated_at: Timestamp,
    /// What the session store's own clock, where it has one, said when the current access token was
    /// issued, in milliseconds (SR-75).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_at: Option<i64>,
}

impl Record {
    /// A session with its first pair, or with a new one that follows from no other.
    pub fn new(session: &Session, pair: &Pair) -> Self {
        Self {
            session: session.clone(),
            access: pair.access.clone(),
            refresh: pair.refresh.clone(),
            previous: None,
            used: false,
            rotated_at: session.issued_at,
            server_at: None,
        }
    }

    /// Whether `access` is the session's access token and is still good at `now`, under an account's
    /// `epoch`.
    pub fn admits(&self, access: &AccessDigest, epoch: i64, now: Timestamp) -> bool {
        self.access == *access && now < self.session.access_expires_at && self.is_live(epoch, now)
    }

    /// Whether the token follows the current one: the store lost the moment in which it was issued.
    pub fn is_behind(&self, shown: &Lineage) -> bool {
        shown.follows.as_ref() == Some(&self.refresh)
    }

    /// Whether the token was issued after all that the store knows of the session, whichever
    /// replica's clock said so (SR-75).
    pub fn is_outlived_by(&self, shown: &Lineage) -> bool {
        const LEEWAY: Duration = Duration::from_secs(30);
        shown.issued_at > self.session.issued_at + LEEWAY
    }

    /// Whether the session can still be refreshed at `now` under an account's `epoch` (SR-38).
    pub fn is_live(&self, epoch: i64, now: Timestamp) -> bool {
        now < self.session.refresh_expires_at && self.session.epoch >= epoch
    }
}
