//! Bringing the tables up to date: all that is missing in one transaction, so that of any number of
//! processes one does it, and one that is killed meanwhile leaves nothing half done.
//!
//! What was done is noted as the driver's own migrator notes it, which a pooler would not let work: it
//! takes a lock of its session, and names statements in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migration, Migrator};
use tokio::time::Instant;

use super::connection::SqlConnection;
use super::failure;
use super::lease::Connections;
use super::statement::{Access, query};
use crate::error::{Cause, Error, Outage, Result};

/// How long another process that migrates is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The table in which migrations are noted, in the words of either database.
const POSTGRES_TABLE: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
    success BOOLEAN NOT NULL,
    checksum BYTEA NOT NULL,
    execution_time BIGINT NOT NULL
)";
const SQLITE_TABLE: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
)";

/// The migrations of this release, beside which later ones may have run.
fn migrator() -> Migrator {
    sqlx::migrate!("./migrations")
}

/// The migrations that this release knows, in their order.
pub(super) fn known() -> Vec<i64> {
    migrator().iter().map(|migration| migration.version).collect()
}

/// Asks for a row if there is a table of migrations.
pub(super) fn table_exists(is_sqlite: bool) -> &'static str {
    if is_sqlite {
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'"
    } else {
        "SELECT 1 WHERE to_regclass('_sqlx_migrations') IS NOT NULL"
    }
}

/// The last migration that this release knows.
pub(super) fn newest_migration() -> i64 {
    migrator().iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Brings the tables up to date. A database that a newer release has migrated already is left as it is.
pub(super) async fn migrate(connections: &Connections, store: &Arc<str>) -> Result<()> {
    let mut db = connections.acquire().await?;
    let migrator = migrator();
    // A role that may not make tables, and a process that holds a lock, are no hindrance if all is done.
    if !missing(&mut db, store, &migrator).await?.is_empty() {
        check_encoding(&mut db, store).await?;
        lock(&mut db, store).await?;
        let table = if db.is_sqlite() { SQLITE_TABLE } else { POSTGRES_TABLE };
        db.run(table).await?;
        for migration in missing(&mut db, store, &migrator).await? {
            apply(&mut db, migration).await.map_err(|error| {
                let text = format!("migration {} cannot be made", migration.version);
                broken(store, &text, &error)
            })?;
        }
        db.commit().await?;
    }
    check_floor(&mut db, store).await
}

/// The migrations that have not been made.
async fn missing<'m>(
    db: &mut SqlConnection,
    store: &Arc<str>,
    migrator: &'m Migrator,
) -> Result<Vec<&'m Migration>> {
    if query(table_exists(db.is_sqlite())).fetch_optional(db).await?.is_none() {
        return Ok(migrator.iter().collect());
    }
    let rows =
        query("SELECT version, checksum, success FROM _sqlx_migrations").fetch_all(db).await?;
    let mut made = HashMap::new();
    for row in &rows {
        let version: i64 = row.try_get("version")?;
        if !row.try_get::<bool, _>("success")? {
            let text =
                format!("migration {version} was begun by an older release and not finished");
            return Err(refused(store, text, "restore a backup from before it (docs/backup.md)"));
        }
        made.insert(version, row.try_get::<Vec<u8>, _>("checksum")?);
    }
    let mut missing = Vec::new();
    for migration in migrator.iter() {
        match made.get(&migration.version) {
            None => missing.push(migration),
            Some(checksum) if **checksum == *migration.checksum => {}
            Some(_) => {
                let version = migration.version;
                let text =
                    format!("migration {version} was made by a program with another text of it");
                return Err(refused(store, text, "use the release that made it, or a newer one"));
            }
        }
    }
    Ok(missing)
}

/// Text is Unicode: anything else would fail in the middle.
async fn check_encoding(db: &mut SqlConnection, store: &Arc<str>) -> Result<()> {
    if db.is_sqlite() {
        return Ok(());
    }
    let encoding = query("SELECT current_setting('server_encoding')").fetch_one(db).await?;
    let encoding: String = encoding.try_get(0)?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let text = format!("its encoding is {encoding}, and UTF8 is needed");
    let advice = "make another one: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0";
    Err(refused(store, text, advice))
}

/// Begins the transaction in which no other process migrates.
async fn lock(db: &mut SqlConnection, store: &Arc<str>) -> Result<()> {
    let begun = Instant::now();
    let wait = || tracing::warn!(%store, "waiting for another process that writes to the database");
    if db.is_sqlite() {
        let mut told = false;
        loop {
            match db.begin(Access::Write).await {
                Err(error) if failure::is_locked(&error) && begun.elapsed() < PATIENCE => {
                    if !std::mem::replace(&mut told, true) {
                        wait();
                    }
                }
                done => return Ok(done?),
            }
        }
    }
    db.begin(Access::Write).await?;
    db.run(format!(
        "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {}",
        PATIENCE.as_millis()
    ))
    .await?;
    let name = query("SELECT CAST(current_database() AS TEXT)").fetch_one(db).await?;
    let id = lock_id(&name.try_get::<String, _>(0)?);
    let free = query("SELECT pg_try_advisory_xact_lock($1)").bind(id).fetch_one(db).await?;
    if !free.try_get::<bool, _>(0)? {
        wait();
        db.run(format!("SELECT pg_advisory_xact_lock({id})")).await?;
    }
    Ok(())
}

/// The number of the lock that the driver's migrator takes, which releases before this one use.
fn lock_id(database: &str) -> i64 {
    let mut crc = u32::MAX;
    for byte in database.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    0x3d32_ad9e * i64::from(!crc)
}

/// Makes a migration, and notes it.
async fn apply(db: &mut SqlConnection, migration: &Migration) -> sqlx::Result<()> {
    let begun = Instant::now();
    db.run(migration.sql.as_str()).await?;
    let note = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                VALUES ($1, $2, TRUE, $3, $4)";
    query(note)
        .bind(migration.version)
        .bind(&*migration.description)
        .bind(migration.checksum.to_vec())
        .bind(i64::try_from(begun.elapsed().as_nanos()).unwrap_or(i64::MAX))
        .execute(db)
        .await
        .map(drop)
}

/// Whether a newer release has taken away what this one needs.
async fn check_floor(db: &mut SqlConnection, store: &Arc<str>) -> Result<()> {
    let floor = query("SELECT migration FROM schema_floor WHERE one = 1").fetch_one(db).await?;
    let (floor, newest): (i64, _) = (floor.try_get(0)?, newest_migration());
    if floor <= newest {
        return Ok(());
    }
    let text = format!(
        "a newer release has changed this database so that this one cannot work with it: it would \
         have to know migration {floor}, and knows {newest}"
    );
    Err(refused(store, text, "use that release, or a backup from before it (docs/backup.md)"))
}

fn refused(store: &Arc<str>, text: String, advice: &'static str) -> Error {
    Error::internal(Outage::new(store, Cause::Other, text).advise(advice))
}

/// A failed migration, with its name before what the database says.
fn broken(store: &Arc<str>, what: &str, error: &sqlx::Error) -> Error {
    let outage = failure::outage(store, error);
    let said = format!("{what}: {}", outage.said);
    Error::unavailable(Outage { said, ..outage })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_the_one_that_older_releases_take() {
        // CRC-32 of "123456789", the check value of its definition.
        assert_eq!(lock_id("123456789"), 0x3d32_ad9e * 0xcbf4_3926);
    }
}
