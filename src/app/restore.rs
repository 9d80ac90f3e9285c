//! Backup and restore (docs/backup.md).
//!
//! A restored database has forgotten what came after its backup: who signed out, whose password and roles
//! were changed, which signing key others got to know. What can be made safe is made safe before anybody
//! can use it: no session and no signing key of before goes on.

use std::fs;
use std::path::{Path, PathBuf};

use super::service::sqlite_path;
use super::{Services, StartError, World, cause};
use crate::audit::{Entry, Kind, Origin, key};
use crate::config::Config;
use crate::error::Error;
use crate::id::SecretString;
use crate::private_file::make_folder;
use crate::store::embedded::ServerLock;
use crate::store::sql::address::sqlite_url;
use crate::store::sql::snapshot::{Snapshot, alone, beside, reserve};
use crate::token::key::Start;

/// What a restore came to.
#[derive(Debug)]
pub struct Restored {
    /// How many sessions ended.
    pub ended: u64,
    /// Where the database is that was there before, if there was one.
    pub before: Option<PathBuf>,
}

/// Copies the SQLite database, as it is at one moment, to the new file `to`, without sessions and one-time
/// tokens. Servers go on working.
///
/// # Errors
/// A database in PostgreSQL; a file that is there already; one that cannot be read or written.
pub async fn back_up(config: &Config, to: &Path) -> Result<(), StartError> {
    let database = sqlite_path(config)
        .ok_or("the accounts are in PostgreSQL: back them up with pg_dump (docs/backup.md)")?;
    reserve(to).map_err(cause)?;
    let done = copy(&database, to).await;
    if done.is_err() {
        // Nothing is in it.
        fs::remove_file(to)?;
    }
    done.map_err(cause)
}

async fn copy(database: &Path, to: &Path) -> crate::error::Result<()> {
    let snapshot = Snapshot::take(database, &beside(to, ".partial")).await?;
    snapshot.clean().await?;
    snapshot.put(to).await
}

/// Puts a copy of the file `from` where the SQLite database is, brought to this release's schema and made
/// safe. Until the very last step the database that is there is not touched; it is kept beside the new one.
///
/// # Errors
/// A server that runs; a file that is no backup, or one of a newer release, or of another `keys.secret`;
/// an earlier restore whose old database is there still.
pub async fn restore(config: &Config, world: &World, from: &Path) -> Result<Restored, StartError> {
    let database = sqlite_path(config).ok_or(
        "the accounts are in PostgreSQL: put them back with pg_restore, then run \
         `doorward restore --in-place` (docs/backup.md)",
    )?;
    let before = beside(&database, ".before-restore");
    if before.exists() {
        let text = "is there from an earlier restore; move it away first";
        return Err(format!("{} {text}", before.display()).into());
    }
    let was_there = database.exists();
    // On a new machine there is nothing yet.
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    let _lock = ServerLock::take(&database).await.map_err(|error| match error {
        Error::Conflict(_) => "a server works with this database; stop it first".into(),
        other => cause(other),
    })?;
    if was_there {
        alone(&database).await.map_err(cause)?;
    }
    let snapshot = Snapshot::take(from, &beside(&database, ".restore")).await.map_err(cause)?;
    snapshot.clean().await.map_err(cause)?;
    if let Some(migration) = snapshot.unknown_migration().await.map_err(cause)? {
        let text = "which this release does not know; restore it with the release that made it";
        return Err(format!("this backup has migration {migration}, {text}").into());
    }
    let mut staged = config.clone();
    let url = sqlite_url(snapshot.file()).ok_or("the path of the database is not UTF-8")?;
    staged.database.url = SecretString::new(url);
    let ended = make_safe(&staged, world).await?;
    if was_there {
        fs::hard_link(&database, &before)?;
    }
    snapshot.put(&database).await.map_err(cause)?;
    Ok(Restored { ended, before: was_there.then_some(before) })
}

/// Makes a database safe that was put back by its own means: ends every session, and withdraws every
/// signing key for a new one; says how many sessions there were.
///
/// # Errors
/// Whatever keeps the services from working. Then it is to be done again, before a server starts.
pub async fn make_safe(config: &Config, world: &World) -> Result<u64, StartError> {
    let services = Services::open(config, world).await?;
    let ended = Origin::operator().scope(close_the_doors(&services)).await.map_err(cause)?;
    services.close().await?;
    Ok(ended)
}

async fn close_the_doors(services: &Services) -> crate::error::Result<u64> {
    services.accounts.forget_one_time_tokens().await?;
    let ended = services.sessions.end_everybodys().await?;
    key::rotate(&services.keys, &services.audit, None, Start::Now).await?;
    let detail = format!("all sessions ended: {ended}; all signing keys withdrawn");
    services.audit.record(Entry::of(Kind::Restored).detail(detail)).await;
    Ok(ended)
}
