//! What an error of Redis means to the shared connection, and to the domain.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::Error;

/// Whether a connection that gave this error may serve nobody any more: it is broken or silent, or
/// leads to a server that is not the primary (any more).
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::ClusterConnectionNotFound
                | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        )
}

/// Whether a script has to be loaded before it is called by its hash: once for each Redis.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Whether a server says that it has fewer replicas than it needs to be sure that it is the primary.
pub(super) fn is_cut_off(error: &RedisError) -> bool {
    error.code() == Some("NOREPLICAS")
}

/// What an error of Redis means to the domain: nearly always that it cannot serve us now. Only what
/// it says of our own scripts and values is a mistake.
pub(super) fn failure(error: RedisError) -> Error {
    /// Codes that Redis before version 7 hides in the text of a script's error.
    const TEMPORARY: [&str; 7] =
        ["OOM ", "MISCONF ", "READONLY ", "LOADING ", "NOREPLICAS ", "MASTERDOWN ", "BUSY "];
    let ours = match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::Client => true,
        ErrorKind::Server(
            ServerErrorKind::ResponseError
            | ServerErrorKind::CrossSlot
            | ServerErrorKind::ExecAbort
            | ServerErrorKind::NoScript,
        ) => {
            let text = error.detail().unwrap_or_default();
            !TEMPORARY.iter().any(|code| text.contains(code))
        }
        ErrorKind::Extension => error.code() == Some("WRONGTYPE"),
        _ => false,
    };
    if ours { Error::internal(error) } else { Error::unavailable(error) }
}
