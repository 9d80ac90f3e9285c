//! What the JSON interface shows of an account: these fields and no others (SR-53).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::shape::DisplayName;
use crate::account::email::Email;
use crate::account::{Account, Status};
use crate::clock::Timestamp;
use crate::id::AccountId;
use crate::role::{Permission, RoleName};

/// An account. Nothing of it is copied: the account of every request is shown.
#[derive(Debug)]
pub struct UserView(Arc<Account>);

/// What is shown of an account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User", description = "An account.")]
struct UserFields<'a> {
    /// Names the account. No secret.
    id: &'a AccountId,
    /// The e-mail address.
    email: &'a Email,
    /// What the account calls itself; can be empty.
    #[schemars(with = "DisplayName")]
    display_name: &'a str,
    /// Whether the account may be used.
    status: Status,
    /// Its roles.
    roles: &'a BTreeSet<RoleName>,
    /// What its roles grant.
    permissions: &'a BTreeSet<Permission>,
    /// When it was made.
    #[schemars(with = "Timestamp")]
    created_at: Moment,
    /// When somebody last signed in with it.
    #[schemars(with = "Option<Timestamp>")]
    last_login_at: Option<Moment>,
}

/// A moment as people write it.
struct Moment(Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for UserView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let account = &*self.0;
        let fields = UserFields {
            id: &account.id,
            email: &account.email,
            display_name: &account.display_name,
            status: account.status,
            roles: &account.roles,
            permissions: &account.permissions,
            created_at: Moment(account.created_at),
            last_login_at: account.last_login_at.map(Moment),
        };
        fields.serialize(serializer)
    }
}

impl JsonSchema for UserView {
    fn schema_name() -> Cow<'static, str> {
        UserFields::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        UserFields::json_schema(generator)
    }
}

impl From<Arc<Account>> for UserView {
    fn from(account: Arc<Account>) -> Self {
        Self(account)
    }
}

impl From<Account> for UserView {
    fn from(account: Account) -> Self {
        Self(Arc::new(account))
    }
}

/// `{user}`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserBody {
    /// The account.
    user: UserView,
}

impl<A: Into<UserView>> From<A> for UserBody {
    fn from(account: A) -> Self {
        Self { user: account.into() }
    }
}
