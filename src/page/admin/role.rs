//! Which role grants what.

use rocket::{Route, get, routes};
use serde::Serialize;

use super::Roles;
use crate::guard::{Allowed, RolesRead};
use crate::page::error::Refusal;
use crate::page::show::Shown;
use crate::page::view::Page;
use crate::role::Permission;

/// The table of roles and permissions (`GET /admin/roles`).
#[derive(Debug, Default, Serialize)]
pub struct RolesPage {
    /// The roles: the columns.
    pub roles: Vec<RoleColumn>,
    /// The permissions: the rows.
    pub permissions: Vec<PermissionRow>,
}

impl Page for RolesPage {
    const TEMPLATE: &'static str = "admin/role.html.tera";

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
}

/// A permission, and which roles grant it.
#[derive(Debug, Serialize)]
pub struct PermissionRow {
    /// Its name: `users:write`.
    pub name: String,
    /// What it allows, in words.
    pub description: String,
    /// For each role, in the order of the columns, whether the role grants it.
    pub granted_by: Vec<bool>,
}

pub(super) fn routes() -> Vec<Route> {
    routes![show]
}

/// The matrix.
#[get("/admin/roles")]
async fn show(_viewer: Allowed<RolesRead>, roles: &Roles) -> Result<Shown<RolesPage>, Refusal> {
    let roles = roles.roles().await?;
    let row = |&(name, description): &(&str, &str)| PermissionRow {
        name: name.to_owned(),
        description: description.to_owned(),
        granted_by: roles
            .iter()
            .map(|role| role.permissions.iter().any(|granted| granted.as_str() == name))
            .collect(),
    };
    let permissions = Permission::CATALOGUE.iter().map(row).collect();
    let column = |role: &crate::role::Role| RoleColumn {
        name: role.name.to_string(),
        description: role.description.clone(),
    };
    let roles = roles.iter().map(column).collect();
    Ok(Shown::good(RolesPage { roles, permissions }))
}
