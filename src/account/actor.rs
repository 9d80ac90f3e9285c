//! Who changes accounts and roles, and what they may decide about (SR-51).

use super::password::Requester;
use super::{Account, Accounts};
use crate::audit::{self, Entry, Kind};
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::role::{Permission, Role};

/// Who makes a change.
#[derive(Clone, Copy, Debug)]
pub enum Actor<'a> {
    /// Somebody who is signed in: bound by what they hold, and unable to shut themselves out.
    Account(&'a Account),
    /// Whoever runs the server, on its command line.
    Operator,
}

impl Actor<'_> {
    /// Nobody demotes, disables or deletes themselves: that takes a second administrator.
    pub(super) fn must_be_another(&self, id: &AccountId) -> Result<()> {
        match self {
            Self::Account(actor) if actor.id == *id => {
                Err(Error::Conflict("you cannot do this to your own account"))
            }
            _ => Ok(()),
        }
    }

    /// Nobody decides about a permission that they do not hold.
    pub(super) fn must_hold<'p>(
        &self,
        mut permissions: impl Iterator<Item = &'p Permission>,
    ) -> Result<()> {
        let Self::Account(actor) = self else { return Ok(()) };
        match permissions.find(|permission| !actor.permissions.contains(*permission)) {
            Some(permission) => Err(Error::PermissionDenied(permission.to_string())),
            None => Ok(()),
        }
    }

    /// The event, as one of the actor's.
    pub(super) fn sign(&self, event: Entry) -> Entry {
        match self {
            Self::Account(account) => event.by(account.id.as_str()),
            Self::Operator => event.by(audit::OPERATOR),
        }
    }

    /// For whom a password is hashed that the actor sets.
    pub(super) fn requester(&self) -> Requester {
        match self {
            Self::Account(account) => Requester::known(&account.email.key()),
            Self::Operator => Requester::operator(),
        }
    }

    /// Nobody changes an account that holds more than they do: neither its owner's name or address,
    /// nor its state, roles or sessions. The one rule for all changes of somebody's account.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] with the first permission that the actor does not hold.
    pub fn may_change(&self, account: &Account) -> Result<()> {
        self.must_hold(account.permissions.iter())
    }

    /// Whether the actor holds all that `role` grants.
    pub fn may_grant_role(&self, role: &Role) -> bool {
        self.may_grant(std::iter::once(role)).is_ok()
    }

    /// Nobody grants what they do not hold.
    pub(super) fn may_grant<'r>(&self, roles: impl Iterator<Item = &'r Role>) -> Result<()> {
        self.must_hold(roles.flat_map(|role| &role.permissions))
    }
}

impl Accounts {
    /// The account, if `actor` may change it; a refusal is recorded.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] as [`Actor::may_change`]; [`Error::NotFound`].
    pub async fn changeable(&self, actor: Actor<'_>, id: &AccountId) -> Result<Account> {
        let account = self.get(id).await?;
        match actor.may_change(&account) {
            Ok(()) => Ok(account),
            Err(error) => {
                if let Error::PermissionDenied(permission) = &error {
                    let event = Entry::of(Kind::AuthzFail)
                        .detail(format!("to change an account that holds {permission}"));
                    self.record_by(Some(actor), event.about(id)).await;
                }
                Err(error)
            }
        }
    }
}
