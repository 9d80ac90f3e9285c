//! Access tokens: short-lived JWTs that say who a request is from.

use super::jwt::{Claims, Rejected};
use crate::clock::Timestamp;
use crate::id::{AccountId, Random, SecretString, SessionId, base64url, random_bytes, sha256};

/// An access token (RFC 6749 §1.4) in compact form: a JWT of type `at+jwt` (RFC 9068).
pub struct AccessToken {
    pub(super) compact: SecretString,
    pub(super) expires_at: Timestamp,
}

impl AccessToken {
    /// The token itself, for the client's cookie.
    pub fn expose(&self) -> &str {
        self.compact.expose()
    }

    /// When it stops being good.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// The `jti` of an access token: 128 bits in base64url.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessJti(String);

impl AccessJti {
    /// A fresh one.
    pub fn random(random: &dyn Random) -> Self {
        Self(base64url(random_bytes::<16>(random)))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(base64url(bytes))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// What a store knows it by.
    pub fn digest(&self) -> AccessDigest {
        AccessDigest(sha256(&self.0))
    }
}

/// SHA-256 of an access token's `jti`, in base64url (SR-34).
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct AccessDigest(String);

impl AccessDigest {
    /// The digest of the `jti` that somebody names.
    pub fn of(jti: &str) -> Self {
        Self(sha256(jti))
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a verified access token says.
#[derive(Clone, Debug)]
pub struct AccessClaims {
    /// Whose request it is (`sub`).
    pub account: AccountId,
    /// The session it belongs to (`sid`).
    pub session: SessionId,
    /// The digest of its `jti`.
    pub digest: AccessDigest,
    /// When it stops being good (`exp`).
    pub expires_at: Timestamp,
}

impl TryFrom<Claims> for AccessClaims {
    type Error = Rejected;

    fn try_from(claims: Claims) -> Result<Self, Rejected> {
        Ok(Self {
            account: AccountId::parse(&claims.sub).ok_or(Rejected::NotOurs)?,
            session: SessionId::parse(&claims.sid).ok_or(Rejected::NotOurs)?,
            digest: AccessDigest(sha256(&claims.jti)),
            expires_at: Timestamp::from_secs(claims.exp),
        })
    }
}
