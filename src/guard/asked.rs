//! What a proxy says of a request to an app, about which it asks before it lets it through.

use rocket::http::Method;
use rocket::request::Request;

use super::client;
use crate::access::Asked;
use crate::error::Result;
use crate::problem::Problem;

/// Where Envoy asks: path and query of the request follow.
pub const EXT_AUTHZ: &str = "/api/authz/ext-authz";

/// In which manner a proxy says what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri`: Traefik, Caddy, HAProxy.
    Forwarded,
    /// `X-Original-Method` and `X-Original-URL`: nginx, which knows no answers but 200, 401 and 403.
    Original,
    /// The request itself, below [`EXT_AUTHZ`], with `Host` and `X-Forwarded-Proto`: Envoy.
    External,
}

/// A request to an app, as its proxy tells of it, with the headers that its client sent.
#[derive(Clone, Debug)]
pub struct Told {
    method: String,
    scheme: String,
    host: String,
    target: String,
    /// Whether it is a person who opens a page, and so can be sent to another one.
    pub is_navigation: bool,
}

impl Told {
    /// Reads what the proxy says. Only proxies that the operator trusts are asked (SR-24): anybody
    /// else could have themselves described as they like.
    ///
    /// # Errors
    /// 403 to others, and 400 to a proxy that leaves something out or says it twice.
    pub fn read(request: &Request<'_>, manner: Manner) -> Result<Self, Problem> {
        if !client::is_trusted_proxy(request) {
            let detail = "Only proxies that proxies.trusted names may ask this.";
            return Err(Problem::new(rocket::http::Status::Forbidden, "permission_denied", detail));
        }
        let one = |name: &str| {
            let mut values = request.headers().get(name);
            let value = values.next().filter(|value| !value.is_empty());
            match (value, values.next()) {
                (Some(value), None) => Ok(value.to_owned()),
                _ => Err(unreadable(format!("The proxy must send one header {name}."))),
            }
        };
        let (method, scheme, host, target) = match manner {
            Manner::Forwarded => (
                one("X-Forwarded-Method")?,
                one("X-Forwarded-Proto")?,
                one("X-Forwarded-Host")?,
                one("X-Forwarded-Uri")?,
            ),
            Manner::Original => {
                let url = one("X-Original-URL")?;
                let (scheme, host, target) = split(&url)
                    .ok_or_else(|| unreadable("X-Original-URL is no address of a page."))?;
                (one("X-Original-Method")?, scheme.to_owned(), host.to_owned(), target.to_owned())
            }
            Manner::External => {
                let uri = request.uri().to_string();
                let target = uri.strip_prefix(EXT_AUTHZ).filter(|rest| rest.starts_with('/'));
                let target =
                    target.ok_or_else(|| unreadable("The path of the page is missing."))?;
                let method = request.method().as_str().to_owned();
                (method, one("X-Forwarded-Proto")?, one("Host")?, target.to_owned())
            }
        };
        Ok(Self { method, scheme, host, target, is_navigation: is_navigation(request) })
    }

    /// What the rules are asked.
    pub fn asked(&self) -> Asked<'_> {
        let Self { method, scheme, host, target, .. } = self;
        Asked { method, scheme, host, target }
    }

    /// Whether the request changes nothing, so that it can be made again at another address.
    pub fn is_safe(&self) -> bool {
        [Method::Get, Method::Head, Method::Options].iter().any(|m| m.as_str() == self.method)
    }
}

/// Scheme, host and the rest of an address, as they stand there.
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let slash = rest.find('/')?;
    let (host, target) = rest.split_at(slash);
    Some((scheme, host, target))
}

/// Browsers say what they do (Fetch Metadata); of others, who reads HTML opens a page.
fn is_navigation(request: &Request<'_>) -> bool {
    let header = |name| request.headers().get_one(name);
    if let Some(mode) = header("Sec-Fetch-Mode") {
        return mode == "navigate";
    }
    let script =
        header("X-Requested-With").is_some_and(|by| by.eq_ignore_ascii_case("XMLHttpRequest"));
    let upgrade = header("Upgrade").is_some();
    let html = request.headers().get("Accept").any(|accept| accept.contains("text/html"));
    html && !script && !upgrade
}

fn unreadable(detail: impl Into<String>) -> Problem {
    Problem::new(rocket::http::Status::BadRequest, "validation_failed", detail)
}
