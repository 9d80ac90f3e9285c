//! What the database says of a session that the session store would let go on. Every credential but
//! an access token, which is short-lived, is judged here as well (SR-38).

use std::sync::Arc;

use super::store::Live;
use super::{Client, Sessions};
use crate::account::{Account, InSession, Status};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{AccountId, SessionId};
use crate::token::refresh::RefreshClaims;

impl Sessions {
    /// Asks the database whether a session may go on under `epoch`, and gives the account as it is
    /// there.
    ///
    /// A session store that was restored from an old copy, or was promoted without the last writes,
    /// may say otherwise. Then it is corrected, so that it refuses the next request by itself.
    ///
    /// # Errors
    /// [`Error::SessionEnded`]; [`Error::Unavailable`] if either store does not answer.
    pub(super) async fn ask_database(
        &self,
        account: &AccountId,
        session: &SessionId,
        epoch: i64,
    ) -> Result<Account> {
        let Some(found) = self.accounts.current_in(account, session).await? else {
            self.store.end(account, session).await?;
            return Err(Error::SessionEnded);
        };
        if found.status == Status::Active && found.session_epoch == epoch {
            return Ok(found);
        }
        // Ends every session under a lower epoch. It must not end this one by name: a session that a
        // change of the password kept goes on under the new epoch, and a request that was under way
        // with its token of before has stolen nothing.
        self.store.publish(&found, self.clock.now()).await?;
        if found.session_epoch <= epoch {
            self.store.end(account, session).await?;
        }
        Err(Error::SessionEnded)
    }

    /// The session, once the database has agreed that it lives. The database is asked once per life
    /// of an access token: that long an access token is believed, too.
    ///
    /// # Errors
    /// As [`Sessions::ask_database`].
    pub(super) async fn agreed(
        &self,
        live: Live,
        claims: &RefreshClaims,
        now: Timestamp,
    ) -> Result<Live> {
        let lifetime = self.lifetimes.access_lifetime;
        if self.checks.hold(&claims.session, claims.epoch, &live.account, lifetime, now) {
            return Ok(live);
        }
        let stamp = self.checks.stamp(&claims.account);
        let account = self.ask_database(&claims.account, &claims.session, claims.epoch).await?;
        self.checks.keep(&claims.session, &account, stamp, now);
        if account.version <= live.account.version {
            return Ok(live);
        }
        // The store shows roles and a name of before.
        self.store.publish(&account, now).await?;
        Ok(Live { account: Arc::new(account), ..live })
    }

    /// Gives back the outcome of what a signed-in person confirmed with their password. If the
    /// database said that their session is over, the store learns it.
    ///
    /// # Errors
    /// Those of `outcome`; [`Error::Unavailable`] if the store does not answer.
    pub(super) async fn heed<T>(&self, live: &Live, outcome: Result<T>) -> Result<T> {
        if matches!(outcome, Err(Error::SessionEnded)) {
            let session = &live.session;
            self.ask_database(&session.account, &session.id, session.epoch).await?;
        }
        outcome
    }

    /// Whether a token was last refreshed too long ago for an administrator: also for a person who
    /// became one meanwhile (SR-33).
    pub(super) fn is_idle(
        &self,
        claims: &RefreshClaims,
        account: &Account,
        now: Timestamp,
    ) -> bool {
        account.has_power() && now.since(claims.issued_at) >= self.lifetimes.admin_idle_lifetime
    }
}

/// The session of somebody who confirms with their password.
pub(super) fn in_session<'a>(live: &'a Live, client: &'a Client) -> InSession<'a> {
    let (session, gauge) = (&live.session, &client.gauge);
    InSession { account: &session.account, session: &session.id, epoch: session.epoch, gauge }
}
