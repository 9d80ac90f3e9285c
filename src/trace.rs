//! Spans: what became of a request and how long each part of it took, for whoever collects traces.
//!
//! Where nobody does, a span is none: to ask for one is to read a number that says so.

use std::future::Future;

use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Level, Span};

/// What all spans stand under, so that a subscriber can tell them from the lines of the log.
pub const TARGET: &str = "doorward_span";

/// Whether anybody collects spans.
pub fn is_on() -> bool {
    tracing::enabled!(target: TARGET, Level::INFO)
}

/// A span that is made only if somebody collects spans: else `tracing` may make a line of the log of it.
macro_rules! span {
    ($($content:tt)*) => {
        if is_on() { tracing::info_span!(target: TARGET, $($content)*) } else { Span::none() }
    };
}

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
