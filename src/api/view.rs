//! What the JSON interface shows of sessions, roles, tokens and keys: these fields and no others (SR-53).

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::shape::{Description, DisplayName};
use super::user::UserView;
use crate::account::KnownPermission;
use crate::account::email::Email;
use crate::clock::Timestamp;
use crate::id::{AccountId, SessionId};
use crate::role::{Permission, Role, RoleName, Source};
use crate::session::device::Device;
use crate::session::store::Live;
use crate::session::{Issued, Session};
use crate::token::denylist::DeniedToken;
use crate::token::key::{Algorithm, KeyState, KeyView};

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub struct SessionView {
    /// Names the session. No secret: knowing it opens nothing.
    id: SessionId,
    /// Whether it is the session that asks.
    current: bool,
    /// When it began.
    #[schemars(with = "Timestamp")]
    created_at: String,
    /// When it was last refreshed.
    #[schemars(with = "Timestamp")]
    last_seen_at: String,
    /// When its access token runs out.
    #[schemars(with = "Timestamp")]
    access_expires_at: String,
    /// When its refresh token runs out.
    #[schemars(with = "Timestamp")]
    refresh_expires_at: String,
    /// What the browser or program called itself.
    #[schemars(extend("examples" = ["Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"]))]
    user_agent: String,
    /// The same in a few words: `Firefox on Linux`.
    #[schemars(extend("examples" = ["Firefox on Linux"]))]
    device: String,
    /// The address that it began from; null, if it is unknown.
    #[schemars(extend("examples" = ["203.0.113.7"]))]
    ip: Option<String>,
    /// Whether it outlives the browser's window.
    remember: bool,
}

impl SessionView {
    /// A session, marked if it is the one that asks.
    pub fn new(session: &Session, asking: Option<&SessionId>) -> Self {
        Self {
            id: session.id.clone(),
            current: asking == Some(&session.id),
            created_at: session.created_at.to_string(),
            last_seen_at: session.last_seen_at.to_string(),
            access_expires_at: session.access_expires_at.to_string(),
            refresh_expires_at: session.refresh_expires_at.to_string(),
            user_agent: session.user_agent.clone(),
            device: Device::from_user_agent(&session.user_agent).name,
            ip: session.ip.known().map(|ip| ip.to_string()),
            remember: session.remember,
        }
    }
}

/// `{user, session}`: what signing in answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SignedInBody {
    /// Who is signed in.
    user: UserView,
    /// The session that has begun.
    session: SessionView,
}

impl From<&Issued> for SignedInBody {
    fn from(issued: &Issued) -> Self {
        let session = SessionView::new(&issued.session, Some(&issued.session.id));
        Self { user: issued.account.clone().into(), session }
    }
}

/// `{session}`: what refreshing answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SessionBody {
    /// The session.
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
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ListOf{T}")]
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
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevokedBody {
    /// That many.
    pub revoked: u64,
}

/// A role.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Role")]
pub struct RoleView {
    /// Its name.
    name: RoleName,
    /// What it is for; can be empty.
    #[schemars(with = "Description")]
    description: String,
    /// What it grants.
    permissions: BTreeSet<Permission>,
    /// Whether Doorward itself relies on it, so that it cannot be deleted.
    built_in: bool,
    /// How many accounts have it.
    accounts: u64,
}

impl RoleView {
    /// A role that so many accounts have.
    pub fn new(role: &Role, accounts: u64) -> Self {
        Self {
            name: role.name.clone(),
            description: role.description.clone(),
            permissions: role.permissions.clone(),
            built_in: role.name.is_built_in(),
            accounts,
        }
    }
}

/// `{role}`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RoleBody {
    /// The role.
    pub role: RoleView,
}

/// A permission, and who says that it exists.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Permission")]
pub struct PermissionView {
    /// Its name.
    name: Permission,
    /// What it allows; can be empty.
    #[schemars(with = "Description")]
    description: String,
    /// Who says that it exists.
    #[schemars(with = "Source")]
    source: &'static str,
}

impl From<&KnownPermission> for PermissionView {
    fn from(permission: &KnownPermission) -> Self {
        Self {
            name: permission.name.clone(),
            description: permission.description.clone(),
            source: permission.source.as_str(),
        }
    }
}

/// `{permission}`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PermissionBody {
    /// The permission.
    pub permission: PermissionView,
}

/// An access token on the denylist. It is named by the digest of its `jti` (SR-34).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeniedToken", description = "An access token that is refused.")]
pub struct DeniedTokenView {
    /// The digest of its `jti`: SHA-256 in base64url.
    #[schemars(extend("examples" = ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]))]
    digest: String,
    /// Why; can be empty.
    #[schemars(with = "Description")]
    reason: String,
    /// Since when it is refused.
    #[schemars(with = "Timestamp")]
    denied_at: String,
    /// Until when it is refused: then it runs out by itself.
    #[schemars(with = "Timestamp")]
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
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SigningKey")]
pub struct SigningKeyView {
    /// Names the key, in the header of tokens too.
    #[schemars(extend("examples" = ["kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"]))]
    kid: String,
    /// How it signs.
    #[schemars(with = "Algorithm")]
    algorithm: &'static str,
    /// Where it is in its life.
    state: KeyState,
    /// When it was made.
    #[schemars(with = "Timestamp")]
    created_at: String,
    /// When it begins to sign, or began.
    #[schemars(with = "Timestamp")]
    signs_from: String,
    /// When the next one takes over, if there is one.
    #[schemars(with = "Option<Timestamp>")]
    stops_at: Option<String>,
    /// When its last access token runs out.
    #[schemars(with = "Option<Timestamp>")]
    access_until: Option<String>,
    /// When its last refresh token runs out.
    #[schemars(with = "Option<Timestamp>")]
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
#[derive(Debug, Serialize, JsonSchema)]
pub struct KeyBody {
    /// The key.
    key: SigningKeyView,
}

impl From<&KeyView> for KeyBody {
    fn from(key: &KeyView) -> Self {
        Self { key: key.into() }
    }
}

/// Somebody's session, as an administrator sees it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SomebodysSession")]
pub struct SomebodysSessionView {
    #[serde(flatten)]
    session: SessionView,
    /// Whose it is.
    user: OwnerView,
}

/// Whose a session is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionOwner")]
struct OwnerView {
    /// Names the account.
    id: AccountId,
    /// The e-mail address.
    email: Email,
    /// What the account calls itself; can be empty.
    #[schemars(with = "DisplayName")]
    display_name: String,
}

impl SomebodysSessionView {
    /// A session with its owner, marked if it is the one that asks.
    pub fn new(live: &Live, asking: &SessionId) -> Self {
        let account = &live.account;
        let user = OwnerView {
            id: account.id.clone(),
            email: account.email.clone(),
            display_name: account.display_name.clone(),
        };
        Self { session: SessionView::new(&live.session, Some(asking)), user }
    }
}
