//! From rows to accounts.

use std::collections::BTreeSet;

use super::connection::SqlConnection;
use super::statement::{SqlRow, query};

use crate::account::email::Email;
use crate::account::{Account, Status, notice};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::AccountId;
use crate::role::{Permission, RoleName};

/// `SELECT` of whole accounts, with what follows `FROM account a`.
///
/// Roles and permissions come with each row, as lists parted by spaces: one statement for a page,
/// and one state of the database for all of it. `more` are further columns, each after a comma.
macro_rules! select_account {
    ($rest:literal) => {
        $crate::store::sql::row::select_account!(more: "", $rest)
    };
    (more: $columns:literal, $rest:literal) => {
        concat!(
            "SELECT a.id, a.email, a.display_name, a.status, a.created_at, a.last_login_at, \
             a.version, a.session_epoch, a.must_change_password, a.notices, \
             (SELECT string_agg(r.role, ' ') FROM account_role r WHERE r.account_id = a.id) \
             AS roles, \
             (SELECT string_agg(p.permission, ' ') FROM account_role r \
             JOIN role_permission p ON p.role = r.role WHERE r.account_id = a.id) AS permissions",
            $columns,
            " FROM account a ",
            $rest
        )
    };
}
pub(super) use select_account;

/// Reads a row of [`select_account`].
///
/// # Errors
/// [`Error::Internal`] for a row that Doorward cannot have written.
pub(super) fn account(row: &SqlRow) -> Result<Account> {
    let text = |column| row.try_get::<String, _>(column);
    let number = |column| row.try_get::<i64, _>(column);
    let list = |column| row.try_get::<Option<String>, _>(column).map(Option::unwrap_or_default);
    Ok(Account {
        id: AccountId::parse(&text("id")?).ok_or_else(|| corrupt("id"))?,
        email: Email::stored(text("email")?),
        display_name: text("display_name")?,
        status: Status::parse(&text("status")?).ok_or_else(|| corrupt("status"))?,
        roles: roles(&list("roles")?)?,
        permissions: permissions(&list("permissions")?),
        created_at: Timestamp::from_millis(number("created_at")?),
        last_login_at: row.try_get::<Option<i64>, _>("last_login_at")?.map(Timestamp::from_millis),
        version: number("version")?,
        session_epoch: number("session_epoch")?,
        must_change_password: number("must_change_password")? != 0,
        notices: notice::read(&text("notices")?)?,
    })
}

/// The account with this identifier, as the transaction sees it.
pub(super) async fn find(
    connection: &mut SqlConnection,
    id: &AccountId,
) -> Result<Option<Account>> {
    let row = query(select_account!("WHERE a.id = $1"))
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(account).transpose()
}

fn roles(list: &str) -> Result<BTreeSet<RoleName>> {
    list.split_terminator(' ')
        .map(|name| RoleName::parse(name).ok_or_else(|| corrupt("role")))
        .collect()
}

pub(super) fn permissions(list: &str) -> BTreeSet<Permission> {
    list.split_terminator(' ').map(Permission::stored).collect()
}

pub(super) fn corrupt(column: &str) -> Error {
    Error::internal(format!("the database holds something else than the {column} of an account"))
}
