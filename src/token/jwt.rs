//! The strict subset of JWS and JWT that Doorward speaks (RFC 7515, RFC 7519, RFC 8725; SR-30…32).

use serde::{Deserialize, Serialize};

use super::key::KeyRing;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{SecretString, base64url, from_base64url};

/// The `typ` of an access token (RFC 9068 §2.1).
pub(super) const ACCESS: &str = "at+jwt";
/// The `typ` of a refresh token.
pub(super) const REFRESH: &str = "rt+jwt";

/// Longest token that is looked at; a cookie can hold no more.
const MAX_LENGTH: usize = 4096;
/// How far another replica's clock may be ahead of ours.
const LEEWAY_SECS: i64 = 30;

/// A token that is not one of ours. Why, is nobody's business.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected;

/// The only header parameters that are accepted: any other, `jku`, `jwk`, `crit` …, is refused.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// The claims of both kinds of token.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    pub sid: String,
    pub jti: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub roles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub epoch: Option<i64>,
}

impl Claims {
    /// Whether they are for us and not from the future. Expiry is the caller's question.
    pub fn check(&self, issuer: &str, audience: &str, now: Timestamp) -> Result<(), Rejected> {
        let latest = now.as_secs() + LEEWAY_SECS;
        let good =
            self.iss == issuer && self.aud == audience && self.iat <= latest && self.nbf <= latest;
        if good { Ok(()) } else { Err(Rejected) }
    }
}

/// Signs `claims` as a token of type `typ` with the current key, in compact form.
pub(super) fn sign(keys: &KeyRing, typ: &str, claims: &Claims) -> Result<SecretString> {
    let key = keys.signing();
    let header = Header { alg: key.algorithm_name(), typ, kid: key.id() };
    let header = serde_json::to_vec(&header).map_err(Error::internal)?;
    let payload = serde_json::to_vec(claims).map_err(Error::internal)?;
    let mut compact = format!("{}.{}", base64url(header), base64url(payload));
    let signature = key.sign(compact.as_bytes())?;
    compact.push('.');
    compact.push_str(&signature);
    Ok(SecretString::new(compact))
}

/// Reads a token of type `typ`: its header names a key of ours, whose own algorithm verifies it.
pub(super) fn open(keys: &KeyRing, typ: &str, compact: &str) -> Result<Claims, Rejected> {
    if compact.len() > MAX_LENGTH {
        return Err(Rejected);
    }
    let (message, signature) = compact.rsplit_once('.').ok_or(Rejected)?;
    let (header, payload) = message.split_once('.').ok_or(Rejected)?;
    let header = from_base64url(header).ok_or(Rejected)?;
    let header: Header<'_> = object(&header)?;
    let key = keys.find(header.kid).ok_or(Rejected)?;
    if header.typ != typ || header.alg != key.algorithm_name() {
        return Err(Rejected);
    }
    if !key.verifies(message.as_bytes(), signature) {
        return Err(Rejected);
    }
    let payload = from_base64url(payload).ok_or(Rejected)?;
    object(&payload)
}

/// Reads a JSON object. The derived readers would also take an array of the values in their order.
fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Rejected> {
    if bytes.first() != Some(&b'{') {
        return Err(Rejected);
    }
    serde_json::from_slice(bytes).map_err(|_| Rejected)
}
