//! What a database's failure means to the domain.

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

use crate::error::Error;

/// Whatever may be over in a moment is [`Error::Unavailable`]; the rest is [`Error::Internal`].
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if may_pass(&error) { Self::unavailable(error) } else { Self::internal(error) }
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(cause) => cause.into(),
            MigrateError::ExecuteMigration(ref cause, _) if may_pass(cause) => {
                Self::unavailable(error)
            }
            other => Self::internal(other),
        }
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

/// By the class of the SQLSTATE (PostgreSQL, appendix A): connection (08), transaction state such
/// as a standby that is read only (25), sign-in (28), no such database (3D), lost races (40),
/// out of disk, memory or connections (53), locks (55), cancelled or shutting down (57), its own
/// system's errors (58).
fn postgres_may_recover(sqlstate: &str) -> bool {
    let class = sqlstate.get(..2).unwrap_or_default();
    matches!(class, "08" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" | "58")
}

/// By the primary result code, which is the low byte of the extended one: `PERM` (3), `BUSY` (5),
/// `LOCKED` (6), `NOMEM` (7), `READONLY` (8), `INTERRUPT` (9), `IOERR` (10), `FULL` (13),
/// `CANTOPEN` (14), `PROTOCOL` (15, a lost race for the lock).
fn sqlite_may_recover(extended: u32) -> bool {
    matches!(extended & 0xff, 3 | 5..=10 | 13..=15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr_72_a_full_disk_a_lock_and_a_lost_connection_may_pass() {
        for sqlstate in ["08006", "25006", "40P01", "53100", "53300", "55P03", "57014", "57P01"] {
            assert!(postgres_may_recover(sqlstate), "{sqlstate}");
        }
        // SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC, SQLITE_READONLY_DBMOVED among them.
        for code in [5, 6, 8, 10, 13, 14, 517, 1034, 1032] {
            assert!(sqlite_may_recover(code), "{code}");
        }
        assert!(matches!(Error::from(sqlx::Error::PoolTimedOut), Error::Unavailable(_)));
    }

    #[test]
    fn a_mistake_in_the_statement_does_not_pass() {
        for sqlstate in ["42601", "42P01", "23505", "22021", ""] {
            assert!(!postgres_may_recover(sqlstate), "{sqlstate}");
        }
        // SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_CONSTRAINT, SQLITE_NOTADB.
        for code in [1, 11, 19, 26, 2067] {
            assert!(!sqlite_may_recover(code), "{code}");
        }
        assert!(matches!(Error::from(sqlx::Error::RowNotFound), Error::Internal(_)));
    }
}
