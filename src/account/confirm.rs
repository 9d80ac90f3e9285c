//! The password again, from somebody who is signed in.

use super::password::{Password, Precedence, Verdict};
use super::{Account, Accounts, Status};
use crate::audit::{Entry, Kind};
use crate::error::{Error, Result};
use crate::id::{AccountId, SecretString, SessionId};

/// The session in which a person confirms with their password.
#[derive(Clone, Copy, Debug)]
pub struct InSession<'a> {
    /// Their account.
    pub account: &'a AccountId,
    /// Their session.
    pub session: &'a SessionId,
    /// The session epoch that the session lives under (SR-38).
    pub epoch: i64,
}

impl Accounts {
    /// Has whoever is signed in prove again who they are (SR-52).
    ///
    /// # Errors
    /// [`Error::WrongPassword`]; [`Error::Throttled`] after several of those;
    /// [`Error::SessionEnded`] if the database knows that the session is over.
    pub async fn confirm(&self, live: InSession<'_>, password: SecretString) -> Result<()> {
        self.confirm_password(live, password, Kind::ReauthFail).await.map(drop)
    }

    /// The account, once `password` has proved to be its own; otherwise an event of the kind
    /// `refused`. Whoever holds the session cannot guess at it for long (SR-22).
    pub(super) async fn confirm_password(
        &self,
        live: InSession<'_>,
        password: SecretString,
        refused: Kind,
    ) -> Result<Account> {
        let InSession { account: id, session, epoch } = live;
        let attempt = self.limits.confirm(session).await?;
        let found = match self.store.credentials_in_session(id, session).await {
            Ok(found) => found.filter(|found| {
                found.account.status == Status::Active && found.account.session_epoch == epoch
            }),
            Err(error) => {
                attempt.not_made().await;
                return Err(error);
            }
        };
        let Some(found) = found else {
            attempt.not_made().await;
            return Err(Error::SessionEnded);
        };
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
