//! Copies of an SQLite database: taken while others work with it, cleaned, and put in a place.

use std::fs::{self, File, OpenOptions};
use std::io;
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::migrate::newest_migration;
use crate::error::{Error, Result};
use crate::store::embedded;

/// How long another process that writes is waited for.
const PATIENCE: Duration = Duration::from_secs(4);

/// A copy of a database, in a file that only its owner reads. Dropped, it is removed.
pub struct Snapshot {
    file: PathBuf,
}

impl Snapshot {
    /// Copies the database at `from`, as it is at one moment, into the new file `to`. Whoever works with
    /// it goes on working.
    ///
    /// # Errors
    /// [`Error::Conflict`] if `to` is there or `from` is no database; [`Error::Unavailable`].
    pub async fn take(from: &Path, to: &Path) -> Result<Self> {
        File::open(from).map_err(Error::unavailable)?;
        reserve(to)?;
        let snapshot = Self { file: to.to_owned() };
        let target = to.to_str().ok_or(Error::Conflict("the name of the file is not UTF-8"))?;
        let mut source = open(from, PATIENCE).await?;
        let copied = sqlx::query("VACUUM INTO ?").bind(target).execute(&mut source).await;
        source.close().await?;
        match copied {
            Err(sqlx::Error::Database(error)) if error.message().contains("not a database") => {
                return Err(Error::Conflict("this is no database"));
            }
            other => other?,
        };
        Ok(snapshot)
    }

    /// Takes out what may not come back: sessions, and one-time tokens that may have been used since.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is no database of Doorward, or a damaged one; [`Error::Unavailable`].
    pub async fn clean(&self) -> Result<()> {
        let mut db = open(&self.file, PATIENCE).await?;
        let sound: String =
            sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut db).await?;
        if sound != "ok" {
            return Err(Error::Conflict("this database is damaged"));
        }
        // What is deleted is overwritten, too.
        sqlx::query("PRAGMA secure_delete = ON").execute(&mut db).await?;
        let cleaned = sqlx::query("DELETE FROM setup_token").execute(&mut db).await;
        cleaned.map_err(|_| Error::Conflict("this is no database of Doorward"))?;
        embedded::forget(&mut db).await?;
        Ok(db.close().await?)
    }

    /// The last migration that ran in it, if this program does not know it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn unknown_migration(&self) -> Result<Option<i64>> {
        let mut db = open(&self.file, PATIENCE).await?;
        let last: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(&mut db)
            .await?;
        db.close().await?;
        Ok(last.filter(|last| *last > newest_migration()))
    }

    /// Puts it where `place` is, instead of what is there.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn put(self, place: &Path) -> Result<()> {
        // Whoever worked with it may have left a journal behind.
        alone(&self.file).await?;
        File::open(&self.file).and_then(|file| file.sync_all()).map_err(Error::unavailable)?;
        fs::rename(&self.file, place).map_err(Error::unavailable)?;
        sync_folder(place).map_err(Error::unavailable)
    }

    /// Where it lies for now.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // It may have been put somewhere else.
        for ending in ["", "-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(beside(&self.file, ending));
        }
    }
}

/// Makes an empty file that only its owner reads.
///
/// # Errors
/// [`Error::Conflict`] if it is there; [`Error::Unavailable`].
pub fn reserve(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::Conflict("there is a file of this name already"))
        }
        Err(error) => Err(Error::unavailable(error)),
    }
}

/// Makes sure that nobody else works with the database at `path`, and leaves it in one file, without a
/// journal beside it.
///
/// # Errors
/// [`Error::Conflict`] if somebody does; [`Error::Unavailable`].
pub async fn alone(path: &Path) -> Result<()> {
    let mut db = open(path, Duration::ZERO).await?;
    // SQLite lets only the last one change this.
    let changed = sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut db).await;
    db.close().await?;
    match changed {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.message().contains("locked") => {
            Err(Error::Conflict("another process works with this database; stop it first"))
        }
        Err(error) => Err(error.into()),
    }
}

/// The path with something behind it.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// A connection to a file that is there.
async fn open(path: &Path, patience: Duration) -> Result<SqliteConnection> {
    let options =
        SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(patience);
    let opened = options.connect().await;
    opened.map_err(|_| Error::Conflict("this is no database, or another process holds it"))
}

/// Has a change of names last.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
