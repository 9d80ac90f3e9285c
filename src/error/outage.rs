//! Why a store cannot be used, in the operator's words.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a store cannot be used: for the log and for the operator, never for a client.
///
/// It prints as one line, without a password: what was tried, what the system said, what to do.
#[derive(Clone, Debug)]
pub struct Outage {
    /// Which store, where it is, as whom it is asked, and the setting that says so.
    pub store: Arc<str>,
    /// What kind of failure it is.
    pub cause: Cause,
    /// What the system said.
    pub said: String,
    /// What to do about it.
    pub advice: Option<Cow<'static, str>>,
    /// What the log says already: nothing, or that the store is away, and why.
    pub told: Option<Told>,
}

/// The log says of a store that it is away. Shared by all failures of one outage.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<AtomicBool>);

impl Told {
    /// Whether this is the first request of the outage whose failure is to be written down.
    pub fn is_first(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

/// Kinds of failures that an operator would tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nothing listens there, or its name leads nowhere.
    Unreachable,
    /// It does not answer in time.
    Silent,
    /// It does not let us in, or lacks a permission.
    Denied,
    /// It is there, and what is asked for is not.
    Missing,
    /// TLS cannot be agreed on.
    Tls,
    /// It is starting, stopping, or being replaced.
    Busy,
    /// It takes no changes.
    ReadOnly,
    /// It has no room left.
    Full,
    /// It, or this process, has no more connections to give.
    Crowded,
    /// What it holds is damaged, or is something else.
    Damaged,
    /// Anything else.
    Other,
}

impl Outage {
    /// An outage of `store`, of which the log says nothing yet.
    pub fn new(store: &Arc<str>, cause: Cause, said: impl Into<String>) -> Self {
        let store = Arc::clone(store);
        Self { store, cause, said: one_line(&said.into()), advice: None, told: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}

/// The text without line breaks, which would make two lines of one.
fn one_line(text: &str) -> String {
    text.split(['\n', '\r'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the {}: {}", self.store, self.said)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Outage {}
