//! The JSON interface: `/api/v1`, and what programs find outside it.

pub mod account;
pub mod admin;
pub mod audit;
pub mod authz;
pub mod health;
pub mod inspection;
pub mod key;
pub mod live;
pub mod reference;
pub mod report;
pub mod role;
pub mod session;
pub mod setting;
pub mod shape;
pub mod token;
pub mod user;
pub mod view;

use rocket::http::Status;
use rocket::{Catcher, Request, Route, catch, catchers};

use crate::guard::catch::{self, Complete};
use crate::guard::{gate, query, route};
use crate::openapi::{Basis, Calls, Document};
use crate::problem::Problem;

/// Where the interface is mounted.
pub const BASE: &str = "/api/v1";

/// The calls below [`BASE`].
fn calls() -> Vec<Calls> {
    vec![
        session::calls(),
        account::calls(),
        admin::calls(),
        live::calls(),
        role::calls(),
        token::calls(),
        audit::calls(),
        key::calls(),
        setting::calls(),
        reference::calls(),
        inspection::calls(),
    ]
}

/// The calls outside [`BASE`]: public keys, signs of life, and what browsers report.
fn public_calls() -> Vec<Calls> {
    vec![key::public_calls(), health::calls(), report::calls()]
}

/// The routes below [`BASE`].
pub fn routes() -> Vec<Route> {
    let calls = calls().into_iter().flat_map(Calls::with_queries);
    let routes = calls.map(|(route, known)| query::strict(route, known)).collect();
    gate::guarded(route::marked(routes, false))
}

/// The routes outside [`BASE`]: those of [`public_calls`], and what proxies ask.
pub fn public_routes() -> Vec<Route> {
    let mut routes = gate::guarded(public_calls().into_iter().flat_map(Calls::routes).collect());
    routes.extend(gate::for_proxies(authz::calls().routes().collect()));
    route::marked(routes, false)
}

/// The reference of all of them.
pub fn document(basis: &Basis) -> Document {
    Document::new(basis, [(BASE, calls()), ("", public_calls()), ("", vec![authz::calls()])])
}

/// Answers every failure below [`BASE`] with problem details.
pub fn catchers() -> Vec<Catcher> {
    catchers![failed]
}

#[catch(default)]
fn failed(status: Status, request: &Request<'_>) -> Complete<Problem> {
    Complete(catch::found(status, request))
}
