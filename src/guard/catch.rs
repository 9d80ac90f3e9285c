//! What the catchers answer with, also to a request that Rocket could not read.
//!
//! Rocket knows nine methods, and targets with a path. Whatever else it leads to a catcher as status 400,
//! past all fairings and guards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rocket::http::{Method, Status};
use rocket::request::Request;
use rocket::response::{self, Responder};

use super::header::Headers;
use super::visit::Visit;
use super::{gate, host, route};
use crate::problem::{self, Problem};

/// Whether Rocket could not read the request, so that no fairing has seen it.
pub(super) fn is_unreadable(request: &Request<'_>) -> bool {
    !Visit::of(request).received.load(Ordering::Relaxed)
}

/// The problem behind a failed request: what a guard left, or else what `status` stands for.
pub fn found(status: Status, request: &Request<'_>) -> Problem {
    if status == Status::BadRequest && is_unreadable(request) {
        let unknown = |()| Problem::of_status(Status::NotImplemented);
        return host::admit(request).map_or_else(|problem| problem, unknown);
    }
    let left = problem::take(status, request);
    if let Some(problem) = left {
        return problem;
    }
    let unrouted = || gate::admit_head_size(request).err().or_else(|| wrong_method(request));
    let problem = if status == Status::NotFound { unrouted() } else { None };
    problem.unwrap_or_else(|| Problem::of_status(status))
}

/// Rocket says "not found" for a path that exists under another method; HTTP says 405.
fn wrong_method(request: &Request<'_>) -> Option<Problem> {
    let methods = route::at(request.rocket(), request.uri()).map(|route| route.method);
    let mut methods: BTreeSet<&str> =
        methods.filter(|method| *method != Method::Options).map(|m| m.as_str()).collect();
    if methods.contains("GET") {
        methods.insert("HEAD");
    }
    if methods.is_empty() || methods.contains(request.method().as_str()) {
        return None;
    }
    let allow = methods.into_iter().collect::<Vec<_>>().join(", ");
    let problem = Problem::of_status(Status::MethodNotAllowed);
    Some(Problem { allow: Some(allow), ..problem })
}

/// An answer of a catcher, complete also where no fairing completes it.
pub struct Complete<R>(pub R);

impl<'r, 'o: 'r, R: Responder<'r, 'o>> Responder<'r, 'o> for Complete<R> {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'o> {
        let mut response = self.0.respond_to(request)?;
        if is_unreadable(request)
            && let Some(headers) = request.rocket().state::<Arc<Headers>>()
        {
            headers.complete(request, &mut response);
        }
        Ok(response)
    }
}
