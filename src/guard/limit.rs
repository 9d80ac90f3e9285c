//! Limits at the door: every request is counted, and the answer says how it stands (SR-23).

use std::sync::Arc;

use rocket::http::Header;
use rocket::request::Request;
use rocket::response::Response;

use super::client;
use super::cookie::{self, Cookie};
use super::visit::Visit;
use crate::error::Result;
use crate::limit::{Gauge, Limits, Standing};

/// Where what the request is counted under is noted.
pub fn gauge<'r>(request: &'r Request<'_>) -> &'r Gauge {
    &Visit::of(request).gauge
}

/// Counts the request under its address, unless it is for something that everybody may always have.
///
/// # Errors
/// [`crate::error::Error::Throttled`].
pub fn admit(request: &Request<'_>) -> Result<()> {
    match request.rocket().state::<Arc<Limits>>() {
        Some(limits) if !is_exempt(request.uri().path().as_str()) => {
            let device = || cookie::read(request, Cookie::Device);
            limits.request(client::address(request), device, gauge(request))
        }
        _ => Ok(()),
    }
}

/// Signs of life, public keys and static files cost nothing, and proxies and other services ask for
/// them for many people at once.
pub fn is_exempt(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
        || path.starts_with("/static/")
        || path.starts_with("/.well-known/")
}

/// Says how the request stands with what it was counted under (`RateLimit` and `RateLimit-Policy`,
/// draft-ietf-httpapi-ratelimit-headers-10).
pub fn write(request: &Request<'_>, response: &mut Response<'_>) {
    let standings = gauge(request).standings();
    if standings.is_empty() {
        return;
    }
    let list =
        |item: fn(&Standing) -> String| standings.iter().map(item).collect::<Vec<_>>().join(", ");
    response.set_header(Header::new("RateLimit", list(state)));
    response.set_header(Header::new("RateLimit-Policy", list(policy)));
}

/// `"login";r=0;t=3`: nothing left, and three seconds until there is.
fn state(standing: &Standing) -> String {
    let Standing { policy, remaining, retry_after, .. } = standing;
    if *remaining > 0 {
        return format!("\"{policy}\";r={remaining}");
    }
    let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
    format!("\"{policy}\";r=0;t={seconds}")
}

/// `"login";q=20;w=60`: twenty in a minute.
fn policy(standing: &Standing) -> String {
    let (count, seconds) = (standing.quota.count(), standing.quota.per().as_secs());
    format!("\"{}\";q={count};w={seconds}", standing.policy)
}
