//! Roles: which one grants what, and the permissions that there are to grant.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use crate::account::{Account, Actor, KnownPermission, Roles};
use crate::error::Result as DomainResult;
use crate::guard::form::{Form, Offered};
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, RolesRead, RolesWrite};
use crate::page::error::Refusal;
use crate::page::part::{Faults, count};
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::role::{Permission, Role, Source, require};

/// The table of roles and permissions (`GET /admin/roles`), and the form that declares a permission
/// (`POST /admin/permissions`).
#[derive(Debug, Default, Serialize)]
pub struct RolesPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The roles: the columns.
    pub roles: Vec<RoleColumn>,
    /// The permissions: the rows.
    pub permissions: Vec<PermissionRow>,
    /// The name of a permission to declare, as it was typed.
    pub name: String,
    /// What it allows, as it was typed.
    pub description: String,
    /// Whether the viewer may change roles.
    pub can_write: bool,
}

impl Page for RolesPage {
    const TEMPLATE: &'static str = "admin/roles.html.tera";
    const IS_DANGEROUS: bool = true;

    fn title(&self) -> String {
        "Roles".into()
    }
}

/// A role, at the head of its column.
#[derive(Debug, Serialize)]
pub struct RoleColumn {
    /// Its name.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// How many people have it: `1 person`, `12,840 people`.
    pub people: String,
}

/// A permission, and which roles grant it.
#[derive(Debug, Serialize)]
pub struct PermissionRow {
    /// Its name: `users:write`.
    pub name: String,
    /// What it allows, in words; may be empty.
    pub description: String,
    /// Who says that it exists: `built_in`, `configuration`, `declared`.
    pub source: &'static str,
    /// For each role, in the order of the columns, whether the role grants it.
    pub granted_by: Vec<bool>,
    /// Whether the viewer can withdraw it: it was declared here, and no role but `admin` grants it.
    pub can_withdraw: bool,
}

impl RolesPage {
    async fn load(roles: &Roles, viewer: &Account) -> DomainResult<Self> {
        let (all, holders, permissions) =
            tokio::try_join!(roles.all(), roles.holders(), roles.permissions())?;
        let column = |role: &Role| RoleColumn {
            name: role.name.to_string(),
            description: role.description.clone(),
            people: people(holders.get(&role.name).copied().unwrap_or_default()),
        };
        Ok(Self {
            permissions: permissions.iter().map(|one| row(one, &all, viewer)).collect(),
            roles: all.iter().map(column).collect(),
            can_write: require(&viewer.permissions, Permission::ROLES_WRITE).is_ok(),
            ..Self::default()
        })
    }
}

fn row(permission: &KnownPermission, roles: &[Role], viewer: &Account) -> PermissionRow {
    let granted_by: Vec<bool> =
        roles.iter().map(|role| role.permissions.contains(&permission.name)).collect();
    let granted = granted_by.iter().filter(|granted| **granted).count();
    PermissionRow {
        name: permission.name.to_string(),
        description: permission.description.clone(),
        source: permission.source.as_str(),
        can_withdraw: permission.source == Source::Declared
            && granted <= 1
            && viewer.permissions.contains(&permission.name),
        granted_by,
    }
}

/// How many people have a role, in words.
pub(super) fn people(number: u64) -> String {
    count(number, "person", "people")
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, declare, withdraw]
}

/// The matrix.
#[get("/admin/roles")]
async fn show(
    viewer: Allowed<RolesRead>,
    roles: &State<Arc<Roles>>,
) -> Result<Shown<RolesPage>, Refusal> {
    Ok(Shown::good(RolesPage::load(roles, &viewer.0.account).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclarationForm {
    name: String,
    #[serde(default)]
    description: String,
}

/// Declares a permission of an application's own.
#[post("/admin/permissions", data = "<form>")]
async fn declare(
    viewer: Fresh<Allowed<RolesWrite>>,
    form: Offered<Form<DeclarationForm>>,
    roles: &State<Arc<Roles>>,
) -> Result<FormAnswer<RolesPage>, Refusal> {
    let (DeclarationForm { name, description }, proof) = form.open();
    let actor = Actor::Account(&viewer.0.account);
    match proof.then(roles.declare(actor, name.trim(), &description)).await {
        Ok(_) => Ok(Either::This(See::with_notice("/admin/roles", "declared"))),
        Err(error) => {
            let page = RolesPage::load(roles, &viewer.0.account).await?;
            let page = RolesPage { faults: Faults::from(&error), name, description, ..page };
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmed {}

/// Withdraws a permission that no role grants.
#[post("/admin/permissions/<name>/delete", data = "<_form>")]
async fn withdraw(
    viewer: Fresh<Allowed<RolesWrite>>,
    name: &str,
    _form: Form<Confirmed>,
    roles: &State<Arc<Roles>>,
) -> Result<FormAnswer<RolesPage>, Refusal> {
    match roles.withdraw(Actor::Account(&viewer.0.account), name).await {
        Ok(()) => Ok(Either::This(See::with_notice("/admin/roles", "withdrawn"))),
        Err(error @ crate::error::Error::NotFound) => Err(error.into()),
        Err(error) => {
            let page = RolesPage::load(roles, &viewer.0.account).await?;
            let page = RolesPage { faults: Faults::from(&error), ..page };
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}
