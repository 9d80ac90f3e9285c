//! An answer that a browser saves as a file, made while it is sent.

use std::io::{Cursor, Error as IoError};
use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use rocket::http::{ContentType, Header};
use rocket::request::Request;
use rocket::response::{self, Responder, Response};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::audit::export::Format;
use crate::error::{Result, chain};

/// A file for the client to keep.
pub struct Download {
    name: String,
    content_type: ContentType,
    body: Pin<Box<dyn AsyncRead + Send>>,
}

impl Download {
    /// A file with this stem for a name, whose content comes in `parts`. If one fails the connection
    /// breaks off: what arrived cannot be taken for the whole.
    pub fn new<S>(stem: &str, format: Format, parts: S) -> Self
    where
        S: Stream<Item = Result<Vec<u8>>> + Send + 'static,
    {
        let (ending, content_type) = match format {
            Format::Csv => ("csv", ContentType::CSV.with_params(("charset", "utf-8"))),
            Format::JsonLines => ("jsonl", ContentType::new("application", "x-ndjson")),
        };
        let parts = parts.map(|part| {
            part.map(Cursor::new).map_err(|error| {
                tracing::error!(cause = chain(&error), "a file broke off while it was sent");
                IoError::other("the file broke off")
            })
        });
        let body = Box::pin(StreamReader::new(Box::pin(parts)));
        Self { name: format!("{stem}.{ending}"), content_type, body }
    }
}

impl<'r> Responder<'r, 'static> for Download {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        Response::build()
            .header(self.content_type)
            .header(Header::new(
                "Content-Disposition",
                format!("attachment; filename=\"{}\"", self.name),
            ))
            .streamed_body(self.body)
            .ok()
    }
}
