//! What the server sees of a request behind proxies, told once to whoever holds a token for it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use aws_lc_rs::hmac;
use rocket::request::{FromRequest, Outcome, Request};
use schemars::JsonSchema;
use serde::Serialize;

use super::client;
use super::csrf::PublicOrigin;
use crate::clock::Timestamp;
use crate::id::{Random, SecretString, base64url, from_base64url, random_bytes};
use crate::token::key::MasterSecret;

/// Makes and checks the tokens: HMAC-SHA-256 over something random and an expiry.
pub struct Inspections(hmac::Key);

impl Inspections {
    /// How long a token can be used.
    pub const LIFETIME: Duration = Duration::from_secs(10 * 60);

    /// Tokens under this server's secret.
    pub fn new(secret: &MasterSecret) -> Self {
        Self(secret.derive(b"doorward/inspection/v1"))
    }

    /// A fresh token.
    pub fn issue(&self, now: Timestamp, random: &dyn Random) -> SecretString {
        let expires_at = (now + Self::LIFETIME).as_millis().to_be_bytes();
        let message = [&random_bytes::<16>(random)[..], &expires_at[..]].concat();
        let tag = hmac::sign(&self.0, &message);
        SecretString::new(format!("{}.{}", base64url(&message), base64url(tag)))
    }

    /// The name of the token, by which its use is noted; `None` for any other text and when it has
    /// expired.
    pub fn name(&self, token: &str, now: Timestamp) -> Option<Vec<u8>> {
        let (message, tag) = token.split_once('.')?;
        let (message, tag) = (from_base64url(message)?, from_base64url(tag)?);
        hmac::verify(&self.0, &message, &tag).ok()?;
        let (_, expires_at) = message.split_last_chunk::<8>()?;
        let is_live = now < Timestamp::from_millis(i64::from_be_bytes(*expires_at));
        is_live.then_some(message)
    }
}

/// What the server saw of a request, and what it made of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Inspection {
    /// The address that the connection came from: the last proxy's, if there is one.
    peer: String,
    /// Whether `proxies.trusted` names the peer.
    peer_is_trusted: bool,
    /// The address that limits and the audit trail count this request under.
    client: String,
    /// The scheme of `public_url`, which cookies and links follow.
    scheme: String,
    /// The `Host` that arrived.
    host: Option<String>,
    /// The host of `public_url`.
    expected_host: String,
    /// The headers in which proxies tell of a request, as they arrived.
    forwarded: Vec<ForwardedHeader>,
    /// What to change, if anything.
    advice: Vec<String>,
}

/// A header in which proxies tell of a request.
#[derive(Debug, Serialize, JsonSchema)]
struct ForwardedHeader {
    /// Its name.
    name: &'static str,
    /// Its value, cut after 500 characters.
    value: String,
    /// Whether the server believes it.
    is_trusted: bool,
    /// What it is used for, or why it is not.
    why: &'static str,
}

/// The headers, and what those of a trusted proxy are used for; `None`: nothing.
const HEADERS: &[(&str, Option<&str>)] = &[
    ("X-Forwarded-For", Some("names the client")),
    ("Forwarded", Some("names the client")),
    ("X-Request-Id", Some("names the request in logs, if it is a plain name")),
    ("X-Forwarded-Proto", Some(ABOUT_APPS)),
    ("X-Forwarded-Host", Some(ABOUT_APPS)),
    ("X-Forwarded-Uri", Some(ABOUT_APPS)),
    ("X-Forwarded-Method", Some(ABOUT_APPS)),
    ("X-Original-URL", Some(ABOUT_APPS)),
    ("X-Original-Method", Some(ABOUT_APPS)),
    ("X-Forwarded-Port", None),
    ("X-Forwarded-Prefix", None),
    ("X-Real-IP", None),
    ("X-Client-IP", None),
    ("True-Client-IP", None),
    ("CF-Connecting-IP", None),
    ("Via", None),
];
const ABOUT_APPS: &str = "describes requests to apps at /api/authz, and nothing else";

const MAX_VALUE: usize = 500;

