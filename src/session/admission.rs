//! Who may try a password, and which browsers are known.

use std::sync::Arc;

use super::{Client, Presented, Sessions};
use crate::account::Account;
use crate::account::email::Email;
use crate::account::notice::{Notice, NoticeKind};
use crate::account::password::Requester;
use crate::audit::{Entry, Kind};
use crate::error::{Error, Result};
use crate::limit::device::{DeviceToken, KnownDevice};
use crate::limit::{Attempt, Limits, Network};

/// How many failed attempts an owner is told of; fewer are what people do (SR-81).
const TELLING_FAILURES: u32 = 5;

impl Sessions {
    /// The limits.
    pub(super) fn limits(&self) -> &Arc<Limits> {
        self.accounts.limits()
    }

    /// Admits an attempt at the password of whoever signs in with `email` (SR-22, SR-23).
    ///
    /// # Errors
    /// [`Error::Throttled`]; [`Error::Unavailable`], for everybody alike, before anything is looked up.
    pub(super) async fn admit(
        &self,
        email: &str,
        client: &Client,
        presented: &Presented,
    ) -> Result<Attempt<'_>> {
        if !self.limits().count_sign_ins() {
            self.require_store().await?;
        }
        let identifier = identifier(email);
        let device = self.known_device(&identifier, presented).await?;
        let limits = self.limits();
        limits.login(&identifier, device.as_ref(), client.ip, &client.gauge).await
    }

    /// Fails if the session store does not answer, or takes no writes: where no limit has asked it
    /// before, it would only be missed where a session is opened, and so tell a good password from a
    /// bad one, or leave an account behind that was answered with an error.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(super) async fn require_store(&self) -> Result<()> {
        self.store.ping().await
    }

    /// Records an attempt that was not admitted; gives back why it was not.
    pub(super) async fn not_admitted(&self, error: Error) -> Error {
        if matches!(error, Error::Throttled(_)) {
            self.audit.record_sparingly(Entry::of(Kind::RateLimited).detail("sign-in")).await;
        }
        error
    }

    /// Tells the owner of an account who has just signed in of the failures before (SR-81).
    pub(super) async fn tell_of_failures(&self, account: Account, failures: u32) -> Account {
        if failures < TELLING_FAILURES {
            return account;
        }
        let kind = NoticeKind::LoginAfterFailures { failures };
        self.accounts.try_notify(account, Notice::new(kind, self.clock.now())).await
    }

    /// The device, if the account that signs in as `identifier` knows it still. Only who holds a
    /// cookie of that very account has it looked up; for all others there is no difference between
    /// an account that exists and one that does not.
    async fn known_device(
        &self,
        identifier: &str,
        presented: &Presented,
    ) -> Result<Option<KnownDevice>> {
        let devices = self.limits().devices();
        let shown = presented.device.as_ref();
        let found =
            shown.and_then(|cookie| devices.known(cookie.expose(), identifier, self.clock.now()));
        let Some(device) = found else { return Ok(None) };
        match self.accounts.find(identifier).await {
            Ok(account) => {
                let current = devices.is_current(&device, &account.id, account.session_epoch);
                Ok(current.then_some(device))
            }
            Err(Error::NotFound | Error::Invalid(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What makes the browser known to `account`, whose owner has just proved who they are there.
    pub(super) fn device_token(&self, account: &Account, presented: &Presented) -> DeviceToken {
        let (devices, now) = (self.limits().devices(), self.clock.now());
        let identifier = account.email.key();
        let shown = presented.device.as_ref();
        let known = shown.and_then(|cookie| devices.known(cookie.expose(), &identifier, now));
        let standing = (&account.id, account.session_epoch);
        devices.issue(&identifier, standing, known.as_ref(), now, &*self.random)
    }
}

/// For whom the password of an attempt is hashed: a flood of strangers must not keep an owner out.
pub(super) fn requester(attempt: &Attempt<'_>, email: &str, client: &Client) -> Requester {
    if attempt.is_on_known_device() {
        Requester::known(&identifier(email))
    } else {
        stranger(email, client)
    }
}

/// For whom the password of a new account is hashed.
pub(super) fn stranger(email: &str, client: &Client) -> Requester {
    Requester::stranger(&identifier(email), Network::of(client.ip).as_bytes())
}

/// What failures are counted under: an address in the form in which accounts are told apart, and
/// anything else as it is, so that it is answered alike (SR-20).
fn identifier(email: &str) -> String {
    Email::parse(email).map_or_else(|_| email.trim().to_lowercase(), |email| email.key())
}
