//! The dashboard: everybody's accounts, for those who may see and change them.

pub mod audit;
pub mod chart;
pub mod key;
pub mod live;
pub mod overview;
pub mod role;
pub mod role_edit;
pub mod setting;
pub mod token;
pub mod user;
pub mod users;

use std::sync::Arc;

use rocket::http::uri::Origin;
use rocket::{Route, State};

use super::part::RoleChoice;
use crate::account::{Account, Actor};
use crate::error::Result;
use crate::guard::query;
use crate::id::AccountId;
use crate::role::RoleStore;

/// The roles, as Rocket state.
type Roles = State<Arc<dyn RoleStore>>;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = overview::routes();
    routes.extend(users::routes());
    routes.extend(user::routes());
    routes.extend(role::routes());
    routes.extend(role_edit::routes());
    routes.extend(token::routes());
    routes.extend(audit::routes());
    routes.extend(live::routes());
    routes.extend(key::routes());
    routes.extend(setting::routes());
    routes
}

/// The routes that give files to keep.
pub(super) fn downloads() -> Vec<Route> {
    audit::downloads()
}

/// All roles as boxes to tick; locked where `viewer` could not grant one (SR-51).
async fn role_choices(
    roles: &Roles,
    viewer: &Account,
    ticked: impl Fn(&str) -> bool,
) -> Result<Vec<RoleChoice>> {
    let all = roles.roles().await?;
    let choice = |role: &crate::role::Role| RoleChoice {
        name: role.name.to_string(),
        description: role.description.clone(),
        checked: ticked(role.name.as_str()),
        locked: !Actor::Account(viewer).may_grant_role(role),
    };
    Ok(all.iter().map(choice).collect())
}

/// A filter that is not left empty.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Refuses an address with a filter that the list does not have, or with one of them twice.
fn require_known(address: &Origin<'_>, fields: &[&str]) -> Result<()> {
    // Besides: what every list takes, and the notice of something that was done.
    let known = [fields, &["limit", "cursor", "done", "n"]].concat();
    query::require(address, &known, &[])
}

/// The address of a list with its filters, and with one thing more.
fn href(
    path: &str,
    filters: &[(&str, &str)],
    limit: Option<&str>,
    more: Option<(&str, &str)>,
) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(filters.iter().filter(|(_, value)| !value.is_empty()));
    query.extend_pairs(limit.map(|limit| ("limit", limit)));
    query.extend_pairs(more);
    format!("{path}?{}", query.finish())
}

/// An identifier from a path; nothing is there if it has not the shape of one.
fn account_id(text: &str) -> Result<AccountId> {
    AccountId::parse(text).ok_or(crate::error::Error::NotFound)
}
