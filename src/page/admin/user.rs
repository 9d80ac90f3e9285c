//! One person, as an administrator sees them.

use std::sync::Arc;

use rocket::outcome::try_outcome;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::audit::EventRow;
use super::users::UserRow;
use super::{Roles, account_id, role_choices};
use crate::account::{Account, Accounts, Actor, Status};
use crate::audit::Audit;
use crate::audit::store::EventFilter;
use crate::error::{Error, Result as DomainResult};
use crate::guard::form::{Form, Offered};
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, SessionsRevoke, UsersRead, UsersWrite};
use crate::id::{AccountId, SessionId};
use crate::page::error::Refusal;
use crate::page::part::{Faults, RoleChoice, SessionRow};
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::role::{Permission, require};
use crate::session::Sessions;
use crate::session::store::Live;

/// Shows an account, its roles and its sessions, and what can be done about them (`GET /admin/users/<id>`).
#[derive(Debug, Serialize)]
pub struct UserPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The account.
    pub user: UserRow,
    /// The address in the form, as it was typed.
    pub email: String,
    /// All roles, the account's ticked.
    pub roles: Vec<RoleChoice>,
    /// The names of the permissions that the roles grant.
    pub permissions: Vec<String>,
    /// The account's live sessions, the latest first.
    pub sessions: Vec<SessionRow>,
    /// What happened to the account lately, if the viewer may know.
    pub events: Vec<EventRow>,
    /// Whether the viewer may read the audit log.
    pub can_audit: bool,
    /// Whether the viewer may see sessions.
    pub can_see_sessions: bool,
    /// Whether the viewer may change the account.
    pub can_write: bool,
    /// Whether the viewer may end sessions.
    pub can_revoke: bool,
    /// Whether the account holds what the viewer does not, who then cannot change it (SR-51).
    pub is_stronger: bool,
    /// Whether it is the viewer's own account, which they cannot demote, disable or delete here (SR-51).
    pub is_self: bool,
}

impl Page for UserPage {
    const TEMPLATE: &'static str = "admin/user.html.tera";
    const IS_DANGEROUS: bool = true;

    fn title(&self) -> String {
        self.user.email.clone()
    }
}

/// Asks once more before an account is deleted (`GET`, `POST /admin/users/<id>/delete`).
#[derive(Debug, Serialize)]
pub struct DeleteUserPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The account.
    pub user: UserRow,
}

impl Page for DeleteUserPage {
    const TEMPLATE: &'static str = "admin/delete_user.html.tera";
    const IS_DANGEROUS: bool = true;

    fn title(&self) -> String {
        "Delete account".into()
    }
}

/// How many events stand on a person's page.
const EVENTS: u32 = 10;

pub(super) fn routes() -> Vec<Route> {
    routes![show, set_email, set_roles, disable, enable, end_sessions, revoke, ask_delete, delete]
}

/// What the page about one person is made from.
struct Desk<'r> {
    accounts: &'r State<Arc<Accounts>>,
    sessions: &'r State<Arc<Sessions>>,
    roles: &'r Roles,
    audit: &'r State<Arc<Audit>>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Desk<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let accounts = try_outcome!(request.guard().await);
        let sessions = try_outcome!(request.guard().await);
        let roles = try_outcome!(request.guard().await);
        let audit = try_outcome!(request.guard().await);
        Outcome::Success(Self { accounts, sessions, roles, audit })
    }
}

impl Desk<'_> {
    async fn page(&self, viewer: &Live, id: &AccountId) -> DomainResult<UserPage> {
        let account = self.accounts.get(id).await?;
        let holds = |permission| require(&viewer.account.permissions, permission).is_ok();
        let can_see_sessions = holds(Permission::SESSIONS_READ);
        let sessions = if can_see_sessions { self.sessions.list(id).await? } else { Vec::new() };
        let can_audit = holds(Permission::AUDIT_READ);
        let events = if can_audit {
            let subject = Some(id.to_string());
            let latest = EventFilter { subject, limit: EVENTS, ..EventFilter::default() };
            self.audit.list(latest, None).await?.items
        } else {
            Vec::new()
        };
        let is_stronger = Actor::Account(&viewer.account).may_change(&account).is_err();
        let has = |name: &str| account.roles.iter().any(|role| role.as_str() == name);
        Ok(UserPage {
            faults: Faults::default(),
            user: UserRow::from(&account),
            email: account.email.to_string(),
            roles: role_choices(self.roles, &viewer.account, has).await?,
            permissions: account.permissions.iter().map(ToString::to_string).collect(),
            sessions: SessionRow::all(&sessions, &viewer.session.id),
            events: events.into_iter().map(EventRow::from).collect(),
            can_audit,
            can_see_sessions,
            can_write: holds(Permission::USERS_WRITE) && !is_stronger,
            can_revoke: holds(Permission::SESSIONS_REVOKE) && !is_stronger,
            is_stronger,
            is_self: account.id == viewer.account.id,
        })
    }

    /// Away from the form if `done` is good, or back to the page with what was wrong.
    async fn answer<T>(
        &self,
        viewer: &Live,
        id: &AccountId,
        done: DomainResult<T>,
        word: &str,
    ) -> Result<FormAnswer<UserPage>, Refusal> {
        match done {
            Ok(_) => Ok(Either::This(See::with_notice(&format!("/admin/users/{id}"), word))),
            Err(error @ Error::NotFound) => Err(error.into()),
            Err(error) => {
                let page = self.page(viewer, id).await?;
                let page = UserPage { faults: Faults::from(&error), ..page };
                Ok(Either::That(Shown::refused(page, &error)))
            }
        }
    }
}

