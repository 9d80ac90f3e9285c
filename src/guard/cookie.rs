//! Our cookies (SR-40): how they are read, and how they are handed over.
//!
//! They are read from the raw header, because a name that comes twice must count as none, and written
//! by a fairing, because they must travel with refusals too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rocket::http::Header;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::Response;

use super::visit::Visit;
use crate::clock::{Clock, Timestamp};
use crate::id::SecretString;
use crate::limit::device::DEVICE_LIFETIME;
use crate::session::{Issued, Presented};

/// Carries the access token, unless the cookies reach a whole domain.
pub const ACCESS: &str = "__Host-Http-dw-at";
/// Carries the refresh token, unless the cookies reach a whole domain.
pub const REFRESH: &str = "__Host-Http-dw-rt";
/// Carries the access token to every host of a domain. `__Host-` forbids that; of the prefixes that
/// do not, `__Secure-` is the one that all browsers enforce (RFC 6265bis §4.1.3).
const WIDE_ACCESS: &str = "__Secure-dw-at";
/// Carries the refresh token to every host of a domain.
const WIDE_REFRESH: &str = "__Secure-dw-rt";
/// Names a visitor who is not signed in, to bind form tokens to.
pub const PRE_LOGIN: &str = "__Host-Http-dw-pre";

/// Makes a browser known to the accounts that signed in there (SR-22). It grants nothing.
pub const DEVICE: &str = "__Host-Http-dw-dev";

/// How far the cookies of a session reach: every host of this domain, or the server's own alone.
#[derive(Clone, Debug, Default)]
pub struct Reach(pub Option<String>);

impl Reach {
    /// That of the server that got `request`.
    fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        static HOST_ALONE: Reach = Reach(None);
        request.rocket().state().unwrap_or(&HOST_ALONE)
    }

    /// What the cookie with the access token is called.
    pub fn access(&self) -> &'static str {
        if self.0.is_some() { WIDE_ACCESS } else { ACCESS }
    }

    /// What the cookie with the refresh token is called.
    pub fn refresh(&self) -> &'static str {
        if self.0.is_some() { WIDE_REFRESH } else { REFRESH }
    }

    /// The `Set-Cookie` value of a session's cookie.
    fn cookie(&self, name: &str, value: &str, life: Option<Duration>) -> String {
        let mut cookie = cookie(name, value, life);
        if let Some(domain) = &self.0 {
            cookie.push_str(&format!("; Domain={domain}"));
        }
        cookie
    }
}

/// The value of the cookie `name`; `None` if there is none, or more than one (SR-40).
pub fn read<'r>(request: &'r Request<'_>, name: &str) -> Option<&'r str> {
    find(request.headers().get("Cookie"), name)
}

/// The value of the cookie `name` in the `Cookie` header lines of a request, if it is there once.
pub(crate) fn find<'h>(lines: impl Iterator<Item = &'h str>, name: &str) -> Option<&'h str> {
    let mut values = pairs(lines).filter(|(found, _)| *found == name).map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value).filter(|value| !value.is_empty())
}

/// Names and values, in the order in which the header lines have them.
fn pairs<'h>(lines: impl Iterator<Item = &'h str>) -> impl Iterator<Item = (&'h str, &'h str)> {
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim_matches([' ', '\t']).split_once('='))
}

/// Whether the request carries any cookie of ours that means something by itself, good or not: the
/// device cookie does not.
pub fn any(request: &Request<'_>) -> bool {
    let reach = Reach::of(request);
    let ours = [reach.access(), reach.refresh(), PRE_LOGIN];
    pairs(request.headers().get("Cookie")).any(|(name, _)| ours.contains(&name))
}

/// The access token in the request's cookies.
pub fn access_token(request: &Request<'_>) -> Option<SecretString> {
    read(request, Reach::of(request).access()).map(SecretString::new)
}

