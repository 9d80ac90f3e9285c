//! Roles and permissions, and [`require`]: the one place where access is decided.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What one may do to which kind of thing, as `resource:action`: `users:read`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permission(Arc<str>);

impl Permission {
    /// See the administrators' pages at all.
    pub const ADMIN_VIEW: &'static str = "admin:view";
    /// See everybody's accounts.
    pub const USERS_READ: &'static str = "users:read";
    /// Create, change, disable and delete accounts.
    pub const USERS_WRITE: &'static str = "users:write";
    /// See roles and what they grant.
    pub const ROLES_READ: &'static str = "roles:read";
    /// Create and change roles.
    pub const ROLES_WRITE: &'static str = "roles:write";
    /// See everybody's sessions.
    pub const SESSIONS_READ: &'static str = "sessions:read";
    /// End anybody's sessions.
    pub const SESSIONS_REVOKE: &'static str = "sessions:revoke";
    /// Put single access tokens on the denylist.
    pub const TOKENS_REVOKE: &'static str = "tokens:revoke";
    /// Read the audit trail.
    pub const AUDIT_READ: &'static str = "audit:read";

    /// Every permission that Doorward itself asks for, with what it allows.
    pub const CATALOGUE: &'static [(&'static str, &'static str)] = &[
        (Self::ADMIN_VIEW, "Open the administration pages"),
        (Self::USERS_READ, "See everybody's accounts"),
        (Self::USERS_WRITE, "Create, change, disable and delete accounts"),
        (Self::ROLES_READ, "See roles and what they grant"),
        (Self::ROLES_WRITE, "Create and change roles"),
        (Self::SESSIONS_READ, "See everybody's sessions"),
        (Self::SESSIONS_REVOKE, "End anybody's sessions"),
        (Self::TOKENS_REVOKE, "Refuse single access tokens before their time"),
        (Self::AUDIT_READ, "Read the audit log"),
    ];

    /// Reads a permission of the catalogue; `None` for any other text.
    pub fn known(text: &str) -> Option<Self> {
        Self::CATALOGUE.iter().find(|(name, _)| *name == text).map(|(name, _)| Self((*name).into()))
    }

    /// A permission as a store remembers it.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The permission as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
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
    /// What it is for, in a sentence.
    pub description: String,
    /// What it grants.
    pub permissions: BTreeSet<Permission>,
}

/// Where roles are kept.
#[async_trait]
pub trait RoleStore: Send + Sync + 'static {
    /// All roles, by name.
    async fn roles(&self) -> Result<Vec<Role>>;
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
