//! The people: the list, and the form for one more.

use std::sync::Arc;

use rocket::http::uri::Origin;
use rocket::{FromForm, Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::{Roles, given, href, require_known, role_choices};
use crate::account::search::AskedAccounts;
use crate::account::{self, Account, Accounts, Actor, Invitation, Status};
use crate::error::{Error, Result as DomainResult};
use crate::guard::form::{Form, Offered};
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, UsersRead, UsersWrite};
use crate::id::SecretString;
use crate::page::error::Refusal;
use crate::page::part::{Choice, Faults, Moment, RoleChoice, initials};
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::role::{Permission, RoleName, require};

/// Lists people, by search word, role and status (`GET /admin/users`).
#[derive(Debug, Default, Serialize)]
pub struct UsersPage {
    /// What was wrong with the filter.
    #[serde(flatten)]
    pub faults: Faults,
    /// The search word.
    pub q: String,
    /// The role that is filtered by; empty for any.
    pub role: String,
    /// The status that is filtered by, `active` or `disabled`; empty for any.
    pub status: String,
    /// All roles, to choose from.
    pub role_choices: Vec<Choice>,
    /// All states, to choose from.
    pub status_choices: Vec<Choice>,
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

pub(super) fn routes() -> Vec<Route> {
    routes![show, new, create]
}

/// What can be filtered by.
const FIELDS: [&str; 3] = ["q", "role", "status"];

#[derive(Clone, Copy, FromForm)]
struct UsersQuery<'r> {
    #[field(default = "")]
    q: &'r str,
    #[field(default = "")]
    role: &'r str,
    #[field(default = "")]
    status: &'r str,
    limit: Option<&'r str>,
    cursor: Option<&'r str>,
}

impl<'r> UsersQuery<'r> {
    /// The address of this list, from `cursor` on.
    fn href(&self, cursor: Option<&str>) -> String {
        let filters = [("q", self.q), ("role", self.role), ("status", self.status)];
        href("/admin/users", &filters, self.limit, cursor.map(|cursor| ("cursor", cursor)))
    }

    fn asked(&self) -> AskedAccounts<'r> {
        AskedAccounts {
            q: Some(self.q),
            role: given(self.role),
            status: given(self.status),
            limit: self.limit,
        }
    }
}

/// The people, newest first.
#[get("/admin/users?<query..>")]
async fn show(
    viewer: Allowed<UsersRead>,
    query: UsersQuery<'_>,
    address: &Origin<'_>,
    accounts: &State<Arc<Accounts>>,
    roles: &Roles,
) -> Result<Shown<UsersPage>, Refusal> {
    let all = roles.roles().await?;
    let page = UsersPage {
        q: query.q.to_owned(),
        role: query.role.to_owned(),
        status: query.status.to_owned(),
        role_choices: all.iter().map(|role| Choice::plain(&role.name)).collect(),
        status_choices: status_choices(),
        filtered: !(query.q.trim().is_empty() && query.role.is_empty() && query.status.is_empty()),
        can_write: require(&viewer.0.account.permissions, Permission::USERS_WRITE).is_ok(),
        ..UsersPage::default()
    };
    match find(query, address, accounts, roles).await {
        Ok(found) => Ok(Shown::good(UsersPage {
            users: found.items.iter().map(UserRow::from).collect(),
            first_href: query.cursor.map(|_| query.href(None)),
            next_href: found.next_cursor.map(|cursor| query.href(Some(&cursor))),
            ..page
        })),
        Err(error @ Error::Invalid(_)) => {
            let faults = Faults::of_filter(&error, &FIELDS);
            Ok(Shown::refused(UsersPage { faults, ..page }, &error))
        }
        Err(error) => Err(error.into()),
    }
}

fn status_choices() -> Vec<Choice> {
    let choice =
        |status: Status, label: &str| Choice { label: label.into(), ..Choice::plain(status) };
    vec![choice(Status::Active, "Active"), choice(Status::Disabled, "Disabled")]
}

async fn find(
    query: UsersQuery<'_>,
    address: &Origin<'_>,
    accounts: &Accounts,
    roles: &Roles,
) -> DomainResult<account::Page<Account>> {
    require_known(address, &FIELDS)?;
    let filter = accounts.filter(&***roles, query.asked()).await?;
    accounts.list(filter, query.cursor).await
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
    form: Offered<Form<InvitationForm>>,
    accounts: &State<Arc<Accounts>>,
    roles: &Roles,
) -> Result<FormAnswer<NewUserPage>, Refusal> {
    let (form, proof) = form.open();
    let InvitationForm { email, display_name, password, roles: names } = form;
    let invitation = Invitation {
        email: &email,
        display_name: &display_name,
        password: Some(password).filter(|password| !password.expose().is_empty()),
        is_temporary: true,
        roles: &names,
    };
    let actor = Actor::Account(&viewer.0.account);
    match proof.then(accounts.create(actor, &***roles, invitation)).await {
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
