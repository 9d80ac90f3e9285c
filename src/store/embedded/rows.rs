//! The rows in which the embedded store outlives the process.
//!
//! `embedded_session` and `embedded_account` hold the state; `embedded_change` names the accounts
//! whose rows another process has changed and the server has yet to read.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::draft::Changes;
use super::entry::Entry;
use super::memory::{Shown, Standing};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::id::{AccountId, SessionId};
use crate::store::record::Record;
use crate::token::denylist::DeniedToken;

type Result<T, E = sqlx::Error> = std::result::Result<T, E>;

/// Makes the tables where they are missing.
pub(super) async fn create_tables(db: &mut SqliteConnection) -> Result<()> {
    const TABLES: [&str; 4] = [
        "CREATE TABLE IF NOT EXISTS embedded_account (
            account_id TEXT NOT NULL PRIMARY KEY,
            account TEXT NOT NULL,
            kept_until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS embedded_session (
            account_id TEXT NOT NULL,
            session_id TEXT NOT NULL,
            record TEXT NOT NULL,
            PRIMARY KEY (account_id, session_id)
        ) STRICT, WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS embedded_denied (
            digest TEXT NOT NULL PRIMARY KEY,
            token TEXT NOT NULL,
            expires_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS embedded_change (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            account_id TEXT NOT NULL
        ) STRICT",
    ];
    for table in TABLES {
        sqlx::query(table).execute(&mut *db).await?;
    }
    Ok(())
}

/// Forgets everything, where there is anything: in a copy of a database, which may be put back when the
/// sessions in it have ended.
pub async fn forget(db: &mut SqliteConnection) -> Result<()> {
    for table in ["embedded_account", "embedded_session", "embedded_denied", "embedded_change"] {
        let is_there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?)";
        if sqlx::query_scalar(is_there).bind(table).fetch_one(&mut *db).await? {
            let all = format!("DELETE FROM {table}");
            sqlx::query(AssertSqlSafe(all)).execute(&mut *db).await?;
        }
    }
    Ok(())
}

/// Everything that is kept.
pub(super) async fn load_all(db: &mut SqliteConnection) -> Result<HashMap<AccountId, Standing>> {
    let accounts = sqlx::query_as("SELECT account_id, account, kept_until FROM embedded_account")
        .fetch_all(&mut *db)
        .await?;
    let sessions = sqlx::query_as("SELECT account_id, session_id, record FROM embedded_session")
        .fetch_all(&mut *db)
        .await?;
    Ok(assemble(accounts, sessions))
}

/// What is kept of one account.
pub(super) async fn load(db: &mut SqliteConnection, id: &AccountId) -> Result<Option<Standing>> {
    let accounts = sqlx::query_as(
        "SELECT account_id, account, kept_until FROM embedded_account WHERE account_id = ?",
    )
    .bind(id.as_str())
    .fetch_all(&mut *db)
    .await?;
    let sessions = sqlx::query_as(
        "SELECT account_id, session_id, record FROM embedded_session WHERE account_id = ?",
    )
    .bind(id.as_str())
    .fetch_all(&mut *db)
    .await?;
    Ok(assemble(accounts, sessions).remove(id))
}

/// Writes changes.
pub(super) async fn write(db: &mut SqliteConnection, changes: &Changes) -> Result<()> {
    for (id, shown) in &changes.accounts {
        let query = match shown {
            Some(shown) => sqlx::query(
                "INSERT INTO embedded_account (account_id, account, kept_until) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET account = excluded.account,
                     kept_until = excluded.kept_until",
            )
            .bind(id.as_str())
            .bind(to_json(&*shown.account)?)
            .bind(shown.kept_until.as_millis()),
            None => {
                sqlx::query("DELETE FROM embedded_account WHERE account_id = ?").bind(id.as_str())
            }
        };
        query.execute(&mut *db).await?;
    }
    for ((account, session), entry) in &changes.sessions {
        let query = match entry {
            Some(entry) => sqlx::query(
                "INSERT INTO embedded_session (account_id, session_id, record) VALUES (?, ?, ?)
                 ON CONFLICT DO UPDATE SET record = excluded.record",
            )
            .bind(account.as_str())
            .bind(session.as_str())
            .bind(to_json(&entry.record())?),
            None => {
                sqlx::query("DELETE FROM embedded_session WHERE account_id = ? AND session_id = ?")
                    .bind(account.as_str())
                    .bind(session.as_str())
            }
        };
        query.execute(&mut *db).await?;
    }
    if let Some(until) = changes.denied_until {
        sqlx::query("DELETE FROM embedded_denied WHERE expires_at <= ?")
            .bind(until.as_millis())
            .execute(&mut *db)
            .await?;
    }
    for token in &changes.denied {
        deny(&mut *db, token).await?;
    }
    Ok(())
}

