//! Tokens: signed statements that name a session. Whether they still count, the session store says.

pub mod access;
pub mod denylist;
mod jwt;
pub mod key;
pub mod refresh;

use std::collections::BTreeSet;
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{AccountId, SecretString, SessionId};
use crate::role::RoleName;
use access::{AccessClaims, AccessJti, AccessToken};
use jwt::{Claims, Rejected};
use key::KeyRing;
use refresh::{RefreshClaims, RefreshJti, RefreshToken};

/// How many verified access tokens are remembered, so that a signature is checked once.
const REMEMBERED_TOKENS: usize = 16_384;

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
}

/// Signs and reads tokens.
pub struct Tokens {
    keys: KeyRing,
    issuer: Issuer,
    verified: Cache<[u8; 32], Arc<AccessClaims>>,
}

impl Tokens {
    /// A service that signs with `keys`, as `issuer`.
    pub fn new(keys: KeyRing, issuer: Issuer) -> Self {
        Self { keys, issuer, verified: Cache::new(REMEMBERED_TOKENS) }
    }

    /// The keys that it signs and verifies with.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Signs an access token (RFC 9068). The same arguments give the same token, byte for byte.
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
        let compact = jwt::sign(&self.keys, jwt::ACCESS, &claims)?;
        Ok(AccessToken { compact, expires_at })
    }

    /// Signs a refresh token. The same arguments give the same token, byte for byte.
    ///
    /// # Errors
    /// [`Error::Internal`] if the key cannot sign.
    pub fn sign_refresh(
        &self,
        grant: &Grant<'_>,
        jti: &RefreshJti,
        expires_at: Timestamp,
    ) -> Result<RefreshToken> {
        let claims =
            Claims { epoch: Some(grant.epoch), ..self.claims(grant, jti.expose(), expires_at) };
        let compact = jwt::sign(&self.keys, jwt::REFRESH, &claims)?;
        Ok(RefreshToken { compact, expires_at })
    }

    /// Reads an access token: signature, type and claims (SR-30…32). Its life in the store is
    /// another question.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`] for anything that is no good access token of ours;
    /// [`Error::TokenExpired`] for one that was.
    pub fn read_access(
        &self,
        presented: &SecretString,
        now: Timestamp,
    ) -> Result<Arc<AccessClaims>> {
        let key = fingerprint(presented);
        let claims = match self.verified.get(&key) {
            Some(claims) => claims,
            None => {
                let claims = self.open(jwt::ACCESS, presented, now)?;
                let claims =
                    Arc::new(AccessClaims::try_from(claims).map_err(|_| Error::NotSignedIn)?);
                self.verified.insert(key, Arc::clone(&claims));
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
    /// [`Error::SessionEnded`] for one whose time is over.
    pub fn read_refresh(&self, presented: &SecretString, now: Timestamp) -> Result<RefreshClaims> {
        let claims = self
            .open(jwt::REFRESH, presented, now)
            .and_then(|claims| RefreshClaims::try_from(claims).map_err(|_| Error::NotSignedIn))
            .map_err(|_| Error::RefreshInvalid)?;
        if now >= claims.expires_at {
            return Err(Error::SessionEnded);
        }
        Ok(claims)
    }

    /// The account and session that a token of either type names, whatever its age: enough to end
    /// that session, and for nothing else.
    pub fn name_of(&self, presented: &SecretString) -> Option<(AccountId, SessionId)> {
        let open = |typ| jwt::open(&self.keys, typ, presented.expose());
        let claims = open(jwt::ACCESS).or_else(|Rejected| open(jwt::REFRESH)).ok()?;
        let ours = claims.iss == self.issuer.issuer && claims.aud == self.issuer.audience;
        let named = || Some((AccountId::parse(&claims.sub)?, SessionId::parse(&claims.sid)?));
        if ours { named() } else { None }
    }

    fn open(&self, typ: &str, presented: &SecretString, now: Timestamp) -> Result<Claims> {
        let claims =
            jwt::open(&self.keys, typ, presented.expose()).map_err(|_| Error::NotSignedIn)?;
        claims
            .check(&self.issuer.issuer, &self.issuer.audience, now)
            .map_err(|Rejected| Error::NotSignedIn)?;
        Ok(claims)
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
