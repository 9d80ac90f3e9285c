//! The JSON interface: `/api/v1`, and what programs find outside it.

pub mod account;
pub mod admin;
pub mod audit;
pub mod authz;
pub mod health;
pub mod key;
pub mod list;
pub mod live;
pub mod report;
pub mod role;
pub mod session;
pub mod setting;
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
    routes.extend(live::routes());
    routes.extend(key::routes());
    routes.extend(setting::routes());
    gate::guarded(routes)
}

/// The routes outside [`BASE`]: public keys, signs of life, and what proxies ask.
pub fn public_routes() -> Vec<Route> {
    let mut routes = key::public_routes();
    routes.extend(health::routes());
    routes.extend(report::routes());
    let mut routes = gate::guarded(routes);
    routes.extend(gate::for_proxies(authz::routes()));
    routes
}

/// Answers every failure below [`BASE`] with problem details.
pub fn catchers() -> Vec<Catcher> {
    catchers![failed]
}

#[catch(default)]
fn failed(status: Status, request: &Request<'_>) -> Problem {
    problem::found(status, request)
}
