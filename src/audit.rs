//! What happened, and to whom: one structured log line for each event of the OWASP logging
//! vocabulary (SR-80).

use std::net::IpAddr;

use crate::id::AccountId;

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody signed in.
    LoginSuccess,
    /// Somebody failed to.
    LoginFail,
    /// An account was made.
    UserCreated,
    /// A password was changed by its owner.
    PasswordChange,
    /// A refresh token of a session's past was presented; the session was ended.
    TokenReuse,
    /// A session was ended on purpose.
    SessionEnd,
}

impl Kind {
    /// The event's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LoginSuccess => "authn_login_success",
            Self::LoginFail => "authn_login_fail",
            Self::UserCreated => "user_created",
            Self::PasswordChange => "authn_password_change",
            Self::TokenReuse => "authn_token_reuse",
            Self::SessionEnd => "session_end",
        }
    }
}

/// Writes an event about `subject`, from the address `ip`.
pub fn record(kind: Kind, subject: Option<&AccountId>, ip: Option<IpAddr>) {
    tracing::info!(
        target: "audit",
        event = kind.as_str(),
        subject = subject.map(AccountId::as_str),
        ip = ip.map(tracing::field::display),
    );
}
