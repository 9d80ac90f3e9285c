//! The reference of the JSON interface: an OpenAPI 3.1 document, read off the signatures of the routes.
//!
//! A route is mounted by the same line that puts it into the reference ([`call!`]). Its guards say who
//! may ask, `Body` what is sent, its answer what comes back, and the errors that can meet it have the
//! statuses and codes that `problem.rs` gives them: nothing of it is written down a second time.

mod document;
mod failure;
mod operation;
mod signature;

use std::collections::BTreeSet;

use rocket::Route;
use schemars::JsonSchema;

pub use document::{Basis, Document, Reference};
pub use signature::{Answer, Asker, Part, Reply, Signature, Signed, subschema};

use crate::error::Error;
use crate::problem::Problem;

/// A route with its place in the reference: `call!(me, "getMe", "Show who is signed in")`.
macro_rules! call {
    ($route:ident, $id:literal, $summary:literal) => {
        $crate::openapi::Call::of($id, $summary, rocket::routes![$route], $route)
    };
}
pub(crate) use call;

/// A call of the interface: its route, and what is known of it.
pub struct Call {
    routes: Vec<Route>,
    id: &'static str,
    summary: &'static str,
    detail: &'static str,
    signature: Signature,
}

impl Call {
    /// The call that `function` answers, named `id` in clients that are made from the reference, and
    /// `summary` in lists.
    pub fn of<M>(
        id: &'static str,
        summary: &'static str,
        routes: Vec<Route>,
        function: impl Signed<M>,
    ) -> Self {
        Self::by_hand(id, summary, routes, function.signature())
    }

    /// A call whose routes have no function to read the signature of.
    pub fn by_hand(
        id: &'static str,
        summary: &'static str,
        routes: Vec<Route>,
        signature: Signature,
    ) -> Self {
        Self { routes, id, summary, detail: "", signature }
    }

    /// What else there is to know, in Markdown.
    #[must_use]
    pub fn more(self, detail: &'static str) -> Self {
        Self { detail, ..self }
    }

    /// It can also fail with `error`.
    #[must_use]
    pub fn or(mut self, error: Error) -> Self {
        self.signature.problems.push(Problem::from(&error));
        self
    }

    /// It can also fail with what is answered where there are too many passwords to be hashed, or too
    /// many wrong ones (SR-4, SR-22).
    #[must_use]
    pub fn hashing(self) -> Self {
        self.or(Error::Overloaded).or(Error::Throttled(std::time::Duration::from_secs(30)))
    }

    /// Who may ask, where no guard in the signature says it.
    #[must_use]
    pub fn by(mut self, asker: Asker) -> Self {
        self.signature.asker = asker;
        self
    }

    /// With this status, too, it answers a `T`.
    #[must_use]
    pub fn also<T: JsonSchema>(mut self, status: u16, when: &'static str) -> Self {
        self.signature.answers.push(Answer { when, ..Answer::json::<T>(status) });
        self
    }
}

/// Calls about one thing.
pub struct Calls {
    /// What they are about, in a word or two.
    pub tag: &'static str,
    /// The same in a sentence.
    pub about: &'static str,
    /// The calls, in the order of the reference.
    pub calls: Vec<Call>,
}

impl Calls {
    /// The routes of the calls, and the names of what each takes in its query, if it takes anything.
    pub fn with_queries(self) -> impl Iterator<Item = (Route, Option<BTreeSet<String>>)> {
        self.calls.into_iter().flat_map(|call| {
            let known = call.signature.query_names();
            call.routes.into_iter().map(move |route| (route, known.clone()))
        })
    }

    /// The routes of the calls.
    pub fn routes(self) -> impl Iterator<Item = Route> {
        self.calls.into_iter().flat_map(|call| call.routes)
    }
}
