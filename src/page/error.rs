//! The page for whatever goes wrong.

use rocket::http::Status;
use rocket::request::Request;
use rocket::response::{self, Responder};
use rocket::{Catcher, catch, catchers};
use serde::Serialize;

use super::show::{See, Shown};
use super::view::Page;
use super::{password, reauthenticate};
use crate::error::Error;
use crate::guard::bare_page::BarePage;
use crate::guard::catch::{self, Complete};
use crate::guard::{known_session, signed_in, submission};
use crate::problem::{self, Problem};

/// Says what happened, what to do about it, and how to name it to an administrator.
#[derive(Debug, Default, Serialize)]
pub struct ErrorPage {
    /// The HTTP status.
    pub status: u16,
    /// What happened, in a few words.
    pub title: String,
    /// A sentence of explanation.
    pub detail: String,
    /// Finds the failure in the log.
    pub request_id: String,
    /// After how many seconds it is worth trying again.
    pub retry_after: Option<u64>,
    /// Where the way back leads.
    pub back_href: String,
    /// What the way back is called: `Back to your profile`, `Sign in`.
    pub back_label: String,
}

impl Page for ErrorPage {
    const TEMPLATE: &'static str = "error.html.tera";

    fn title(&self) -> String {
        self.title.clone()
    }
}

/// A page that cannot be shown: the way to the sign-in page for those who are not signed in, and the
/// error page for everybody else. Programs that ask for JSON get problem details.
pub struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(Problem::from(&error))
    }
}

impl<'r> Responder<'r, 'static> for Refusal {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let problem = self.0;
        submission::refuse(request);
        if wants_json(request) {
            return problem.respond_to(request);
        }
        // The page's style would be asked of that host, and refused as well.
        if problem.status == Status::MisdirectedRequest {
            return BarePage(problem).respond_to(request);
        }
        if problem.code == "password_change_required" {
            return password::first(request).respond_to(request);
        }
        if problem.code == "reauth_required" {
            return reauthenticate::first(request).respond_to(request);
        }
        if problem.status == Status::Unauthorized {
            return sign_in_first(request).respond_to(request);
        }
        // A button whose form had expired: the page that it stands on has a good one.
        let stale = (problem.code == "csrf_refused").then(|| reauthenticate::form_page(request));
        let (back_href, back_label) = match (stale.flatten(), known_session(request)) {
            (Some(page), _) => (page, "Open the page again"),
            (None, Some(_)) => ("/profile".to_owned(), "Back to your profile"),
            (None, None) => ("/login".to_owned(), "Go to sign-in"),
        };
        let page = ErrorPage {
            status: problem.status.code,
            title: heading(problem.status).to_owned(),
            detail: problem.detail.clone(),
            request_id: problem::request_id(request).to_owned(),
            // The sentence about a limit says it already.
            retry_after: problem.retry_after.filter(|_| problem.code != "throttled"),
            back_href,
            back_label: back_label.to_owned(),
        };
        Shown::failed(page, problem).respond_to(request)
    }
}

/// To the sign-in page, and back here afterwards if here can be come back to.
fn sign_in_first(request: &Request<'_>) -> See {
    if !matches!(request.method(), rocket::http::Method::Get | rocket::http::Method::Head) {
        return See("/login".to_owned());
    }
    let here = request.uri().to_string();
    let next: String = url::form_urlencoded::byte_serialize(here.as_bytes()).collect();
    See(format!("/login?next={next}"))
}

/// Whether the client would rather read JSON than HTML (RFC 9110 §12.5.1).
fn wants_json(request: &Request<'_>) -> bool {
    request.accept().is_some_and(|accept| {
        let preferred = accept.preferred();
        preferred.is_json() || preferred.sub() == "problem+json"
    })
}

fn heading(status: Status) -> &'static str {
    match status.code {
        400 | 422 => "That did not work",
        403 => "You cannot do this",
        404 => "Not found",
        409 => "That cannot be done",
        413 | 414 | 431 => "That is too large",
        405 | 501 => "That is not possible here",
        415 => "That is not accepted here",
        429 | 503 => "One moment, please",
        _ => "Something went wrong",
    }
}

pub(super) fn catchers() -> Vec<Catcher> {
    catchers![failed]
}

#[catch(default)]
async fn failed(status: Status, request: &Request<'_>) -> Complete<Refusal> {
    let problem = catch::found(status, request);
    // Rocket itself refused, before any guard asked who this is; the page shows the way back.
    if matches!(status, Status::NotFound | Status::MethodNotAllowed) {
        signed_in(request).await;
    }
    Complete(Refusal(problem))
}
