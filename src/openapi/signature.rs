//! What the signature of a route says: who may ask, what is sent, what is answered, what can go wrong.

use std::collections::BTreeSet;
use std::sync::Arc;

use rocket::http::Status;
use rocket::response::status::{Created, NoContent};
use rocket::{Data, Shutdown, State};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::account::store::AccountStore;
use crate::account::{Accounts, Roles};
use crate::audit::Audit;
use crate::clock::Clock;
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::download::Download;
use crate::guard::fresh::Fresh;
use crate::guard::json::Json;
use crate::guard::setting::Settings;
use crate::guard::{Allowed, LoggedIn, Needs, PasswordOwner, Presented};
use crate::limit::Limits;
use crate::problem::Problem;
use crate::reloadable::Reloadable;
use crate::role::RoleStore;
use crate::session::Sessions;
use crate::session::store::SessionStore;
use crate::token::key::Keys;

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Who may ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asker {
    /// Everybody.
    #[default]
    Anybody,
    /// Everybody; with whoever brings tokens along, something is done to those.
    Perhaps,
    /// Whoever has a refresh cookie.
    Refresh,
    /// Whoever is signed in.
    SignedIn,
    /// Proxies that the operator trusts.
    Proxy,
}

/// What a signature says.
#[derive(Default)]
pub struct Signature {
    /// Who may ask.
    pub asker: Asker,
    /// The permission that they need.
    pub permission: Option<&'static str>,
    /// Whether they must have given their password a short while ago (SR-52).
    pub is_fresh: bool,
    /// Whether the answer can set or delete cookies.
    pub sets_cookies: bool,
    /// What is sent in the body.
    pub body: Option<SchemaOf>,
    /// What is sent in the query, as an object.
    pub query: Option<SchemaOf>,
    /// Headers that have to be sent: name, what it is, what it looks like.
    pub headers: Vec<(&'static str, &'static str, Value)>,
    /// What has to be sent in the query besides: name, what it is, what it looks like.
    pub words: Vec<(&'static str, &'static str, SchemaOf)>,
    /// What is answered when all is well.
    pub answers: Vec<Answer>,
    /// What is answered when it is not.
    pub problems: Vec<Problem>,
}

impl Signature {
    /// The query is a `T`.
    pub fn query<T: JsonSchema>(&mut self) {
        self.query = Some(T::json_schema);
        let refused = Error::field("limit", "out_of_range", "This must be a number from 1 to 200.");
        self.problems.push(Problem::from(&refused));
    }

    /// The names of what is sent in the query, if anything is.
    pub fn query_names(&self) -> Option<BTreeSet<String>> {
        let words = self.words.iter().map(|(name, ..)| (*name).to_owned());
        let schema = self.query.map(|query| query(&mut SchemaGenerator::default()));
        let fields = schema.as_ref().and_then(|schema| schema.get("properties")?.as_object());
        let names: BTreeSet<String> =
            words.chain(fields.into_iter().flat_map(|fields| fields.keys().cloned())).collect();
        (!names.is_empty()).then_some(names)
    }

    /// The answer may be kept for a while.
    pub fn kept(&mut self, kind: &'static str, schema: SchemaOf) {
        let headers = vec!["ETag", "Cache-Control"];
        let content = vec![(kind, schema)];
        let fresh = Answer { content, headers, ..Answer::empty(200, "What was asked for.") };
        let headers = fresh.headers.clone();
        self.answers.push(fresh);
        let same = Answer::empty(304, "It is still what `If-None-Match` names.");
        self.answers.push(Answer { headers, ..same });
    }

    /// A store is asked, which can be away.
    fn store(&mut self) {
        self.problems.push(Problem {
            retry_after: Some(2),
            ..Problem::of_status(Status::ServiceUnavailable)
        });
    }
}

/// What is answered when all is well.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// When it comes.
    pub when: &'static str,
    /// The body, in each media type that there is.
    pub content: Vec<(&'static str, SchemaOf)>,
    /// Headers that it has for sure, by the names of their components.
    pub headers: Vec<&'static str>,
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16, when: &'static str) -> Self {
        Self { status, when, content: Vec::new(), headers: Vec::new() }
    }

    /// A `T` as JSON.
    pub fn json<T: JsonSchema>(status: u16) -> Self {
        let content = vec![("application/json", subschema::<T> as SchemaOf)];
        Self { content, ..Self::empty(status, "What was asked for.") }
    }
}

/// The schema of `T`, among the components if it has a name.
pub fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A type that stands among the parameters of a route.
pub trait Part {
    /// Adds what it says.
    fn tell(signature: &mut Signature);
}

/// A type that a route answers with.
pub trait Reply {
    /// Adds what it says.
    fn tell(signature: &mut Signature);
}

/// A function with a signature that can be read; `M` is no more than the shape of it.
pub trait Signed<M> {
    /// What its signature says.
    fn signature(&self) -> Signature;
}

/// A route that answers at once, and one that has to wait.
pub struct AtOnce;
/// See [`AtOnce`].
pub struct Later;

