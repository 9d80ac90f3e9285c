//! How the database goes about the lists of the dashboard: its own words, for the proof that none of
//! them reads a whole table, and for those who look into a slow one.

use super::list::{self, Composed};
use super::{SqlStore, audit};
use crate::account::store::AccountFilter;
use crate::audit::store::EventFilter;
use crate::error::Result;

impl SqlStore {
    /// The plan for a page of accounts.
    ///
    /// # Errors
    /// [`crate::error::Error::Unavailable`].
    pub async fn plan_of_accounts(&self, filter: &AccountFilter) -> Result<String> {
        let holders = list::holders(self, filter).await?;
        self.plan(list::statement(filter, holders)).await
    }

    /// The plan for the place at which a search for accounts breaks off.
    ///
    /// # Errors
    /// [`crate::error::Error::Unavailable`].
    pub async fn plan_of_reach(&self, filter: &AccountFilter) -> Result<String> {
        self.plan(list::place(filter.after.as_ref(), list::DEPTH)).await
    }

    /// The plan for a page of events.
    ///
    /// # Errors
    /// [`crate::error::Error::Unavailable`].
    pub async fn plan_of_events(&self, filter: &EventFilter) -> Result<String> {
        self.plan(audit::page(filter)).await
    }

    async fn plan(&self, statement: Composed) -> Result<String> {
        let (word, column) =
            if self.pool.is_sqlite() { ("EXPLAIN QUERY PLAN ", 3) } else { ("EXPLAIN ", 0) };
        let rows = self.pool.fetch_all(statement.after(word).query()).await?;
        let lines: sqlx::Result<Vec<String>> = rows.iter().map(|row| row.try_get(column)).collect();
        Ok(lines?.join("\n"))
    }
}
