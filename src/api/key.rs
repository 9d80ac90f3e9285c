//! The public keys, for services that verify access tokens themselves.

use std::sync::Arc;

use rocket::serde::json::{Json, Value};
use rocket::{Route, State, get, routes};

use crate::token::Tokens;

pub(super) fn routes() -> Vec<Route> {
    routes![jwks]
}

/// The JWK set (RFC 7517 §5).
#[get("/.well-known/jwks.json")]
fn jwks(tokens: &State<Arc<Tokens>>) -> Json<Value> {
    Json(tokens.keys().jwks())
}
