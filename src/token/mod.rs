//! Tokens: signed statements that name a session. Whether they still count, the session store says.

pub mod access;
pub mod denylist;
mod identity;
mod jwt;
pub mod key;
pub mod refresh;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{AccountId, SecretString, SessionId};
use crate::role::RoleName;
use access::{AccessClaims, AccessJti, AccessToken};
pub use identity::Identity;
use jwt::{Claims, Opened, Rejected};
use key::Keys;
use refresh::{RefreshClaims, RefreshDigest, RefreshJti, RefreshToken};

/// How many verified access tokens are remembered, so that a signature is checked once.
const REMEMBERED_TOKENS: usize = 16_384;
/// How far another replica's clock may be from ours (SR-32).
const LEEWAY: Duration = Duration::from_secs(30);

/// Who issues tokens, and for whom.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The `iss` claim: the public URL.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
}

/// What both tokens of a session say.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// Whose they are (`sub`).
    pub account: &'a AccountId,
    /// The session that they name (`sid`).
    pub session: &'a SessionId,
    /// When they were issued (`iat`, `nbf`).
    pub issued_at: Timestamp,
    /// The account's session epoch, for the refresh token (SR-38).
    pub epoch: i64,
    /// The refresh token that they are given in exchange for, for the next one (SR-36).
    pub follows: Option<&'a RefreshDigest>,
}

/// Signs and reads tokens.
pub struct Tokens {
    keys: Arc<Keys>,
    issuer: Issuer,
    verified: Cache<[u8; 32], Verified>,
    /// Tokens that were signed here: most come back to the replica that made them.
    signed: Cache<[u8; 32], ()>,
}

/// An access token whose signature was found good.
#[derive(Clone)]
struct Verified {
    /// By which key: a remembered token is good for no longer than its key.
    kid: Arc<str>,
    claims: Arc<AccessClaims>,
}

impl Tokens {
    /// A service that signs with `keys`, as `issuer`.
    pub fn new(keys: Arc<Keys>, issuer: Issuer) -> Self {
        let (verified, signed) = (Cache::new(REMEMBERED_TOKENS), Cache::new(REMEMBERED_TOKENS));
        Self { keys, issuer, verified, signed }
    }

    /// Signs an access token (RFC 9068). The same arguments give the same claims; with EdDSA and the
    /// same key, the same token byte for byte.
    ///
    /// # Errors
    /// [`Error::Internal`] if the key cannot sign.
    pub fn sign_access(
        &self,
        grant: &Grant<'_>,
        jti: &AccessJti,
        expires_at: Timestamp,
        roles: &BTreeSet<RoleName>,
    ) -> Result<AccessToken> {
        let roles = roles.iter().map(ToString::to_string).collect();
        let claims = Claims { roles: Some(roles), ..self.claims(grant, jti.as_str(), expires_at) };
        let compact = self.sign(jwt::ACCESS, &claims)?;
        Ok(AccessToken { compact, expires_at })
    }

    /// Signs a refresh token. The same arguments give the same claims; with EdDSA and the same key,
    /// the same token byte for byte.
    ///
    /// # Errors
    /// [`Error::Internal`] if the key cannot sign.
    pub fn sign_refresh(
        &self,
        grant: &Grant<'_>,
        jti: &RefreshJti,
        expires_at: Timestamp,
    ) -> Result<RefreshToken> {
        let (epoch, follows) = (Some(grant.epoch), grant.follows.cloned());
        let claims = Claims { epoch, follows, ..self.claims(grant, jti.expose(), expires_at) };
        let compact = self.sign(jwt::REFRESH, &claims)?;
        Ok(RefreshToken { compact, expires_at })
    }

    /// Reads an access token: signature, type and claims (SR-30…32). Its life in the store is
    /// another question.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] for anything that is no good access token of ours;
    /// [`Error::TokenExpired`] for one that was; [`Error::Unavailable`] if its key is unknown and
    /// the store of the keys does not answer.
    pub async fn read_access(
        &self,
        presented: &SecretString,
        now: Timestamp,
    ) -> Result<Arc<AccessClaims>> {
        let fingerprint = fingerprint(presented);
        let claims = match self.remembered(&fingerprint, now) {
            Some(claims) => claims,
            None => {
                let opened = self.open(jwt::ACCESS, presented, now).await?;
                let claims = AccessClaims::try_from(opened.claims);
                let claims = Arc::new(claims.map_err(|_| Error::NotSignedIn)?);
                let verified = Verified { kid: opened.kid.into(), claims: Arc::clone(&claims) };
                self.verified.insert(fingerprint, verified);
                claims
            }
        };
        if now >= claims.expires_at {
            return Err(Error::TokenExpired);
        }
        Ok(claims)
    }

