//! HTML forms: read strictly, and only from our own pages (SR-7, SR-41, SR-60).

use rocket::data::{Data, FromData, Outcome};
use rocket::http::Status;
use rocket::outcome::try_outcome;
use rocket::request::Request;
use serde::de::DeserializeOwned;

use super::{body, csrf, gate, submission};
use crate::error::Error;
use crate::problem::{self, Problem};

/// Largest form, in bytes (SR-60).
const MAX_FORM: u64 = 16 * 1024;
/// Most fields of a form (SR-60).
const MAX_FIELDS: usize = 100;

/// A form that somebody who is signed in sent from a page of theirs.
pub struct Form<T>(pub T);

/// A form that a visitor sent from a page of theirs: sign-in, registration, set-up.
pub struct VisitorForm<T>(pub T);

/// A form of a kind that knows whose forms it takes.
#[rocket::async_trait]
pub trait Tokened {
    /// What is typed into the form.
    type Fields: DeserializeOwned + Send;

    /// Refuses a form token that was not issued for this request's session or visitor.
    async fn check(request: &Request<'_>, token: &str) -> Result<(), Error>;
}

#[rocket::async_trait]
impl<T: DeserializeOwned + Send> Tokened for Form<T> {
    type Fields = T;

    async fn check(request: &Request<'_>, token: &str) -> Result<(), Error> {
        csrf::check_token(request, token).await
    }
}

#[rocket::async_trait]
impl<T: DeserializeOwned + Send> Tokened for VisitorForm<T> {
    type Fields = T;

    async fn check(request: &Request<'_>, token: &str) -> Result<(), Error> {
        csrf::check_visitor_token(request, token)
    }
}

/// A form that is shown again, with what was typed, where its token has expired: the visitor's cookie
/// was lost, or another session began since the page was shown.
///
/// Only a browser that says that the form comes from a page of this site gets so far: what a page of
/// another site sends is refused, and never filled in for anybody to send.
pub struct Offered<F: Tokened> {
    fields: F::Fields,
    proof: Proof,
}

impl<F: Tokened> Offered<F> {
    /// What was typed, and the proof without which nothing may be done with it.
    pub fn open(self) -> (F::Fields, Proof) {
        (self.fields, self.proof)
    }
}

/// Whether a form came with a token that was issued to whoever sent it (SR-41).
#[must_use]
pub struct Proof(Result<(), Error>);

impl Proof {
    /// Does `work` if the form was good. Otherwise nothing of it is begun.
    ///
    /// # Errors
    /// [`Error::FormExpired`], [`Error::CookieMissing`]; or that of `work`.
    pub async fn then<R>(self, work: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
        self.0?;
        work.await
    }

    /// For forms that cannot be shown again.
    fn or_refused(self) -> Result<(), Error> {
        self.0.map_err(|_| Error::CsrfRefused)
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned + Send> FromData<'r> for Form<T> {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        let Offered { fields, proof } = try_outcome!(offered::<Self>(request, data).await);
        settle(request, proof.or_refused().map(|()| Self(fields)))
    }
}

#[rocket::async_trait]
impl<'r, T: DeserializeOwned + Send> FromData<'r> for VisitorForm<T> {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        let Offered { fields, proof } = try_outcome!(offered::<Self>(request, data).await);
        settle(request, proof.or_refused().map(|()| Self(fields)))
    }
}

#[rocket::async_trait]
impl<'r, F: Tokened> FromData<'r> for Offered<F> {
    type Error = Problem;

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        offered(request, data).await
    }
}

/// Reads a form and checks its token.
async fn offered<'r, F: Tokened>(
    request: &'r Request<'_>,
    data: Data<'r>,
) -> rocket::outcome::Outcome<Offered<F>, (Status, Problem), (Data<'r>, Status)> {
    let Sent { token, value, body } = try_outcome!(sent(request, data).await);
    let proof = match F::check(request, token.as_deref().unwrap_or_default()).await {
        Err(Error::CsrfRefused) if csrf::says_same_origin(request) => Err(csrf::expired(request)),
        // A token that could not be looked up may be good, and a form of unknown origin is not shown.
        Err(error) => return settle(request, Err(error)),
        Ok(()) => Ok(()),
    };
    if proof.is_ok() {
        match submission::begin(request, &body).await {
            Ok(false) => {}
            Ok(true) => {
                // The gate has an answer; this one is not seen.
                let problem = Problem::of_status(Status::Conflict);
                return rocket::outcome::Outcome::Error((problem.status, problem));
            }
            Err(problem) => return settle(request, Err(problem)),
        }
    }
    rocket::outcome::Outcome::Success(Offered { fields: value, proof: Proof(proof) })
}

/// A form as it was sent.
struct Sent<T> {
    token: Option<String>,
    value: T,
    body: Vec<u8>,
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
        (Some((_, token)), None) => Some(token),
        (None, _) if csrf::says_same_origin(request) => None,
        _ => return Err(Problem::from(&Error::CsrfRefused)),
    };
    let encoded = serde_html_form::to_string(&fields).map_err(|_| Problem::internal())?;
    let value = serde_html_form::from_str(&encoded).map_err(|error| explain(&error.to_string()))?;
    Ok(Sent { token, value, body: bytes })
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
