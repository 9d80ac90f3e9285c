//! The public keys, for services that verify access tokens themselves.

use std::sync::Arc;

use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder, Response};
use rocket::{Request, Route, State, get, routes};

use crate::error::Error;
use crate::id;
use crate::problem::Problem;
use crate::token::key::Keys;

pub(super) fn routes() -> Vec<Route> {
    routes![jwks]
}

/// The JWK set (RFC 7517 §5).
#[get("/.well-known/jwks.json")]
fn jwks(keys: &State<Arc<Keys>>) -> Result<KeySet, Problem> {
    let body = serde_json::to_vec(&keys.jwks()).map_err(|e| Problem::from(&Error::internal(e)))?;
    Ok(KeySet { body, max_age_secs: keys.jwks_max_age().as_secs() })
}

/// A JWK set that whoever asks may keep for a while (SR-39): no longer than a new key is announced
/// ahead of time.
struct KeySet {
    body: Vec<u8>,
    max_age_secs: u64,
}

impl<'r> Responder<'r, 'static> for KeySet {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let tag = format!("\"{}\"", id::sha256(&self.body));
        let mut response = Response::build();
        response
            .header(Header::new("Cache-Control", format!("public, max-age={}", self.max_age_secs)))
            .header(Header::new("ETag", tag.clone()));
        if request.headers().get("If-None-Match").any(|tags| names(tags, &tag)) {
            return response.status(Status::NotModified).ok();
        }
        let kind = ContentType::new("application", "jwk-set+json");
        response.header(kind).sized_body(self.body.len(), std::io::Cursor::new(self.body)).ok()
    }
}

/// Whether `If-None-Match` (RFC 9110 §13.1.2) names this tag, weakly or not.
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}
