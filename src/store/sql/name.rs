//! Names and addresses of accounts, and what searches look through of them.

use super::SqlStore;
use super::change::update;
use super::connection::SqlConnection;
use super::row;
use super::statement::query;
use crate::account::Account;
use crate::account::email::Email;
use crate::account::search::searchable;
use crate::account::store::Change;
use crate::error::{Error, Result};
use crate::id::AccountId;

impl SqlStore {
    /// See `AccountStore::set_display_name`.
    pub(super) async fn rename(&self, id: &AccountId, display_name: &str) -> Result<Change> {
        let mut write = self.pool.write().await?;
        let rename = query(
            "UPDATE account SET display_name = $1, search_key = $2, version = version + 1 \
             WHERE id = $3",
        )
        .bind(display_name)
        .bind(display_name.to_lowercase())
        .bind(id.as_str());
        let change = update(&mut write, id, rename).await?;
        if let Change::Done(account) = &change {
            index(&mut write, account).await?;
        }
        write.end(matches!(change, Change::Done(_))).await?;
        Ok(change)
    }

    /// See `AccountStore::set_email`.
    pub(super) async fn readdress(&self, id: &AccountId, email: &Email) -> Result<Change> {
        let mut write = self.pool.write().await?;
        let readdress = query(
            "UPDATE account SET email = $1, email_key = $2, version = version + 1 WHERE id = $3",
        )
        .bind(email.as_str())
        .bind(email.key())
        .bind(id.as_str());
        match readdress.execute(&mut write).await {
            // Of two at once, PostgreSQL has the second wait here for the first (SR-8).
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                write.end(false).await?;
                return Ok(Change::EmailTaken);
            }
            done => done?,
        };
        let Some(account) = row::find(&mut write, id).await? else {
            write.end(false).await?;
            return Ok(Change::NotFound);
        };
        index(&mut write, &account).await?;
        write.commit().await?;
        Ok(Change::Done(account))
    }

    /// See `AccountStore::index_names`.
    pub(super) async fn index_stale(&self, limit: u32) -> Result<u32> {
        // Read without a lock: a name that is changed meanwhile is none that is found below.
        let stale = query(
            "SELECT id, email, display_name FROM account \
             WHERE search_of IS DISTINCT FROM display_name LIMIT $1",
        )
        .bind(i64::from(limit));
        let stale = self.pool.fetch_all(stale).await?;
        if stale.is_empty() {
            return Ok(0);
        }
        let mut write = self.pool.write().await?;
        for row in &stale {
            let (id, email, name): (String, String, String) =
                (row.try_get("id")?, row.try_get("email")?, row.try_get("display_name")?);
            query(
                "UPDATE account SET search_text = $1, search_of = $2 \
                 WHERE id = $3 AND display_name = $2 AND email = $4",
            )
            .bind(searchable(&name, &Email::stored(email.clone())))
            .bind(name)
            .bind(id)
            .bind(email)
            .execute(&mut write)
            .await?;
        }
        write.commit().await?;
        u32::try_from(stale.len()).map_err(Error::internal)
    }
}

/// Works out what is looked through for an account, as it is in this transaction.
async fn index(connection: &mut SqlConnection, account: &Account) -> Result<()> {
    query("UPDATE account SET search_text = $1, search_of = $2 WHERE id = $3")
        .bind(searchable(&account.display_name, &account.email))
        .bind(account.display_name.as_str())
        .bind(account.id.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
