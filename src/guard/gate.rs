//! The gate in front of every route: what no request may pass with, whichever route it is for.
//!
//! Doorward's own routes stand behind it. So do those that an application hands to [`guarded`]; for
//! its others the guards ask here ([`pass`]), so that no route with a guard is without.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rocket::Route;
use rocket::data::Data;
use rocket::http::{Method, Status};
use rocket::request::Request;
use rocket::route::{Handler, Outcome};
use tracing::Instrument as _;

use super::visit::Visit;
use super::{client, csrf, host, limit, span, submission};
use crate::audit::{Audit, Entry, Kind, Origin, scope_if_unknown};
use crate::problem::{self, Problem};

/// Longest request target, in bytes (SR-60).
const MAX_TARGET: usize = 8 * 1024;
/// Largest header block, in bytes (SR-60).
const MAX_HEADERS: usize = 32 * 1024;

/// Puts the gate in front of `routes`.
pub fn guarded(routes: Vec<Route>) -> Vec<Route> {
    with_gate(routes, Asker::Client)
}

/// Puts the gate in front of `routes` that proxies ask, with the headers of requests that are not for
/// us: whether those come from a page of this site is no question, and nothing is changed.
pub fn for_proxies(routes: Vec<Route>) -> Vec<Route> {
    with_gate(routes, Asker::Proxy)
}

fn with_gate(routes: Vec<Route>, asker: Asker) -> Vec<Route> {
    let guard = |mut route: Route| {
        route.handler = Box::new(Gate { handler: route.handler, asker });
        route
    };
    routes.into_iter().map(guard).collect()
}

/// Whose request it is that stands at the gate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// A browser's or a program's.
    Client,
    /// A proxy's, on behalf of one of those.
    Proxy,
}

#[derive(Clone)]
struct Gate {
    handler: Box<dyn Handler>,
    asker: Asker,
}

/// Where the work for a request comes from.
pub(super) fn origin(request: &Request<'_>) -> Origin {
    Origin::request(client::address(request), problem::request_id(request))
}

/// Admits a request whose route does not stand behind the gate, before a guard lets it in: it is
/// counted, and one that changes something has to come from a page of this site (SR-23, SR-41).
/// The verdict is the same for all guards of a request.
///
/// # Errors
/// What is wrong with the request.
pub(super) async fn pass(request: &Request<'_>) -> Result<(), Problem> {
    if has_entered(request) {
        return Ok(());
    }
    // Boxed, like all that most requests never come to: a future is moved on its way, with the room
    // for all its branches.
    let judge = Box::pin(async {
        let verdict = admit_head(request).await;
        if let Err(problem) = &verdict {
            record(request, problem.code).await;
        }
        verdict
    });
    let verdict: &Result<(), Problem> =
        request.local_cache_async(scope_if_unknown(|| origin(request), judge)).await;
    verdict.clone()
}

/// Records what a guard refuses, if there is no gate in front of the route to do it.
pub(super) async fn refused(request: &Request<'_>, code: &str) {
    if !has_entered(request) {
        scope_if_unknown(|| origin(request), record(request, code)).await;
    }
}

pub(super) fn has_entered(request: &Request<'_>) -> bool {
    Visit::of(request).entered.load(Ordering::Relaxed)
}

#[rocket::async_trait]
impl Handler for Gate {
    async fn handle<'r>(&self, request: &'r Request<'_>, mut data: Data<'r>) -> Outcome<'r> {
        Visit::of(request).entered.store(true, Ordering::Relaxed);
        // Pinned, so that it is not moved with all its room into what goes around it.
        let work = pin!(async {
            let outcome = match admit(request, &mut data, self.asker).await {
                Ok(()) if self.asker == Asker::Client && submission::is_one(request) => {
                    Box::pin(submission::once(request, data, &*self.handler)).await
                }
                Ok(()) => self.handler.handle(request, data).await,
                Err(problem) => {
                    let status = problem.status;
                    problem::leave(request, problem);
                    Outcome::Error(status)
                }
            };
            let status = match &outcome {
                Outcome::Success(response) => Some(response.status()),
                Outcome::Error(status) => Some(*status),
                Outcome::Forward(_) => None,
            };
            if let Some((_, code)) =
                problem::left(request).filter(|(left, _)| Some(*left) == status)
            {
                Box::pin(record(request, code)).await;
            }
            outcome
        });
        origin(request).scope(work).instrument(span::of_work(request)).await
    }
}

/// Records what a guard refused, whichever guard it was (SR-80), by the code of its problem. What
/// the domain refuses, it records itself.
async fn record(request: &Request<'_>, code: &str) {
    let kind = match code {
        "csrf_refused" => Kind::Csrf,
        "permission_denied" => Kind::AuthzFail,
        "validation_failed" => Kind::InputInvalid,
        "throttled" => Kind::RateLimited,
        _ => return,
    };
    let Some(audit) = request.rocket().state::<Arc<Audit>>() else { return };
    // The pattern of the route, not the path: what a client sent is not recorded as it sent it.
    let route = request.route().map_or("", |route| route.uri.path());
    let event = Entry::of(kind).detail(format!("{} {route}", request.method()));
    match kind {
        Kind::RateLimited => audit.record_sparingly(event).await,
        _ => audit.record(event).await,
    }
}

async fn admit(request: &Request<'_>, data: &mut Data<'_>, asker: Asker) -> Result<(), Problem> {
    // Rocket lets a form's first field `_method` turn POST into another method (SR-41: no override).
    // Browsers send forms with POST alone, so a form under another method was turned.
    let form = request.content_type().is_some_and(|kind| kind.is_form());
    if form && request.method() != Method::Post && !data.peek(1).await.is_empty() {
        return Err(Problem::of_status(Status::UnsupportedMediaType));
    }
    match asker {
        Asker::Client => admit_head(request).await,
        Asker::Proxy => admit_target(request),
    }
}

/// What a request is judged by before its body.
async fn admit_head(request: &Request<'_>) -> Result<(), Problem> {
    admit_target(request)?;
    limit::admit(request).map_err(|error| Problem::from(&error))?;
    csrf::check(request).await.map_err(|error| Problem::from(&error))
}

/// Whether the host is ours (SR-11), address and headers are of a size that is read, and the method is
/// one (SR-60).
fn admit_target(request: &Request<'_>) -> Result<(), Problem> {
    host::admit(request)?;
    admit_head_size(request)?;
    if request.method() == Method::Trace {
        return Err(Problem::of_status(Status::MethodNotAllowed));
    }
    Ok(())
}

/// Whether address and headers are of a size that is read, and the body is sent in a way that is known
/// (RFC 9112 §6.1).
pub(super) fn admit_head_size(request: &Request<'_>) -> Result<(), Problem> {
    let uri = request.uri();
    let query = uri.query().map_or(0, |query| query.as_str().len() + 1);
    if uri.path().as_str().len() + query > MAX_TARGET {
        return Err(Problem::of_status(Status::UriTooLong));
    }
    let mut size = 0;
    for header in request.headers().iter() {
        size += header.name().as_str().len() + header.value().len() + 4;
        if header.name() == "Transfer-Encoding" && !header.value().eq_ignore_ascii_case("chunked") {
            let detail = "This transfer coding is not known here.";
            return Err(Problem::new(Status::NotImplemented, "unsupported_media_type", detail));
        }
    }
    if size > MAX_HEADERS {
        return Err(Problem::of_status(Status::RequestHeaderFieldsTooLarge));
    }
    Ok(())
}
