//! The embedded store as a command uses it, beside the server or while none runs.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::SqlitePool;
use tokio::time::{Instant, sleep};

use super::draft::Draft;
use super::memory::Memory;
use super::{failure, lock, rows};
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::token::denylist::DeniedToken;

/// How long a running server may take to act on a change.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(5);
/// How often to look whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Works on the rows themselves, and has a running server read them again.
pub(super) struct Guest {
    pub pool: SqlitePool,
    pub database: PathBuf,
}

impl Guest {
    /// What is kept of an account.
    pub async fn read(&self, account: &AccountId) -> Result<Memory> {
        let mut db = self.pool.acquire().await.map_err(failure)?;
        let memory = Memory::default();
        memory.replace(account, rows::load(&mut db, account).await.map_err(failure)?);
        Ok(memory)
    }

    /// Everything that is kept of accounts and sessions.
    pub async fn read_all(&self) -> Result<Memory> {
        let mut db = self.pool.acquire().await.map_err(failure)?;
        let memory = Memory::default();
        for (account, standing) in rows::load_all(&mut db).await.map_err(failure)? {
            memory.replace(&account, Some(standing));
        }
        Ok(memory)
    }

    /// Changes an account's rows; when this returns, a running server acts on it.
    pub async fn write<T>(
        &self,
        account: &AccountId,
        step: impl FnOnce(&mut Draft<'_>) -> T,
    ) -> Result<T> {
        let (outcome, notice) = self.commit(account, step).await.map_err(failure)?;
        if let Some(notice) = notice {
            self.wait_for_server(notice).await?;
        }
        Ok(outcome)
    }

    /// Puts a token on the denylist; when this returns, a running server refuses it.
    pub async fn deny(&self, token: &DeniedToken) -> Result<()> {
        let notice = self.commit_denial(token).await.map_err(failure)?;
        self.wait_for_server(notice).await
    }

    /// The whole denylist.
    pub async fn denied(&self) -> Result<Vec<DeniedToken>> {
        let mut db = self.pool.acquire().await.map_err(failure)?;
        rows::load_denied(&mut db).await.map_err(failure)
    }

    async fn commit_denial(&self, token: &DeniedToken) -> sqlx::Result<i64> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        rows::deny(&mut transaction, token).await?;
        let notice = rows::announce_denylist(&mut transaction).await?;
        transaction.commit().await?;
        Ok(notice)
    }

    async fn commit<T>(
        &self,
        account: &AccountId,
        step: impl FnOnce(&mut Draft<'_>) -> T,
    ) -> sqlx::Result<(T, Option<i64>)> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let memory = Memory::default();
        memory.replace(account, rows::load(&mut transaction, account).await?);
        let (outcome, changes) = {
            let mut draft = Draft::over(&memory);
            let outcome = step(&mut draft);
            (outcome, draft.finish())
        };
        if changes.is_empty() {
            transaction.rollback().await?;
            return Ok((outcome, None));
        }
        rows::write(&mut transaction, &changes).await?;
        let notice = rows::announce(&mut transaction, account).await?;
        transaction.commit().await?;
        Ok((outcome, Some(notice)))
    }

    async fn wait_for_server(&self, notice: i64) -> Result<()> {
        let deadline = Instant::now() + TAKEOVER_LIMIT;
        loop {
            // A server that starts later reads the rows as they are.
            if !lock::server_runs(&self.database).map_err(Error::unavailable)? {
                return Ok(());
            }
            let mut db = self.pool.acquire().await.map_err(failure)?;
            if !rows::is_announced(&mut db, notice).await.map_err(failure)? {
                return Ok(());
            }
            drop(db);
            if Instant::now() > deadline {
                return Err(Error::unavailable(
                    "the change to the sessions is saved, but the running server has not acted on \
                     it within 5 s; it will as soon as it can",
                ));
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
