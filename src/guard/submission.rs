//! Forms that are sent twice, by a double click or by a reload: the second submission gets the answer
//! that the first one got, with its cookies.
//!
//! What names a submission is the form token, which every page that is shown has anew, and all that is
//! sent with it. Only an answer that leads on is repeated: what is refused is judged again, and counts
//! again, for whoever guesses decides what is sent.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rocket::data::Data;
use rocket::http::{Header, Method, Status};
use rocket::request::Request;
use rocket::response::Response;
use rocket::route::{Handler, Outcome};
use serde::{Deserialize, Serialize};

use super::cookie::Cookies;
use super::visit::Visit;
use super::{csrf, route};
use crate::error;
use crate::id::SecretString;
use crate::problem::{self, Problem};
use crate::submission::{Begun, Submissions, Ticket};

/// How much of a body can be looked at before the route reads it.
const PEEK: usize = 512;

/// What is noted of a request that submits a form.
#[derive(Default)]
pub(super) struct Note {
    /// Whether the gate settles what is begun.
    expected: AtomicBool,
    begun: OnceLock<Begun>,
    /// Whether the answer, though it leads on, says that nothing was done.
    refused: AtomicBool,
}

impl Note {
    fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        &Visit::of(request).submission
    }
}

/// An answer, as it is kept. It holds tokens and is sealed before anybody else sees it.
#[derive(Serialize, Deserialize)]
struct Kept {
    location: String,
    headers: Vec<(String, String)>,
}

/// Whether the request submits a form of a page of ours.
pub(super) fn is_one(request: &Request<'_>) -> bool {
    request.method() == Method::Post
        && request.content_type().is_some_and(|kind| kind.is_form())
        && request.route().is_some_and(route::is_page)
}

/// Has `handler` answer, or answers as an identical submission was answered.
pub(super) async fn once<'r>(
    request: &'r Request<'_>,
    mut data: Data<'r>,
    handler: &dyn Handler,
) -> Outcome<'r> {
    let note = Note::of(request);
    note.expected.store(true, Ordering::Relaxed);
    // Before the guards ask who this is, where the form is short enough: the first submission may have
    // ended the session, or given it other tokens. Any other is looked at when the route reads it.
    let body = data.peek(PEEK).await.to_vec();
    if body.len() < PEEK
        && data.peek_complete()
        && let Err(problem) = begin(request, &body).await
    {
        let status = problem.status;
        problem::leave(request, problem);
        return Outcome::Error(status);
    }
    if let Some(Begun::Done(result)) = note.begun.get() {
        return repeat(request, result).await;
    }
    let outcome = handler.handle(request, data).await;
    match note.begun.get() {
        Some(Begun::First(ticket)) => {
            let kept = keep(request, &outcome);
            settle(request, ticket, kept).await;
        }
        Some(Begun::Done(result)) => return repeat(request, result).await,
        Some(Begun::Unknown) | None => {}
    }
    outcome
}

/// Begins the submission with this body, unless that was done. Whether an answer is there already, and
/// nothing is left to do.
///
/// # Errors
/// The store is silent, so that nothing that the form asks for could be done.
pub(super) async fn begin(request: &Request<'_>, body: &[u8]) -> Result<bool, Problem> {
    let note = Note::of(request);
    if note.expected.load(Ordering::Relaxed) && note.begun.get().is_none() {
        let begun = match ask(request, body).await {
            Some(asked) => asked.map_err(|error| Problem::from(&error))?,
            None => Begun::Unknown,
        };
        // One request is answered by one task: nobody was faster.
        let _ = note.begun.set(begun);
    }
    Ok(matches!(note.begun.get(), Some(Begun::Done(_))))
}

async fn ask(request: &Request<'_>, body: &[u8]) -> Option<error::Result<Begun>> {
    let submissions = request.rocket().state::<Submissions>()?;
    let promised = request.headers().get_one("Content-Length").and_then(|n| n.parse().ok());
    if promised.is_some_and(|length: usize| length != body.len()) {
        return None;
    }
    let fields: Vec<(String, SecretString)> = serde_html_form::from_bytes(body).ok()?;
    let mut tokens = fields.iter().filter(|(name, _)| name == "csrf_token");
    let (Some((_, token)), None) = (tokens.next(), tokens.next()) else { return None };
    // What somebody else was answered is nobody's business.
    if !csrf::names_sender(request, token.expose()).await {
        return None;
    }
    let target = request.uri().to_string();
    let content = [request.method().as_str().as_bytes(), target.as_bytes(), body];
    Some(submissions.begin(token.expose(), &content).await)
}

/// Notes that the answer to a form says that nothing was done.
pub fn refuse(request: &Request<'_>) {
    Note::of(request).refused.store(true, Ordering::Relaxed);
}

/// Says how the submission came out, and keeps an answer that leads on.
async fn settle(request: &Request<'_>, ticket: &Ticket, kept: Option<SecretString>) {
    let Some(submissions) = request.rocket().state::<Submissions>() else { return };
    match kept {
        Some(kept) => submissions.finish(ticket, &kept).await,
        None => submissions.give_up(ticket),
    }
}

/// The answer as an identical submission is to get it, if it leads on.
fn keep(request: &Request<'_>, outcome: &Outcome<'_>) -> Option<SecretString> {
    let refused = Note::of(request).refused.load(Ordering::Relaxed);
    let Outcome::Success(response) = outcome else { return None };
    if response.status() != Status::SeeOther || refused {
        return None;
    }
    let location = response.headers().get_one("Location")?.to_owned();
    let headers = Cookies::of(request).handed_over();
    serde_json::to_string(&Kept { location, headers }).ok().map(SecretString::new)
}

async fn repeat<'r>(request: &'r Request<'_>, result: &SecretString) -> Outcome<'r> {
    let Ok(Kept { location, headers }) = serde_json::from_str(result.expose()) else {
        return Outcome::Error(Status::InternalServerError);
    };
    Cookies::of(request).hand_over_again(headers, request).await;
    let mut response = Response::new();
    response.set_status(Status::SeeOther);
    response.set_header(Header::new("Location", location));
    Outcome::Success(response)
}
