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
use crate::session::{Issued, Presented, Sessions};

/// How our cookies are called and sent (SR-40): Rocket state.
#[derive(Clone, Debug, Default)]
pub struct CookiePolicy {
    /// The domain whose hosts all are sent the cookies of a session; none for the server's own host
    /// alone.
    pub domain: Option<String>,
    /// Whether browsers may send them over plain http, and so keep them at all where the server has
    /// nothing else.
    pub insecure: bool,
}

/// What a cookie of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// Carries the access token.
    Access,
    /// Carries the refresh token.
    Refresh,
    /// Names a visitor who is not signed in, to bind form tokens to.
    Visitor,
    /// Makes a browser known to the accounts that signed in there (SR-22). It grants nothing.
    Device,
}

impl CookiePolicy {
    /// That of the server that got `request`.
    fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        static HOST_ALONE: CookiePolicy = CookiePolicy { domain: None, insecure: false };
        request.rocket().state().unwrap_or(&HOST_ALONE)
    }

    /// What a cookie is called. The prefix has browsers refuse it unless it comes over https, and for
    /// this host alone; `__Host-` forbids a domain, and of the prefixes that do not, `__Secure-` is the
    /// one that all browsers enforce (RFC 6265bis §4.1.3).
    pub fn name(&self, cookie: Cookie) -> &'static str {
        let wide = self.domain.is_some();
        match cookie {
            Cookie::Access if self.insecure => "dw-at",
            Cookie::Refresh if self.insecure => "dw-rt",
            Cookie::Visitor if self.insecure => "dw-pre",
            Cookie::Device if self.insecure => "dw-dev",
            Cookie::Access if wide => "__Secure-dw-at",
            Cookie::Refresh if wide => "__Secure-dw-rt",
            Cookie::Access => "__Host-Http-dw-at",
            Cookie::Refresh => "__Host-Http-dw-rt",
            Cookie::Visitor => "__Host-Http-dw-pre",
            Cookie::Device => "__Host-Http-dw-dev",
        }
    }

    /// A `Set-Cookie` value (RFC 6265bis §4.1): the same attributes for setting and for taking back.
    fn set(&self, cookie: Cookie, value: &str, life: Option<Duration>) -> String {
        let secure = if self.insecure { "" } else { "; Secure" };
        let mut set =
            format!("{}={value}; Path=/{secure}; HttpOnly; SameSite=Lax", self.name(cookie));
        if let Some(life) = life {
            set.push_str(&format!("; Max-Age={}", life.as_secs()));
        }
        let of_session = matches!(cookie, Cookie::Access | Cookie::Refresh);
        if let Some(domain) = self.domain.as_ref().filter(|_| of_session) {
            set.push_str(&format!("; Domain={domain}"));
        }
        set
    }
}

/// The value of a cookie of ours; `None` if there is none, or more than one (SR-40).
pub fn read<'r>(request: &'r Request<'_>, cookie: Cookie) -> Option<&'r str> {
    find(request.headers().get("Cookie"), CookiePolicy::of(request).name(cookie))
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
    let policy = CookiePolicy::of(request);
    let ours = [Cookie::Access, Cookie::Refresh, Cookie::Visitor].map(|one| policy.name(one));
    pairs(request.headers().get("Cookie")).any(|(name, _)| ours.contains(&name))
}

/// The access token in the request's cookies.
pub fn access_token(request: &Request<'_>) -> Option<SecretString> {
    read(request, Cookie::Access).map(SecretString::new)
}

/// The refresh token in the request's cookies.
pub fn refresh_token(request: &Request<'_>) -> Option<SecretString> {
    read(request, Cookie::Refresh).map(SecretString::new)
}

/// What the request's cookies bring along.
pub fn presented(request: &Request<'_>) -> Presented {
    Presented {
        access: access_token(request),
        refresh: refresh_token(request),
        device: read(request, Cookie::Device).map(SecretString::new),
    }
}

