//! Queries, read strictly: each parameter once, and only those that are known (SR-7).
//!
//! Rocket takes an optional parameter that comes twice for one that is not there, and passes over one
//! that it does not know. Then `?others=true&others=true` would end more sessions than either of the
//! two asks for, and a filter with a slip in its name would show everything.

use std::collections::BTreeSet;

use rocket::Route;
use rocket::data::Data;
use rocket::http::uri::Origin;
use rocket::request::Request;
use rocket::route::{Handler, Outcome};

use crate::error::{Error, FieldError, Result};
use crate::problem::{self, Problem};

/// Has a route refuse a query in which a parameter comes twice, or, if it takes any, one that is not
/// among `known`.
pub fn strict(mut route: Route, known: Option<BTreeSet<String>>) -> Route {
    route.handler = Box::new(Strict { handler: route.handler, known });
    route
}

#[derive(Clone)]
struct Strict {
    handler: Box<dyn Handler>,
    known: Option<BTreeSet<String>>,
}

#[rocket::async_trait]
impl Handler for Strict {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        let is_known = |name: &str| self.known.as_ref().is_none_or(|known| known.contains(name));
        match fault(request.uri(), is_known, |_| false) {
            None => self.handler.handle(request, data).await,
            Some(fault) => {
                let problem = Problem::from(&Error::Invalid(vec![fault]));
                let status = problem.status;
                problem::leave(request, problem);
                Outcome::Error(status)
            }
        }
    }
}

/// Refuses a query with a parameter that a page does not know, or with one twice that is not among
/// `many`.
///
/// # Errors
/// [`Error::Invalid`] for the first such parameter.
pub fn require(uri: &Origin<'_>, known: &[&str], many: &[&str]) -> Result<()> {
    let is_known = |name: &str| known.contains(&name) || many.contains(&name);
    match fault(uri, is_known, |name| many.contains(&name)) {
        None => Ok(()),
        Some(fault) => Err(Error::Invalid(vec![fault])),
    }
}

/// The first parameter that comes twice, or that nobody knows.
fn fault(
    uri: &Origin<'_>,
    is_known: impl Fn(&str) -> bool,
    may_repeat: impl Fn(&str) -> bool,
) -> Option<FieldError> {
    let mut seen = BTreeSet::new();
    for (name, _) in uri.query()?.segments() {
        // `a.b` and `a[b]` are parts of `a` to Rocket.
        let name = name.split(['.', '[']).next().unwrap_or_default().to_owned();
        if !is_known(&name) {
            return Some(FieldError::new(name, "unknown_field", "There is no such parameter."));
        }
        if seen.contains(&name) && !may_repeat(&name) {
            let message = "This parameter is there more than once.";
            return Some(FieldError::new(name, "duplicate_field", message));
        }
        seen.insert(name);
    }
    None
}
