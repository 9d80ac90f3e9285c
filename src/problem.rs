//! How a failure looks: problem details (RFC 9457) for programs. Each error's status and code are said
//! here, once; `page/error.rs` shows the same to people.

use std::io::Cursor;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rocket::http::{ContentType, Header, Status};
use rocket::request::{Outcome, Request};
use rocket::response::{self, Responder, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::audit;
use crate::error::{Error, FieldError, chain};
use crate::id;

/// A failure, ready to be shown.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status of the answer.
    pub status: Status,
    /// The stable word for it.
    pub code: &'static str,
    /// What happened, in a sentence.
    pub detail: String,
    /// What is wrong with single fields.
    pub errors: Vec<FieldError>,
    /// Seconds to wait before another try.
    pub retry_after: Option<u64>,
    /// The methods that the path does have (RFC 9110 §10.2.1).
    pub allow: Option<String>,
    /// How many seconds ago who is signed in may have proved at most who they are (RFC 9470 §3).
    pub max_age: Option<u32>,
}

impl Problem {
    /// A failure with a status, a stable code and a sentence.
    pub fn new(status: Status, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            allow: None,
            max_age: None,
        }
    }

    /// The failure that a bare status stands for, where nothing more is known.
    pub fn of_status(status: Status) -> Self {
        let (code, detail) = match status.code {
            400 => ("validation_failed", "The request could not be read."),
            401 => ("not_signed_in", "You are not signed in."),
            403 => ("permission_denied", "You may not do this."),
            404 => ("not_found", "There is nothing here."),
            405 => ("method_not_allowed", "This cannot be done here."),
            413 => ("payload_too_large", "The request is too large."),
            414 => ("payload_too_large", "The address is too long."),
            421 => ("misdirected_request", "This server does not answer for that host."),
            415 => ("unsupported_media_type", "This kind of content is not accepted here."),
            422 => ("validation_failed", "Some fields need your attention."),
            429 => ("throttled", "Too many attempts."),
            431 => ("payload_too_large", "The request's headers are too large."),
            501 => ("method_not_allowed", "This method is not known here."),
            503 => ("store_unavailable", "The service is unavailable for the moment."),
            // What is no failure is nothing that anybody could have asked for.
            code if code < 400 => return Self::of_status(Status::NotFound),
            code if (400..500).contains(&code) => {
                ("validation_failed", "The request cannot be answered.")
            }
            _ => return Self::internal(),
        };
        Self::new(status, code, detail)
    }

    /// Something broke on our side; nothing more is said of it.
    pub fn internal() -> Self {
        let detail = "Something went wrong on our side.";
        Self::new(Status::InternalServerError, "internal", detail)
    }

    /// The problem as programs are told it.
    pub fn to_json(&self, request_id: &str) -> Value {
        json!(Details {
            kind: "about:blank",
            title: self.status.reason().unwrap_or("Error"),
            status: self.status.code,
            detail: &self.detail,
            code: self.code,
            request_id,
            errors: &self.errors,
            retry_after: self.retry_after,
        })
    }

    /// The headers that go with the failure, whatever its body.
    pub fn headers(&self) -> Vec<Header<'static>> {
        let mut headers = Vec::new();
        if let Some(seconds) = self.retry_after {
            headers.push(Header::new("Retry-After", seconds.to_string()));
        }
        if self.status == Status::Unauthorized {
            // RFC 6750 §3: how a program proves who it is.
            let error = match (self.code, self.max_age) {
                ("not_signed_in", _) => String::new(),
                (_, Some(seconds)) => {
                    format!(r#", error="insufficient_user_authentication", max_age={seconds}"#)
                }
                _ => r#", error="invalid_token""#.to_owned(),
            };
            headers.push(Header::new(
                "WWW-Authenticate",
                format!(r#"Bearer realm="doorward"{error}"#),
            ));
        }
        if let Some(methods) = &self.allow {
            headers.push(Header::new("Allow", methods.clone()));
        }
        headers
    }
}

