//! Permissions: Doorward's own, and those that the operator declares for an application.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checked_description;
use crate::error::{Error, FieldError, Result};

/// Longest name of a permission, in bytes.
const MAX_NAME: usize = 64;

/// Resources that are Doorward's although no permission names them yet.
const RESERVED: &[&str] = &["doorward", "keys", "permissions", "settings"];

/// What one may do to which kind of thing, as `resource:action`: `users:read`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(
    inline,
    extend(
        "pattern" = "^[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*$",
        "maxLength" = MAX_NAME,
        "examples" = ["invoices:read"]
    )
)]
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
    /// See which keys sign tokens.
    pub const KEYS_READ: &'static str = "keys:read";
    /// Have the next key made.
    pub const KEYS_WRITE: &'static str = "keys:write";
    /// See the settings in force.
    pub const SETTINGS_READ: &'static str = "settings:read";

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
        (Self::AUDIT_READ, "Read and export the audit log"),
        (Self::KEYS_READ, "See the keys that sign tokens"),
        (Self::KEYS_WRITE, "Replace the keys that sign tokens"),
        (Self::SETTINGS_READ, "See the settings in force, without secrets"),
    ];

    /// Reads the name of a permission: two words of `a-z`, `0-9`, `-` and `_` that begin with a
    /// letter, with a colon between them and at most 64 characters together; `None` for any other
    /// text. Whether anybody has declared it is not asked.
    pub fn parse(text: &str) -> Option<Self> {
        let word = |word: &str| {
            let mut bytes = word.bytes();
            bytes.next().is_some_and(|first| first.is_ascii_lowercase())
                && bytes.all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')
                })
        };
        let (resource, action) = text.split_once(':')?;
        (text.len() <= MAX_NAME && word(resource) && word(action)).then(|| Self(text.into()))
    }

    /// A permission as a store remembers it.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The permission as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether Doorward itself asks for it.
    pub fn is_ours(&self) -> bool {
        Self::CATALOGUE.iter().any(|(name, _)| *name == self.as_str())
    }

    /// Whether the name is kept for Doorward: a later release may ask for it, and nobody is to gain
    /// power over Doorward by an upgrade.
    fn is_reserved(&self) -> bool {
        let resource = resource(self.as_str());
        RESERVED.contains(&resource)
            || Self::CATALOGUE.iter().any(|(name, _)| self::resource(name) == resource)
    }
}

/// What stands before the colon.
fn resource(name: &str) -> &str {
    name.split(':').next().unwrap_or_default()
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A permission of the operator's own: Doorward asks for it nowhere, an application does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// What it is called.
    pub name: Permission,
    /// What it allows, in a sentence; may be empty.
    pub description: String,
}

impl Declared {
    /// Reads a permission that somebody wants to declare.
    ///
    /// # Errors
    /// [`Error::Conflict`] for one of Doorward's own; [`Error::Invalid`] for `name`, unless it is
    /// one by [`Permission::parse`] and free to be declared, and for `description`.
    pub fn new(name: &str, description: &str) -> Result<Self> {
        let Some(name) = Permission::parse(name) else {
            let message = "Write resource:action, such as invoices:read: two words of lower-case \
                           letters, digits, - and _, at most 64 characters together.";
            return Err(Error::field("name", "invalid_permission", message));
        };
        if name.is_ours() {
            return Err(Error::Conflict("this permission is one of Doorward's own"));
        }
        if name.is_reserved() {
            let message = format!(
                "Names that begin with {}: are kept for Doorward itself.",
                resource(name.as_str())
            );
            return Err(Error::Invalid(vec![FieldError::new("name", "reserved_name", message)]));
        }
        Ok(Self { name, description: checked_description(description)?.to_owned() })
    }
}

/// Where a permission comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(inline, rename_all = "snake_case")]
pub enum Source {
    /// Doorward itself asks for it.
    BuiltIn,
    /// The configuration of this server declares it.
    Configuration,
    /// It was declared while the server ran: by an administrator, or on the command line.
    Declared,
}

impl Source {
    /// The word for it, in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built_in",
            Self::Configuration => "configuration",
            Self::Declared => "declared",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_have_one_spelling() {
        let longest = format!("a:{}", "b".repeat(62));
        for good in ["invoices:read", "a:b", "a-1_x:b-2_y", &longest] {
            assert_eq!(Permission::parse(good).as_ref().map(Permission::as_str), Some(good));
        }
        let too_long = format!("{longest}b");
        for bad in [
            "", ":", "a", "a:", ":b", "a:b:c", "A:b", "a:B", "1a:b", "a:1", "-a:b", "a: b", "a:b ",
            "a:*", "*:b", "a.b:c", "ä:b", "a\0:b", &too_long,
        ] {
            assert_eq!(Permission::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn nobody_declares_what_is_or_may_become_doorwards() {
        for (name, _) in Permission::CATALOGUE {
            assert!(Permission::parse(name).is_some_and(|permission| permission.is_ours()));
            assert!(matches!(Declared::new(name, ""), Err(Error::Conflict(_))), "{name}");
        }
        for name in ["users:export", "doorward:anything", "settings:write", "invoices"] {
            assert!(matches!(Declared::new(name, ""), Err(Error::Invalid(_))), "{name}");
        }
        let declared = Declared::new("invoices:read", " See invoices ").expect("it is free");
        assert_eq!(declared.description, "See invoices");
        assert!(Declared::new("invoices:read", "two\nlines").is_err());
    }
}
