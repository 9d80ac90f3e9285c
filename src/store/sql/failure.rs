//! What a database's failure means: to the domain, to the connection, and to the operator.

use std::io;
use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use sqlx::sqlite::SqliteError;

use crate::error::{Cause, Error, Outage, chain};

/// Whatever may be over in a moment is [`Error::Unavailable`]; the rest is [`Error::Internal`].
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if may_pass(&error) { Self::unavailable(error) } else { Self::internal(error) }
    }
}

/// The same failure, said of `store` in the operator's words.
pub(in crate::store) fn of(store: &Arc<str>, error: Error) -> Error {
    let told = |cause: Box<dyn std::error::Error + Send + Sync>| {
        if cause.is::<Outage>() {
            return cause;
        }
        let outage = match cause.downcast::<sqlx::Error>() {
            Ok(error) => outage(store, &error),
            Err(cause) if cause.is::<tokio::time::error::Elapsed>() => silent(store),
            Err(cause) => Outage::new(store, Cause::Other, chain(&*cause)),
        };
        Box::new(outage) as Box<dyn std::error::Error + Send + Sync>
    };
    match error {
        Error::Unavailable(cause) => Error::Unavailable(told(cause)),
        Error::Internal(cause) => Error::Internal(told(cause)),
        other => other,
    }
}

/// A store that did not answer in time.
pub(super) fn silent(store: &Arc<str>) -> Outage {
    Outage::new(store, Cause::Silent, "no answer in time")
        .advise("check that it is not overloaded, locked or cut off from this machine")
}

/// What the driver's error means to the operator.
pub(in crate::store) fn outage(store: &Arc<str>, error: &sqlx::Error) -> Outage {
    match error {
        sqlx::Error::Io(error) => io_outage(store, error),
        sqlx::Error::Tls(error) => Outage::new(store, Cause::Tls, chain(&**error)).advise(
            "check the server's certificate and its name; sslrootcert=FILE names a CA of your own, \
             sslmode=disable is for a network of your own",
        ),
        sqlx::Error::Database(error) => database_outage(store, &**error),
        other => Outage::new(store, Cause::Other, chain(other)),
    }
}

fn io_outage(store: &Arc<str>, error: &io::Error) -> Outage {
    let text = chain(error);
    let (cause, advice) = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            (Cause::Unreachable, "check that the server runs, and that it listens there")
        }
        io::ErrorKind::NotFound => {
            (Cause::Unreachable, "check that the server runs, and its socket")
        }
        io::ErrorKind::TimedOut => {
            (Cause::Silent, "check the address, and what stands in between: a firewall, a network")
        }
        io::ErrorKind::PermissionDenied => (Cause::Denied, "check who may use that file or socket"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            (Cause::Unreachable, "the server closed the connection; its own log says why")
        }
        _ if text.contains("lookup address") => (Cause::Unreachable, "check the name of the host"),
        _ => return Outage::new(store, Cause::Unreachable, text),
    };
    Outage::new(store, cause, text).advise(advice)
}

fn database_outage(store: &Arc<str>, error: &dyn DatabaseError) -> Outage {
    let code = error.code().unwrap_or_default();
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        let (cause, advice) = postgres_words(&code);
        let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        let said = format!("{}{detail} (SQLSTATE {code})", error.message());
        let outage = Outage::new(store, cause, said);
        return if advice.is_empty() { outage } else { outage.advise(advice) };
    }
    let (cause, advice) = sqlite_words(code.parse().unwrap_or_default());
    let outage = Outage::new(store, cause, format!("{} (code {code})", error.message()));
    if advice.is_empty() { outage } else { outage.advise(advice) }
}

/// What a SQLSTATE means, and what to do (PostgreSQL, appendix A).
fn postgres_words(sqlstate: &str) -> (Cause, &'static str) {
    match sqlstate {
        "28P01" => (Cause::Denied, "check the user and the password"),
        "28000" => (Cause::Denied, "check the user, and the server's pg_hba.conf"),
        "3D000" => (Cause::Missing, "check the name, or make it with CREATE DATABASE"),
        "3F000" => {
            (Cause::Missing, "give the role a schema: its search_path names none that is there")
        }
        "42501" => (
            Cause::Denied,
            "grant the role what it lacks: it needs all rights on its tables, and for migrations \
             CREATE on its schema",
        ),
        "42P01" | "42703" => {
            (Cause::Missing, "check the database; doorward migrate makes what is missing")
        }
        "53300" => (
            Cause::Crowded,
            "raise the connection limit of the role, the database or the server, or lower \
             database.pool_size",
        ),
        "57P01" | "57P02" | "57P03" => {
            (Cause::Busy, "the server is starting or stopping; wait until it is ready")
        }
        "25006" => (Cause::ReadOnly, "name the primary: this server takes no changes"),
        "57014" | "55P03" | "25P03" => {
            (Cause::Silent, "check that it is not overloaded, and that nobody holds its locks")
        }
        "08P01" => (Cause::Denied, "if a pooler stands in between, see docs/configuration.md"),
        _ => match sqlstate.get(..2).unwrap_or_default() {
            "53" => (Cause::Full, "make room on the server"),
            "58" => (Cause::Full, "check the server's disk"),
            "XX" => {
                (Cause::Damaged, "see the server's own log; docs/backup.md says how to restore")
            }
            _ => (Cause::Other, ""),
        },
    }
}

