//! How a page becomes an answer: its frame, its status, its headers.

use std::sync::Arc;

use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};

use super::view::{Chrome, Page, Viewer, Views};
use super::{notice, reauthenticate};
use crate::error::Error;
use crate::guard::csrf::FormToken;
use crate::guard::{fresh, header, known_session, nonce};
use crate::problem::Problem;
use crate::role;
use crate::session::store::Live;

/// A page as the answer to a request.
pub struct Shown<P> {
    page: P,
    problem: Option<Problem>,
}

impl<P: Page> Shown<P> {
    /// The page, as it is meant to be.
    pub fn good(page: P) -> Self {
        Self { page, problem: None }
    }

    /// The page again, because of `error`: with the status and the headers that belong to it.
    pub fn refused(page: P, error: &Error) -> Self {
        Self::failed(page, Problem::from(error))
    }

    /// The page that tells of `problem`.
    pub fn failed(page: P, problem: Problem) -> Self {
        Self { page, problem: Some(problem) }
    }
}

impl<'r, P: Page> Responder<'r, 'static> for Shown<P> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        if let Some(origin) = self.page.form_target() {
            header::allow_form_target(request, origin);
        }
        let chrome = frame::<P>(request);
        let views = request.rocket().state::<Arc<Views>>().ok_or(Status::InternalServerError)?;
        let html = views.render(&self.page, &chrome).map_err(|error| {
            tracing::error!(template = P::TEMPLATE, cause = ?error, "a page could not be rendered");
            Status::InternalServerError
        })?;
        let mut response = Response::build();
        response.header(ContentType::HTML).sized_body(html.len(), std::io::Cursor::new(html));
        if let Some(problem) = self.problem {
            response.status(problem.status);
            for header in problem.headers() {
                response.header(header);
            }
        }
        response.ok()
    }
}

/// What the layout shows around the page.
fn frame<P: Page>(request: &Request<'_>) -> Chrome {
    let live = known_session(request);
    Chrome {
        nonce: nonce(request).to_owned(),
        csrf_token: form_token::<P>(request, live.as_deref()),
        viewer: live.as_deref().filter(|_| !P::FOR_VISITORS).map(viewer),
        notice: notice::of(request),
        alerts: live
            .as_deref()
            .filter(|_| !P::FOR_VISITORS)
            .map(notice::alerts)
            .unwrap_or_default(),
        confirm_href: confirm_href::<P>(request),
        path: request.uri().path().as_str().to_owned(),
    }
}

/// Said before anything is typed, rather than after it was lost.
fn confirm_href<P: Page>(request: &Request<'_>) -> Option<String> {
    (P::IS_DANGEROUS && fresh::is_due(request))
        .then(|| reauthenticate::href(request.uri().path().as_str()))
}

fn viewer(live: &Live) -> Viewer {
    let account = &live.account;
    Viewer::new(&account.display_name, account.email.as_str(), |permission| {
        role::require(&account.permissions, permission).is_ok()
    })
}

/// The token of the page's forms: for the session, or for the visitor, who gets a name for it.
fn form_token<P: Page>(request: &Request<'_>, live: Option<&Live>) -> Option<String> {
    let token = if P::FOR_VISITORS {
        FormToken::for_visitor(request)?
    } else {
        FormToken::for_session(request, &live?.session.id)?
    };
    Some(token.expose().to_owned())
}

/// Sends the browser to another page, with GET (RFC 9110 §15.4.4).
pub struct See(pub String);

impl See {
    /// To `path`, where a notice says that `done` is done.
    pub fn with_notice(path: &str, done: &str) -> Self {
        Self(format!("{path}?done={done}"))
    }
}

impl<'r> Responder<'r, 'static> for See {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        Response::build().status(Status::SeeOther).header(Header::new("Location", self.0)).ok()
    }
}

/// Either of two answers.
pub enum Either<A, B> {
    /// The one.
    This(A),
    /// The other.
    That(B),
}

impl<'r, A: Responder<'r, 'static>, B: Responder<'r, 'static>> Responder<'r, 'static>
    for Either<A, B>
{
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        match self {
            Self::This(one) => one.respond_to(request),
            Self::That(other) => other.respond_to(request),
        }
    }
}

/// What a form leads to: away from it if it was good, or back to it with what was wrong.
pub type FormAnswer<P> = Either<See, Shown<P>>;
