//! The strict subset of JWS and JWT that Doorward speaks (RFC 7515, RFC 7519, RFC 8725; SR-30…32).

use serde::{Deserialize, Serialize};

use super::LEEWAY;
use super::key::KeyRing;
use super::refresh::RefreshDigest;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{SecretString, base64url, from_base64url};

/// The `typ` of an access token (RFC 9068 §2.1).
pub(super) const ACCESS: &str = "at+jwt";
/// The `typ` of a refresh token.
pub(super) const REFRESH: &str = "rt+jwt";

/// The `typ` of a statement about a person for an app: none that opens anything here.
pub(super) const IDENTITY: &str = "id+jwt";

/// Longest token that is looked at; a cookie can hold no more.
const MAX_LENGTH: usize = 4096;
/// A token that is not accepted. Why, is nobody's business but our own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// It is not one of ours, or its key has had its time.
    NotOurs,
    /// It names a key that this replica does not know: perhaps one that another has just made.
    UnknownKey,
}

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
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub follows: Option<RefreshDigest>,
}

impl Claims {
    /// Whether they are for us and not from the future. Expiry is the caller's question.
    pub fn check(&self, issuer: &str, audience: &str, now: Timestamp) -> Result<(), Rejected> {
        let latest = (now + LEEWAY).as_secs();
        let good =
            self.iss == issuer && self.aud == audience && self.iat <= latest && self.nbf <= latest;
        if good { Ok(()) } else { Err(Rejected::NotOurs) }
    }
}

/// Signs `claims` as a token of type `typ` with the key that signs at this moment, in compact form.
pub(super) fn sign(
    keys: &KeyRing,
    typ: &str,
    claims: &impl Serialize,
    now: Timestamp,
) -> Result<SecretString> {
    let key = keys.signing(now).ok_or_else(|| Error::internal("there is no signing key"))?;
    let header = Header { alg: key.algorithm().as_str(), typ, kid: key.id() };
    let header = serde_json::to_vec(&header).map_err(Error::internal)?;
    let payload = serde_json::to_vec(claims).map_err(Error::internal)?;
    let mut compact = format!("{}.{}", base64url(header), base64url(payload));
    let signature = key.sign(compact.as_bytes())?;
    compact.push('.');
    compact.push_str(&signature);
    Ok(SecretString::new(compact))
}

/// A token whose signature is good.
pub(super) struct Opened {
    /// The `kid` of the key that signed it.
    pub kid: String,
    /// What it says.
    pub claims: Claims,
}

/// Reads a token of type `typ`: its header names a key of ours, whose own algorithm verifies it and
/// which is still good for tokens of this type. The signature of one that is `genuine`, because we
/// know these very bytes for our own, is not computed again.
pub(super) fn open(
    keys: &KeyRing,
    typ: &str,
    compact: &str,
    genuine: bool,
    now: Timestamp,
) -> Result<Opened, Rejected> {
    if compact.len() > MAX_LENGTH {
        return Err(Rejected::NotOurs);
    }
    let (message, signature) = compact.rsplit_once('.').ok_or(Rejected::NotOurs)?;
    let (header, payload) = message.split_once('.').ok_or(Rejected::NotOurs)?;
    let header = from_base64url(header).ok_or(Rejected::NotOurs)?;
    let header: Header<'_> = object(&header)?;
    if header.typ != typ || !is_key_id(header.kid) {
        return Err(Rejected::NotOurs);
    }
    let ring_key = keys.find(header.kid).ok_or(Rejected::UnknownKey)?;
    let in_time = match typ {
        ACCESS => ring_key.verifies_access(now),
        _ => ring_key.verifies_refresh(now),
    };
    let key = ring_key.key();
    if !in_time || header.alg != key.algorithm().as_str() {
        return Err(Rejected::NotOurs);
    }
    if !genuine && !key.verifies(message.as_bytes(), signature) {
        return Err(Rejected::NotOurs);
    }
    let payload = from_base64url(payload).ok_or(Rejected::NotOurs)?;
    let claims = object(&payload)?;
    Ok(Opened { kid: key.id().to_owned(), claims })
}

/// Reads a JSON object. The derived readers would also take an array of the values in their order.
fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Rejected> {
    if bytes.first() != Some(&b'{') {
        return Err(Rejected::NotOurs);
    }
    serde_json::from_slice(bytes).map_err(|_| Rejected::NotOurs)
}

/// Whether a text has the shape of a `kid` of ours: an RFC 7638 thumbprint with SHA-256 (SR-31).
fn is_key_id(kid: &str) -> bool {
    kid.len() == 43 && kid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
