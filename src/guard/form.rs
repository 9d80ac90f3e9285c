//! HTML forms: read strictly, and only from our own pages (SR-7, SR-41, SR-60).

use rocket::data::{Data, FromData, Outcome};
use rocket::http::Status;
use rocket::outcome::try_outcome;
use rocket::request::Request;
use serde::de::DeserializeOwned;

use super::{body, csrf, gate};
use crate::problem::{self, Problem};

/// Largest form, in bytes (SR-60).
const MAX_FORM: u64 = 16 * 1024;
/// Most fields of a form (SR-60).
const MAX_FIELDS: usize = 100;

/// A form that somebody who is signed in sent from a page of theirs.
pub struct Form<T>(pub T);

/// A form that a visitor sent from a page of theirs: sign-in, registration, set-up.
pub struct VisitorForm<T>(pub T);

#[rocket::async_trait]
impl<'r, T: DeserializeOwned + Send> FromData<'r> for Form<T> {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        let Sent { token, value } = try_outcome!(sent(request, data).await);
        settle(request, csrf::check_token(request, &token).await.map(|()| Self(value)))
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned + Send> FromData<'r> for VisitorForm<T> {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        let Sent { token, value } = try_outcome!(sent(request, data).await);
        settle(request, csrf::check_visitor_token(request, &token).map(|()| Self(value)))
    }
}

/// A form as it was sent.
struct Sent<T> {
    token: String,
    value: T,
}

async fn sent<'r, T: DeserializeOwned>(
    request: &'r Request<'_>,
    data: Data<'r>,
) -> rocket::outcome::Outcome<Sent<T>, (Status, Problem), (Data<'r>, Status)> {
    if let Err(problem) = gate::pass(request).await {
        return settle(request, Err(problem));
    }
    settle(request, read(request, data).await)
}

fn settle<'r, T, E: Into<Problem>>(
    request: &Request<'_>,
    read: Result<T, E>,
) -> rocket::outcome::Outcome<T, (Status, Problem), (Data<'r>, Status)> {
    match read {
        Ok(value) => rocket::outcome::Outcome::Success(value),
        Err(error) => {
            let problem: Problem = error.into();
            problem::leave(request, problem.clone());
            rocket::outcome::Outcome::Error((problem.status, problem))
        }
    }
}

/// The form token, and the form without it.
async fn read<T: DeserializeOwned>(
    request: &Request<'_>,
    data: Data<'_>,
) -> Result<Sent<T>, Problem> {
    if !request.content_type().is_some_and(|kind| kind.is_form()) {
        return Err(Problem::of_status(Status::UnsupportedMediaType));
    }
    let bytes = body::capped(request, data, MAX_FORM).await?;
    let fields: Vec<(String, String)> =
        serde_html_form::from_bytes(&bytes).map_err(|_| Problem::of_status(Status::BadRequest))?;
    if fields.len() > MAX_FIELDS {
        let detail = "The form has too many fields.";
        return Err(Problem::new(Status::BadRequest, "validation_failed", detail));
    }
    if fields.iter().any(|(_, value)| value.contains('\u{fffd}')) {
        return Err(not_utf8());
    }
    let (tokens, fields): (Vec<_>, Vec<_>) =
        fields.into_iter().partition(|(name, _)| name == "csrf_token");
    let mut tokens = tokens.into_iter();
    let token = match (tokens.next(), tokens.next()) {
        (Some((_, token)), None) => token,
        _ => return Err(Problem::from(&crate::error::Error::CsrfRefused)),
    };
    let encoded = serde_html_form::to_string(&fields).map_err(|_| Problem::internal())?;
    let value = serde_html_form::from_str(&encoded).map_err(|error| explain(&error.to_string()))?;
    Ok(Sent { token, value })
}

fn not_utf8() -> Problem {
    Problem::new(Status::BadRequest, "validation_failed", "The form is not valid UTF-8.")
}

/// Says which field is unknown, missing or there twice.
fn explain(message: &str) -> Problem {
    let field = message.split('`').nth(1).unwrap_or_default();
    let sentence = if message.contains("unknown field") {
        "This field is not known here."
    } else if message.contains("missing field") {
        "This field is required."
    } else if message.contains("duplicate field") {
        "This field is there more than once."
    } else {
        "This value cannot be used."
    };
    let detail = format!("The form does not fit this page. {field}: {sentence}");
    Problem::new(Status::UnprocessableEntity, "validation_failed", detail)
}
