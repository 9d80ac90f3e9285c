//! Roles and permissions, and [`require`]: the one place where access is decided.

mod permission;
pub mod store;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text;
pub use permission::{Declared, Permission, Source};
pub use store::RoleStore;

/// Longest description of a role or a permission, in characters.
const MAX_DESCRIPTION: usize = 200;

/// Names that no new role is given, because they mean something else where names of roles stand
/// too: actors of the audit trail (`operator`, `server`), words of access rules (`public`,
/// `signed_in`), the address of a page (`new`), and the program itself.
const RESERVED: [&str; 6] = ["doorward", "new", "operator", "public", "server", "signed_in"];

/// Lets an operation pass if `granted` holds `needed`.
///
/// # Errors
/// [`Error::PermissionDenied`] if it does not.
pub fn require(granted: &BTreeSet<Permission>, needed: &str) -> Result<()> {
    if granted.iter().any(|permission| permission.as_str() == needed) {
        Ok(())
    } else {
        Err(Error::PermissionDenied(needed.to_owned()))
    }
}

/// The name of a role: a lower-case letter, then up to 31 of `a-z`, `0-9`, `-`, `_`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(inline, extend("pattern" = "^[a-z][a-z0-9_-]{0,31}$", "examples" = ["support"]))]
pub struct RoleName(Arc<str>);

impl RoleName {
    /// The built-in role that administers Doorward.
    pub const ADMIN: &'static str = "admin";
    /// The built-in role that every new account has.
    pub const USER: &'static str = "user";

    /// Reads a role name; `None` unless it has the shape of one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = text.bytes();
        let shaped = text.len() <= 32
            && bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        shaped.then(|| Self(text.into()))
    }

    /// The built-in administrators' role.
    pub fn admin() -> Self {
        Self(Self::ADMIN.into())
    }

    /// The built-in role of every new account.
    pub fn user() -> Self {
        Self(Self::USER.into())
    }

    /// Whether the program uses the name for something else. A role that has it already keeps it.
    pub(crate) fn is_reserved(&self) -> bool {
        RESERVED.contains(&self.as_str())
    }

    /// Whether Doorward itself relies on this role, so that it cannot be deleted.
    pub fn is_built_in(&self) -> bool {
        matches!(self.as_str(), Self::ADMIN | Self::USER)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A named set of permissions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Role {
    /// What it is called.
    pub name: RoleName,
    /// What it is for, in a sentence; may be empty.
    pub description: String,
    /// What it grants.
    pub permissions: BTreeSet<Permission>,
}

/// A description that can stand on a page.
pub(crate) fn checked_description(description: &str) -> Result<&str> {
    text::checked(description, "description", MAX_DESCRIPTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_granted_by_its_exact_name_alone() {
        let granted = BTreeSet::from([Permission::stored("users:read")]);
        assert!(require(&granted, "users:read").is_ok());
        for other in ["users:write", "users:rea", "users:read ", "users", "*", ""] {
            assert!(matches!(require(&granted, other), Err(Error::PermissionDenied(_))), "{other}");
        }
    }

    #[test]
    fn role_names_have_one_spelling() {
        assert!(RoleName::parse("support-2").is_some());
        for other in ["", "Admin", "2nd", "a b", "-a", &"a".repeat(33)] {
            assert_eq!(RoleName::parse(other), None, "{other}");
        }
    }
}
