//! The keys: the public halves for services that verify access tokens themselves, and all that
//! administrators see of them.

use std::sync::Arc;

use rocket::http::{ContentType, Header, Status};
use rocket::response::{self, Responder, Response};
use rocket::serde::json::Json;
use rocket::{Request, Route, State, get, post, routes};
use serde::Deserialize;

use super::view::{KeyBody, ListBody, SigningKeyView};
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, KeysRead, KeysWrite};
use crate::id;
use crate::problem::Problem;
use crate::token::key::{Algorithm, Keys, Start};

/// The route outside the interface.
pub(super) fn public_routes() -> Vec<Route> {
    routes![jwks]
}

pub(super) fn routes() -> Vec<Route> {
    routes![keys, rotate]
}

/// Every key that there is or has been, oldest first.
#[get("/admin/keys")]
fn keys(_viewer: Allowed<KeysRead>, keys: &State<Arc<Keys>>) -> Json<ListBody<SigningKeyView>> {
    Json(ListBody::whole(keys.list().iter().map(SigningKeyView::from).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    #[serde(default)]
    algorithm: Option<String>,
    #[serde(default)]
    now: bool,
}

/// Has the next key made: as the last one, unless `algorithm` says otherwise, and to sign once
/// everybody knows it, unless `now` says that the others must not be trusted any more.
#[post("/admin/keys/rotate", data = "<body>")]
async fn rotate(
    _viewer: Fresh<Allowed<KeysWrite>>,
    body: Body<RotateBody>,
    keys: &State<Arc<Keys>>,
    audit: &State<Arc<Audit>>,
) -> Result<Json<KeyBody>, Problem> {
    let algorithm = body.0.algorithm.as_deref().map(Algorithm::chosen).transpose()?;
    let start = if body.0.now { Start::Now } else { Start::AfterLead };
    let made = audit::key::rotate(keys, audit, algorithm, start).await?;
    Ok(Json(KeyBody::from(&made)))
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
