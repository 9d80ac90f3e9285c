//! Step-up: what is dangerous asks again who somebody is, if they said it too long ago (SR-52).

use super::judge::in_session;
use super::store::Live;
use super::{Client, Issued, Presented, Session, Sessions};
use crate::audit::{Entry, Kind};
use crate::clock::LEEWAY;
use crate::error::{Error, Result};
use crate::id::SecretString;

/// A session whose owner has just proved again who they are.
pub struct Reauthenticated {
    /// The session.
    pub session: Session,
    /// Its new tokens, unless whoever asked shows a Bearer token and keeps it.
    pub issued: Option<Issued>,
}

impl Sessions {
    /// Lets an operation pass if the session's owner proved who they are a short while ago.
    ///
    /// # Errors
    /// [`Error::ReauthRequired`].
    pub fn require_fresh(&self, session: &Session) -> Result<()> {
        let (longest, now) = (self.lifetimes.reauth_after, self.clock.now());
        let at = session.authenticated_at();
        // What lies ahead was written before the clock was set back, and is no proof until it has
        // caught up.
        if at <= now + LEEWAY && now.since(at) <= longest {
            Ok(())
        } else {
            Err(Error::ReauthRequired(longest))
        }
    }

    /// Has whoever is signed in prove again who they are. The tokens of a browser give way to new
    /// ones, as in a refresh, so that a copy of the old ones gains nothing by it; requests that were
    /// under way with them are answered as in a refresh, too (SR-36).
    ///
    /// # Errors
    /// [`Error::WrongPassword`]; [`Error::Throttled`] after several of those;
    /// [`Error::SessionEnded`], [`Error::TokenReused`] if the session ended meanwhile.
    pub async fn reauthenticate(
        &self,
        live: &Live,
        password: SecretString,
        client: &Client,
        presented: &Presented,
    ) -> Result<Reauthenticated> {
        let (account, id) = (&live.account.id, &live.session.id);
        let confirmed = self.accounts.confirm(in_session(live, client), password).await;
        self.heed(live, confirmed).await?;
        let mut issued = self.renew_pair(live, client, presented).await?;
        let now = self.clock.now();
        let session = self.store.reauthenticate(account, id, now).await?;
        let session = session.ok_or(Error::SessionEnded)?;
        if let Some(issued) = &mut issued {
            issued.session = session.clone();
            issued.device = Some(self.device_token(&issued.account, presented));
        }
        let event = Entry::of(Kind::ReauthSuccess).about(account).detail(format!("session {id}"));
        self.audit.record(event).await;
        Ok(Reauthenticated { session, issued })
    }

    /// The successors of the tokens that came along, if they are this session's.
    async fn renew_pair(
        &self,
        live: &Live,
        client: &Client,
        presented: &Presented,
    ) -> Result<Option<Issued>> {
        let Some(refresh) = &presented.refresh else { return Ok(None) };
        let named = self.tokens.name_of(refresh).await?;
        if named != Some((live.account.id.clone(), live.session.id.clone())) {
            return Ok(None);
        }
        match self.refresh(refresh, client).await {
            Ok(issued) => Ok(Some(issued)),
            // It has run out: the session lives on its access token alone.
            Err(Error::RefreshInvalid) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
