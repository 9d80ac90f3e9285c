//! Recognising people for whom nothing can be handed over: what answers them is somebody else's.

use super::store::{Live, Vouched};
use super::{Presented, Sessions};
use crate::account::Status;
use crate::error::{Error, Result};
use crate::id::SecretString;
use crate::token::refresh::RefreshClaims;

/// Somebody who was recognised by the tokens of their browser, which keeps them.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// Their session and account.
    pub live: Live,
    /// Whether the refresh token alone speaks for them: the access token has run out, and their
    /// browser does well to come by for a new pair.
    pub stale: bool,
}

impl Sessions {
    /// Recognises whoever sends these tokens, and trades none of them in: an answer that a proxy
    /// asked for may never reach the browser, and a refresh token that was traded in without its
    /// successor arriving would end the session at its next use (SR-36).
    ///
    /// The access token is judged as by [`Sessions::verify`]; where it has run out, the session is
    /// asked whether the refresh token is its current one. One round trip for either, and one
    /// question to the database per life of an access token.
    ///
    /// # Errors
    /// [`Error::NotSignedIn`], [`Error::TokenExpired`], [`Error::SessionEnded`];
    /// [`Error::TokenReused`], after which the session is over for everybody;
    /// [`Error::Unavailable`].
    pub async fn recognise(&self, presented: &Presented) -> Result<Recognised> {
        let refused = match &presented.access {
            Some(access) => match self.verify(access).await {
                Ok(live) => return Ok(Recognised { live, stale: false }),
                Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => return Err(error),
                Err(error) => error,
            },
            None => Error::NotSignedIn,
        };
        let Some(refresh) = &presented.refresh else { return Err(refused) };
        match self.vouch(refresh).await {
            Ok(live) => Ok(Recognised { live, stale: true }),
            Err(Error::RefreshInvalid) => Err(refused),
            Err(error) => Err(error),
        }
    }

    /// Judges a refresh token without trading it in, by the rules by which it would be traded in: the
    /// session store is asked each time, the database once per life of an access token.
    async fn vouch(&self, refresh: &SecretString) -> Result<Live> {
        let now = self.clock.now();
        let claims = self.tokens.read_refresh(refresh, now).await?;
        let (account, session) = (&claims.account, &claims.session);
        let (grace, presented) = (self.lifetimes.reuse_grace, claims.lineage());
        let live = match self.store.vouch(account, session, &presented, grace, now).await? {
            Vouched::Good(live) => self.agreed(*live, &claims, now).await?,
            Vouched::Unknown => return Err(Error::SessionEnded),
            Vouched::Spent => return Err(self.spent(&claims).await?),
        };
        let usable = live.account.status == Status::Active
            && claims.epoch == live.account.session_epoch
            && !self.is_idle(&claims, &live.account, now)
            && !self.outlived(&live.session, &live.account, now);
        if usable { Ok(live) } else { Err(Error::SessionEnded) }
    }

    /// Ends the session whose spent refresh token somebody shows: either they or its owner has a
    /// copy that is not theirs.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] where nobody has stolen anything: the token was issued before the
    /// password was changed, or the session has ended otherwise.
    async fn spent(&self, claims: &RefreshClaims) -> Result<Error> {
        let account = self.ask_database(&claims.account, &claims.session, claims.epoch).await?;
        if !self.store.end(&claims.account, &claims.session).await? {
            return Ok(Error::SessionEnded);
        }
        Ok(self.reused(&claims.session, account, self.clock.now()).await)
    }
}
