//! Roles in SQL.

use async_trait::async_trait;
use sqlx::Row;

use super::pool::in_time;
use super::{SqlStore, row};
use crate::error::Result;
use crate::role::{Role, RoleName, RoleStore};

#[async_trait]
impl RoleStore for SqlStore {
    async fn roles(&self) -> Result<Vec<Role>> {
        in_time(async {
            let rows = sqlx::query(
                "SELECT r.name, r.description, \
                 (SELECT string_agg(p.permission, ' ') FROM role_permission p \
                 WHERE p.role = r.name) AS permissions FROM role r",
            )
            .fetch_all(self.pool.reader())
            .await?;
            let mut roles = rows.iter().map(role).collect::<Result<Vec<_>>>()?;
            // Here, because databases differ in how they sort text.
            roles.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(roles)
        })
        .await
    }
}

fn role(row: &sqlx::any::AnyRow) -> Result<Role> {
    let name: String = row.try_get("name")?;
    let permissions: Option<String> = row.try_get("permissions")?;
    Ok(Role {
        name: RoleName::parse(&name).ok_or_else(|| row::corrupt("role"))?,
        description: row.try_get("description")?,
        permissions: row::permissions(permissions.as_deref().unwrap_or_default()),
    })
}
