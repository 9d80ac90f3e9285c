//! One role: what it grants, how it is made, and how it is deleted.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::role::people;
use crate::account::{Account, Actor, KnownPermission, Roles};
use crate::error::{Error, Result as DomainResult};
use crate::guard::form::{Form, Offered};
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, RolesRead, RolesWrite};
use crate::page::error::Refusal;
use crate::page::part::Faults;
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::role::{Permission, Role, RoleName, Source, require};

/// Shows a role and changes it (`GET`, `POST /admin/roles/<name>`), or makes one
/// (`GET /admin/roles/new`, `POST /admin/roles`).
#[derive(Debug, Default, Serialize)]
pub struct RolePage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// Whether the role is to be made.
    pub is_new: bool,
    /// The role's name; of a new one, as it was typed.
    pub name: String,
    /// What it is for, as it was typed; may be empty.
    pub description: String,
    /// What there is to grant of Doorward's own.
    pub ours: Vec<PermissionChoice>,
    /// What there is to grant of the operator's.
    pub theirs: Vec<PermissionChoice>,
    /// How many people have it: `1 person`, `12,840 people`.
    pub people: String,
    /// Whether the viewer may change it.
    pub can_write: bool,
    /// Whether the viewer may delete it.
    pub can_delete: bool,
    /// Whether it is the role that grants everything.
    pub is_admin: bool,
}

impl Page for RolePage {
    const TEMPLATE: &'static str = "admin/role.html.tera";
    const IS_DANGEROUS: bool = true;

    fn title(&self) -> String {
        if self.is_new { "New role".into() } else { format!("Role {}", self.name) }
    }
}

/// A permission as a box to tick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PermissionChoice {
    /// Its name: the value that is sent.
    pub name: String,
    /// What it allows; may be empty.
    pub description: String,
    /// Whether the role grants it.
    pub checked: bool,
    /// Whether the viewer cannot change that: they do not hold it (SR-51).
    pub locked: bool,
}

/// Asks once more before a role is deleted (`GET`, `POST /admin/roles/<name>/delete`).
#[derive(Debug, Default, Serialize)]
pub struct DeleteRolePage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The role's name.
    pub name: String,
    /// How many people have it; empty for nobody.
    pub people: Option<String>,
}

impl Page for DeleteRolePage {
    const TEMPLATE: &'static str = "admin/delete_role.html.tera";
    const IS_DANGEROUS: bool = true;

    fn title(&self) -> String {
        "Delete role".into()
    }
}

impl RolePage {
    async fn of(roles: &Roles, viewer: &Account, name: &str) -> DomainResult<Self> {
        let role = roles.get(name).await?;
        let ticked = |permission: &Permission| role.permissions.contains(permission);
        let page = Self::draft(roles, viewer, &role.name, ticked).await?;
        Ok(Self { description: role.description.clone(), ..page })
    }

    /// The page of a role that is not there yet.
    async fn new(
        roles: &Roles,
        viewer: &Account,
        ticked: impl Fn(&Permission) -> bool,
    ) -> DomainResult<Self> {
        let choices = choices(&roles.permissions().await?, viewer, false, ticked);
        Ok(Self { is_new: true, can_write: true, ..Self::default() }.offering(choices))
    }

    async fn draft(
        roles: &Roles,
        viewer: &Account,
        name: &RoleName,
        ticked: impl Fn(&Permission) -> bool,
    ) -> DomainResult<Self> {
        let (holders, permissions) = tokio::try_join!(roles.holders(), roles.permissions())?;
        let can_write = require(&viewer.permissions, Permission::ROLES_WRITE).is_ok();
        let is_admin = *name == RoleName::admin();
        let page = Self {
            name: name.to_string(),
            people: people(holders.get(name).copied().unwrap_or_default()),
            can_write,
            can_delete: can_write && !name.is_built_in(),
            is_admin,
            ..Self::default()
        };
        Ok(page.offering(choices(&permissions, viewer, is_admin || !can_write, ticked)))
    }

    fn offering(self, choices: Vec<(Source, PermissionChoice)>) -> Self {
        let of = |ours: bool| {
            let found = choices.iter().filter(|(source, _)| (*source == Source::BuiltIn) == ours);
            found.map(|(_, choice)| choice.clone()).collect()
        };
        Self { ours: of(true), theirs: of(false), ..self }
    }
}

/// All permissions as boxes to tick; locked where `viewer` could not decide about one (SR-51).
fn choices(
    permissions: &[KnownPermission],
    viewer: &Account,
    all_locked: bool,
    ticked: impl Fn(&Permission) -> bool,
) -> Vec<(Source, PermissionChoice)> {
    let choice = |permission: &KnownPermission| PermissionChoice {
        name: permission.name.to_string(),
        description: permission.description.clone(),
        checked: ticked(&permission.name),
        locked: all_locked || !viewer.permissions.contains(&permission.name),
    };
    permissions.iter().map(|permission| (permission.source, choice(permission))).collect()
}

