//! The span of a request: from when it comes until it is answered.

use rocket::http::Status;
use rocket::request::Request;
use tracing::Span;

use super::{client, gate};
use crate::problem::request_id;
use crate::trace;

/// The span of one request; none where nobody collects spans.
struct RequestSpan(Span);

/// Begins the span of a request. A trusted proxy may have begun the trace that it is a part of.
pub(super) fn begin(request: &Request<'_>, scheme: &'static str) {
    let path = request.uri().path().as_str();
    let span = trace::request(request.method().as_str(), path, scheme);
    let header = |name| request.headers().get_one(name);
    if let Some(traceparent) = header("traceparent").filter(|_| client::is_trusted_proxy(request)) {
        trace::continue_trace(&span, traceparent, header("tracestate"));
    }
    request.local_cache(|| RequestSpan(span));
}

/// The span of a request whose route is known, for the work that is done for it.
pub(super) fn of_work(request: &Request<'_>) -> Span {
    let span = of(request);
    if let Some(route) = request.route() {
        trace::routed(&span, request.method().as_str(), route.uri.path());
    }
    span
}

fn of(request: &Request<'_>) -> Span {
    if trace::is_on() {
        request.local_cache(|| RequestSpan(Span::none())).0.clone()
    } else {
        Span::none()
    }
}

/// Ends the span of a request that was answered so.
pub(super) fn end(request: &Request<'_>, status: Status) {
    // An application's own route has no gate in front of it.
    let span = if gate::has_entered(request) { of(request) } else { of_work(request) };
    trace::answered(&span, status.code, request_id(request));
}
