//! What an event is: the OWASP logging vocabulary, and who did what to whom.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::address::ClientAddress;
use crate::clock::Timestamp;
use crate::id::EventId;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $outcome:ident;)*) => {
        /// The kinds of event, by their names in the OWASP logging vocabulary (SR-80).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// All of them, in the order of the vocabulary.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The event's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// Reads a name; `None` for any other text.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)* _ => None }
            }

            /// How an event of this kind ends unless it says otherwise.
            pub fn usual_outcome(self) -> Outcome {
                match self { $(Self::$name => Outcome::$outcome),* }
            }
        }
    };
}

kinds! {
    /// Somebody signed in.
    LoginSuccess = "authn_login_success", Success;
    /// Somebody failed to sign in.
    LoginFail = "authn_login_fail", Failure;
    /// Somebody who was signed in proved again who they are.
    ReauthSuccess = "authn_reauth_success", Success;
    /// Somebody who was signed in failed to prove again who they are.
    ReauthFail = "authn_reauth_fail", Failure;
    /// An account was locked for a while after failed attempts.
    LoginLock = "authn_login_lock", Failure;
    /// A password was changed.
    PasswordChange = "authn_password_change", Success;
    /// A password was to be changed, without knowing the current one.
    PasswordChangeFail = "authn_password_change_fail", Failure;
    /// A one-time token was made, such as a set-up link.
    TokenCreated = "authn_token_created", Success;
    /// A token was put on the denylist.
    TokenRevoked = "authn_token_revoked", Success;
    /// A refresh token of a session's past was presented; the session was ended (SR-36).
    TokenReuse = "authn_token_reuse", Failure;
    /// Something was asked for that the account may not do.
    AuthzFail = "authz_fail", Failure;
    /// Roles or permissions were changed.
    AuthzChange = "authz_change", Success;
    /// A limit was reached.
    RateLimited = "excess_rate_limit_exceeded", Failure;
    /// A session began.
    SessionCreated = "session_created", Success;
    /// A session was ended on purpose.
    SessionEnded = "session_ended", Success;
    /// An account was made.
    UserCreated = "user_created", Success;
    /// What an account shows of its owner was changed.
    UserUpdated = "user_updated", Success;
    /// An account was disabled.
    UserDisabled = "user_disabled", Success;
    /// An account was enabled again.
    UserEnabled = "user_enabled", Success;
    /// An account was deleted.
    UserDeleted = "user_deleted", Success;
    /// A request had a shape that none of our pages gives it.
    InputInvalid = "input_validation_fail", Failure;
    /// A request that changes something did not come from a page of this site (SR-41).
    Csrf = "malicious_csrf", Failure;
    /// A key that signs tokens was made, to follow the present one.
    KeyRotated = "sys_key_rotated", Success;
    /// Somebody took the audit trail along as a file.
    SensitiveRead = "sensitive_read", Success;
    /// The operator had a new audit trail begin in the place of another one.
    AuditBegun = "sys_audit_begun", Success;
    /// Events that were too old to be kept were removed.
    AuditRemoved = "sys_audit_removed", Success;
    /// The database was put back to how it was at an earlier time.
    Restored = "sys_restored", Success;
    /// A running server was told to read its configuration again.
    Reloaded = "sys_reloaded", Success;
    /// A server started.
    Startup = "sys_startup", Success;
    /// A server was told to stop.
    Shutdown = "sys_shutdown", Success;
}

impl JsonSchema for Kind {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
        schemars::json_schema!({ "type": "string", "enum": words })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
}

impl Outcome {
    /// The word for it, in JSON, in SQL and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// One thing that happened.
///
/// People are named by their account's identifier alone: an account can be erased without touching
/// what is recorded. The texts are those that were recorded, whatever they say: what is read back
/// from a table that somebody altered must still be shown.
///
/// It serializes as the JSON interface and an exported file show it: every field and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(description = "One thing that happened.")]
pub struct Event {
    /// Names the event.
    pub id: EventId,
    /// When it happened.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// What happened: the name of a kind of event.
    #[schemars(extend("examples" = ["authn_login_success"]))]
    pub kind: String,
    /// Who did it: the identifier of an account, `operator`, `server`, or nobody we know.
    #[schemars(extend("examples" = ["mRkVt8cGQ0a1bYz5uJ3xWg"]))]
    pub actor: Option<String>,
    /// The account it was done to, if it was one.
    #[schemars(extend("examples" = ["mRkVt8cGQ0a1bYz5uJ3xWg"]))]
    pub subject: Option<String>,
    /// The address it came from.
    #[schemars(extend("examples" = ["203.0.113.7"]))]
    pub ip: Option<String>,
    /// How it ended: `success` or `failure`.
    #[schemars(extend("examples" = ["success"]))]
    pub result: String,
    /// The request it was part of, as its answer and the access log name it.
    #[schemars(extend("examples" = ["OrKFPC91lp_rCNkx"]))]
    pub request_id: Option<String>,
    /// What else is worth knowing; never a secret, an address of a person, or free text.
    #[schemars(extend("examples" = [null]))]
    pub detail: Option<String>,
}

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// An event in the making: what a service says of it. Time, address, request and acting account
/// come from where it is recorded.
#[derive(Clone, Debug)]
pub struct Entry {
    pub(super) kind: Kind,
    pub(super) outcome: Outcome,
    pub(super) actor: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) ip: Option<IpAddr>,
    pub(super) detail: Option<String>,
}

impl Entry {
    /// An event of this kind.
    pub fn of(kind: Kind) -> Self {
        let outcome = kind.usual_outcome();
        Self { kind, outcome, actor: None, subject: None, ip: None, detail: None }
    }

    /// It was not done.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.outcome = Outcome::Failure;
        self
    }

    /// Done to this account.
    #[must_use]
    pub fn about(mut self, account: &crate::id::AccountId) -> Self {
        self.subject = Some(account.to_string());
        self
    }

    /// Done by somebody else than the request's own account: by `actor`.
    #[must_use]
    pub fn by(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Done from this address, where no request says it.
    #[must_use]
    pub fn from(mut self, ip: ClientAddress) -> Self {
        self.ip = ip.known();
        self
    }

    /// What else is worth knowing. Only words of ours, names of roles and permissions, identifiers
    /// and numbers: never what a client sent as it sent it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        let detail: String = detail.into();
        // No database refuses what has no control characters.
        self.detail = Some(detail.chars().filter(|c| !c.is_control()).collect());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(Kind::parse("authn_login"), None);
    }
}
