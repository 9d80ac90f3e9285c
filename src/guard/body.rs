//! JSON bodies, read strictly (SR-7, SR-60).

use rocket::data::{Data, FromData, Outcome, ToByteUnit as _};
use rocket::http::Status;
use rocket::request::Request;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::gate;
use crate::error::FieldError;
use crate::problem::{self, Problem};

/// Largest JSON body, in bytes (SR-60).
const MAX_BODY: u64 = 64 * 1024;

/// A JSON object of exactly the fields that `T` lists: `T` denies unknown fields.
pub struct Body<T>(pub T);

#[rocket::async_trait]
impl<'r, T: DeserializeOwned> FromData<'r> for Body<T> {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match read(request, data).await {
            Ok(value) => Outcome::Success(Self(value)),
            Err(problem) => {
                problem::leave(request, problem.clone());
                Outcome::Error((problem.status, problem))
            }
        }
    }
}

async fn read<T: DeserializeOwned>(request: &Request<'_>, data: Data<'_>) -> Result<T, Problem> {
    gate::pass(request).await?;
    // Nothing that an HTML form can send is taken for JSON (SR-41).
    if !request.content_type().is_some_and(|kind| kind.is_json()) {
        let problem = Problem::of_status(Status::UnsupportedMediaType);
        return Err(Problem { detail: "Send application/json.".into(), ..problem });
    }
    let bytes = capped(request, data, MAX_BODY).await?;
    // The derived readers would also take an array of the values in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        let valid = serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
        return Err(if valid { no_object() } else { unreadable() });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
    let value =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| explain(&error))?;
    deserializer.end().map_err(|_| unreadable())?;
    Ok(value)
}

/// The whole body, if it is at most `limit` bytes. Memory follows what arrives, never what
/// `Content-Length` promises.
pub(super) async fn capped(
    request: &Request<'_>,
    data: Data<'_>,
    limit: u64,
) -> Result<Vec<u8>, Problem> {
    let read = data.open(limit.bytes()).into_bytes().await;
    let bytes = read.map_err(|_| Problem::of_status(Status::BadRequest))?;
    if !bytes.is_complete() {
        return Err(Problem::of_status(Status::PayloadTooLarge));
    }
    // Rocket looks at the first bytes of a body before anybody reads it, and takes a connection that ends
    // among them for the end of the body.
    let promised = request.headers().get_one("Content-Length").and_then(|n| n.parse().ok());
    if promised.is_some_and(|length: usize| length != bytes.len()) {
        return Err(Problem::of_status(Status::BadRequest));
    }
    Ok(bytes.into_inner())
}

fn unreadable() -> Problem {
    Problem::new(Status::BadRequest, "validation_failed", "The body is not valid JSON.")
}

fn no_object() -> Problem {
    let detail = "The body is not a JSON object.";
    Problem::new(Status::UnprocessableEntity, "validation_failed", detail)
}

/// Says which field is wrong. The words of the parser are safe to show: they hold names and types,
/// and no value but one of the wrong type, which stands before the last "expected" and is cut off.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if !error.inner().is_data() {
        return unreadable();
    }
    let message = error.inner().to_string();
    let quoted = message.split('`').nth(1).unwrap_or_default().to_owned();
    let fault = if message.starts_with("unknown field") {
        FieldError::new(quoted, "unknown_field", "This field is not known here.")
    } else if message.starts_with("missing field") {
        FieldError::new(quoted, "required", "This field is required.")
    } else if message.starts_with("duplicate field") {
        FieldError::new(quoted, "duplicate_field", "This field is there more than once.")
    } else {
        let expected = message.rsplit_once(", expected ").map_or("another value", |(_, e)| e);
        let expected = expected.split(" at line ").next().unwrap_or(expected);
        let message = format!("This must be {expected}.");
        FieldError::new(error.path().to_string(), "wrong_type", message)
    };
    let detail = "Some fields need your attention.";
    let problem = Problem::new(Status::UnprocessableEntity, "validation_failed", detail);
    Problem { errors: vec![fault], ..problem }
}
