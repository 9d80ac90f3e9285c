//! Proof that a request which changes something comes from a page of this site (SR-41).

use std::sync::Arc;

use aws_lc_rs::hmac;
use rocket::http::Method;
use rocket::request::{FromRequest, Outcome, Request};

use super::cookie::{self, Cookie, Cookies};
use super::log_throttle::LogThrottle;
use crate::error::{Error, Result, chain};
use crate::id::{Os, Random, SecretString, SessionId, base64url, from_base64url, random_bytes};
use crate::problem::{self, Problem};
use crate::token::Tokens;
use crate::token::key::MasterSecret;

/// Makes and checks form tokens: HMAC-SHA-256 over who the form is for and something random.
pub struct FormTokens {
    key: hmac::Key,
    /// For the log line about browsers that keep no cookies.
    cookieless: LogThrottle,
}

/// Who a form is for.
#[derive(Clone, Copy, Debug)]
pub enum Binding<'a> {
    /// A session: the forms of somebody who is signed in.
    Session(&'a SessionId),
    /// A visitor, by their pre-login cookie: sign-in, registration, set-up (SR-25).
    Visitor(&'a str),
}

impl FormTokens {
    /// Form tokens under this server's secret.
    pub fn new(secret: &MasterSecret) -> Self {
        let key = secret.derive(b"doorward/form-token/v1");
        Self { key, cookieless: LogThrottle::default() }
    }

    /// A fresh token for a form.
    pub fn issue(&self, binding: Binding<'_>, random: &dyn Random) -> SecretString {
        let nonce = random_bytes::<16>(random);
        let tag = self.tag(binding, &nonce);
        SecretString::new(format!("{}.{}", base64url(nonce), base64url(tag)))
    }

    /// Whether `token` was issued for this binding; compared in constant time.
    pub fn holds(&self, binding: Binding<'_>, token: &str) -> bool {
        let parts = token
            .split_once('.')
            .and_then(|(nonce, tag)| Some((from_base64url(nonce)?, from_base64url(tag)?)));
        let Some((nonce, tag)) = parts else { return false };
        hmac::verify(&self.key, &message(binding, &nonce), &tag).is_ok()
    }

    fn tag(&self, binding: Binding<'_>, nonce: &[u8]) -> hmac::Tag {
        hmac::sign(&self.key, &message(binding, nonce))
    }
}

/// The token for the forms of a page: for the session of whoever looks at it, or for a visitor, who
/// gets a name for it. [`super::form::Form`] takes it.
pub struct FormToken(SecretString);

impl FormToken {
    /// The token of a visitor's forms, whether or not they are signed in (SR-25).
    pub fn for_visitor(request: &Request<'_>) -> Option<Self> {
        // Any identifier will do; those of sessions have the right size and shape.
        let known = cookie::read(request, Cookie::Visitor).and_then(SessionId::parse);
        let id = known.unwrap_or_else(|| {
            let fresh = SessionId::random(&Os);
            Cookies::of(request).hand_over_pre_login(fresh.as_str());
            fresh
        });
        Self::issue(request, Binding::Visitor(id.as_str()))
    }

    /// The token of the forms of a session.
    pub fn for_session(request: &Request<'_>, session: &SessionId) -> Option<Self> {
        Self::issue(request, Binding::Session(session))
    }

    fn issue(request: &Request<'_>, binding: Binding<'_>) -> Option<Self> {
        let tokens = request.rocket().state::<FormTokens>()?;
        Some(Self(tokens.issue(binding, &Os)))
    }

    /// The token itself, for the form that is sent to whoever asked for the page.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The field that carries it, as HTML.
    pub fn field(&self) -> String {
        // Base64url and a full stop: there is nothing to escape.
        format!(r#"<input type="hidden" name="csrf_token" value="{}">"#, self.expose())
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for FormToken {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let token = match super::signed_in(request).await {
            Ok(live) => Self::for_session(request, &live.session.id),
            Err(_) => Self::for_visitor(request),
        };
        match token {
            Some(token) => Outcome::Success(token),
            None => problem::refuse(request, Problem::internal()),
        }
    }
}

fn message(binding: Binding<'_>, nonce: &[u8]) -> Vec<u8> {
    let (kind, id) = match binding {
        Binding::Session(id) => (b's', id.as_str()),
        Binding::Visitor(id) => (b'p', id),
    };
    let mut message = vec![kind];
    message.extend_from_slice(&(id.len() as u64).to_be_bytes());
    message.extend_from_slice(id.as_bytes());
    message.extend_from_slice(nonce);
    message
}

/// The origin that our pages have (RFC 6454): scheme, host and port of the public URL.
pub struct PublicOrigin(pub String);

/// Refuses a request that changes something unless the browser says that it comes from here.
///
/// What the browser says is `Sec-Fetch-Site`, or else `Origin`. A client that says neither but sends
/// our cookies must show a form token: in the form itself ([`super::form`]), or in the header
/// `X-CSRF-Token`. One that sends no cookies has nothing that could be abused.
///
/// # Errors
/// [`Error::CsrfRefused`], or what keeps the form token from being checked.
pub async fn check(request: &Request<'_>) -> Result<()> {
    let safe = matches!(request.method(), Method::Get | Method::Head | Method::Options);
    if safe || super::bearer(request).is_some() {
        return Ok(());
    }
    if let Some(same) = same_origin(request) {
        return allow(same);
    }
    if !cookie::any(request) || carries_form_token(request) {
        return Ok(());
    }
    match request.headers().get_one("X-CSRF-Token") {
        Some(token) => Box::pin(check_token(request, token)).await,
        None => Err(Error::CsrfRefused),
    }
}

/// Whether the browser says that the request comes from a page of this site; `None` if it says nothing.
fn same_origin(request: &Request<'_>) -> Option<bool> {
    let header = |name| request.headers().get_one(name);
    if let Some(site) = header("Sec-Fetch-Site") {
        return Some(matches!(site, "same-origin" | "none"));
    }
    let ours = request.rocket().state::<PublicOrigin>();
    header("Origin").map(|origin| ours.is_some_and(|ours| ours.0 == origin))
}

/// Whether the browser says that the request comes from a page of this site.
pub(super) fn says_same_origin(request: &Request<'_>) -> bool {
    same_origin(request) == Some(true)
}

/// Why a form of this site came with a token that is not good.
///
/// Without a cookie there is something that the operator may have to change: browsers do not keep ours
/// where they see plain http.
pub(super) fn expired(request: &Request<'_>) -> Error {
    if cookie::any(request) {
        return Error::FormExpired;
    }
    if let Some(tokens) = request.rocket().state::<FormTokens>()
        && tokens.cookieless.is_due()
    {
        let public_url = request.rocket().state::<PublicOrigin>().map(|origin| origin.0.as_str());
        tracing::warn!(
            public_url,
            user_agent = ?request.headers().get_one("User-Agent"),
            "received a form without its cookie; if every browser does so, they do not reach the \
             server at public_url, or not over https"
        );
    }
    Error::CookieMissing
}

/// Whether the token that has to be there is in the body, where the form's own guard checks it.
fn carries_form_token(request: &Request<'_>) -> bool {
    !super::is_api(request) && request.content_type().is_some_and(|kind| kind.is_form())
}

/// Refuses a token that was not issued for this request's session, or else for its visitor.
///
/// # Errors
/// [`Error::CsrfRefused`]; [`Error::Unavailable`] or [`Error::Internal`] if the session cannot be
/// looked up: the token may well be its own.
pub async fn check_token(request: &Request<'_>, token: &str) -> Result<()> {
    let tokens = tokens(request)?;
    match super::signed_in(request).await {
        Ok(live) => allow(tokens.holds(Binding::Session(&live.session.id), token)),
        Err(error) => match &**error {
            Error::Unavailable(cause) => Err(match error.outage() {
                Some(outage) => Error::unavailable(outage.clone()),
                None => Error::unavailable(chain(&**cause)),
            }),
            Error::Internal(cause) => Err(Error::internal(chain(&**cause))),
            Error::Throttled(wait) => Err(Error::Throttled(*wait)),
            _ => check_visitor_token(request, token),
        },
    }
}

/// Refuses a token that was not issued for this visitor.
///
/// # Errors
/// [`Error::CsrfRefused`]; [`Error::Internal`] in an application without Doorward.
pub fn check_visitor_token(request: &Request<'_>, token: &str) -> Result<()> {
    let tokens = tokens(request)?;
    let visitor = cookie::read(request, Cookie::Visitor);
    allow(visitor.is_some_and(|id| tokens.holds(Binding::Visitor(id), token)))
}

/// Whether the token was issued for this visitor, or for the session that the request's cookies name,
/// whether that lives or not. It lets nothing pass; the stores are not asked.
pub(super) async fn names_sender(request: &Request<'_>, token: &str) -> bool {
    let Ok(tokens) = tokens(request) else { return false };
    if check_visitor_token(request, token).is_ok() {
        return true;
    }
    let Some(issued) = request.rocket().state::<Arc<Tokens>>() else { return false };
    for shown in [cookie::access_token(request), cookie::refresh_token(request)] {
        let Some(shown) = shown else { continue };
        if let Ok(Some((_, session))) = issued.name_of(&shown).await
            && tokens.holds(Binding::Session(&session), token)
        {
            return true;
        }
    }
    false
}

fn tokens<'r>(request: &'r Request<'_>) -> Result<&'r FormTokens> {
    let tokens = request.rocket().state::<FormTokens>();
    tokens.ok_or_else(|| Error::internal("Doorward's services are not attached"))
}

fn allow(yes: bool) -> Result<()> {
    if yes { Ok(()) } else { Err(Error::CsrfRefused) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Os;

    #[test]
    fn sr_41_a_form_token_is_good_for_whom_it_was_issued() {
        let tokens = FormTokens::new(&MasterSecret::generate(&Os));
        let (mine, other) = (SessionId::random(&Os), SessionId::random(&Os));
        let token = tokens.issue(Binding::Session(&mine), &Os);
        let token = token.expose();
        assert!(tokens.holds(Binding::Session(&mine), token));
        assert!(!tokens.holds(Binding::Session(&other), token));
        assert!(!tokens.holds(Binding::Visitor(mine.as_str()), token));
        let elsewhere = FormTokens::new(&MasterSecret::generate(&Os));
        assert!(!elsewhere.holds(Binding::Session(&mine), token));
        for bad in ["", ".", "a.b", &token[1..], &format!("{token}A")] {
            assert!(!tokens.holds(Binding::Session(&mine), bad), "{bad}");
        }
    }
}
