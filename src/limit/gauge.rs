//! How a request stands with the limits it was counted under, for those who answer it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::quota::Quota;

/// How one limit stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit's name, as clients see it: `login`, `register`, `refresh`, `requests`.
    pub policy: &'static str,
    /// What it allows.
    pub quota: Quota,
    /// How many more may come at once.
    pub remaining: u32,
    /// How long until another may come; zero if it may now.
    pub retry_after: Duration,
}

/// Collects the standings of one request. Clones share what is collected.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<Mutex<Vec<Standing>>>);

impl Gauge {
    /// Notes a standing.
    pub fn note(&self, standing: Standing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(standing);
    }

    /// What was noted, in order.
    pub fn standings(&self) -> Vec<Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