/// Problem details (RFC 9457 §3), with members of ours.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Details<'a> {
    /// Always `about:blank`: the `code` says more.
    #[serde(rename = "type")]
    kind: &'a str,
    /// The status in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened, in a sentence for people.
    detail: &'a str,
    /// What happened, in a stable word for programs.
    code: &'a str,
    /// Names the request, in the log too.
    request_id: &'a str,
    /// What is wrong with single fields.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// Seconds to wait before another try.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (status, code) = match error {
            Error::Invalid(_) => (Status::UnprocessableEntity, "validation_failed"),
            Error::InvalidCredentials => (Status::Unauthorized, "invalid_credentials"),
            Error::WrongPassword => (Status::Forbidden, "invalid_credentials"),
            Error::RegistrationRefused => (Status::Conflict, "registration_refused"),
            Error::RegistrationClosed => (Status::Forbidden, "registration_refused"),
            Error::NotSignedIn => (Status::Unauthorized, "not_signed_in"),
            Error::TokenExpired => (Status::Unauthorized, "token_expired"),
            Error::SessionEnded => (Status::Unauthorized, "session_ended"),
            Error::ReauthRequired(_) => (Status::Unauthorized, "reauth_required"),
            Error::RefreshInvalid => (Status::Unauthorized, "refresh_invalid"),
            Error::TokenReused => (Status::Unauthorized, "refresh_reused"),
            Error::PasswordChangeRequired => (Status::Forbidden, "password_change_required"),
            Error::PermissionDenied(_) => (Status::Forbidden, "permission_denied"),
            Error::CsrfRefused | Error::FormExpired | Error::CookieMissing => {
                (Status::Forbidden, "csrf_refused")
            }
            Error::NotFound => (Status::NotFound, "not_found"),
            Error::Conflict(_) | Error::PermissionGranted(_) => (Status::Conflict, "conflict"),
            Error::LastAdmin => (Status::Conflict, "last_admin"),
            Error::SetupLinkInvalid => (Status::Forbidden, "permission_denied"),
            Error::Throttled(_) => (Status::TooManyRequests, "throttled"),
            Error::Overloaded => (Status::ServiceUnavailable, "overloaded"),
            Error::Unavailable(_) => (Status::ServiceUnavailable, "store_unavailable"),
            Error::Internal(_) => (Status::InternalServerError, "internal"),
        };
        if let Error::Unavailable(cause) | Error::Internal(cause) = error {
            let (request_id, cause) = (audit::request_id(), chain(&**cause));
            let told = error.outage().and_then(|outage| outage.told.as_ref());
            if told.is_some_and(|told| !told.is_first()) {
                tracing::debug!(code, cause, request_id, "a request failed");
            } else {
                tracing::error!(code, cause, request_id, "a request failed");
            }
        }
        let errors = match error {
            Error::Invalid(errors) => errors.clone(),
            _ => Vec::new(),
        };
        let max_age = match error {
            Error::ReauthRequired(age) => u32::try_from(age.as_secs()).ok(),
            _ => None,
        };
        Self {
            errors,
            max_age,
            retry_after: error.retry_after().map(|wait| wait.as_secs().max(1)),
            ..Self::new(status, code, sentence(&error.to_string()))
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl<'r> Responder<'r, 'static> for Problem {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let body = self.to_json(request_id(request)).to_string();
        let mut response = Response::build();
        response
            .status(self.status)
            .header(ContentType::new("application", "problem+json"))
            .sized_body(body.len(), Cursor::new(body));
        for header in self.headers() {
            response.header(header);
        }
        response.ok()
    }
}

/// Begins with a capital and ends with a full stop, as a message to a person does.
pub fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let mut text: String =
        chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    if !text.ends_with(['.', '!', '?', '…', ':']) {
        text.push('.');
    }
    text
}

/// What is noted of a request. Rocket drops the error value of a guard: so that is left here.
#[derive(Default)]
struct Notes {
    /// What the request is called.
    id: OnceLock<String>,
    /// What a guard left for the catcher.
    left: Mutex<Option<Problem>>,
}

impl Notes {
    fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(Self::default)
    }

    fn left(&self) -> MutexGuard<'_, Option<Problem>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a guard with `problem`, which the catcher will find.
pub fn refuse<T>(request: &Request<'_>, problem: Problem) -> Outcome<T, Problem> {
    leave(request, problem.clone());
    Outcome::Error((problem.status, problem))
}

/// Leaves `problem` for the catcher.
pub fn leave(request: &Request<'_>, problem: Problem) {
    *Notes::of(request).left() = Some(problem);
}

/// What was left for the catcher so far, if anything was: its status and its code.
pub fn left(request: &Request<'_>) -> Option<(Status, &'static str)> {
    let left = Notes::of(request).left();
    left.as_ref().map(|problem| (problem.status, problem.code))
}

/// What was left for the catcher of this status.
pub fn take(status: Status, request: &Request<'_>) -> Option<Problem> {
    Notes::of(request).left().take().filter(|problem| problem.status == status)
}

/// What this request is called: in its answer, in the log and in the audit trail.
pub fn request_id<'r>(request: &'r Request<'_>) -> &'r str {
    Notes::of(request).id.get_or_init(|| id::base64url(id::random_name_bytes::<12>()))
}

/// Calls this request as somebody in front of us does, who is trusted to name it. The first name
/// that a request is asked for by stays.
pub fn adopt_request_id(request: &Request<'_>, id: String) {
    Notes::of(request).id.get_or_init(|| id);
}
