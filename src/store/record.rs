//! What the session stores keep of a session: the [`Session`] itself and the digests of its tokens.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::session::Session;
use crate::session::store::Pair;
use crate::token::access::AccessDigest;
use crate::token::refresh::RefreshDigest;

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
        }
    }

    /// Whether the session can still be refreshed at `now` under an account's `epoch` (SR-38).
    pub fn is_live(&self, epoch: i64, now: Timestamp) -> bool {
        now < self.session.refresh_expires_at && self.session.epoch >= epoch
    }
}
