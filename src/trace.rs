//! Spans: what became of a request and how long each part of it took, for whoever collects traces.
//!
//! Their fields have the names of OpenTelemetry's semantic conventions. Where nobody collects, a span
//! is none: to ask for one is to read a number that says so.

use std::future::Future;

use tracing::field::Empty;
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Level, Span};

/// What all spans stand under, so that a subscriber can tell them from the lines of the log.
pub const TARGET: &str = "span";
/// Below what a log usually shows, so that no line of it is about a span.
pub const LEVEL: Level = Level::DEBUG;

/// Whether anybody collects spans.
pub fn is_on() -> bool {
    tracing::enabled!(target: TARGET, LEVEL)
}

/// A span that is made only if somebody collects spans: else `tracing` may make a line of the log of it.
macro_rules! span {
    ($($content:tt)*) => {
        if is_on() { tracing::span!(target: TARGET, LEVEL, $($content)*) } else { Span::none() }
    };
}

/// A request that has just come. Its route is found out later, its query is nobody's business.
pub fn request(method: &'static str, path: &str, scheme: &'static str) -> Span {
    span!(
        "request",
        otel.name = method,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.response.status_code = Empty,
        http.route = Empty,
        url.path = path,
        url.scheme = scheme,
        error.type = Empty,
        doorward.request_id = Empty,
    )
}

/// Names a request by its route. Before any work is done for it: then the name is settled.
pub fn routed(span: &Span, method: &str, route: &str) {
    if !span.is_none() {
        span.record("otel.name", format!("{method} {route}"));
        span.record("http.route", route);
    }
}

/// Notes how a request was answered. Only a failure of ours makes it an error.
pub fn answered(span: &Span, status: u16, request_id: &str) {
    if span.is_none() {
        return;
    }
    span.record("http.response.status_code", status);
    span.record("doorward.request_id", request_id);
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", status.to_string());
    }
}

/// Makes `span` a part of the trace that these headers name (W3C Trace Context §3). What is no such
/// name begins a trace of its own.
#[cfg(feature = "otel")]
pub fn continue_trace(span: &Span, traceparent: &str, tracestate: Option<&str>) {
    use std::collections::HashMap;

    use opentelemetry::propagation::TextMapPropagator as _;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let mut headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    headers.extend(tracestate.map(|state| ("tracestate".to_owned(), state.to_owned())));
    let parent = TraceContextPropagator::new().extract(&headers);
    // Without a collector there is no trace to continue.
    let _ = span.set_parent(parent);
}

/// Without a collector there is no trace to continue.
#[cfg(not(feature = "otel"))]
pub fn continue_trace(_: &Span, _: &str, _: Option<&str>) {}

/// `work` as an operation of a store.
pub fn store<F: Future>(store: &'static str, operation: &'static str, work: F) -> Instrumented<F> {
    work.instrument(span!(
        "store",
        otel.name = %format_args!("{store} {operation}"),
        otel.kind = "client",
        db.system.name = store,
        db.operation.name = operation,
    ))
}

/// `work` as the hashing of a password, with the wait for a thread.
pub fn hash<F: Future>(work: F) -> Instrumented<F> {
    work.instrument(span!("password hash", otel.kind = "internal"))
}
