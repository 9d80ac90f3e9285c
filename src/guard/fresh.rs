//! The guard of what is dangerous: who asks must have given their password a short while ago (SR-52).

use std::ops::Deref;
use std::sync::Arc;

use rocket::outcome::try_outcome;
use rocket::request::{FromRequest, Outcome, Request};

use super::{LoggedIn, known_session};
use crate::error::{Error, Result};
use crate::problem::{self, Problem};
use crate::session::Sessions;

/// What the guard `G` makes sure of ([`LoggedIn`] or [`Allowed`](super::Allowed)), by somebody who
/// proved who they are at most `tokens.reauth_after` ago.
///
/// It dereferences to `G`. A refusal is a 401 `reauth_required` for programs, and leads people to
/// `/reauthenticate`; nobody is signed out by it.
///
/// # Examples
///
/// ```
/// use doorward::{Allowed, Fresh};
/// use rocket::delete;
///
/// doorward::permissions! { DeleteInvoices = "invoices:delete" }
///
/// #[delete("/invoices/<number>")]
/// fn delete(viewer: Fresh<Allowed<DeleteInvoices>>, number: u32) -> String {
///     format!("{} deleted invoice {number}.", viewer.account.name())
/// }
/// ```
pub struct Fresh<G> {
    guard: G,
}

impl<G> Deref for Fresh<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.guard
    }
}

#[rocket::async_trait]
impl<'r, G: FromRequest<'r, Error = Problem> + Send> FromRequest<'r> for Fresh<G> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let guard = try_outcome!(G::from_request(request).await);
        let LoggedIn(live) = try_outcome!(LoggedIn::from_request(request).await);
        let fresh = match request.rocket().state::<Arc<Sessions>>() {
            Some(sessions) => sessions.require_fresh(&live.session),
            None => Err(Error::internal("Doorward's services are not attached")),
        };
        match fresh {
            Ok(()) => Outcome::Success(Self { guard }),
            Err(error) => problem::refuse(request, Problem::from(&error)),
        }
    }
}

/// Whether the person behind a request, if a guard has judged it already, would have to prove again
/// who they are before they change anything.
pub fn is_due(request: &Request<'_>) -> bool {
    let sessions = request.rocket().state::<Arc<Sessions>>();
    let judge = |sessions: &Arc<Sessions>| -> Option<Result<()>> {
        known_session(request).map(|live| sessions.require_fresh(&live.session))
    };
    sessions.and_then(judge).is_some_and(|fresh| fresh.is_err())
}