/// What a result code of SQLite means, and what to do.
fn sqlite_words(extended: u32) -> (Cause, &'static str) {
    match extended & 0xff {
        3 | 23 => (Cause::Denied, "check who owns the file and its folder"),
        5 | 6 => (Cause::Silent, "another program holds its write lock; find and stop it"),
        8 => (
            Cause::ReadOnly,
            "let this user write to the file and to its folder, and check that the disk is not \
             mounted read-only",
        ),
        10 => (Cause::Full, "check the disk"),
        11 | 26 => (
            Cause::Damaged,
            "stop the server, and put a backup in its place: doorward restore --from FILE \
             (docs/backup.md)",
        ),
        13 => (Cause::Full, "make room on its disk"),
        14 => (Cause::Denied, "check that its folder is there, and that this user may write to it"),
        _ => (Cause::Other, ""),
    }
}

/// Whether a connection that gave this error can be used again.
pub(super) fn leaves_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let fatal =
                |e: &PgDatabaseError| matches!(e.severity(), PgSeverity::Fatal | PgSeverity::Panic);
            !error.try_downcast_ref().is_some_and(fatal)
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => false,
        _ => true,
    }
}

/// Whether PostgreSQL has no more connections to give.
pub(super) fn is_crowded(error: &sqlx::Error) -> bool {
    sqlstate(error).as_deref() == Some("53300")
        // PgBouncer says so in words alone.
        || matches!(error, sqlx::Error::Database(error)
            if error.message().contains("no more connections allowed"))
}

/// Whether another process holds SQLite's write lock.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    error.try_downcast_ref::<SqliteError>().is_some()
        && code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether a server, or what stands before it, will soon take connections.
pub(super) fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::NotFound
                | io::ErrorKind::UnexpectedEof
        ),
        other => matches!(sqlstate(other).as_deref(), Some("57P01" | "57P02" | "57P03")),
    }
}

/// Whether something between us and PostgreSQL does not pass on what a session is told at its start:
/// PostgreSQL itself takes it.
pub(super) fn refuses_settings(error: &sqlx::Error) -> bool {
    matches!(sqlstate(error).as_deref(), Some("08P01" | "0A000"))
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Database(error) => {
            error.try_downcast_ref::<PgDatabaseError>().map(|error| error.code().to_owned())
        }
        _ => None,
    }
}

fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        sqlx::Error::Database(error) => database_may_recover(&**error),
        _ => false,
    }
}

fn database_may_recover(error: &dyn DatabaseError) -> bool {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return postgres_may_recover(error.code());
    }
    if error.try_downcast_ref::<SqliteError>().is_some() {
        let code = error.code().and_then(|code| code.parse().ok());
        return code.is_some_and(sqlite_may_recover);
    }
    false
}

/// By the class of the SQLSTATE (PostgreSQL, appendix A): connection (08), what a standby or a pooler
/// cannot do (0A), transaction state such as a standby that is read only (25), sign-in (28), no such
/// database (3D), lost races (40), a right that was taken away (42501), out of disk, memory or
/// connections (53), locks (55), cancelled or shutting down (57), its own system's errors (58), and
/// its own damage (XX).
fn postgres_may_recover(sqlstate: &str) -> bool {
    let class = sqlstate.get(..2).unwrap_or_default();
    sqlstate == "42501"
        || matches!(
            class,
            "08" | "0A" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" | "58" | "XX"
        )
}

/// By the primary result code, which is the low byte of the extended one: `PERM` (3), `BUSY` (5),
/// `LOCKED` (6), `NOMEM` (7), `READONLY` (8), `INTERRUPT` (9), `IOERR` (10), `CORRUPT` (11), `FULL` (13),
/// `CANTOPEN` (14), `PROTOCOL` (15, a lost race for the lock), `NOTADB` (26). A damaged file is out of
/// use until it is restored, which is the operator's to do and no mistake of ours.
fn sqlite_may_recover(extended: u32) -> bool {
    matches!(extended & 0xff, 3 | 5..=11 | 13..=15 | 26)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr_72_a_full_disk_a_lock_and_a_lost_connection_may_pass() {
        for sqlstate in [
            "08006", "25006", "40P01", "42501", "53100", "53300", "55P03", "57014", "57P01",
            "XX001",
        ] {
            assert!(postgres_may_recover(sqlstate), "{sqlstate}");
        }
        // SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC, SQLITE_READONLY_DBMOVED, SQLITE_CORRUPT among them.
        for code in [5, 6, 8, 10, 11, 13, 14, 26, 517, 1034, 1032] {
            assert!(sqlite_may_recover(code), "{code}");
        }
        assert!(matches!(Error::from(sqlx::Error::PoolTimedOut), Error::Unavailable(_)));
    }

    #[test]
    fn a_mistake_in_the_statement_does_not_pass() {
        for sqlstate in ["42601", "42P01", "23505", "22021", ""] {
            assert!(!postgres_may_recover(sqlstate), "{sqlstate}");
        }
        // SQLITE_ERROR, SQLITE_CONSTRAINT, SQLITE_MISUSE.
        for code in [1, 19, 21, 2067] {
            assert!(!sqlite_may_recover(code), "{code}");
        }
        assert!(matches!(Error::from(sqlx::Error::RowNotFound), Error::Internal(_)));
    }
}
