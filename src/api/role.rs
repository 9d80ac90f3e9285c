//! `/admin/roles` and `/admin/permissions`: what roles grant, and what there is to be granted.

use std::sync::Arc;

use rocket::response::status::{Created, NoContent};
use rocket::serde::json::Json;
use rocket::{Route, State, delete, get, post, put, routes};
use serde::Deserialize;

use super::view::{ListBody, PermissionBody, PermissionView, RoleBody, RoleView};
use crate::account::{Actor, Roles};
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, RolesRead, RolesWrite};
use crate::problem::Problem;
use crate::role::Role;

pub(super) fn routes() -> Vec<Route> {
    routes![roles, create, change, delete_role, permissions, declare, withdraw]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRoleBody {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleChangeBody {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclarationBody {
    name: String,
    #[serde(default)]
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
