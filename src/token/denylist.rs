//! The denylist: single access tokens that are refused before their time, beside the allow-list of
//! live sessions (SR-34). It never lets anything in; it only shuts out sooner.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::access::AccessDigest;
use crate::clock::Timestamp;
use crate::error::Result;

/// An access token that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedToken {
    /// The digest of its `jti`.
    pub digest: AccessDigest,
    /// When it was put on the list.
    pub denied_at: Timestamp,
    /// When it would have run out anyway; then it leaves the list.
    pub expires_at: Timestamp,
    /// Why, in the words of whoever put it there; may be empty.
    pub reason: String,
}

/// Where denied tokens are kept.
///
/// A session store that keeps this promise asks it in the same round trip in which it looks a
/// session up, so that a denied token is refused from the next request on, on every replica.
#[async_trait]
pub trait Denylist: Send + Sync + 'static {
    /// Puts a token on the list. One that is there already stays as it is.
    async fn deny(&self, token: &DeniedToken, now: Timestamp) -> Result<()>;

    /// The tokens on the list that have not run out, in no particular order.
    async fn denied(&self, now: Timestamp) -> Result<Vec<DeniedToken>>;
}
