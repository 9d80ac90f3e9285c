//! What the JSON interface shows of accounts, sessions and roles: these fields and no others (SR-53).

use serde::Serialize;

use crate::account::{Account, KnownPermission};
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::role::Role;
use crate::session::device::Device;
use crate::session::store::Live;
use crate::session::{Issued, Session};
use crate::token::denylist::DeniedToken;
use crate::token::key::{KeyState, KeyView};

/// An account.
#[derive(Debug, Serialize)]
pub struct UserView {
    id: String,
    email: String,
    display_name: String,
    status: &'static str,
    roles: Vec<String>,
    permissions: Vec<String>,
    created_at: String,
    last_login_at: Option<String>,
}

impl From<&Account> for UserView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.to_string(),
            display_name: account.display_name.clone(),
            status: account.status.as_str(),
            roles: account.roles.iter().map(ToString::to_string).collect(),
            permissions: account.permissions.iter().map(ToString::to_string).collect(),
            created_at: account.created_at.to_string(),
            last_login_at: account.last_login_at.map(|at| at.to_string()),
        }
    }
}

/// A session.
#[derive(Debug, Serialize)]
pub struct SessionView {
    id: String,
    current: bool,
    created_at: String,
    last_seen_at: String,
    access_expires_at: String,
    refresh_expires_at: String,
    user_agent: String,
    device: String,
    ip: String,
    remember: bool,
}

impl SessionView {
    /// A session, marked if it is the one that asks.
    pub fn new(session: &Session, asking: Option<&SessionId>) -> Self {
        Self {
            id: session.id.to_string(),
            current: asking == Some(&session.id),
            created_at: session.created_at.to_string(),
            last_seen_at: session.last_seen_at.to_string(),
            access_expires_at: session.access_expires_at.to_string(),
            refresh_expires_at: session.refresh_expires_at.to_string(),
            user_agent: session.user_agent.clone(),
            device: Device::from_user_agent(&session.user_agent).name,
            ip: session.ip.to_string(),
            remember: session.remember,
        }
    }
}

/// `{user}`.
#[derive(Debug, Serialize)]
pub struct UserBody {
    user: UserView,
}

impl From<&Account> for UserBody {
    fn from(account: &Account) -> Self {
        Self { user: account.into() }
    }
}

/// `{user, session}`: what signing in answers.
#[derive(Debug, Serialize)]
pub struct SignedInBody {
    user: UserView,
    session: SessionView,
}

impl From<&Issued> for SignedInBody {
    fn from(issued: &Issued) -> Self {
        let session = SessionView::new(&issued.session, Some(&issued.session.id));
        Self { user: (&issued.account).into(), session }
    }
}

/// `{session}`: what refreshing answers.
#[derive(Debug, Serialize)]
pub struct SessionBody {
    session: SessionView,
}

impl From<&Issued> for SessionBody {
    fn from(issued: &Issued) -> Self {
        Self { session: SessionView::new(&issued.session, Some(&issued.session.id)) }
    }
}

impl From<&Session> for SessionBody {
    fn from(session: &Session) -> Self {
        Self { session: SessionView::new(session, Some(&session.id)) }
    }
}

/// A list, or a page of one.
#[derive(Debug, Serialize)]
pub struct ListBody<T> {
    /// What is on the page.
    pub items: Vec<T>,
    /// The `cursor` of the next page.
    pub next_cursor: Option<String>,
}

impl<T> ListBody<T> {
    /// A list that is whole.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}

/// How many sessions were ended.
#[derive(Debug, Serialize)]
pub struct RevokedBody {
    /// That many.
    pub revoked: u64,
}

/// A role.
#[derive(Debug, Serialize)]
pub struct RoleView {
    name: String,
    description: String,
    permissions: Vec<String>,
    built_in: bool,
    accounts: u64,
}

impl RoleView {
    /// A role that so many accounts have.
    pub fn new(role: &Role, accounts: u64) -> Self {
        Self {
            name: role.name.to_string(),
            description: role.description.clone(),
            permissions: role.permissions.iter().map(ToString::to_string).collect(),
            built_in: role.name.is_built_in(),
            accounts,
        }
    }
}

/// `{role}`.
#[derive(Debug, Serialize)]
pub struct RoleBody {
    /// The role.
    pub role: RoleView,
}

/// A permission, and who says that it exists.
#[derive(Debug, Serialize)]
pub struct PermissionView {
    name: String,
    description: String,
    source: &'static str,
}

impl From<&KnownPermission> for PermissionView {
    fn from(permission: &KnownPermission) -> Self {
        Self {
            name: permission.name.to_string(),
            description: permission.description.clone(),
            source: permission.source.as_str(),
        }
    }
}

/// `{permission}`.
#[derive(Debug, Serialize)]
pub struct PermissionBody {
    /// The permission.
    pub permission: PermissionView,
}

/// An access token on the denylist. It is named by the digest of its `jti` (SR-34).
#[derive(Debug, Serialize)]
pub struct DeniedTokenView {
    digest: String,
    reason: String,
    denied_at: String,
    expires_at: String,
}

impl From<&DeniedToken> for DeniedTokenView {
    fn from(token: &DeniedToken) -> Self {
        Self {
            digest: token.digest.as_str().to_owned(),
            reason: token.reason.clone(),
            denied_at: token.denied_at.to_string(),
            expires_at: token.expires_at.to_string(),
        }
    }
}

/// A key that signs tokens, or did: nothing of its private half.
#[derive(Debug, Serialize)]
pub struct SigningKeyView {
    kid: String,
    algorithm: &'static str,
    state: KeyState,
    created_at: String,
    signs_from: String,
    stops_at: Option<String>,
    access_until: Option<String>,
    refresh_until: Option<String>,
}

impl From<&KeyView> for SigningKeyView {
    fn from(key: &KeyView) -> Self {
        let optional = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            kid: key.id.clone(),
            algorithm: key.algorithm.as_str(),
            state: key.state,
            created_at: key.created_at.to_string(),
            signs_from: key.signs_from.to_string(),
            stops_at: optional(key.stops_at),
            access_until: optional(key.access_until),
            refresh_until: optional(key.refresh_until),
        }
    }
}

/// `{key}`.
#[derive(Debug, Serialize)]
pub struct KeyBody {
    key: SigningKeyView,
}

impl From<&KeyView> for KeyBody {
    fn from(key: &KeyView) -> Self {
        Self { key: key.into() }
    }
}

/// Somebody's session, as an administrator sees it.
#[derive(Debug, Serialize)]
pub struct SomebodysSessionView {
    #[serde(flatten)]
    session: SessionView,
    user: OwnerView,
}

/// Whose a session is.
#[derive(Debug, Serialize)]
struct OwnerView {
    id: String,
    email: String,
    display_name: String,
}

impl SomebodysSessionView {
    /// A session with its owner, marked if it is the one that asks.
    pub fn new(live: &Live, asking: &SessionId) -> Self {
        let account = &live.account;
        let user = OwnerView {
            id: account.id.to_string(),
            email: account.email.to_string(),
            display_name: account.display_name.clone(),
        };
        Self { session: SessionView::new(&live.session, Some(asking)), user }
    }
}
