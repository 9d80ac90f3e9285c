//! What roles and permissions ask of the place that keeps them.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Declared, Permission, Role, RoleName};
use crate::clock::Timestamp;
use crate::error::Result;

/// Most permissions that an operator can declare: a form that ticks them all, beside our own, has to
/// fit into what is taken of a form (SR-60).
pub const MAX_DECLARED: u32 = 80;

/// Most roles that there can be: a list of them is whole, and no longer than a page (SR-54).
pub const MAX_ROLES: u32 = 200;

/// What became of an attempt to write a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// It was written.
    Done,
    /// There is no such role.
    NotFound,
    /// A role of this name exists.
    Exists,
    /// [`MAX_ROLES`] are there.
    TooMany,
    /// It is not any more what it was when the change was decided: read it and decide again.
    Moved,
    /// Nobody has declared this permission.
    UnknownPermission(Permission),
    /// Accounts have it.
    Held,
}

/// What became of an attempt to declare a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declaration {
    /// It is declared, and the role `admin` grants it.
    Done,
    /// It was declared before.
    Exists,
    /// [`MAX_DECLARED`] are there.
    TooMany,
}

/// What became of an attempt to withdraw a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Nobody holds it any more.
    Done,
    /// Nobody had declared it.
    NotFound,
    /// These roles grant it, besides `admin`.
    Granted(Vec<RoleName>),
}

/// A role that was changed, and perhaps not shown to the sessions of everybody who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unshown {
    /// The role.
    pub role: RoleName,
    /// Names its last change.
    pub ticket: String,
}

/// Where roles and the operator's permissions are kept. Every method is one transaction, and those
/// that write wait for each other: what one decides holds until it is done.
///
/// The role `admin` grants every permission there is, always.
///
/// A role that grants something else than before is [`Unshown`] from the same transaction on.
#[async_trait]
pub trait RoleStore: Send + Sync + 'static {
    /// All roles, by name.
    async fn roles(&self) -> Result<Vec<Role>>;

    /// How many accounts have each role; roles that nobody has are left out.
    async fn holders(&self) -> Result<BTreeMap<RoleName, u64>>;

    /// The operator's permissions, by name.
    async fn declared(&self) -> Result<Vec<Declared>>;

    /// Declares a permission.
    async fn declare(&self, new: &Declared, now: Timestamp) -> Result<Declaration>;

    /// Changes what is said of a declared permission; whether it was declared.
    async fn describe(&self, permission: &Declared) -> Result<bool>;

    /// Withdraws a permission that no role grants but `admin`.
    async fn withdraw(&self, name: &Permission) -> Result<Withdrawal>;

    /// Makes a role of permissions that are Doorward's or declared.
    async fn create_role(&self, new: &Role, now: Timestamp) -> Result<RoleChange>;

    /// Makes `after` of the role that is `before` still. Its holders' accounts are not touched: see
    /// [`AccountStore::touch_holders`](crate::account::store::AccountStore::touch_holders).
    async fn change_role(&self, before: &Role, after: &Role) -> Result<RoleChange>;

    /// Deletes a role that no account has.
    async fn delete_role(&self, name: &RoleName) -> Result<RoleChange>;

    /// The roles that were changed and not [`shown`](RoleStore::shown) since.
    async fn unshown(&self) -> Result<Vec<Unshown>>;

    /// Notes that a change was shown to everybody; one that came after it is unshown still.
    async fn shown(&self, change: &Unshown) -> Result<()>;
}
