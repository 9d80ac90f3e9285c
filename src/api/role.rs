//! `/admin/roles` and `/admin/permissions`: what roles grant, and what there is to be granted.

use std::sync::Arc;

use rocket::response::status::{Created, NoContent};
use rocket::{State, delete, get, post, put};
use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::Description;
use super::view::{ListBody, PermissionBody, PermissionView, RoleBody, RoleView};
use crate::account::{Actor, Roles};
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::fresh::Fresh;
use crate::guard::json::Json;
use crate::guard::{Allowed, RolesRead, RolesWrite};
use crate::openapi::{Calls, call};
use crate::problem::Problem;
use crate::role::{Permission, Role, RoleName};

pub(super) fn calls() -> Calls {
    let ours = || Error::Conflict("Doorward itself needs this role");
    Calls {
        tag: "Roles and permissions",
        about: "What roles grant, and what there is to be granted.",
        calls: vec![
            call!(roles, "listRoles", "List roles").more("All of them, by name."),
            call!(create, "createRole", "Create a role")
                .or(Error::Conflict("a role of this name exists already")),
            call!(change, "replaceRole", "Change a role")
                .more(
                    "It grants exactly these permissions from the next request on of everybody \
                     who has it. A role keeps its name: `name` can be repeated in the body, not \
                     changed.",
                )
                .or(ours()),
            call!(delete_role, "deleteRole", "Delete a role")
                .more("It is taken from everybody who has it.")
                .or(ours())
                .or(Error::LastAdmin),
            call!(permissions, "listPermissions", "List permissions")
                .more("Doorward's own come first, then those that were declared, by name."),
            call!(declare, "declarePermission", "Declare a permission")
                .more("For an application of your own. The role `admin` grants it from now on.")
                .or(Error::Conflict("this permission is declared already")),
            call!(withdraw, "withdrawPermission", "Withdraw a permission")
                .more("One that no role grants.")
                .or(Error::Conflict("this permission is one of Doorward's own")),
        ],
    }
}

/// All roles, by name.
#[get("/admin/roles")]
async fn roles(
    _viewer: Allowed<RolesRead>,
    roles: &State<Arc<Roles>>,
) -> Result<Json<ListBody<RoleView>>, Problem> {
    let (all, holders) = tokio::try_join!(roles.all(), roles.holders())?;
    let view =
        |role: &Role| RoleView::new(role, holders.get(&role.name).copied().unwrap_or_default());
    Ok(Json(ListBody::whole(all.iter().map(view).collect())))
}

/// A role to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRoleBody {
    #[schemars(with = "RoleName")]
    name: String,
    #[serde(default)]
    #[schemars(with = "Description")]
    description: String,
    /// What it grants.
    #[serde(default)]
    #[schemars(with = "Vec<Permission>")]
    permissions: Vec<String>,
}

/// Makes a role.
#[post("/admin/roles", data = "<body>")]
async fn create(
    viewer: Fresh<Allowed<RolesWrite>>,
    body: Body<NewRoleBody>,
    roles: &State<Arc<Roles>>,
) -> Result<Created<Json<RoleBody>>, Problem> {
    let NewRoleBody { name, description, permissions } = body.0;
    let actor = Actor::Account(&viewer.0.account);
    let role = roles.create(actor, &name, &description, &permissions).await?;
    let location = format!("{}/admin/roles/{}", super::BASE, role.name);
    Ok(Created::new(location).body(Json(RoleBody { role: RoleView::new(&role, 0) })))
}

/// What a role is from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RoleChangeBody {
    #[serde(default)]
    #[schemars(with = "Option<RoleName>")]
    name: Option<String>,
    #[serde(default)]
    #[schemars(with = "Option<Description>")]
    description: Option<String>,
    /// What it grants from now on.
    #[schemars(with = "Vec<Permission>")]
    permissions: Vec<String>,
}

/// Has a role grant exactly these permissions. A role keeps its name: tokens carry it.
#[put("/admin/roles/<name>", data = "<body>")]
async fn change(
    viewer: Fresh<Allowed<RolesWrite>>,
    name: &str,
    body: Body<RoleChangeBody>,
    roles: &State<Arc<Roles>>,
) -> Result<Json<RoleBody>, Problem> {
    let RoleChangeBody { name: repeated, description, permissions } = body.0;
    if repeated.is_some_and(|repeated| repeated != name) {
        return Err(Error::field("name", "immutable", "A role keeps its name.").into());
    }
    let actor = Actor::Account(&viewer.0.account);
    let role = roles.change(actor, name, description.as_deref(), &permissions).await?;
    let holders = roles.holders().await?.get(&role.name).copied().unwrap_or_default();
    Ok(Json(RoleBody { role: RoleView::new(&role, holders) }))
}

/// Deletes a role, and takes it from everybody who has it.
#[delete("/admin/roles/<name>")]
async fn delete_role(
    viewer: Fresh<Allowed<RolesWrite>>,
    name: &str,
    roles: &State<Arc<Roles>>,
) -> Result<NoContent, Problem> {
    roles.delete(Actor::Account(&viewer.0.account), name).await?;
    Ok(NoContent)
}

/// All permissions: Doorward's own, and those that were declared.
#[get("/admin/permissions")]
async fn permissions(
    _viewer: Allowed<RolesRead>,
    roles: &State<Arc<Roles>>,
) -> Result<Json<ListBody<PermissionView>>, Problem> {
    let all = roles.permissions().await?;
    Ok(Json(ListBody::whole(all.iter().map(PermissionView::from).collect())))
}

/// A permission to be declared.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeclarationBody {
    #[schemars(with = "Permission")]
    name: String,
    #[serde(default)]
    #[schemars(with = "Description")]
    description: String,
}

/// Declares a permission of an application's own.
#[post("/admin/permissions", data = "<body>")]
async fn declare(
    viewer: Fresh<Allowed<RolesWrite>>,
    body: Body<DeclarationBody>,
    roles: &State<Arc<Roles>>,
) -> Result<Created<Json<PermissionBody>>, Problem> {
    let DeclarationBody { name, description } = body.0;
    let actor = Actor::Account(&viewer.0.account);
    let permission = roles.declare(actor, &name, &description).await?;
    let location = format!("{}/admin/permissions/{}", super::BASE, permission.name);
    let body = PermissionBody { permission: PermissionView::from(&permission) };
    Ok(Created::new(location).body(Json(body)))
}

/// Withdraws a permission that no role grants.
#[delete("/admin/permissions/<name>")]
async fn withdraw(
    viewer: Fresh<Allowed<RolesWrite>>,
    name: &str,
    roles: &State<Arc<Roles>>,
) -> Result<NoContent, Problem> {
    roles.withdraw(Actor::Account(&viewer.0.account), name).await?;
    Ok(NoContent)
}