macro_rules! functions {
    ($($part:ident)*) => {
        impl<F, R, $($part,)*> Signed<(AtOnce, $($part,)*)> for F
        where
            F: Fn($($part),*) -> R,
            R: Reply,
            $($part: Part,)*
        {
            fn signature(&self) -> Signature {
                let mut signature = Signature::default();
                $($part::tell(&mut signature);)*
                R::tell(&mut signature);
                signature
            }
        }

        impl<F, R, $($part,)*> Signed<(Later, $($part,)*)> for F
        where
            F: Fn($($part),*) -> R,
            R: Future,
            R::Output: Reply,
            $($part: Part,)*
        {
            fn signature(&self) -> Signature {
                let mut signature = Signature::default();
                $($part::tell(&mut signature);)*
                R::Output::tell(&mut signature);
                signature
            }
        }
    };
}

functions! {}
functions! { A }
functions! { A B }
functions! { A B C }
functions! { A B C D }
functions! { A B C D E }
functions! { A B C D E G }

impl Part for LoggedIn {
    fn tell(signature: &mut Signature) {
        PasswordOwner::tell(signature);
        signature.problems.push(Problem::from(&Error::PasswordChangeRequired));
    }
}

impl Part for PasswordOwner {
    fn tell(signature: &mut Signature) {
        signature.asker = Asker::SignedIn;
        let refused =
            [Error::NotSignedIn, Error::TokenExpired, Error::SessionEnded, Error::TokenReused];
        signature.problems.extend(refused.iter().map(Problem::from));
        signature.store();
    }
}

impl<P: Needs> Part for Allowed<P> {
    fn tell(signature: &mut Signature) {
        LoggedIn::tell(signature);
        signature.permission = Some(P::PERMISSION);
        let refused = Error::PermissionDenied(P::PERMISSION.to_owned());
        signature.problems.push(Problem::from(&refused));
    }
}

impl<G: Part> Part for Fresh<G> {
    fn tell(signature: &mut Signature) {
        G::tell(signature);
        signature.is_fresh = true;
        // As long ago as the password may have been given at most by default.
        let refused = Error::ReauthRequired(std::time::Duration::from_secs(15 * 60));
        signature.problems.push(Problem::from(&refused));
    }
}

impl Part for Cookies<'_> {
    fn tell(signature: &mut Signature) {
        signature.sets_cookies = true;
    }
}

impl<T: JsonSchema> Part for Body<T> {
    fn tell(signature: &mut Signature) {
        signature.body = Some(subschema::<T>);
        let refused = [Status::BadRequest, Status::PayloadTooLarge, Status::UnsupportedMediaType];
        signature.problems.extend(refused.map(Problem::of_status));
        let wrong = "Enter an address like name@example.org.";
        signature.problems.push(Problem::from(&Error::field("email", "invalid_email", wrong)));
    }
}

macro_rules! parts {
    ($($type:ty => $told:expr;)*) => {$(
        impl Part for $type {
            fn tell(signature: &mut Signature) {
                let told: fn(&mut Signature) = $told;
                told(signature);
            }
        }
    )*};
}

parts! {
    &State<Arc<Accounts>> => Signature::store;
    &State<Arc<Sessions>> => Signature::store;
    &State<Arc<Roles>> => Signature::store;
    &State<Arc<Audit>> => Signature::store;
    &State<Arc<Limits>> => Signature::store;
    &State<Arc<dyn RoleStore>> => Signature::store;
    &State<Arc<Keys>> => |_| {};
    &State<Arc<dyn Clock>> => |_| {};
    &State<Reloadable<Settings>> => |_| {};
    &State<Arc<dyn AccountStore>> => |_| {};
    &State<Arc<dyn SessionStore>> => |_| {};
    Shutdown => |_| {};
    Client => |_| {};
    Presented => |_| {};
    Data<'_> => |_| {};
    // What its name is, the address says.
    &str => |_| {};
    Option<&str> => |_| {};
}

impl<T: JsonSchema> Reply for Json<T> {
    fn tell(signature: &mut Signature) {
        signature.answers.push(Answer::json::<T>(200));
    }
}

impl<T: JsonSchema> Reply for Created<Json<T>> {
    fn tell(signature: &mut Signature) {
        let made = Answer { when: "It was made.", ..Answer::json::<T>(201) };
        signature.answers.push(Answer { headers: vec!["Location"], ..made });
    }
}

impl<T: JsonSchema> Reply for (Status, Json<T>) {
    fn tell(signature: &mut Signature) {
        Json::<T>::tell(signature);
    }
}

impl Reply for NoContent {
    fn tell(signature: &mut Signature) {
        signature.answers.push(Answer::empty(204, "Done."));
    }
}

impl Reply for Download {
    fn tell(signature: &mut Signature) {
        let text = subschema::<String> as SchemaOf;
        signature.answers.push(Answer {
            content: vec![("text/csv", text), ("application/x-ndjson", text)],
            headers: vec!["Content-Disposition"],
            ..Answer::empty(200, "A file, made while it is sent.")
        });
    }
}

impl<T: Reply> Reply for Result<T, Problem> {
    fn tell(signature: &mut Signature) {
        T::tell(signature);
    }
}
