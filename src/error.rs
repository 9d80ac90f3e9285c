//! What can go wrong, in the domain's words. How each looks to a client is said once, in `problem.rs`.

mod outage;

use std::time::Duration;

pub use outage::{Cause, Outage, Told};

/// The result of a domain operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a domain operation was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// One or more fields do not hold what they must.
    #[error("some fields need your attention")]
    Invalid(Vec<FieldError>),

    /// The e-mail address and the password do not belong together. Says nothing about which (SR-20).
    #[error("the e-mail address or the password is not right")]
    InvalidCredentials,

    /// The current password, asked for again, was not right.
    #[error("the current password is not right")]
    WrongPassword,

    /// An account could not be made with these details. Says nothing about why (SR-20).
    #[error("an account cannot be registered with these details")]
    RegistrationRefused,

    /// The administrator has closed self-registration.
    #[error("registration is closed here")]
    RegistrationClosed,

    /// The request carries no credentials.
    #[error("you are not signed in")]
    NotSignedIn,

    /// The access token is past its `exp`.
    #[error("the access token has expired")]
    TokenExpired,

    /// Who is signed in has to prove again who they are, for that was longer ago than this (SR-52).
    #[error("confirm with your password that it is you")]
    ReauthRequired(Duration),

    /// Another person chose the password; until its owner has changed it, nothing else is answered (SR-52).
    #[error("choose a new password first: another person chose the one that you have")]
    PasswordChangeRequired,

    /// The token's session has ended, or its token is no longer the current one.
    #[error("this session has ended; sign in again")]
    SessionEnded,

    /// There is no refresh token, or it is none of ours.
    #[error("the refresh token is not valid")]
    RefreshInvalid,

    /// The refresh token was already rotated (RFC 9700 §4.14.2).
    #[error("this refresh token was used before; the session has been closed")]
    TokenReused,

    /// The account's roles do not grant this permission.
    #[error("you do not have the permission {0}")]
    PermissionDenied(String),

    /// A request that changes something did not prove that it comes from this site (SR-41).
    #[error("this request did not come from a page of this site; reload the page and try again")]
    CsrfRefused,

    /// The token of a form of this site is not good any more (SR-41).
    #[error(
        "this form had expired; what you typed is still here, except passwords: please send it again"
    )]
    FormExpired,

    /// A form of this site came without the cookie that its page was sent with (SR-41).
    #[error(
        "your browser sent no cookie with this form: please send it again. If you read this every time, \
         your browser does not keep cookies for this address"
    )]
    CookieMissing,

    /// Nothing is there, or nothing that this account may see.
    #[error("there is nothing here")]
    NotFound,

    /// The change contradicts what is there.
    #[error("{0}")]
    Conflict(&'static str),

    /// The permission cannot be withdrawn: these roles grant it.
    #[error("these roles grant it, take it from them first: {0}")]
    PermissionGranted(String),

    /// The change would leave nobody who can administer (SR-51).
    #[error("at least one administrator who can sign in must remain")]
    LastAdmin,

    /// The one-time set-up link is spent, expired or not ours.
    #[error(
        "this set-up link is not valid any more; restart the server or run `doorward setup-link` for a new one"
    )]
    SetupLinkInvalid,

    /// More password hashes are waiting than the queue holds (SR-4).
    #[error("the server is busy; try again in a moment")]
    Overloaded,

    /// Tried too often: not before this long (SR-22, SR-23).
    #[error("too many attempts; try again in {}", in_words(*.0))]
    Throttled(Duration),

    /// A store did not answer. The cause is for the log, never for the client.
    #[error("the service is unavailable for the moment")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// Something that should not happen. The cause is for the log, never for the client.
    #[error("something went wrong on our side")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A store did not answer, because of `cause`.
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// Something broke that should not, because of `cause`.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// Whether it is a store's failure, and the log says of that store already that it is away.
    pub fn is_told(&self) -> bool {
        self.outage().is_some_and(|outage| outage.told.is_some())
    }

    /// The store's failure that it is, if it is one.
    pub fn outage(&self) -> Option<&Outage> {
        let Self::Unavailable(cause) = self else { return None };
        cause.downcast_ref()
    }

    /// One field is not as it must be.
    pub fn field(field: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(field, code, message)])
    }

    /// The same refusal, said of the field `name`: the name that the client sent the value under.
    #[must_use]
    pub fn about(self, name: &str) -> Self {
        match self {
            Self::Invalid(errors) => Self::Invalid(
                errors
                    .into_iter()
                    .map(|error| FieldError { field: name.to_owned(), ..error })
                    .collect(),
            ),
            other => other,
        }
    }

    /// How long a client should wait before it tries again, where waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded => Some(Duration::from_secs(1)),
            Self::Throttled(wait) => Some(Duration::from_secs(whole_seconds(*wait))),
            Self::Unavailable(_) => Some(Duration::from_secs(2)),
            _ => None,
        }
    }
}

/// The duration in seconds, rounded up: whoever waits that long has waited long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The duration as people say it: in seconds, or rounded up to minutes or hours.
fn in_words(duration: Duration) -> String {
    let (number, unit) = match whole_seconds(duration).max(1) {
        seconds @ 0..=90 => (seconds, "second"),
        seconds @ 91..=5400 => (seconds.div_ceil(60), "minute"),
        seconds => (seconds.div_ceil(3600), "hour"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// What is wrong with one field of a form or of a JSON object.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct FieldError {
    /// The field, by the name that the client sent it under.
    pub field: String,
    /// A stable word for programs: `too_short`, `common_password`, `unknown_field` …
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl FieldError {
    /// An error of the field `field`.
    pub fn new(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self { field: field.into(), code, message: message.into() }
    }
}

/// Puts the field errors of `result` with the others, so that a form shows all of them at once.
///
/// # Errors
/// Any other error of `result`.
pub fn keep_error<T>(result: Result<T>, wrong: &mut Vec<FieldError>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Invalid(errors)) => {
            wrong.extend(errors);
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// An error with all its causes, for the log and for the operator, never for a client.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_the_unit_that_people_would_use() {
        for (seconds, expected) in [
            (0, "1 second"),
            (90, "90 seconds"),
            (91, "2 minutes"),
            (5400, "90 minutes"),
            (5401, "2 hours"),
            (86_400, "24 hours"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), expected);
        }
    }
}
