//! Guards: what a route may take for granted because they stand in its signature.

pub mod asked;
pub mod bare_page;
pub mod body;
pub mod catch;
pub mod client;
pub mod cookie;
pub mod count;
pub mod csrf;
pub mod download;
pub mod form;
pub mod fresh;
pub mod gate;
pub mod header;
mod hop;
pub mod host;
pub mod inspection;
pub mod json;
pub mod kept;
pub mod limit;
mod log_throttle;
pub mod query;
pub mod route;
pub mod setting;
mod span;
pub mod submission;
mod visit;

use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::pin;
use std::sync::Arc;

use rocket::outcome::try_outcome;
use rocket::request::{FromRequest, Outcome, Request};

use self::visit::Visit;
use crate::audit;
use crate::error::{Error, Result};
use crate::id::{self, SecretString};
use crate::problem::{self, Problem};
use crate::role::{self, Permission};
use crate::session::Sessions;
use crate::session::store::Live;

/// The person that a request is from: their live session and their account as it is at this moment.
///
/// A person who has to change a password that an administrator chose is refused (`password_change_required`).
pub struct LoggedIn(pub Arc<Live>);

/// The person that a request is from, also while they have to change their password: for the routes
/// that change it, and no others.
pub struct PasswordOwner(pub Arc<Live>);

/// A person who holds the permission `P`.
pub struct Allowed<P>(pub Arc<Live>, PhantomData<P>);

/// A person who has the role `R`.
///
/// Ask for a permission where you can: which roles grant it is then the administrators' to say.
pub struct InRole<R>(pub Arc<Live>, PhantomData<R>);

/// The session that a request has, also while its owner has to change their password: for signing in and
/// out, which need no more.
pub struct AnySession(pub Option<Arc<Live>>);

/// Whoever a page is for: somebody who is signed in, or nobody we know.
///
/// A session store that is away makes everybody a visitor: what visitors see is no secret (SR-70). A person
/// who has to change their password is a visitor until they have changed it.
pub struct Visitor(pub Option<Arc<Live>>);

macro_rules! read_as_live {
    ($($guard:ident$(<$name:ident>)?),*) => {$(
        impl$(<$name>)? Deref for $guard$(<$name>)? {
            type Target = Live;

            fn deref(&self) -> &Live {
                &self.0
            }
        }
    )*};
}

read_as_live!(LoggedIn, PasswordOwner, Allowed<P>, InRole<R>);

/// A permission, as a type that stands in a route's signature. [`crate::permissions!`] makes them.
pub trait Needs: Send + Sync + 'static {
    /// Its name.
    const PERMISSION: &'static str;
}

/// A role, as a type that stands in a route's signature. [`crate::roles!`] makes them.
pub trait NamesRole: Send + Sync + 'static {
    /// Its name.
    const ROLE: &'static str;
}

/// Makes a type of each permission, for [`Allowed`](crate::Allowed).
///
/// ```
/// doorward::permissions! {
///     ReadNotes = "notes:read",
///     WriteNotes = "notes:write",
/// }
///
/// #[rocket::post("/notes")]
/// fn write(author: doorward::Allowed<WriteNotes>) -> String {
///     format!("{} may write.", author.account.name())
/// }
/// ```
#[macro_export]
macro_rules! permissions {
    ($($name:ident = $permission:expr),* $(,)?) => {$(
        #[doc = concat!("The permission [`", stringify!($permission), "`].")]
        pub struct $name;

        impl $crate::guard::Needs for $name {
            const PERMISSION: &'static str = $permission;
        }
    )*};
}

/// Makes a type of each role, for [`InRole`](crate::InRole).
///
/// ```
/// doorward::roles! { Moderator = "moderator" }
///
/// #[rocket::get("/queue")]
/// fn queue(_moderator: doorward::InRole<Moderator>) -> &'static str {
///     "Nothing to moderate."
/// }
/// ```
#[macro_export]
macro_rules! roles {
    ($($name:ident = $role:expr),* $(,)?) => {$(
        #[doc = concat!("The role [`", stringify!($role), "`].")]
        pub struct $name;

        impl $crate::guard::NamesRole for $name {
            const ROLE: &'static str = $role;
        }
    )*};
}

permissions! {
    AdminView = Permission::ADMIN_VIEW,
    UsersRead = Permission::USERS_READ,
    UsersWrite = Permission::USERS_WRITE,
    RolesRead = Permission::ROLES_READ,
    RolesWrite = Permission::ROLES_WRITE,
    SessionsRead = Permission::SESSIONS_READ,
    SessionsRevoke = Permission::SESSIONS_REVOKE,
    TokensRevoke = Permission::TOKENS_REVOKE,
    AuditRead = Permission::AUDIT_READ,
    KeysRead = Permission::KEYS_READ,
    KeysWrite = Permission::KEYS_WRITE,
    SettingsRead = Permission::SETTINGS_READ,
}

/// Whether a request is for the JSON interface.
///
/// Read as Rocket reads it to find the route: decoded, so that `/%61pi/` is no way around.
pub fn is_api(request: &Request<'_>) -> bool {
    let path = request.uri().path();
    match path.as_str().strip_prefix("/api/") {
        Some(_) => true,
        None => path.segments().next() == Some("api"),
    }
}