/// The browser's hand: what is put into it travels with whatever answer the request gets.
pub struct Cookies<'r> {
    handed_over: &'r Mutex<Vec<Header<'static>>>,
    /// The device cookie as it came.
    device: Option<&'r str>,
    policy: &'r CookiePolicy,
    now: Timestamp,
}

impl<'r> Cookies<'r> {
    /// The hand of the browser that made `request`.
    pub fn of(request: &'r Request<'_>) -> Self {
        let clock = request.rocket().state::<Arc<dyn Clock>>();
        let now = clock.map_or(Timestamp::from_millis(0), |clock| clock.now());
        let handed_over = &Visit::of(request).handed_over;
        Self {
            handed_over,
            device: read(request, Cookie::Device),
            policy: CookiePolicy::of(request),
            now,
        }
    }

    /// Hands over a session's tokens. Those of a remembered session outlive the browser's window.
    pub fn hand_over(&self, issued: &Issued) {
        let life = |until: Timestamp| issued.session.remember.then(|| until.since(self.now));
        let (access, refresh) = (&issued.access, &issued.refresh);
        self.set(Cookie::Access, access.expose(), life(access.expires_at()));
        self.set(Cookie::Refresh, refresh.expose(), life(refresh.expires_at()));
        if let Some(device) = &issued.device {
            let value = device.beside(self.device);
            self.set(Cookie::Device, value.expose(), Some(DEVICE_LIFETIME));
        }
    }

    fn set(&self, cookie: Cookie, value: &str, life: Option<Duration>) {
        self.add(self.policy.set(cookie, value, life));
    }

    /// Hands over the name that a visitor's forms are bound to.
    pub fn hand_over_pre_login(&self, id: &str) {
        self.set(Cookie::Visitor, id, None);
    }

    /// Takes a session's tokens back. Only after that session was ended on purpose: the answer to
    /// a lost race must never take away what the winner was given (SR-36).
    pub fn take_back(&self) {
        self.set(Cookie::Access, "", Some(Duration::ZERO));
        self.set(Cookie::Refresh, "", Some(Duration::ZERO));
        // What the pages stored goes too (SR-44); not "cookies", which would reach those of sibling
        // hosts, nor "cache", which browsers empty of every site's files before they go on: no answer
        // that is private is ever in it (`no-store`).
        self.headers().push(Header::new("Clear-Site-Data", r#""storage""#));
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

    /// What was handed over so far, by the names of its headers.
    pub(super) fn handed_over(&self) -> Vec<(String, String)> {
        let one = |h: &Header<'_>| (h.name().to_string(), h.value().to_owned());
        self.headers().iter().map(one).collect()
    }

    /// Hands over what an earlier answer did. Tokens of a session only as long as they are its current
    /// ones: a browser that is given older ones back would end it (SR-36).
    pub(super) async fn hand_over_again(
        &self,
        headers: Vec<(String, String)>,
        request: &Request<'_>,
    ) {
        let start = |cookie: Cookie| format!("{}=", self.policy.name(cookie));
        let tokens = [start(Cookie::Access), start(Cookie::Refresh)];
        let refresh = headers.iter().find_map(|(_, value)| value.strip_prefix(&tokens[1]));
        let refresh = refresh.and_then(|rest| rest.split(';').next());
        let sessions = request.rocket().state::<Arc<Sessions>>();
        let good = match (refresh, sessions) {
            // They are taken back.
            (Some(""), _) => true,
            (Some(refresh), Some(sessions)) => {
                matches!(sessions.is_current(&SecretString::new(refresh)).await, Ok(true))
            }
            _ => false,
        };
        for (name, value) in headers {
            if name != "Set-Cookie" {
                self.headers().push(Header::new(name, value));
            } else if good || !tokens.iter().any(|token| value.starts_with(token.as_str())) {
                self.add(value);
            }
        }
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

/// Puts the cookies that were handed over, and what goes with them, into the answer.
pub fn write(request: &Request<'_>, response: &mut Response<'_>) {
    let headers = &Visit::of(request).handed_over;
    let headers = std::mem::take(&mut *headers.lock().unwrap_or_else(PoisonError::into_inner));
    for header in headers {
        response.adjoin_header(header);
    }
}
