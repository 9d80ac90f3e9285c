//! The end of everybody's sessions, after the database was put back to how it once was.

use futures::stream;
use futures::{StreamExt as _, TryStreamExt as _};

use super::Sessions;
use super::survey::Survey;
use crate::account::Account;
use crate::error::Result;

/// How many accounts the store is asked about at the same time.
const ABREAST: usize = 32;
/// How many sessions are looked through at a time.
const STRETCH: usize = 200;

impl Sessions {
    /// Ends all sessions for good, whatever the session store remembers; says how many there were.
    ///
    /// A database that was put back has forgotten which sessions ended since: none may go on that it
    /// would let in again, nor one of an account that is not there any more.
    ///
    /// # Errors
    /// [`Error::Unavailable`](crate::error::Error::Unavailable): to be done again.
    pub async fn end_everybodys(&self) -> Result<u64> {
        let (mut ended, mut after) = (0, None);
        loop {
            let accounts = self.accounts.supersede(after.as_ref()).await?;
            let Some(last) = accounts.last() else { break };
            after = Some(last.id.clone());
            let ends = stream::iter(accounts).map(|account| self.end_of(account));
            ended += ends
                .buffer_unordered(ABREAST)
                .try_fold(0, |sum, one| async move { Ok(sum + one) })
                .await?;
        }
        Ok(ended + self.end_orphans().await?)
    }

    /// Ends the sessions of an account, if it has any.
    async fn end_of(&self, account: Account) -> Result<u64> {
        let now = self.clock.now();
        if self.store.list(&account.id, now).await?.is_empty() {
            return Ok(0);
        }
        self.store.revoke(&account, None, now).await
    }

    /// Ends what is left: the sessions of accounts that the database does not have.
    async fn end_orphans(&self) -> Result<u64> {
        let (mut ended, mut after) = (0, None);
        loop {
            let survey = Survey { network: None, after, limit: STRETCH };
            let stretch = self.store.survey(&survey, self.clock.now()).await?;
            for live in &stretch.live {
                let session = &live.session;
                ended += u64::from(self.store.end(&session.account, &session.id).await?);
            }
            after = stretch.next;
            if after.is_none() {
                return Ok(ended);
            }
        }
    }
}
