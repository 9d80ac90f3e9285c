//! What an error of Redis means to the shared connection, and to the domain.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::{Cause, Error};

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

/// Whether Redis answers, but has no room for a write, in memory or on its disk.
pub(super) fn has_no_room(error: &Error) -> bool {
    error.outage().is_some_and(|outage| outage.cause == Cause::Full)
}

/// Whether a server says that it has fewer replicas than it needs to be sure that it is the primary.
pub(super) fn is_cut_off(error: &RedisError) -> bool {
    error.code() == Some("NOREPLICAS")
}

/// What an error of Redis means to the domain: nearly always that it cannot serve us now. Only what
/// it says of our own scripts and values is a mistake.
pub(super) fn failure(error: RedisError) -> Error {
    let ours = match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::Client => true,
        ErrorKind::Server(
            ServerErrorKind::CrossSlot | ServerErrorKind::ExecAbort | ServerErrorKind::NoScript,
        ) => true,
        ErrorKind::Server(ServerErrorKind::ResponseError) => {
            is_of_script(error.detail().unwrap_or_default())
        }
        ErrorKind::Extension => error.code() == Some("WRONGTYPE"),
        _ => false,
    };
    if ours { Error::internal(error) } else { Error::unavailable(error) }
}

/// Whether the text of an error without a code speaks of a mistake in a script. All other errors
/// without one are refusals: too many clients, a command that was renamed, a client that has not
/// said who it is and sends much.
fn is_of_script(text: &str) -> bool {
    /// What a script may be refused for: codes that Redis before version 7 hides in the text, and
    /// rights that the user lacks, in the words of versions 6 and 7.
    const REFUSED: [&str; 9] = [
        "OOM ",
        "MISCONF ",
        "READONLY ",
        "LOADING ",
        "NOREPLICAS ",
        "MASTERDOWN ",
        "BUSY ",
        "ACL failure in script",
        "The user executing the script can't",
    ];
    text.contains("user_script") && !REFUSED.iter().any(|reason| text.contains(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mistake_in_a_script_is_ours() {
        for text in [
            "user_script:3: Script attempted to access nonexistent global variable 'x' script: f0, on @user_script:3.",
            "Error running script (call to f_0): @user_script:1: user_script:1: attempt to index nil",
        ] {
            assert!(is_of_script(text), "{text}");
        }
        for text in [
            "max number of clients reached",
            "Protocol error: unauthenticated multibulk length",
            "unknown command 'EVALSHA', with args beginning with: ",
            "ACL failure in script: User default has no permissions to run the 'hget' command script: f0, on @user_script:3.",
            "Error running script (call to f_0): @user_script:1: @user_script: 1: OOM command not allowed when used memory > 'maxmemory'.",
        ] {
            assert!(!is_of_script(text), "{text}");
        }
    }
}
