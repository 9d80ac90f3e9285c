//! What a new account or a new password must be before it gets in.

use super::email::Email;
use super::password::{Context, Password, PasswordHash, Requester};
use super::store::NewAccount;
use super::{Account, Accounts, checked_display_name};
use crate::error::{Error, Result, keep_error};
use crate::id::{AccountId, SecretString};
use crate::role::RoleName;

impl Accounts {
    /// Checks every field of a new account and hashes its password, for whoever it comes with.
    pub(super) async fn prepare(
        &self,
        email: &str,
        password: Option<(SecretString, Requester)>,
        display_name: &str,
        roles: Vec<RoleName>,
    ) -> Result<NewAccount> {
        let mut wrong = Vec::new();
        let email = keep_error(Email::parse(email), &mut wrong)?;
        let name = keep_error(checked_display_name(display_name), &mut wrong)?;
        let password = match password {
            None => None,
            Some((text, requester)) => {
                let local_part = email.as_ref().map_or("", Email::local_part);
                let name = name.unwrap_or_default();
                let admitted = self.admit(text, "password", local_part, name).await;
                keep_error(admitted, &mut wrong)?.map(|password| (password, requester))
            }
        };
        let (Some(email), Some(name), true) = (email, name, wrong.is_empty()) else {
            return Err(Error::Invalid(wrong));
        };
        let password_hash = match password {
            Some((password, requester)) => Some(self.hasher.hash(&password, requester).await?),
            None => None,
        };
        Ok(NewAccount {
            id: AccountId::random(&*self.random),
            email,
            display_name: name.to_owned(),
            password_hash,
            must_change_password: false,
            roles,
            created_at: self.clock.now(),
            last_login_at: None,
        })
    }

    pub(super) async fn checked_hash(
        &self,
        text: SecretString,
        field: &'static str,
        owner: &Account,
        requester: Requester,
    ) -> Result<PasswordHash> {
        let local_part = owner.email.local_part();
        let password = self.admit(text, field, local_part, &owner.display_name).await?;
        self.hasher.hash(&password, requester).await
    }

    /// The password that the client sent in `field`, if the policy lets it in (SR-1…3).
    async fn admit(
        &self,
        text: SecretString,
        field: &str,
        email_local_part: &str,
        display_name: &str,
    ) -> Result<Password> {
        let policy = self.policy.get();
        let context = Context {
            email_local_part,
            display_name,
            product: "doorward",
            public_host: &policy.public_host,
        };
        let admitted = match Password::from_secret(&text) {
            Ok(password) => policy.passwords.require(&password, &context).await.map(|()| password),
            Err(too_long) => Err(too_long.into()),
        };
        admitted.map_err(|refusal| refusal.about(field))
    }
}
