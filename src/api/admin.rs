//! `/admin/users`: everybody's accounts, for those who may.

use std::sync::Arc;

use rocket::response::status::{Created, NoContent};
use rocket::{FromForm, State, delete, get, patch, post, put};
use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{Cursor, DisplayName, Limit, NewPassword};
use super::user::{UserBody, UserView};
use super::view::{ListBody, RevokedBody, SessionView};
use crate::account::email::Email;
use crate::account::search::{AskedAccounts, status};
use crate::account::{Accounts, Actor, Alteration, Invitation, Status};
use crate::error::{Error, Result as DomainResult};
use crate::guard::body::Body;
use crate::guard::fresh::Fresh;
use crate::guard::json::Json;
use crate::guard::{Allowed, SessionsRead, SessionsRevoke, UsersRead, UsersWrite};
use crate::id::{AccountId, SecretString};
use crate::openapi::{Calls, Part, Signature, call};
use crate::problem::Problem;
use crate::role::{RoleName, RoleStore};
use crate::session::Sessions;

pub(super) fn calls() -> Calls {
    let own = || Error::Conflict("you cannot do this to your own account");
    Calls {
        tag: "People",
        about: "Everybody's accounts.",
        calls: vec![
            call!(users, "listUsers", "List accounts").more(
                "The newest first. A page looks through 50,000 accounts at most: it can be \
                 short, or even empty, and still have a `next_cursor`.",
            ),
            call!(create, "createUser", "Create an account")
                .more(
                    "An account without a password cannot sign in until the operator sets one. One \
                     that is made without `roles` has the role `user`. Nobody gives a role that \
                     grants what they do not hold.",
                )
                .or(Error::Conflict("another account has this e-mail address"))
                .hashing(),
            call!(user, "getUser", "Show an account"),
            call!(change, "updateUser", "Change an account")
                .more("An account that is disabled is signed out at once, everywhere.")
                .or(own())
                .or(Error::LastAdmin),
            call!(delete_user, "deleteUser", "Delete an account").or(own()).or(Error::LastAdmin),
            call!(set_roles, "setUserRoles", "Set an account's roles")
                .more(
                    "It has exactly these from its next request on. Nobody gives or takes a \
                     role that grants what they do not hold.",
                )
                .or(own())
                .or(Error::LastAdmin),
            call!(user_sessions, "listUserSessions", "List an account's sessions"),
            call!(end_user_sessions, "endUserSessions", "End an account's sessions"),
        ],
    }
}

type Roles = State<Arc<dyn RoleStore>>;

#[derive(FromForm, JsonSchema)]
struct UserQuery<'r> {
    /// Words, or parts of them, that are in the address or the name: in any order, and without their
    /// accents if they have none here.
    q: Option<&'r str>,
    /// A role that they have.
    #[schemars(with = "Option<RoleName>")]
    role: Option<&'r str>,
    /// Whether they may be used.
    #[schemars(with = "Option<Status>")]
    status: Option<&'r str>,
    #[schemars(with = "Option<Limit>")]
    limit: Option<&'r str>,
    #[schemars(with = "Option<Cursor>")]
    cursor: Option<&'r str>,
}

impl Part for UserQuery<'_> {
    fn tell(signature: &mut Signature) {
        signature.query::<Self>();
    }
}

/// A page of accounts, newest first.
#[get("/admin/users?<query..>")]
async fn users(
    _viewer: Allowed<UsersRead>,
    query: UserQuery<'_>,
    accounts: &State<Arc<Accounts>>,
    roles: &Roles,
) -> Result<Json<ListBody<UserView>>, Problem> {
    let UserQuery { q, role, status, limit, cursor } = query;
    let asked = AskedAccounts { q, role, status, limit };
    let filter = accounts.filter(&***roles, asked).await?;
    let page = accounts.list(filter, cursor).await?;
    let items = page.items.into_iter().map(UserView::from).collect();
    Ok(Json(ListBody { items, next_cursor: page.next_cursor }))
}

/// An account to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InvitationBody {
    #[schemars(with = "Email")]
    email: String,
    /// Its first password. Without one nobody can sign in with it yet.
    #[serde(default)]
    #[schemars(with = "Option<NewPassword>")]
    password: Option<SecretString>,
    #[serde(default)]
    #[schemars(with = "Option<DisplayName>")]
    display_name: Option<String>,
    /// Names of roles.
    #[serde(default)]
    #[schemars(with = "Vec<RoleName>")]
    roles: Vec<String>,
}

