//! The steps that transactions on accounts are made of.

use super::connection::SqlConnection;
use super::kept::Write;
use super::row;
use super::statement::{Statement, query};
use crate::account::password::PasswordHash;
use crate::account::search::searchable;
use crate::account::store::{Change, Creation, NewAccount};
use crate::account::{SignInMeans, Status};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::role::RoleName;

/// Makes every transaction that could change who administers wait for this one to end (SR-51).
///
/// Two administrators who demote each other at the same instant would otherwise each see the other
/// one remain. Always the first statement, so that two such transactions cannot deadlock.
pub(super) async fn lock_admins(connection: &mut SqlConnection) -> Result<()> {
    query("UPDATE role SET version = version + 1 WHERE name = $1")
        .bind(RoleName::ADMIN)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether an administrator can sign in, as the transaction sees it.
pub(super) async fn admin_can_sign_in(connection: &mut SqlConnection) -> Result<bool> {
    // What distinguishes them and no more: a few rows, however many administrators there are.
    let rows = query(
        "SELECT DISTINCT a.status, \
         CAST(CASE WHEN a.password_hash IS NULL THEN 0 ELSE 1 END AS BIGINT) AS has_password \
         FROM account_role r JOIN account a ON a.id = r.account_id WHERE r.role = $1",
    )
    .bind(RoleName::ADMIN)
    .fetch_all(connection)
    .await?;
    for row in &rows {
        let status: String = row.try_get("status")?;
        let status = Status::parse(&status).ok_or_else(|| row::corrupt("status"))?;
        let has_password = row.try_get::<i64, _>("has_password")? != 0;
        if (SignInMeans { status, has_password }).can_sign_in() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the token could be spent. No other set-up token is good for anything afterwards.
pub(super) async fn spend_setup_token(
    connection: &mut SqlConnection,
    digest: &str,
    now: Timestamp,
) -> Result<bool> {
    let spent = query("DELETE FROM setup_token WHERE digest = $1 AND expires_at > $2")
        .bind(digest)
        .bind(now.as_millis())
        .execute(&mut *connection)
        .await?;
    if spent.rows_affected() == 0 {
        return Ok(false);
    }
    query("DELETE FROM setup_token").execute(connection).await?;
    Ok(true)
}

/// Writes a new account and its roles.
pub(super) async fn insert(connection: &mut SqlConnection, new: &NewAccount) -> Result<Creation> {
    // Of two at once the second waits here for the first, and then finds the address taken (SR-8).
    let inserted = query(
        "INSERT INTO account (id, email, email_key, display_name, search_key, password_hash, \
         created_at, last_login_at, search_text, search_of, must_change_password) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $4, $10) ON CONFLICT (email_key) DO NOTHING",
    )
    .bind(new.id.as_str())
    .bind(new.email.as_str())
    .bind(new.email.key())
    .bind(new.display_name.as_str())
    .bind(new.display_name.to_lowercase())
    .bind(new.password_hash.as_ref().map(PasswordHash::expose))
    .bind(new.created_at.as_millis())
    .bind(new.last_login_at.map(Timestamp::as_millis))
    .bind(searchable(&new.display_name, &new.email))
    .bind(i64::from(new.must_change_password))
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(Creation::EmailTaken);
    }
    if !grant(connection, &new.id, &new.roles).await? {
        return Ok(Creation::UnknownRole);
    }
    let made = row::find(connection, &new.id).await?;
    made.map(Creation::Created).ok_or_else(|| Error::internal("the new account is not there"))
}

/// Adds roles to an account; false if one of them does not exist.
async fn grant(connection: &mut SqlConnection, id: &AccountId, roles: &[RoleName]) -> Result<bool> {
    for (position, role) in roles.iter().enumerate() {
        if roles.iter().take(position).any(|earlier| earlier == role) {
            continue;
        }
        let granted = query(
            "INSERT INTO account_role (account_id, role) \
             SELECT $1, r.name FROM role r WHERE r.name = $2",
        )
        .bind(id.as_str())
        .bind(role.as_str())
        .execute(&mut *connection)
        .await?;
        if granted.rows_affected() == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives an account exactly these roles.
pub(super) async fn replace_roles(
    connection: &mut SqlConnection,
    id: &AccountId,
    roles: &[RoleName],
) -> Result<Change> {
    let raised = query("UPDATE account SET version = version + 1 WHERE id = $1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    if raised.rows_affected() == 0 {
        return Ok(Change::NotFound);
    }
    query("DELETE FROM account_role WHERE account_id = $1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    if !grant(connection, id, roles).await? {
        return Ok(Change::UnknownRole);
    }
    found(connection, id).await
}

pub(super) fn enable(id: &AccountId) -> Statement {
    query("UPDATE account SET status = $1, version = version + 1 WHERE id = $2")
        .bind(Status::Active.as_str())
        .bind(id.as_str())
}

/// Disabling ends every session for good (SR-38).
pub(super) fn disable(id: &AccountId) -> Statement {
    query(
        "UPDATE account SET status = $1, version = version + 1, \
         session_epoch = session_epoch + 1 WHERE id = $2",
    )
    .bind(Status::Disabled.as_str())
    .bind(id.as_str())
}

/// Runs a statement that changes the account `id`, and reads the account after it.
pub(super) async fn update(
    connection: &mut SqlConnection,
    id: &AccountId,
    statement: Statement,
) -> Result<Change> {
    if statement.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(Change::NotFound);
    }
    found(connection, id).await
}

async fn found(connection: &mut SqlConnection, id: &AccountId) -> Result<Change> {
    Ok(row::find(connection, id).await?.map_or(Change::NotFound, Change::Done))
}

/// Keeps what was created, and nothing of what was refused.
pub(super) async fn end_creation(write: Write, creation: Creation) -> Result<Creation> {
    write.end(matches!(creation, Creation::Created(_))).await?;
    Ok(creation)
}

/// Keeps the change, unless it took the last administrator away who can sign in (SR-51).
/// `guarded` says whether there was one before it.
pub(super) async fn end_guarded(mut write: Write, guarded: bool, change: Change) -> Result<Change> {
    if !matches!(change, Change::Done(_)) {
        write.end(false).await?;
        return Ok(change);
    }
    if guarded && !admin_can_sign_in(&mut write).await? {
        write.end(false).await?;
        return Ok(Change::LastAdmin);
    }
    write.commit().await?;
    Ok(change)
}
