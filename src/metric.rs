//! What is counted, for whoever watches the server. The names are stable; `docs/metrics.md` lists them.

use metrics::{counter, describe_counter};

/// How an attempt to refresh came out. Every refusal and every tolerated reuse has a cause of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// The token was current and has been rotated.
    Rotated,
    /// The token follows the one that the session store had for current: it lost its last moments.
    CaughtUp,
    /// The token's successor was handed out again, for it was rotated a moment ago: tabs racing.
    RepeatedInGrace,
    /// The token's successor was handed out again, for nobody ever used it: the answer was lost.
    RepeatedUnused,
    /// The token belonged to the session's past; the session was ended.
    Reused,
    /// The session had ended, or its time was over.
    Ended,
    /// It was no refresh token of ours.
    Invalid,
    /// The session or the address has refreshed too often.
    Throttled,
    /// A store did not answer.
    Failed,
}

/// How an attempt to sign in came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// A session was opened.
    Good,
    /// The address and the password did not belong together.
    Refused,
    /// Too many attempts were made at this account or from this address.
    Throttled,
    /// A store did not answer, or the server was too busy.
    Failed,
}

/// Says what each name means, for the exporter.
pub fn describe() {
    describe_counter!("doorward_refreshes_total", "Attempts to refresh, by outcome");
    describe_counter!("doorward_logins_total", "Attempts to sign in, by outcome");
}

/// Counts an attempt to refresh.
pub fn refresh(outcome: Refresh) {
    let outcome = match outcome {
        Refresh::Rotated => "rotated",
        Refresh::CaughtUp => "caught_up",
        Refresh::RepeatedInGrace => "repeated_in_grace",
        Refresh::RepeatedUnused => "repeated_unused",
        Refresh::Reused => "reused",
        Refresh::Ended => "ended",
        Refresh::Invalid => "invalid",
        Refresh::Throttled => "throttled",
        Refresh::Failed => "failed",
    };
    counter!("doorward_refreshes_total", "outcome" => outcome).increment(1);
}

/// Counts an attempt to sign in.
pub fn login(outcome: Login) {
    let outcome = match outcome {
        Login::Good => "good",
        Login::Refused => "refused",
        Login::Throttled => "throttled",
        Login::Failed => "failed",
    };
    counter!("doorward_logins_total", "outcome" => outcome).increment(1);
}