impl Inspection {
    fn of(request: &Request<'_>) -> Self {
        let peer = request.remote().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let origin = request.rocket().state::<PublicOrigin>().map_or("", |origin| &origin.0);
        let (scheme, expected_host) = origin.split_once("://").unwrap_or_default();
        let mut seen = Self {
            peer: peer.to_canonical().to_string(),
            peer_is_trusted: client::is_trusted_proxy(request),
            client: client::address(request).to_string(),
            scheme: scheme.to_owned(),
            host: request.headers().get_one("Host").map(cut),
            expected_host: expected_host.to_owned(),
            forwarded: forwarded(request),
            advice: Vec::new(),
        };
        seen.advice = seen.advise();
        seen
    }

    fn first(&self, name: &str) -> Option<&str> {
        let header = self.forwarded.iter().find(|header| header.name == name);
        header.map(|header| header.value.as_str())
    }

    fn advise(&self) -> Vec<String> {
        let Self { peer, scheme, expected_host, .. } = self;
        let mut advice = Vec::new();
        let names_client =
            self.first("X-Forwarded-For").or_else(|| self.first("Forwarded")).is_some();
        match (self.peer_is_trusted, names_client) {
            (false, true) => advice.push(format!(
                "{peer} says for whom it asks and is not believed; if it is your proxy, name it in proxies.trusted"
            )),
            (true, false) => advice.push(format!(
                "{peer} is trusted and names no client, so all people behind it count as one; have it send X-Forwarded-For"
            )),
            (true, true) if self.client == *peer => advice.push(format!(
                "{peer} names no client that can be read; have it append the client's address to X-Forwarded-For"
            )),
            _ => {}
        }
        if self.host.as_deref().is_none_or(|host| !host.eq_ignore_ascii_case(expected_host)) {
            advice.push(format!(
                "the Host that arrives is not that of public_url; have the proxy pass on Host: {expected_host}, or correct public_url"
            ));
        }
        if self.first("X-Forwarded-Proto").is_some_and(|proto| !proto.eq_ignore_ascii_case(scheme))
        {
            advice.push(format!(
                "the proxy was reached under another scheme than {scheme}, which public_url names; have it redirect"
            ));
        }
        advice
    }
}

fn forwarded(request: &Request<'_>) -> Vec<ForwardedHeader> {
    let is_trusted = client::is_trusted_proxy(request);
    let has_list = request.headers().contains("X-Forwarded-For");
    let rows = HEADERS.iter().flat_map(|&(name, purpose)| {
        let (is_trusted, why) = match purpose {
            None => (false, "is never read"),
            Some(_) if !is_trusted => {
                (false, "comes from a peer that proxies.trusted does not name")
            }
            Some(_) if name == "Forwarded" && has_list => {
                (false, "X-Forwarded-For is read instead")
            }
            Some(_) if name == "X-Request-Id" && client::request_id(request).is_none() => {
                (false, "is not one plain name")
            }
            Some(purpose) => (true, purpose),
        };
        let values = request.headers().get(name);
        values.map(move |value| ForwardedHeader { name, value: cut(value), is_trusted, why })
    });
    rows.collect()
}

fn cut(value: &str) -> String {
    value.chars().take(MAX_VALUE).collect()
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Inspection {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self::of(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Os;

    #[test]
    fn a_token_holds_for_ten_minutes_and_cannot_be_made_up() {
        let (one, other) = (MasterSecret::generate(&Os), MasterSecret::generate(&Os));
        let (ours, theirs) = (Inspections::new(&one), Inspections::new(&other));
        let now = Timestamp::from_millis(1_800_000_000_000);
        let token = ours.issue(now, &Os);
        assert!(ours.name(token.expose(), now).is_some());
        assert_eq!(ours.name(token.expose(), now + Inspections::LIFETIME), None);
        assert_eq!(theirs.name(token.expose(), now), None);
        for wrong in ["", ".", "a.b", &token.expose()[1..], &format!("{}A", token.expose())] {
            assert_eq!(ours.name(wrong, now), None, "{wrong}");
        }
    }
}
