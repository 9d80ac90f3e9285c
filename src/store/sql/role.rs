//! Roles and declared permissions in SQL.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::change::lock_admins;
use super::connection::SqlConnection;
use super::kept::Write;
use super::statement::{SqlRow, query};
use super::{SqlStore, row};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::{Os, base64url, random_bytes};
use crate::role::store::{Declaration, MAX_DECLARED, MAX_ROLES, RoleChange, Unshown, Withdrawal};
use crate::role::{Declared, Permission, Role, RoleName, RoleStore};

#[async_trait]
impl RoleStore for SqlStore {
    async fn roles(&self) -> Result<Vec<Role>> {
        self.in_time("role.list", async {
            let mut connection = self.pool.acquire().await?;
            all_roles(&mut connection).await
        })
        .await
    }

    async fn holders(&self) -> Result<BTreeMap<RoleName, u64>> {
        self.in_time("role.holders", async {
            let count = "SELECT role, COUNT(*) AS holders FROM account_role GROUP BY role";
            let rows = self.pool.fetch_all(query(count)).await?;
            let holders = |row: &SqlRow| {
                let number: i64 = row.try_get("holders")?;
                Ok((role_name(row, "role")?, u64::try_from(number).map_err(Error::internal)?))
            };
            rows.iter().map(holders).collect()
        })
        .await
    }

    async fn declared(&self) -> Result<Vec<Declared>> {
        self.in_time("role.list_declared", async {
            let all = query("SELECT name, description FROM permission");
            let rows = self.pool.fetch_all(all).await?;
            let mut declared = rows.iter().map(declared).collect::<Result<Vec<_>>>()?;
            declared.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(declared)
        })
        .await
    }

    async fn declare(&self, new: &Declared, now: Timestamp) -> Result<Declaration> {
        self.in_time("role.declare", async {
            let mut write = self.write_roles().await?;
            let declaration = if is_declared(&mut write, &new.name).await? {
                Declaration::Exists
            } else if count_declared(&mut write).await? >= i64::from(MAX_DECLARED) {
                Declaration::TooMany
            } else {
                query("INSERT INTO permission (name, description, created_at) VALUES ($1, $2, $3)")
                    .bind(new.name.as_str())
                    .bind(new.description.as_str())
                    .bind(now.as_millis())
                    .execute(&mut write)
                    .await?;
                grant(&mut write, &RoleName::admin(), &new.name).await?;
                note_unshown(&mut write, &RoleName::admin()).await?;
                Declaration::Done
            };
            write.end(declaration == Declaration::Done).await?;
            Ok(declaration)
        })
        .await
    }

    async fn describe(&self, permission: &Declared) -> Result<bool> {
        self.in_time("role.describe", async {
            let mut write = self.write_roles().await?;
            let described = query("UPDATE permission SET description = $1 WHERE name = $2")
                .bind(permission.description.as_str())
                .bind(permission.name.as_str())
                .execute(&mut write)
                .await?;
            write.commit().await?;
            Ok(described.rows_affected() > 0)
        })
        .await
    }

    async fn withdraw(&self, name: &Permission) -> Result<Withdrawal> {
        self.in_time("role.withdraw", async {
            let mut write = self.write_roles().await?;
            let withdrawal = withdrawn(&mut write, name).await?;
            write.end(withdrawal == Withdrawal::Done).await?;
            Ok(withdrawal)
        })
        .await
    }

    async fn create_role(&self, new: &Role, now: Timestamp) -> Result<RoleChange> {
        self.in_time("role.create", async {
            let mut write = self.write_roles().await?;
            let made = query(
                "INSERT INTO role (name, description, created_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO NOTHING",
            )
            .bind(new.name.as_str())
            .bind(new.description.as_str())
            .bind(now.as_millis())
            .execute(&mut write)
            .await?;
            let change = match made.rows_affected() {
                0 => RoleChange::Exists,
                _ if all_roles(&mut write).await?.len() > MAX_ROLES as usize => RoleChange::TooMany,
                _ => replace_permissions(&mut write, new).await?,
            };
            end(write, change).await
        })
        .await
    }

    async fn change_role(&self, before: &Role, after: &Role) -> Result<RoleChange> {
        self.in_time("role.change", async {
            let mut write = self.write_roles().await?;
            let found = all_roles(&mut write).await?.into_iter().find(|r| r.name == before.name);
            let change = match found {
                None => RoleChange::NotFound,
                Some(found) if found != *before => RoleChange::Moved,
                Some(_) => {
                    describe_role(&mut write, after).await?;
                    if before.permissions != after.permissions {
                        note_unshown(&mut write, &after.name).await?;
                    }
                    replace_permissions(&mut write, after).await?
                }
            };
            end(write, change).await
        })
        .await
    }

    async fn delete_role(&self, name: &RoleName) -> Result<RoleChange> {
        self.in_time("role.delete", async {
            let mut write = self.write_roles().await?;
            let deleted = query("DELETE FROM role WHERE name = $1")
                .bind(name.as_str())
                .execute(&mut write)
                .await;
            let change = match deleted {
                Ok(deleted) if deleted.rows_affected() == 0 => RoleChange::NotFound,
                Ok(_) => RoleChange::Done,
                // An account has it: perhaps one that was made a moment ago.
                Err(sqlx::Error::Database(e)) if e.is_foreign_key_violation() => RoleChange::Held,
                Err(error) => return Err(error.into()),
            };
            end(write, change).await
        })
        .await
    }

