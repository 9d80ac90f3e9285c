//! The first administrator, and the one-time link that makes it (SR-6).

use std::time::Duration;

use super::password::Requester;
use super::store::Creation;
use super::{Account, Accounts};
use crate::audit::{Entry, Kind};
use crate::error::{Error, Result};
use crate::id::{SecretString, base64url, random_bytes, sha256};
use crate::role::RoleName;

/// How long a set-up link can be used.
pub const SETUP_LINK_LIFETIME: Duration = Duration::from_secs(15 * 60);

impl Accounts {
    /// A fresh one-time token for `/setup`, good for [`SETUP_LINK_LIFETIME`]; `None` while an
    /// administrator can sign in (SR-6).
    pub async fn issue_setup_token(&self) -> Result<Option<SecretString>> {
        if self.store.admin_can_sign_in().await? {
            return Ok(None);
        }
        let token = base64url(random_bytes::<32>(&*self.random));
        let now = self.clock.now();
        self.store.add_setup_token(&sha256(&token), now + SETUP_LINK_LIFETIME, now).await?;
        self.audit.record(Entry::of(Kind::TokenCreated).detail("set-up link")).await;
        Ok(Some(SecretString::new(token)))
    }

    /// Makes the first administrator, for whoever holds the set-up token (SR-6).
    ///
    /// # Errors
    /// [`Error::SetupLinkInvalid`]; [`Error::Invalid`]; [`Error::RegistrationRefused`] if the
    /// address belongs to an account already.
    pub async fn set_up(
        &self,
        token: &SecretString,
        email: &str,
        password: SecretString,
        display_name: &str,
        requester: Requester,
    ) -> Result<Account> {
        // Whether it still does is decided when it is spent; but a link that is none costs no hash.
        if !self.setup_token_works(token).await? {
            return Err(self.setup_refused().await);
        }
        let roles = vec![RoleName::admin(), RoleName::user()];
        let password = Some((password, requester));
        let mut new = self.prepare(email, password, display_name, roles).await?;
        new.last_login_at = Some(new.created_at);
        match self.store.create_first_admin(&new, &sha256(token.expose())).await? {
            Creation::Created(account) => {
                let event = Entry::of(Kind::UserCreated).about(&account.id);
                self.audit
                    .record(event.by(account.id.as_str()).detail("set-up: admin, user"))
                    .await;
                Ok(account)
            }
            Creation::EmailTaken => Err(Error::RegistrationRefused),
            Creation::UnknownRole | Creation::SetupRefused => Err(self.setup_refused().await),
        }
    }

    async fn setup_refused(&self) -> Error {
        self.audit.record(Entry::of(Kind::AuthzFail).detail("set-up link")).await;
        Error::SetupLinkInvalid
    }

    /// Whether the set-up link with this token still works; asking does not spend it.
    pub async fn setup_token_works(&self, token: &SecretString) -> Result<bool> {
        self.store.setup_token_works(&sha256(token.expose()), self.clock.now()).await
    }
}
