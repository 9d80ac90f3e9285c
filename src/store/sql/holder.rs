//! The accounts that have a role, a batch at a time.

use super::SqlStore;
use super::change::lock_admins;
use super::row::{self, select_account};
use super::statement::query;
use crate::account::Account;
use crate::account::store::Holders;
use crate::error::Result;
use crate::id::AccountId;
use crate::role::RoleName;

/// A run of the accounts that have a role, in the database's order: behind `after`, up to `last`.
struct Run<'a> {
    role: &'a RoleName,
    after: &'a str,
    last: String,
}

impl SqlStore {
    /// See `AccountStore::touch_holders`.
    pub(super) async fn touch(
        &self,
        role: &RoleName,
        after: Option<&AccountId>,
        limit: u32,
    ) -> Result<Holders> {
        let mut write = self.pool.write().await?;
        // Two that touch the same accounts in another order would wait for each other for ever.
        lock_admins(&mut write).await?;
        let after = after.map_or("", AccountId::as_str);
        let next = query(
            "SELECT account_id FROM account_role WHERE role = $1 AND account_id > $2 \
             ORDER BY account_id LIMIT $3",
        )
        .bind(role.as_str())
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut write)
        .await?;
        let Some(last) = next.last() else { return Ok(Holders::default()) };
        let run = Run { role, after, last: last.try_get("account_id")? };
        query(
            "UPDATE account SET version = version + 1 WHERE id IN (SELECT account_id \
             FROM account_role WHERE role = $1 AND account_id > $2 AND account_id <= $3)",
        )
        .bind(run.role.as_str())
        .bind(run.after)
        .bind(run.last.as_str())
        .execute(&mut write)
        .await?;
        write.commit().await?;
        // Read after the commit: what anybody else commits from now on, they show themselves.
        Ok(Holders { accounts: self.read_run(&run).await?, last: AccountId::parse(&run.last) })
    }

    async fn read_run(&self, run: &Run<'_>) -> Result<Vec<Account>> {
        let query = query(select_account!(
            "WHERE a.id IN (SELECT account_id FROM account_role WHERE role = $1 \
             AND account_id > $2 AND account_id <= $3)"
        ))
        .bind(run.role.as_str())
        .bind(run.after)
        .bind(run.last.as_str());
        let rows = self.pool.fetch_all(query).await?;
        rows.iter().map(row::account).collect()
    }

    /// See `AccountStore::take_role`.
    pub(super) async fn take(&self, role: &RoleName, limit: u32) -> Result<Vec<Account>> {
        let mut write = self.pool.write().await?;
        lock_admins(&mut write).await?;
        let next = query("SELECT account_id FROM account_role WHERE role = $1 LIMIT $2")
            .bind(role.as_str())
            .bind(i64::from(limit))
            .fetch_all(&mut write)
            .await?;
        let mut taken = Vec::with_capacity(next.len());
        for row in &next {
            let id: String = row.try_get("account_id")?;
            query("DELETE FROM account_role WHERE account_id = $1 AND role = $2")
                .bind(id.as_str())
                .bind(role.as_str())
                .execute(&mut write)
                .await?;
            query("UPDATE account SET version = version + 1 WHERE id = $1")
                .bind(id.as_str())
                .execute(&mut write)
                .await?;
            taken.push(AccountId::parse(&id).ok_or_else(|| row::corrupt("id"))?);
        }
        write.commit().await?;
        let mut accounts = Vec::with_capacity(taken.len());
        let mut connection = self.pool.acquire().await?;
        for id in &taken {
            accounts.extend(row::find(&mut connection, id).await?);
        }
        Ok(accounts)
    }
}
