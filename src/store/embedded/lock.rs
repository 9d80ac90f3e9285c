//! The lock file beside the database, which says whether a server works on it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

/// The lock of the one server, held until it drops; the kernel drops it with the process.
#[derive(Debug)]
pub struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes the lock of the database at `database`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another server holds it.
    pub async fn take(database: &Path) -> Result<Self> {
        // A command that looks whether a server runs holds the lock for a moment.
        const ATTEMPTS: u32 = 10;
        const PAUSE: Duration = Duration::from_millis(100);
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path(database))
            .map_err(Error::unavailable)?;
        for _ in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(error)) => return Err(Error::unavailable(error)),
            }
        }
        Err(Error::Conflict(
            "another server works on this database; the embedded session store serves one server, \
             so stop the other one or keep sessions in Redis",
        ))
    }
}

/// Whether a server works on the database at this moment.
pub(super) fn server_runs(database: &Path) -> io::Result<bool> {
    let file = match File::open(path(database)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}