pub(super) fn routes() -> Vec<Route> {
    routes![new, create, show, change, ask_delete, delete]
}

/// The form for one more role.
#[get("/admin/roles/new")]
async fn new(
    viewer: Allowed<RolesWrite>,
    roles: &State<Arc<Roles>>,
) -> Result<Shown<RolePage>, Refusal> {
    Ok(Shown::good(RolePage::new(roles, &viewer.0.account, |_| false).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRoleForm {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    permissions: Vec<String>,
}

/// Makes a role.
#[post("/admin/roles", data = "<form>")]
async fn create(
    viewer: Fresh<Allowed<RolesWrite>>,
    form: Offered<Form<NewRoleForm>>,
    roles: &State<Arc<Roles>>,
) -> Result<FormAnswer<RolePage>, Refusal> {
    let (NewRoleForm { name, description, permissions }, proof) = form.open();
    let viewer = &viewer.0.account;
    let actor = Actor::Account(viewer);
    match proof.then(roles.create(actor, name.trim(), &description, &permissions)).await {
        Ok(role) => {
            let path = format!("/admin/roles/{}", role.name);
            Ok(Either::This(See::with_notice(&path, "role-created")))
        }
        Err(error) => {
            let page = RolePage::new(roles, viewer, ticked(&permissions)).await?;
            let page = RolePage { faults: Faults::from(&error), name, description, ..page };
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}

/// One role.
#[get("/admin/roles/<name>", rank = 2)]
async fn show(
    viewer: Allowed<RolesRead>,
    name: &str,
    roles: &State<Arc<Roles>>,
) -> Result<Shown<RolePage>, Refusal> {
    Ok(Shown::good(RolePage::of(roles, &viewer.0.account, name).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleForm {
    #[serde(default)]
    description: String,
    #[serde(default)]
    permissions: Vec<String>,
}

/// Has the role grant what is ticked. A locked box is not sent, and stays as it was.
#[post("/admin/roles/<name>", data = "<form>")]
async fn change(
    viewer: Fresh<Allowed<RolesWrite>>,
    name: &str,
    form: Offered<Form<RoleForm>>,
    roles: &State<Arc<Roles>>,
) -> Result<FormAnswer<RolePage>, Refusal> {
    let (RoleForm { description, mut permissions }, proof) = form.open();
    let viewer = &viewer.0.account;
    let before = RolePage::of(roles, viewer, name).await?;
    let kept = before.ours.iter().chain(&before.theirs).filter(|one| one.locked && one.checked);
    permissions.extend(kept.map(|one| one.name.clone()));
    let actor = Actor::Account(viewer);
    match proof.then(roles.change(actor, name, Some(&description), &permissions)).await {
        Ok(role) => {
            let path = format!("/admin/roles/{}", role.name);
            Ok(Either::This(See::with_notice(&path, "role")))
        }
        Err(error @ Error::NotFound) => Err(error.into()),
        Err(error) => {
            let role = RoleName::parse(name).ok_or(Error::NotFound)?;
            let page = RolePage::draft(roles, viewer, &role, ticked(&permissions)).await?;
            let page = RolePage { faults: Faults::from(&error), description, ..page };
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}

fn ticked(names: &[String]) -> impl Fn(&Permission) -> bool {
    |permission| names.iter().any(|name| name == permission.as_str())
}

impl DeleteRolePage {
    async fn of(roles: &Roles, name: &str) -> DomainResult<Self> {
        let Role { name, .. } = roles.get(name).await?;
        let holders = roles.holders().await?.get(&name).copied().unwrap_or_default();
        let people = (holders > 0).then(|| people(holders));
        Ok(Self { name: name.to_string(), people, ..Self::default() })
    }
}

/// Asks once more, and says how many have the role.
#[get("/admin/roles/<name>/delete")]
async fn ask_delete(
    _viewer: Allowed<RolesWrite>,
    name: &str,
    roles: &State<Arc<Roles>>,
) -> Result<Shown<DeleteRolePage>, Refusal> {
    Ok(Shown::good(DeleteRolePage::of(roles, name).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmed {}

/// Deletes the role, and takes it from everybody who has it.
#[post("/admin/roles/<name>/delete", data = "<_form>")]
async fn delete(
    viewer: Fresh<Allowed<RolesWrite>>,
    name: &str,
    _form: Form<Confirmed>,
    roles: &State<Arc<Roles>>,
) -> Result<FormAnswer<DeleteRolePage>, Refusal> {
    match roles.delete(Actor::Account(&viewer.0.account), name).await {
        Ok(_) => Ok(Either::This(See::with_notice("/admin/roles", "role-deleted"))),
        Err(error @ Error::NotFound) => Err(error.into()),
        Err(error) => {
            let page = DeleteRolePage::of(roles, name).await?;
            let page = DeleteRolePage { faults: Faults::from(&error), ..page };
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}
