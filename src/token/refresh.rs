//! Refresh tokens, and the chain by which each follows from the one before it.

use aws_lc_rs::hmac;

use super::access::AccessJti;
use super::jwt::{Claims, Rejected};
use super::key::MasterSecret;
use crate::clock::Timestamp;
use crate::id::{AccountId, Random, SecretString, SessionId, base64url, random_bytes, sha256};

/// A refresh token (RFC 6749 §1.5) in compact form: a JWT of type `rt+jwt` whose `sid` names its
/// session and whose `jti` is 256 bits in base64url.
///
/// The client sees it once, when it is issued; a store keeps the [`RefreshDigest`] of its `jti`.
pub struct RefreshToken {
    pub(super) compact: SecretString,
    pub(super) expires_at: Timestamp,
}

impl RefreshToken {
    /// The token itself, for the client's cookie.
    pub fn expose(&self) -> &str {
        self.compact.expose()
    }

    /// When it stops being good.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

/// The `jti` of a refresh token: 256 bits in base64url.
#[derive(Clone, Debug)]
pub struct RefreshJti(SecretString);

impl RefreshJti {
    /// A fresh one, for a session's first refresh token.
    pub fn random(random: &dyn Random) -> Self {
        Self(SecretString::new(base64url(random_bytes::<32>(random))))
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What a store knows it by.
    pub fn digest(&self) -> RefreshDigest {
        RefreshDigest(sha256(self.0.expose()))
    }
}

/// SHA-256 of a refresh token's `jti`, in base64url (SR-34).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct RefreshDigest(String);

impl RefreshDigest {
    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a refresh token stands in its family, as it says itself: one follows the other.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// The token.
    pub digest: RefreshDigest,
    /// The token before it; none for the first of a session.
    pub follows: Option<RefreshDigest>,
    /// When it was issued.
    pub issued_at: Timestamp,
}

/// What a verified refresh token says.
#[derive(Clone, Debug)]
pub struct RefreshClaims {
    /// Whose it is (`sub`).
    pub account: AccountId,
    /// The session it refreshes (`sid`).
    pub session: SessionId,
    /// Its own identifier, from which its successor follows.
    pub jti: RefreshJti,
    /// When it was issued (`iat`).
    pub issued_at: Timestamp,
    /// When it stops being good (`exp`).
    pub expires_at: Timestamp,
    /// The account's session epoch when it was issued (`epoch`; SR-38).
    pub epoch: i64,
    /// The token that it was given in exchange for (`follows`).
    pub follows: Option<RefreshDigest>,
}

impl RefreshClaims {
    /// Where the token stands in its family.
    pub fn lineage(&self) -> Lineage {
        let (digest, follows) = (self.jti.digest(), self.follows.clone());
        Lineage { digest, follows, issued_at: self.issued_at }
    }
}

impl TryFrom<Claims> for RefreshClaims {
    type Error = Rejected;

    fn try_from(claims: Claims) -> Result<Self, Rejected> {
        Ok(Self {
            account: AccountId::parse(&claims.sub).ok_or(Rejected::NotOurs)?,
            session: SessionId::parse(&claims.sid).ok_or(Rejected::NotOurs)?,
            jti: RefreshJti(SecretString::new(claims.jti)),
            issued_at: Timestamp::from_secs(claims.iat),
            expires_at: Timestamp::from_secs(claims.exp),
            epoch: claims.epoch.ok_or(Rejected::NotOurs)?,
            follows: claims.follows,
        })
    }
}

/// Gives every refresh token its one successor (SR-36).
///
/// The identifiers of the next pair are a keyed hash of the presented one, so that all who race
/// with one token arrive at the same pair on every replica, while a store that holds digests alone
/// could not hand it out again. Without the key they are as unguessable as random ones.
pub struct Succession(hmac::Key);

impl Succession {
    /// The succession under this server's secret.
    pub fn new(secret: &MasterSecret) -> Self {
        Self(secret.derive(b"doorward/succession/v1"))
    }

    /// The identifiers of the pair that follows `jti` in its session.
    pub fn after(&self, session: &SessionId, jti: &RefreshJti) -> (RefreshJti, AccessJti) {
        let refresh = self.tag(b"refresh", session, jti);
        let access = self.tag(b"access", session, jti);
        let access = access.as_ref().first_chunk::<16>().copied().unwrap_or_default();
        (RefreshJti(SecretString::new(base64url(refresh))), AccessJti::from_bytes(&access))
    }

    fn tag(&self, purpose: &[u8], session: &SessionId, jti: &RefreshJti) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [purpose, session.as_str().as_bytes(), jti.expose().as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Os;

    #[test]
    fn a_token_has_one_successor_in_its_session_and_another_in_every_other() {
        let succession = Succession::new(&MasterSecret::generate(&Os));
        let (session, other) = (SessionId::random(&Os), SessionId::random(&Os));
        let jti = RefreshJti::random(&Os);
        let (refresh, access) = succession.after(&session, &jti);
        let (again, access_again) = succession.after(&session, &jti);
        assert_eq!(refresh.digest(), again.digest());
        assert_eq!(access.digest(), access_again.digest());
        assert_ne!(refresh.digest(), succession.after(&other, &jti).0.digest());
        assert_ne!(refresh.digest(), succession.after(&session, &refresh).0.digest());
        let elsewhere = Succession::new(&MasterSecret::generate(&Os));
        assert_ne!(refresh.digest(), elsewhere.after(&session, &jti).0.digest());
    }
}