/// Puts a token on the denylist, unless it is there.
pub(super) async fn deny(db: &mut SqliteConnection, token: &DeniedToken) -> Result<()> {
    sqlx::query(
        "INSERT INTO embedded_denied (digest, token, expires_at) VALUES (?, ?, ?)
         ON CONFLICT DO NOTHING",
    )
    .bind(token.digest.as_str())
    .bind(to_json(token)?)
    .bind(token.expires_at.as_millis())
    .execute(db)
    .await
    .map(drop)
}

/// The whole denylist.
pub(super) async fn load_denied(db: &mut SqliteConnection) -> Result<Vec<DeniedToken>> {
    let tokens: Vec<(String, String)> =
        sqlx::query_as("SELECT digest, token FROM embedded_denied").fetch_all(db).await?;
    Ok(tokens.iter().filter_map(|(digest, token)| from_json(digest, token)).collect())
}

/// Says that the denylist has changed; the number of the notice is given.
pub(super) async fn announce_denylist(db: &mut SqliteConnection) -> Result<i64> {
    sqlx::query_scalar("INSERT INTO embedded_change (account_id) VALUES ('') RETURNING seq")
        .fetch_one(db)
        .await
}

/// Tells the server that the rows of an account have changed; gives the number of the notice.
pub(super) async fn announce(db: &mut SqliteConnection, account: &AccountId) -> Result<i64> {
    sqlx::query_scalar("INSERT INTO embedded_change (account_id) VALUES (?) RETURNING seq")
        .bind(account.as_str())
        .fetch_one(db)
        .await
}

/// Whether the server has yet to act on a notice.
pub(super) async fn is_announced(db: &mut SqliteConnection, seq: i64) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM embedded_change WHERE seq = ?)")
        .bind(seq)
        .fetch_one(db)
        .await
}

/// The accounts whose rows others have changed.
pub(super) async fn announced(db: &mut SqliteConnection) -> Result<Vec<AccountId>> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT DISTINCT account_id FROM embedded_change").fetch_all(db).await?;
    Ok(ids.iter().filter_map(|id| AccountId::parse(id)).collect())
}

/// Whether others have changed rows at all.
pub(super) async fn any_announced(db: &mut SqliteConnection) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM embedded_change)").fetch_one(db).await
}

/// Begins a transaction in which nobody else can write, and says the same.
pub(super) async fn begin(db: &mut SqliteConnection) -> Result<bool> {
    sqlx::query_scalar("BEGIN IMMEDIATE; SELECT EXISTS (SELECT 1 FROM embedded_change)")
        .fetch_one(db)
        .await
}

/// Forgets all notices.
pub(super) async fn clear_announced(db: &mut SqliteConnection) -> Result<()> {
    sqlx::query("DELETE FROM embedded_change").execute(db).await.map(drop)
}

/// Puts rows together. One that cannot be read is as if it were not there: its session has ended.
fn assemble(
    accounts: Vec<(String, String, i64)>,
    sessions: Vec<(String, String, String)>,
) -> HashMap<AccountId, Standing> {
    let mut standings = HashMap::new();
    for (id, account, kept_until) in accounts {
        let Some((id, account)) = AccountId::parse(&id).zip(from_json::<Account>(&id, &account))
        else {
            continue;
        };
        let kept_until = Timestamp::from_millis(kept_until);
        let shown = Shown { account: Arc::new(account), kept_until };
        standings.insert(id, Standing { shown, sessions: HashMap::new() });
    }
    for (account, session, record) in sessions {
        let standing = AccountId::parse(&account).and_then(|id| standings.get_mut(&id));
        let id = SessionId::parse(&session);
        let record = from_json::<Record>(&account, &record);
        if let (Some(standing), Some(id), Some(record)) = (standing, id, record) {
            standing.sessions.insert(id, Arc::new(Entry::new(record)));
        }
    }
    standings
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn from_json<T: DeserializeOwned>(key: &str, json: &str) -> Option<T> {
    let value = serde_json::from_str(json);
    value
        .inspect_err(|error| {
            let (line, column) = (error.line(), error.column());
            tracing::warn!(key, line, column, "a row of the session store is not readable");
        })
        .ok()
}
