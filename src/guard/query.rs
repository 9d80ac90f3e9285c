//! Queries, read strictly: each parameter once (SR-7).
//!
//! Rocket takes an optional parameter that comes twice for one that is not there. Then
//! `?others=true&others=true` would end more sessions than either of the two asks for.

use std::collections::BTreeSet;

use rocket::Route;
use rocket::data::Data;
use rocket::request::Request;
use rocket::route::{Handler, Outcome};

use crate::error::{Error, FieldError};
use crate::problem::{self, Problem};

/// Has `routes` refuse a query in which a parameter comes twice.
pub fn strict(routes: impl Iterator<Item = Route>) -> Vec<Route> {
    let guard = |mut route: Route| {
        route.handler = Box::new(Strict(route.handler));
        route
    };
    routes.map(guard).collect()
}

#[derive(Clone)]
struct Strict(Box<dyn Handler>);

#[rocket::async_trait]
impl Handler for Strict {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        match doubled(request) {
            None => self.0.handle(request, data).await,
            Some(name) => {
                let message = "This parameter is there more than once.";
                let field = FieldError::new(name, "duplicate_field", message);
                let problem = Problem::from(&Error::Invalid(vec![field]));
                let status = problem.status;
                problem::leave(request, problem);
                Outcome::Error(status)
            }
        }
    }
}

/// The first parameter that comes twice.
fn doubled(request: &Request<'_>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let query = request.uri().query()?;
    // `a.b` and `a[b]` are parts of `a` to Rocket.
    let whole = |name: &'_ str| name.split(['.', '[']).next().unwrap_or_default().to_owned();
    let mut names = query.segments().map(|(name, _)| whole(name));
    names.find(|name| !seen.insert(name.clone()))
}