    async fn unshown(&self) -> Result<Vec<Unshown>> {
        self.in_time("role.list_unshown", async {
            let all = query("SELECT role, ticket FROM unshown_role");
            let unshown = |row: &SqlRow| {
                Ok(Unshown { role: role_name(row, "role")?, ticket: row.try_get("ticket")? })
            };
            self.pool.fetch_all(all).await?.iter().map(unshown).collect()
        })
        .await
    }

    async fn shown(&self, change: &Unshown) -> Result<()> {
        self.in_time("role.note_shown", async {
            let mut write = self.pool.write().await?;
            query("DELETE FROM unshown_role WHERE role = $1 AND ticket = $2")
                .bind(change.role.as_str())
                .bind(change.ticket.as_str())
                .execute(&mut write)
                .await?;
            write.commit().await
        })
        .await
    }
}

impl SqlStore {
    /// A transaction that decides about roles: one at a time, also with those that decide who
    /// administers.
    async fn write_roles(&self) -> Result<Write> {
        let mut write = self.pool.write().await?;
        lock_admins(&mut write).await?;
        Ok(write)
    }
}

async fn end(write: Write, change: RoleChange) -> Result<RoleChange> {
    write.end(change == RoleChange::Done).await?;
    Ok(change)
}

async fn all_roles(connection: &mut SqlConnection) -> Result<Vec<Role>> {
    let rows = query(
        "SELECT r.name, r.description, \
         (SELECT string_agg(p.permission, ' ') FROM role_permission p \
         WHERE p.role = r.name) AS permissions FROM role r",
    )
    .fetch_all(connection)
    .await?;
    let mut roles = rows.iter().map(role).collect::<Result<Vec<_>>>()?;
    // Here, because databases differ in how they sort text.
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(roles)
}

async fn is_declared(connection: &mut SqlConnection, name: &Permission) -> Result<bool> {
    let one = query("SELECT 1 FROM permission WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(one.is_some())
}

async fn count_declared(connection: &mut SqlConnection) -> Result<i64> {
    let row = query("SELECT COUNT(*) FROM permission").fetch_one(connection).await?;
    Ok(row.try_get(0)?)
}

async fn withdrawn(connection: &mut SqlConnection, name: &Permission) -> Result<Withdrawal> {
    let granting = query("SELECT role FROM role_permission WHERE permission = $1")
        .bind(name.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let mut roles =
        granting.iter().map(|row| role_name(row, "role")).collect::<Result<Vec<_>>>()?;
    roles.retain(|role| *role != RoleName::admin());
    if !roles.is_empty() {
        roles.sort();
        return Ok(Withdrawal::Granted(roles));
    }
    let deleted = query("DELETE FROM permission WHERE name = $1")
        .bind(name.as_str())
        .execute(&mut *connection)
        .await?;
    if deleted.rows_affected() == 0 {
        return Ok(Withdrawal::NotFound);
    }
    query("DELETE FROM role_permission WHERE permission = $1")
        .bind(name.as_str())
        .execute(&mut *connection)
        .await?;
    note_unshown(connection, &RoleName::admin()).await?;
    Ok(Withdrawal::Done)
}

async fn describe_role(connection: &mut SqlConnection, role: &Role) -> Result<()> {
    query("UPDATE role SET description = $1, version = version + 1 WHERE name = $2")
        .bind(role.description.as_str())
        .bind(role.name.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Has the role grant exactly its permissions, if each of them is ours or declared.
async fn replace_permissions(connection: &mut SqlConnection, role: &Role) -> Result<RoleChange> {
    query("DELETE FROM role_permission WHERE role = $1")
        .bind(role.name.as_str())
        .execute(&mut *connection)
        .await?;
    for permission in &role.permissions {
        if !permission.is_ours() && !is_declared(connection, permission).await? {
            return Ok(RoleChange::UnknownPermission(permission.clone()));
        }
        grant(connection, &role.name, permission).await?;
    }
    Ok(RoleChange::Done)
}

async fn grant(
    connection: &mut SqlConnection,
    role: &RoleName,
    permission: &Permission,
) -> Result<()> {
    query("INSERT INTO role_permission (role, permission) VALUES ($1, $2)")
        .bind(role.as_str())
        .bind(permission.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that the holders of a role are to be shown what it grants from now on.
async fn note_unshown(connection: &mut SqlConnection, role: &RoleName) -> Result<()> {
    // Random: a ticket is never that of another change, not even of a role of the same name.
    let ticket = base64url(random_bytes::<16>(&Os));
    query(
        "INSERT INTO unshown_role (role, ticket) VALUES ($1, $2) \
         ON CONFLICT (role) DO UPDATE SET ticket = excluded.ticket",
    )
    .bind(role.as_str())
    .bind(ticket)
    .execute(connection)
    .await?;
    Ok(())
}

fn role(row: &SqlRow) -> Result<Role> {
    let permissions: Option<String> = row.try_get("permissions")?;
    Ok(Role {
        name: role_name(row, "name")?,
        description: row.try_get("description")?,
        permissions: row::permissions(permissions.as_deref().unwrap_or_default()),
    })
}

fn role_name(row: &SqlRow, column: &str) -> Result<RoleName> {
    let name: String = row.try_get(column)?;
    RoleName::parse(&name).ok_or_else(|| row::corrupt("role"))
}

fn declared(row: &SqlRow) -> Result<Declared> {
    let name: String = row.try_get("name")?;
    Ok(Declared { name: Permission::stored(&name), description: row.try_get("description")? })
}