/// The refresh token in the request's cookies.
pub fn refresh_token(request: &Request<'_>) -> Option<SecretString> {
    read(request, Reach::of(request).refresh()).map(SecretString::new)
}

/// What the request's cookies bring along.
pub fn presented(request: &Request<'_>) -> Presented {
    Presented {
        access: access_token(request),
        refresh: refresh_token(request),
        device: read(request, DEVICE).map(SecretString::new),
    }
}

/// The browser's hand: what is put into it travels with whatever answer the request gets.
pub struct Cookies<'r> {
    handed_over: &'r Mutex<Vec<Header<'static>>>,
    /// The device cookie as it came.
    device: Option<&'r str>,
    reach: &'r Reach,
    now: Timestamp,
}

impl<'r> Cookies<'r> {
    /// The hand of the browser that made `request`.
    pub fn of(request: &'r Request<'_>) -> Self {
        let clock = request.rocket().state::<Arc<dyn Clock>>();
        let now = clock.map_or(Timestamp::from_millis(0), |clock| clock.now());
        let handed_over = &Visit::of(request).handed_over;
        Self { handed_over, device: read(request, DEVICE), reach: Reach::of(request), now }
    }

    /// Hands over a session's tokens. Those of a remembered session outlive the browser's window.
    pub fn hand_over(&self, issued: &Issued) {
        let life = |until: Timestamp| issued.session.remember.then(|| until.since(self.now));
        let (access, refresh) = (&issued.access, &issued.refresh);
        self.set(self.reach.access(), access.expose(), life(access.expires_at()));
        self.set(self.reach.refresh(), refresh.expose(), life(refresh.expires_at()));
        if let Some(device) = &issued.device {
            let value = device.beside(self.device);
            self.add(cookie(DEVICE, value.expose(), Some(DEVICE_LIFETIME)));
        }
    }

    fn set(&self, name: &str, value: &str, life: Option<Duration>) {
        self.add(self.reach.cookie(name, value, life));
    }

    /// Hands over the name that a visitor's forms are bound to.
    pub fn hand_over_pre_login(&self, id: &str) {
        self.add(cookie(PRE_LOGIN, id, None));
    }

    /// Takes a session's tokens back. Only after that session was ended on purpose: the answer to
    /// a lost race must never take away what the winner was given (SR-36).
    pub fn take_back(&self) {
        self.set(self.reach.access(), "", Some(Duration::ZERO));
        self.set(self.reach.refresh(), "", Some(Duration::ZERO));
        // What the browser kept of the pages goes too (SR-44); not "cookies", which would reach
        // those of sibling hosts.
        self.headers().push(Header::new("Clear-Site-Data", r#""cache", "storage""#));
    }

    /// A cookie that is handed over again takes the place of the one before: an answer sets each
    /// once (RFC 6265 §4.1.1).
    fn add(&self, cookie: String) {
        let named = |cookie: &str| cookie.split('=').next().map(str::to_owned);
        let name = named(&cookie);
        let mut headers = self.headers();
        headers.retain(|h| h.name() != "Set-Cookie" || named(h.value()) != name);
        headers.push(Header::new("Set-Cookie", cookie));
    }

    fn headers(&self) -> MutexGuard<'_, Vec<Header<'static>>> {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Cookies<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self::of(request))
    }
}

/// A `Set-Cookie` value (RFC 6265bis §4.1): the same attributes for setting and for taking back.
fn cookie(name: &str, value: &str, life: Option<Duration>) -> String {
    let mut cookie = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax");
    if let Some(life) = life {
        cookie.push_str(&format!("; Max-Age={}", life.as_secs()));
    }
    cookie
}

/// Puts the cookies that were handed over, and what goes with them, into the answer.
pub fn write(request: &Request<'_>, response: &mut Response<'_>) {
    let headers = &Visit::of(request).handed_over;
    let headers = std::mem::take(&mut *headers.lock().unwrap_or_else(PoisonError::into_inner));
    for header in headers {
        response.adjoin_header(header);
    }
}
