//! What is noted of a request while it is answered: all in one place, because each thing that has a place
//! of its own in Rocket's request-local state is looked up and allocated for each request.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use rocket::http::{Header, Method};
use rocket::request::Request;

use super::Judgement;
use super::host::Verdict;
use super::submission;
use crate::address::ClientAddress;
use crate::limit::Gauge;

/// What a request asked for before it was led somewhere else.
pub(super) struct Asked {
    pub method: Method,
    pub path: String,
}

/// The notes on one request.
#[derive(Default)]
pub(super) struct Visit {
    /// Whether Rocket could read the request, so that the fairings have seen it.
    pub received: AtomicBool,
    /// Whether its host is ours.
    pub host: OnceLock<Verdict>,
    /// What it asked for, if it was led somewhere else.
    pub asked: OnceLock<Asked>,
    /// When it came, if anybody wants to know.
    pub began: OnceLock<Instant>,
    /// Where it comes from.
    pub address: OnceLock<ClientAddress>,
    /// What it is counted under.
    pub gauge: Gauge,
    /// Whether its route stands behind the gate.
    pub entered: AtomicBool,
    /// What its credentials turned out to be.
    pub judgement: OnceLock<Judgement>,
    /// What is known of the form that it submits.
    pub submission: submission::Note,
    /// Cookies that are to be set by whatever answer it gets, and what else goes with them.
    pub handed_over: Mutex<Vec<Header<'static>>>,
}

impl Visit {
    /// The notes on this request.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(Self::default)
    }
}
