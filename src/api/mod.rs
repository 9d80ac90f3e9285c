//! The JSON interface: `/api/v1`, and what programs find outside it.

pub mod account;
pub mod admin;
pub mod audit;
pub mod health;
pub mod key;
pub mod list;
pub mod report;
pub mod role;
pub mod session;
pub mod view;

use rocket::http::Status;
use rocket::{Catcher, Request, Route, catch, catchers};

use crate::guard::gate;
use crate::problem::{self, Problem};

/// Where the interface is mounted.
pub const BASE: &str = "/api/v1";

/// The routes below [`BASE`].
pub fn routes() -> Vec<Route> {
    let mut routes = session::routes();
    routes.extend(account::routes());
    routes.extend(admin::routes());
    routes.extend(role::routes());
    routes.extend(audit::routes());
    gate::guarded(routes)
}

/// The routes outside [`BASE`]: public keys, and signs of life.
pub fn public_routes() -> Vec<Route> {
    let mut routes = key::routes();
    routes.extend(health::routes());
    routes.extend(report::routes());
    gate::guarded(routes)
}

/// Answers every failure below [`BASE`] with problem details.
pub fn catchers() -> Vec<Catcher> {
    catchers![failed]
}

#[catch(default)]
fn failed(status: Status, request: &Request<'_>) -> Problem {
    problem::found(status, request)
}