/// One person.
#[get("/admin/users/<id>", rank = 2)]
async fn show(
    viewer: Allowed<UsersRead>,
    id: &str,
    desk: Desk<'_>,
) -> Result<Shown<UserPage>, Refusal> {
    Ok(Shown::good(desk.page(&viewer.0, &account_id(id)?).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmailForm {
    email: String,
}

/// Changes the address that the person signs in with.
#[post("/admin/users/<id>/email", data = "<form>")]
async fn set_email(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    form: Offered<Form<EmailForm>>,
    desk: Desk<'_>,
) -> Result<FormAnswer<UserPage>, Refusal> {
    let id = account_id(id)?;
    let (EmailForm { email: typed }, proof) = form.open();
    let actor = Actor::Account(&viewer.0.account);
    match proof.then(desk.accounts.set_email(actor, &id, &typed)).await {
        Err(error) if !matches!(error, Error::NotFound) => {
            let page = desk.page(&viewer.0, &id).await?;
            let page = UserPage { faults: Faults::from(&error), email: typed, ..page };
            Ok(Either::That(Shown::refused(page, &error)))
        }
        done => desk.answer(&viewer.0, &id, done, "email").await,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolesForm {
    #[serde(default)]
    roles: Vec<String>,
}

/// Gives the person the ticked roles.
#[post("/admin/users/<id>/roles", data = "<form>")]
async fn set_roles(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    form: Offered<Form<RolesForm>>,
    desk: Desk<'_>,
) -> Result<FormAnswer<UserPage>, Refusal> {
    let id = account_id(id)?;
    let (RolesForm { roles: names }, proof) = form.open();
    let viewer = &viewer.0;
    let actor = Actor::Account(&viewer.account);
    let done = proof.then(desk.accounts.set_roles(actor, &***desk.roles, &id, &names)).await;
    if let Err(error @ (Error::FormExpired | Error::CookieMissing)) = &done {
        let ticked = |name: &str| names.iter().any(|chosen| chosen == name);
        let roles = role_choices(desk.roles, &viewer.account, ticked).await?;
        let page = desk.page(viewer, &id).await?;
        let page = UserPage { faults: Faults::from(error), roles, ..page };
        return Ok(Either::That(Shown::refused(page, error)));
    }
    desk.answer(viewer, &id, done, "roles").await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmed {}

/// Disables the account; its sessions end.
#[post("/admin/users/<id>/disable", data = "<_form>")]
async fn disable(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    _form: Form<Confirmed>,
    desk: Desk<'_>,
) -> Result<FormAnswer<UserPage>, Refusal> {
    let id = account_id(id)?;
    let actor = Actor::Account(&viewer.0.account);
    let done = desk.accounts.set_status(actor, &id, Status::Disabled).await;
    desk.answer(&viewer.0, &id, done, "disabled").await
}

/// Enables the account again.
#[post("/admin/users/<id>/enable", data = "<_form>")]
async fn enable(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    _form: Form<Confirmed>,
    desk: Desk<'_>,
) -> Result<FormAnswer<UserPage>, Refusal> {
    let id = account_id(id)?;
    let actor = Actor::Account(&viewer.0.account);
    let done = desk.accounts.set_status(actor, &id, Status::Active).await;
    desk.answer(&viewer.0, &id, done, "enabled").await
}

/// Signs the person out everywhere.
#[post("/admin/users/<id>/end-sessions", data = "<_form>")]
async fn end_sessions(
    viewer: Fresh<Allowed<SessionsRevoke>>,
    id: &str,
    _form: Form<Confirmed>,
    desk: Desk<'_>,
) -> Result<FormAnswer<UserPage>, Refusal> {
    let id = account_id(id)?;
    let actor = Actor::Account(&viewer.0.account);
    let done = desk.accounts.end_sessions(actor, &id).await;
    desk.answer(&viewer.0, &id, done, "ended").await
}

/// Signs the person out on one device.
#[post("/admin/users/<id>/sessions/<session>/revoke", data = "<_form>")]
async fn revoke(
    viewer: Fresh<Allowed<SessionsRevoke>>,
    id: &str,
    session: &str,
    _form: Form<Confirmed>,
    sessions: &State<Arc<Sessions>>,
) -> Result<See, Refusal> {
    let id = account_id(id)?;
    let session = SessionId::parse(session).ok_or(Error::NotFound)?;
    sessions.end_of_another(Actor::Account(&viewer.0.account), &id, &session).await?;
    Ok(See::with_notice(&format!("/admin/users/{id}"), "session"))
}

/// Asks once more.
#[get("/admin/users/<id>/delete")]
async fn ask_delete(
    viewer: Allowed<UsersWrite>,
    id: &str,
    accounts: &State<Arc<Accounts>>,
) -> Result<Shown<DeleteUserPage>, Refusal> {
    let actor = Actor::Account(&viewer.0.account);
    let account = accounts.changeable(actor, &account_id(id)?).await?;
    Ok(Shown::good(DeleteUserPage::of(&account, Faults::default())))
}

/// Deletes the account.
#[post("/admin/users/<id>/delete", data = "<_form>")]
async fn delete(
    viewer: Fresh<Allowed<UsersWrite>>,
    id: &str,
    _form: Form<Confirmed>,
    accounts: &State<Arc<Accounts>>,
) -> Result<FormAnswer<DeleteUserPage>, Refusal> {
    let account = accounts.get(&account_id(id)?).await?;
    match accounts.delete(Actor::Account(&viewer.0.account), &account.id).await {
        Ok(()) => Ok(Either::This(See::with_notice("/admin/users", "removed"))),
        Err(error) => {
            let page = DeleteUserPage::of(&account, Faults::from(&error));
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}

impl DeleteUserPage {
    fn of(account: &Account, faults: Faults) -> Self {
        Self { faults, user: UserRow::from(account) }
    }
}
