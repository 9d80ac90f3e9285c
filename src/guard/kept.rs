//! An answer that whoever asks may keep for a while, and ask about again by its entity tag.

use std::io::Cursor;
use std::time::Duration;

use rocket::http::{ContentType, Header, Status};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};

use crate::id;

/// A text that is the same for everybody.
pub struct Kept<B> {
    /// Its media type.
    pub kind: ContentType,
    /// The text.
    pub body: B,
    /// Its entity tag, which changes with it.
    pub tag: String,
    /// For how long it may be kept.
    pub lifetime: Duration,
}

/// The strong entity tag of a text: its digest (RFC 9110 §8.8.3).
pub fn tag(body: &[u8]) -> String {
    format!("\"{}\"", id::sha256(body))
}

impl<'r, B> Responder<'r, 'static> for Kept<B>
where
    B: AsRef<[u8]> + Send + Unpin + 'static,
{
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let life = format!("public, max-age={}", self.lifetime.as_secs());
        let mut response = Response::build();
        response
            .header(Header::new("Cache-Control", life))
            .header(Header::new("ETag", self.tag.clone()));
        if request.headers().get("If-None-Match").any(|tags| names(tags, &self.tag)) {
            return response.status(Status::NotModified).ok();
        }
        response.header(self.kind).sized_body(self.body.as_ref().len(), Cursor::new(self.body)).ok()
    }
}

/// Whether `If-None-Match` (RFC 9110 §13.1.2) names this tag, weakly or not.
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}