    /// Reads a refresh token: signature, type and claims.
    ///
    /// # Errors
    /// [`Error::RefreshInvalid`] for anything that is no refresh token of ours;
    /// [`Error::SessionEnded`] for one whose time is over; [`Error::Unavailable`] as for an access
    /// token.
    pub async fn read_refresh(
        &self,
        presented: &SecretString,
        now: Timestamp,
    ) -> Result<RefreshClaims> {
        let opened = match self.open(jwt::REFRESH, presented, now).await {
            Err(Error::NotSignedIn) => return Err(Error::RefreshInvalid),
            other => other?,
        };
        let claims = RefreshClaims::try_from(opened.claims).map_err(|_| Error::RefreshInvalid)?;
        if now >= claims.expires_at {
            return Err(Error::SessionEnded);
        }
        Ok(claims)
    }

    /// The account and session that a token of either type names, whatever its age, as long as its key
    /// is good for tokens of its type: enough to end that session, and for nothing else.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if its key is unknown and the store of the keys does not answer.
    pub async fn name_of(
        &self,
        presented: &SecretString,
    ) -> Result<Option<(AccountId, SessionId)>> {
        let now = self.keys.now();
        let opened = match self.open_signed(jwt::ACCESS, presented, now).await? {
            Err(_) => self.open_signed(jwt::REFRESH, presented, now).await?,
            access => access,
        };
        let Ok(Opened { claims, .. }) = opened else { return Ok(None) };
        let ours = claims.iss == self.issuer.issuer && claims.aud == self.issuer.audience;
        let named = || Some((AccountId::parse(&claims.sub)?, SessionId::parse(&claims.sid)?));
        Ok(if ours { named() } else { None })
    }

    /// The claims of an access token that was verified before, if its key is still good for it.
    fn remembered(&self, fingerprint: &[u8; 32], now: Timestamp) -> Option<Arc<AccessClaims>> {
        let verified = self.verified.get(fingerprint)?;
        let ring = self.keys.ring();
        let good = ring.find(&verified.kid).is_some_and(|key| key.verifies_access(now));
        good.then_some(verified.claims)
    }

    async fn open(&self, typ: &str, presented: &SecretString, now: Timestamp) -> Result<Opened> {
        let opened =
            self.open_signed(typ, presented, now).await?.map_err(|_| Error::NotSignedIn)?;
        opened
            .claims
            .check(&self.issuer.issuer, &self.issuer.audience, now)
            .map_err(|_| Error::NotSignedIn)?;
        Ok(opened)
    }

    /// Opens a token; if its key is unknown, after a look whether another replica has made it.
    async fn open_signed(
        &self,
        typ: &str,
        presented: &SecretString,
        now: Timestamp,
    ) -> Result<Result<Opened, Rejected>> {
        let ring = self.keys.ring();
        let genuine = self.signed.get(&fingerprint(presented)).is_some();
        match jwt::open(&ring, typ, presented.expose(), genuine, now) {
            Err(Rejected::UnknownKey) => {}
            judged => return Ok(judged),
        }
        Ok(match self.keys.catch_up(&ring).await? {
            Some(newer) => jwt::open(&newer, typ, presented.expose(), false, now),
            None => Err(Rejected::UnknownKey),
        })
    }

    fn sign(&self, typ: &str, claims: &Claims) -> Result<SecretString> {
        let compact = jwt::sign(&self.keys.ring(), typ, claims, self.keys.now())?;
        self.signed.insert(fingerprint(&compact), ());
        Ok(compact)
    }

    fn claims(&self, grant: &Grant<'_>, jti: &str, expires_at: Timestamp) -> Claims {
        Claims {
            iss: self.issuer.issuer.clone(),
            aud: self.issuer.audience.clone(),
            sub: grant.account.to_string(),
            sid: grant.session.to_string(),
            jti: jti.to_owned(),
            iat: grant.issued_at.as_secs(),
            nbf: grant.issued_at.as_secs(),
            exp: expires_at.as_secs(),
            roles: None,
            epoch: None,
            follows: None,
        }
    }
}

/// What a remembered token is looked up by, so that the memory holds no token.
fn fingerprint(token: &SecretString) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.expose().as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

#[cfg(test)]
mod tests;
