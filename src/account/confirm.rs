//! The password again, from somebody who is signed in.

use super::password::{Password, Requester, Verdict};
use super::{Account, Accounts, Status};
use crate::audit::{Entry, Kind};
use crate::error::{Error, Result};
use crate::id::{AccountId, SecretString, SessionId};
use crate::limit::Gauge;

/// The session in which a person confirms with their password.
#[derive(Clone, Copy, Debug)]
pub struct InSession<'a> {
    /// Their account.
    pub account: &'a AccountId,
    /// Their session.
    pub session: &'a SessionId,
    /// The session epoch that the session lives under (SR-38).
    pub epoch: i64,
    /// Where the limits that the attempt is counted under are noted.
    pub gauge: &'a Gauge,
}

impl Accounts {
    /// Has whoever is signed in prove again who they are (SR-52).
    ///
    /// # Errors
    /// [`Error::WrongPassword`]; [`Error::Throttled`] after several of those, and after many
    /// attempts, good or bad; [`Error::Overloaded`]; [`Error::SessionEnded`] if the database knows that the session is over.
    pub async fn confirm(&self, live: InSession<'_>, password: SecretString) -> Result<()> {
        self.confirm_password(live, password, Kind::ReauthFail).await.map(drop)
    }

    /// The account, once `password` has proved to be its own; otherwise an event of the kind
    /// `refused`. Whoever holds the session can neither guess at it for long nor keep the server busy
    /// with hashes (SR-22).
    pub(super) async fn confirm_password(
        &self,
        live: InSession<'_>,
        password: SecretString,
        refused: Kind,
    ) -> Result<Account> {
        let InSession { account: id, session, epoch, gauge } = live;
        let attempt = match self.limits.confirm(session, gauge).await {
            Ok(attempt) => attempt,
            Err(error) => {
                if matches!(error, Error::Throttled(_)) {
                    let event = Entry::of(Kind::RateLimited).about(id).detail("confirmation");
                    self.audit.record_sparingly(event).await;
                }
                return Err(error);
            }
        };
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
                let requester = Requester::known(&found.account.email.key());
                self.hasher.verify(&password, hash, requester).await
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
