//! JSON answers.

use std::io::Cursor;

use rocket::http::{ContentType, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use serde::Serialize;

/// A value as JSON: what Rocket's own `Json` answers, which says three times what kind of content it is.
pub struct Json<T>(pub T);

impl<'r, T: Serialize> Responder<'r, 'static> for Json<T> {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let body = serde_json::to_vec(&self.0).map_err(|error| {
            tracing::error!(cause = %error, "an answer cannot be put into JSON");
            Status::InternalServerError
        })?;
        Response::build().header(ContentType::JSON).sized_body(body.len(), Cursor::new(body)).ok()
    }
}
