//! What becomes of accounts as a whole: what is over is forgotten, and a database that was put back is
//! lifted above what the world remembers of it.

use super::connection::SqlConnection;
use super::statement::query;
use super::{SqlStore, row};
use crate::account::Account;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::AccountId;

/// More than an account changes between a backup and the day when it is needed. A session's epoch is a
/// number in Redis too, whose scripts keep 14 digits: there is room for as many restores as that.
const LEAP: i64 = 1_000_000;

impl SqlStore {
    pub(super) async fn forget_what_is_over(&self, now: Timestamp) -> Result<()> {
        self.in_time("account.forget_what_is_over", async {
            let mut write = self.pool.write().await?;
            forget(&mut write, SETUP_TOKENS, now).await?;
            forget(&mut write, ENDED_SESSIONS, now).await?;
            write.commit().await
        })
        .await
    }

    pub(super) async fn raise_all(
        &self,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Vec<Account>> {
        let after = after.map_or("", AccountId::as_str);
        self.in_time("account.raise_all", async {
            let mut write = self.pool.write().await?;
            let rows = query("SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT $2")
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(&mut write)
                .await?;
            let ids = rows.iter().map(|row| row.try_get::<String, _>(0));
            let ids = ids.collect::<sqlx::Result<Vec<_>>>()?;
            let Some(last) = ids.last() else { return Ok(Vec::new()) };
            query(
                "UPDATE account SET version = version + $1, session_epoch = session_epoch + $1 \
                 WHERE id > $2 AND id <= $3",
            )
            .bind(LEAP)
            .bind(after)
            .bind(last.as_str())
            .execute(&mut write)
            .await?;
            let mut accounts = Vec::with_capacity(ids.len());
            for id in ids.iter().filter_map(|id| AccountId::parse(id)) {
                accounts.extend(row::find(&mut write, &id).await?);
            }
            write.commit().await?;
            Ok(accounts)
        })
        .await
    }
}

/// Set-up tokens whose time is over.
pub(super) const SETUP_TOKENS: &str = "DELETE FROM setup_token WHERE expires_at <= $1";
/// Sessions that were ended on purpose, and whose tokens have run out since.
pub(super) const ENDED_SESSIONS: &str = "DELETE FROM ended_session WHERE until <= $1";

/// Forgets what is over.
pub(super) async fn forget(
    connection: &mut SqlConnection,
    what: &'static str,
    now: Timestamp,
) -> Result<()> {
    query(what).bind(now.as_millis()).execute(connection).await?;
    Ok(())
}
