//! The password again, from somebody who is signed in.

use super::password::{Password, Precedence, Verdict};
use super::{Account, Accounts};
use crate::audit::{Entry, Kind};
use crate::error::{Error, Result};
use crate::id::{AccountId, SecretString, SessionId};

impl Accounts {
    /// Has whoever is signed in prove again who they are (SR-52).
    ///
    /// # Errors
    /// [`Error::WrongPassword`]; [`Error::Throttled`] after several of those; [`Error::NotFound`].
    pub async fn confirm(
        &self,
        id: &AccountId,
        session: &SessionId,
        password: SecretString,
    ) -> Result<()> {
        self.confirm_password(id, session, password, Kind::ReauthFail).await.map(drop)
    }

    /// The account, once `password` has proved to be its own; otherwise an event of the kind
    /// `refused`. Whoever holds the session cannot guess at it for long (SR-22).
    pub(super) async fn confirm_password(
        &self,
        id: &AccountId,
        session: &SessionId,
        password: SecretString,
        refused: Kind,
    ) -> Result<Account> {
        let found = self.store.credentials_of(id).await?.ok_or(Error::NotFound)?;
        let attempt = self.limits.confirm(session).await?;
        let verified = match (Password::from_secret(&password), &found.password_hash) {
            (Ok(password), Some(hash)) => {
                self.hasher.verify_for(Precedence::Known, &password, hash).await
            }
            _ => Ok(Verdict::Mismatch),
        };
        match verified {
            Ok(Verdict::Match { .. }) => attempt.succeeded().await.map(|()| found.account),
            Ok(Verdict::Mismatch) => {
                self.audit.record(Entry::of(refused).about(id).detail("wrong password")).await;
                Err(Error::WrongPassword)
            }
            Err(error) => {
                attempt.not_made().await;
                Err(error)
            }
        }
    }
}
