//! `/admin`: everybody's accounts and sessions, for those who may.

use std::sync::Arc;

use rocket::response::status::{Created, NoContent};
use rocket::serde::json::Json;
use rocket::{FromForm, Route, State, delete, get, patch, post, put, routes};
use serde::Deserialize;

use super::list;
use super::view::{DeniedTokenView, ListBody, RevokedBody, SessionView, UserBody, UserView};
use crate::account::store::AccountFilter;
use crate::account::{Accounts, Actor, Invitation, Status};
use crate::error::{Error, Result as DomainResult};
use crate::guard::body::Body;
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, SessionsRead, SessionsRevoke, TokensRevoke, UsersRead, UsersWrite};
use crate::id::{AccountId, SecretString};
use crate::problem::Problem;
use crate::role::{RoleName, RoleStore};
use crate::session::Sessions;
use crate::session::deny::Denial;

pub(super) fn routes() -> Vec<Route> {
    routes![
        users,
        create,
        user,
        change,
        delete_user,
        set_roles,
        user_sessions,
        end_user_sessions,
        deny_token,
        denied_tokens
    ]
}

type Roles = State<Arc<dyn RoleStore>>;

#[derive(FromForm)]
struct UserQuery<'r> {
    q: Option<&'r str>,
    role: Option<&'r str>,
    status: Option<&'r str>,
    limit: Option<&'r str>,
    cursor: Option<&'r str>,
}

/// A page of accounts, newest first.
#[get("/admin/users?<query..>")]
async fn users(
    _viewer: Allowed<UsersRead>,
    query: UserQuery<'_>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<ListBody<UserView>>, Problem> {
    let filter = AccountFilter {
        q: query.q.map(str::to_owned),
        role: query.role.map(role_name).transpose()?,
        status: query.status.map(status).transpose()?,
        limit: list::limit(query.limit)?,
        after: None,
        until: None,
    };
    let page = accounts.list(filter, query.cursor).await?;
    let items = page.items.iter().map(UserView::from).collect();
    Ok(Json(ListBody { items, next_cursor: page.next_cursor }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitationBody {
    email: String,
    #[serde(default)]
    password: Option<SecretString>,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
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
    let invitation =
        Invitation { email: &email, display_name: &display_name, password, roles: &names };
    let actor = Actor::Account(&viewer.0.account);
    let account = accounts.create(actor, &***roles, invitation).await?;
    let location = format!("{}/admin/users/{}", super::BASE, account.id);
    Ok(Created::new(location).body(Json(UserBody::from(&account))))
}

/// One account.
#[get("/admin/users/<id>")]
async fn user(
    _viewer: Allowed<UsersRead>,
    id: &str,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<UserBody>, Problem> {
    let account = accounts.get(&account_id(id)?).await?;
    Ok(Json(UserBody::from(&account)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

/// Changes the name or the state of an account.
#[patch("/admin/users/<id>", data = "<body>")]
async fn change(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    body: Body<ChangeBody>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<UserBody>, Problem> {
    let ChangeBody { display_name, status: word } = body.0;
    let status = word.as_deref().map(status).transpose()?;
    let (actor, id) = (Actor::Account(&viewer.0.account), account_id(id)?);
    let account = accounts.change(actor, &id, display_name.as_deref(), status).await?;
    Ok(Json(UserBody::from(&account)))
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolesBody {
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
    Ok(Json(UserBody::from(&account)))
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
    _viewer: Fresh<Allowed<SessionsRevoke>>,
    id: &str,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<RevokedBody>, Problem> {
    let revoked = accounts.end_sessions(&account_id(id)?).await?;
    Ok(Json(RevokedBody { revoked }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DenyBody {
    #[serde(default)]
    jti: Option<String>,
    #[serde(default)]
    token: Option<SecretString>,
    #[serde(default)]
    reason: Option<String>,
}

/// Puts an access token on the denylist until it would have run out.
#[post("/admin/tokens/revoke", data = "<body>")]
async fn deny_token(
    _viewer: Fresh<Allowed<TokensRevoke>>,
    body: Body<DenyBody>,
    sessions: &State<Arc<Sessions>>,
) -> Result<NoContent, Problem> {
    let DenyBody { jti, token, reason } = body.0;
    let denial = match (jti, token) {
        (Some(jti), None) => Denial::Jti(jti),
        (None, Some(token)) => Denial::Token(token),
        _ => {
            let message = "Give either the jti or the token.";
            return Err(Error::field("jti", "required", message).into());
        }
    };
    sessions.deny_token(denial, reason.as_deref().unwrap_or_default()).await?;
    Ok(NoContent)
}

/// The denylist, the latest first.
#[get("/admin/tokens/revoked")]
async fn denied_tokens(
    _viewer: Allowed<TokensRevoke>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Json<ListBody<DeniedTokenView>>, Problem> {
    let tokens = sessions.denied_tokens().await?;
    Ok(Json(ListBody::whole(tokens.iter().map(DeniedTokenView::from).collect())))
}

/// An identifier that has not the shape of one names nothing.
fn account_id(text: &str) -> DomainResult<AccountId> {
    AccountId::parse(text).ok_or(Error::NotFound)
}

fn role_name(text: &str) -> DomainResult<RoleName> {
    RoleName::parse(text)
        .ok_or_else(|| Error::field("role", "unknown_role", "This is not the name of a role."))
}

fn status(text: &str) -> DomainResult<Status> {
    Status::parse(text)
        .ok_or_else(|| Error::field("status", "unknown_status", "This must be active or disabled."))
}