/// Makes an account for somebody.
#[post("/admin/users", data = "<body>")]
async fn create(
    viewer: Fresh<Allowed<UsersWrite>>,
    body: Body<InvitationBody>,
    accounts: &State<Arc<Accounts>>,
    roles: &Roles,
) -> Result<Created<Json<UserBody>>, Problem> {
    let InvitationBody { email, password, display_name, roles: names } = body.0;
    let display_name = display_name.unwrap_or_default();
    let invitation = Invitation {
        email: &email,
        display_name: &display_name,
        password,
        is_temporary: true,
        roles: &names,
    };
    let actor = Actor::Account(&viewer.0.account);
    let account = accounts.create(actor, &***roles, invitation).await?;
    let location = format!("{}/admin/users/{}", super::BASE, account.id);
    Ok(Created::new(location).body(Json(UserBody::from(account))))
}

/// One account.
#[get("/admin/users/<id>")]
async fn user(
    _viewer: Allowed<UsersRead>,
    id: &str,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<UserBody>, Problem> {
    let account = accounts.get(&account_id(id)?).await?;
    Ok(Json(UserBody::from(account)))
}

/// What is to be changed of an account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    /// The address that its owner signs in with.
    #[serde(default)]
    #[schemars(with = "Option<Email>")]
    email: Option<String>,
    #[serde(default)]
    #[schemars(with = "Option<DisplayName>")]
    display_name: Option<String>,
    /// Whether the account may be used.
    #[serde(default)]
    #[schemars(with = "Option<Status>")]
    status: Option<String>,
}

/// Changes the address, the name or the state of an account.
#[patch("/admin/users/<id>", data = "<body>")]
async fn change(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    body: Body<ChangeBody>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<UserBody>, Problem> {
    let ChangeBody { email, display_name, status: word } = body.0;
    let status = word.as_deref().map(status).transpose()?;
    let (actor, id) = (Actor::Account(&viewer.0.account), account_id(id)?);
    let wanted =
        Alteration { email: email.as_deref(), display_name: display_name.as_deref(), status };
    let account = accounts.change(actor, &id, wanted).await?;
    Ok(Json(UserBody::from(account)))
}

/// Deletes an account.
#[delete("/admin/users/<id>")]
async fn delete_user(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    accounts: &State<Arc<Accounts>>,
) -> Result<NoContent, Problem> {
    accounts.delete(Actor::Account(&viewer.0.account), &account_id(id)?).await?;
    Ok(NoContent)
}

/// The roles of an account.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RolesBody {
    /// Names of roles.
    #[schemars(with = "Vec<RoleName>")]
    roles: Vec<String>,
}

/// Gives an account exactly these roles.
#[put("/admin/users/<id>/roles", data = "<body>")]
async fn set_roles(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    body: Body<RolesBody>,
    accounts: &State<Arc<Accounts>>,
    roles: &Roles,
) -> Result<Json<UserBody>, Problem> {
    let actor = Actor::Account(&viewer.0.account);
    let account = accounts.set_roles(actor, &***roles, &account_id(id)?, &body.0.roles).await?;
    Ok(Json(UserBody::from(account)))
}

/// The live sessions of an account.
#[get("/admin/users/<id>/sessions")]
async fn user_sessions(
    viewer: Allowed<SessionsRead>,
    id: &str,
    accounts: &State<Arc<Accounts>>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Json<ListBody<SessionView>>, Problem> {
    let account = accounts.get(&account_id(id)?).await?;
    let live = sessions.list(&account.id).await?;
    let view = |session| SessionView::new(session, Some(&viewer.0.session.id));
    Ok(Json(ListBody::whole(live.iter().map(view).collect())))
}

/// Ends all sessions of an account.
#[delete("/admin/users/<id>/sessions")]
async fn end_user_sessions(
    viewer: Fresh<Allowed<SessionsRevoke>>,
    id: &str,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<RevokedBody>, Problem> {
    let actor = Actor::Account(&viewer.0.account);
    let revoked = accounts.end_sessions(actor, &account_id(id)?).await?;
    Ok(Json(RevokedBody { revoked }))
}

/// An identifier that has not the shape of one names nothing.
fn account_id(text: &str) -> DomainResult<AccountId> {
    AccountId::parse(text).ok_or(Error::NotFound)
}
