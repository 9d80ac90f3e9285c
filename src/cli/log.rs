//! Where log lines go: standard output, written by a thread of their own, off the request path.

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Log, LogFormat};

/// Starts logging; it ends, with everything written, when the guard is dropped.
///
/// A command that does its work and ends says what it has to say itself, so only warnings are
/// logged, to standard error.
pub(super) fn start(log: &Log, serves: bool) -> WorkerGuard {
    let (writer, guard) = if serves {
        tracing_appender::non_blocking(std::io::stdout())
    } else {
        tracing_appender::non_blocking(std::io::stderr())
    };
    let level = if serves { log.level } else { tracing::Level::WARN };
    // Rocket and the drivers are quiet unless something is wrong with them.
    let filter = EnvFilter::new(format!(
        "warn,doorward={level},audit={level},access={level},csp={level},rocket=off"
    ));
    let lines = fmt().with_env_filter(filter).with_writer(writer);
    match log.format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stdout())).init()
        }
    }
    guard
}
