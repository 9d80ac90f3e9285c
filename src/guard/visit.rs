//! What is noted of a request while it is answered: all in one place, because each thing that has a place
//! of its own in Rocket's request-local state is looked up and allocated for each request.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use rocket::http::Header;
use rocket::request::Request;

use super::Judgement;
use crate::address::ClientAddress;
use crate::limit::Gauge;

/// The notes on one request.
#[derive(Default)]
pub(super) struct Visit {
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
    /// Cookies that are to be set by whatever answer it gets, and what else goes with them.
    pub handed_over: Mutex<Vec<Header<'static>>>,
}

impl Visit {
    /// The notes on this request.
    pub fn of<'r>(request: &'r Request<'_>) -> &'r Self {
        request.local_cache(Self::default)
    }
}
