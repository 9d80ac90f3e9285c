//! What becomes of all accounts at once: sweeping, and what has to follow a restore.

use super::{Account, Accounts};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::AccountId;

/// How many accounts one transaction changes.
const STEP: u32 = 200;

impl Accounts {
    /// Forgets set-up tokens and ended sessions whose time is over.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::error::Error::Unavailable).
    pub async fn sweep(&self) -> Result<()> {
        self.store.sweep(self.clock.now()).await
    }

    /// Makes all accounts findable by what their names and addresses look like.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::error::Error::Unavailable).
    pub async fn index_names(&self) -> Result<()> {
        while self.store.index_names(STEP).await? == STEP {}
        Ok(())
    }

    /// Forgets all set-up tokens, and which sessions were ended: none of them will be alive.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::error::Error::Unavailable).
    pub async fn forget_one_time_tokens(&self) -> Result<()> {
        self.store.sweep(Timestamp::from_millis(i64::MAX)).await
    }

    /// Kills every session of the accounts after `after` that was ever opened (SR-38), and gives these
    /// accounts as they are then; none are given behind the last account.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::error::Error::Unavailable).
    pub async fn supersede(&self, after: Option<&AccountId>) -> Result<Vec<Account>> {
        self.store.supersede(after, STEP).await
    }
}