/// The Bearer token of a request to the JSON interface (RFC 6750 §2.1).
pub fn bearer<'r>(request: &'r Request<'_>) -> Option<&'r str> {
    let value = request.headers().get_one("Authorization").filter(|_| is_api(request))?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

/// What a request's credentials turned out to be.
type Judgement = std::result::Result<Arc<Live>, Arc<Error>>;

/// Judges a request's credentials: once, however many guards ask.
pub async fn signed_in<'r>(request: &'r Request<'_>) -> &'r Judgement {
    let known = &Visit::of(request).judgement;
    let judgement = match known.get() {
        Some(judgement) => judgement,
        None => {
            // Pinned, so that it is not moved with all its room into what goes around it.
            let judge = pin!(judge(request));
            let judged = audit::scope_if_unknown(|| gate::origin(request), judge).await;
            known.get_or_init(|| judged.map(Arc::new).map_err(Arc::new))
        }
    };
    if let Ok(live) = judgement {
        audit::acting(&live.account.id);
    }
    judgement
}

/// The person behind a request, if a guard has judged it already.
pub fn known_session(request: &Request<'_>) -> Option<Arc<Live>> {
    let judgement = Visit::of(request).judgement.get()?;
    judgement.as_ref().ok().map(Arc::clone)
}

/// The nonce of this answer's Content-Security-Policy: 128 random bits (SR-43).
pub fn nonce<'r>(request: &'r Request<'_>) -> &'r str {
    struct Nonce(String);
    &request.local_cache(|| Nonce(id::base64url(id::random_bytes::<16>(&id::Os)))).0
}

/// A Bearer token alone, if there is one; else the access cookie; else, or if that has run out, the
/// refresh cookie, which then is refreshed on the way: no redirect, no lost form.
async fn judge(request: &Request<'_>) -> Result<Live> {
    let Some(sessions) = request.rocket().state::<Arc<Sessions>>() else {
        return Err(Error::internal("Doorward's services are not attached"));
    };
    if let Some(token) = bearer(request) {
        return sessions.verify(&SecretString::new(token)).await;
    }
    let refused = match cookie::access_token(request) {
        Some(access) => match sessions.verify(&access).await {
            Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => return Err(error),
            Err(error) => error,
            good => return good,
        },
        None => Error::NotSignedIn,
    };
    let Some(refresh) = cookie::refresh_token(request) else { return Err(refused) };
    match Box::pin(sessions.refresh(&refresh, &client::of(request))).await {
        Ok(issued) => {
            cookie::Cookies::of(request).hand_over(&issued);
            Ok(Live { session: Arc::new(issued.session), account: Arc::new(issued.account) })
        }
        Err(Error::RefreshInvalid) => Err(refused),
        Err(error) => Err(error),
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for LoggedIn {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let PasswordOwner(live) = try_outcome!(PasswordOwner::from_request(request).await);
        if live.account.must_change_password {
            return problem::refuse(request, Problem::from(&Error::PasswordChangeRequired));
        }
        Outcome::Success(Self(live))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for PasswordOwner {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        if let Err(problem) = gate::pass(request).await {
            return problem::refuse(request, problem);
        }
        match signed_in(request).await {
            Ok(live) => Outcome::Success(Self(Arc::clone(live))),
            Err(error) => problem::refuse(request, Problem::from(&**error)),
        }
    }
}

#[rocket::async_trait]
impl<'r, P: Needs> FromRequest<'r> for Allowed<P> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let LoggedIn(live) = try_outcome!(LoggedIn::from_request(request).await);
        match role::require(&live.account.permissions, P::PERMISSION) {
            Ok(()) => Outcome::Success(Self(live, PhantomData)),
            Err(error) => Box::pin(refuse(request, Problem::from(&error))).await,
        }
    }
}

#[rocket::async_trait]
impl<'r, R: NamesRole> FromRequest<'r> for InRole<R> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let LoggedIn(live) = try_outcome!(LoggedIn::from_request(request).await);
        if live.account.roles.iter().any(|role| role.as_str() == R::ROLE) {
            return Outcome::Success(Self(live, PhantomData));
        }
        refuse(request, Problem::from(&Error::PermissionDenied(R::ROLE.to_owned()))).await
    }
}

/// Ends a guard with `problem`, which is recorded (SR-80).
async fn refuse<T>(request: &Request<'_>, problem: Problem) -> Outcome<T, Problem> {
    gate::refused(request, problem.code).await;
    problem::refuse(request, problem)
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AnySession {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        if gate::pass(request).await.is_err() {
            return Outcome::Success(Self(None));
        }
        Outcome::Success(Self(signed_in(request).await.as_ref().ok().map(Arc::clone)))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Visitor {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let AnySession(live) = try_outcome!(AnySession::from_request(request).await);
        Outcome::Success(Self(live.filter(|live| !live.account.must_change_password)))
    }
}

/// The tokens that came with a request, unjudged: for signing out and for refreshing.
pub struct Presented(pub crate::session::Presented);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Presented {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let mut presented = cookie::presented(request);
        if let Some(token) = bearer(request) {
            presented.access = Some(SecretString::new(token));
            presented.refresh = None;
        }
        Outcome::Success(Self(presented))
    }
}
