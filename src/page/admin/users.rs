//! The people: the list, and the form for one more.

use std::sync::Arc;

use rocket::{FromForm, Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::{Roles, role_choices};
use crate::account::store::AccountFilter;
use crate::account::{Account, Accounts, Actor, Invitation, Status};
use crate::guard::form::Form;
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, UsersRead, UsersWrite};
use crate::id::SecretString;
use crate::page::error::Refusal;
use crate::page::part::{Faults, Moment, RoleChoice, initials};
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::role::{Permission, RoleName, require};

/// Lists people, by search word, role and status (`GET /admin/users`).
#[derive(Debug, Default, Serialize)]
pub struct UsersPage {
    /// The search word.
    pub q: String,
    /// The role that is filtered by; empty for any.
    pub role: String,
    /// The status that is filtered by, `active` or `disabled`; empty for any.
    pub status: String,
    /// The names of all roles, to choose from.
    pub role_names: Vec<String>,
    /// The people on this page.
    pub users: Vec<UserRow>,
    /// Whether anything is filtered by.
    pub filtered: bool,
    /// The first page, unless this is it.
    pub first_href: Option<String>,
    /// The next page, if there is one.
    pub next_href: Option<String>,
    /// Whether the viewer may add people.
    pub can_write: bool,
}

impl Page for UsersPage {
    const TEMPLATE: &'static str = "admin/users.html.tera";

    fn title(&self) -> String {
        "People".into()
    }
}

/// One account, in a list or on its own page.
#[derive(Clone, Debug, Serialize)]
pub struct UserRow {
    /// Names the account.
    pub id: String,
    /// The e-mail address.
    pub email: String,
    /// The name; may be empty.
    pub display_name: String,
    /// One or two letters for the person.
    pub initials: String,
    /// `active` or `disabled`.
    pub status: String,
    /// The names of the roles.
    pub roles: Vec<String>,
    /// When the account was made.
    pub created_at: Moment,
    /// When the person last signed in, if ever.
    pub last_login_at: Option<Moment>,
}

/// Makes an account for somebody else (`GET /admin/users/new`, `POST /admin/users`).
#[derive(Debug, Default, Serialize)]
pub struct NewUserPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The e-mail address, as it was typed.
    pub email: String,
    /// The name, as it was typed.
    pub display_name: String,
    /// The roles to choose from.
    pub roles: Vec<RoleChoice>,
    /// The least number of characters of a password.
    pub min_length: usize,
}

impl Page for NewUserPage {
    const TEMPLATE: &'static str = "admin/new_user.html.tera";
    const IS_DANGEROUS: bool = true;

    fn title(&self) -> String {
        "New person".into()
    }
}

impl From<&Account> for UserRow {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.to_string(),
            display_name: account.display_name.clone(),
            initials: initials(&account.display_name, account.email.as_str()),
            status: account.status.to_string(),
            roles: account.roles.iter().map(ToString::to_string).collect(),
            created_at: account.created_at.into(),
            last_login_at: account.last_login_at.map(Moment::from),
        }
    }
}

/// How many people stand on a page.
const PAGE_SIZE: u32 = 50;

pub(super) fn routes() -> Vec<Route> {
    routes![show, new, create]
}

#[derive(FromForm)]
struct UsersQuery<'r> {
    #[field(default = "")]
    q: &'r str,
    #[field(default = "")]
    role: &'r str,
    #[field(default = "")]
    status: &'r str,
    cursor: Option<&'r str>,
}

impl UsersQuery<'_> {
    /// The address of this list, from `cursor` on.
    fn href(&self, cursor: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("q", self.q), ("role", self.role), ("status", self.status)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        format!("/admin/users?{}", query.finish())
    }
}

/// The people, newest first. A filter that means nothing is no filter.
#[get("/admin/users?<query..>")]
async fn show(
    viewer: Allowed<UsersRead>,
    query: UsersQuery<'_>,
    accounts: &State<Arc<Accounts>>,
    roles: &Roles,
) -> Result<Shown<UsersPage>, Refusal> {
    let filter = AccountFilter {
        q: Some(query.q.trim()).filter(|q| !q.is_empty()).map(str::to_owned),
        role: RoleName::parse(query.role),
        status: Status::parse(query.status),
        after: None,
        until: None,
        limit: PAGE_SIZE,
    };
    let filtered = filter.q.is_some() || filter.role.is_some() || filter.status.is_some();
    let page = accounts.list(filter, query.cursor).await?;
    let role_names = roles.roles().await?.iter().map(|role| role.name.to_string()).collect();
    Ok(Shown::good(UsersPage {
        q: query.q.to_owned(),
        role: query.role.to_owned(),
        status: query.status.to_owned(),
        role_names,
        users: page.items.iter().map(UserRow::from).collect(),
        filtered,
        first_href: query.cursor.map(|_| query.href(None)),
        next_href: page.next_cursor.map(|cursor| query.href(Some(&cursor))),
        can_write: require(&viewer.0.account.permissions, Permission::USERS_WRITE).is_ok(),
    }))
}

/// The form for one more.
#[get("/admin/users/new")]
async fn new(
    viewer: Allowed<UsersWrite>,
    accounts: &State<Arc<Accounts>>,
    roles: &Roles,
) -> Result<Shown<NewUserPage>, Refusal> {
    let ticked = |name: &str| name == RoleName::USER;
    let roles = role_choices(roles, &viewer.0.account, ticked).await?;
    let min_length = accounts.min_password_length();
    Ok(Shown::good(NewUserPage { roles, min_length, ..NewUserPage::default() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InvitationForm {
    email: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    password: SecretString,
    #[serde(default)]
    roles: Vec<String>,
}

/// Makes an account for somebody.
#[post("/admin/users", data = "<form>")]
async fn create(
    viewer: Fresh<Allowed<UsersWrite>>,
    form: Form<InvitationForm>,
    accounts: &State<Arc<Accounts>>,
    roles: &Roles,
) -> Result<FormAnswer<NewUserPage>, Refusal> {
    let InvitationForm { email, display_name, password, roles: names } = form.0;
    let invitation = Invitation {
        email: &email,
        display_name: &display_name,
        password: Some(password).filter(|password| !password.expose().is_empty()),
        roles: &names,
    };
    let actor = Actor::Account(&viewer.0.account);
    match accounts.create(actor, &***roles, invitation).await {
        Ok(account) => {
            let path = format!("/admin/users/{}", account.id);
            Ok(Either::This(See::with_notice(&path, "created")))
        }
        Err(error) => {
            let ticked = |name: &str| names.iter().any(|chosen| chosen == name);
            let page = NewUserPage {
                faults: Faults::from(&error),
                email,
                display_name,
                roles: role_choices(roles, &viewer.0.account, ticked).await?,
                min_length: accounts.min_password_length(),
            };
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}
