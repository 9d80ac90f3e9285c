//! Identity tokens: who makes a request, said to the app behind a proxy.

use std::time::Duration;

use serde::Serialize;

use super::{Tokens, jwt};
use crate::error::Result;
use crate::id::{AccountId, SecretString};

/// How long an identity token is good: it is made for one request.
const LIFETIME: Duration = Duration::from_secs(60);

/// What an app is told of a person.
#[derive(Clone, Debug)]
pub struct Identity<'a> {
    /// Who they are (`sub`).
    pub account: &'a AccountId,
    /// Their e-mail address.
    pub email: &'a str,
    /// What they are called.
    pub name: &'a str,
    /// Their roles.
    pub roles: Vec<&'a str>,
    /// What these permit.
    pub permissions: Vec<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    email: &'a str,
    name: &'a str,
    roles: &'a [&'a str],
    permissions: &'a [&'a str],
}

impl Tokens {
    /// Signs a statement about a person for the app `audience`: a JWT of a type of its own (RFC 8725
    /// §3.11), without `sid` and `jti`, good for a minute. Nothing here accepts it.
    ///
    /// # Errors
    /// [`crate::error::Error::Internal`] if the key cannot sign.
    pub fn sign_identity(&self, who: &Identity<'_>, audience: &str) -> Result<SecretString> {
        let now = self.keys.now();
        let claims = Claims {
            iss: &self.issuer.issuer,
            aud: audience,
            sub: who.account.as_str(),
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: (now + LIFETIME).as_secs(),
            email: who.email,
            name: who.name,
            roles: &who.roles,
            permissions: &who.permissions,
        };
        jwt::sign(&self.keys.ring(), jwt::IDENTITY, &claims, now)
    }
}
