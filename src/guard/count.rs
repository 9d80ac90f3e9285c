//! Counts requests, by route, method and status, and how long they took.
//!
//! A request finds its figures by its route, which stays where it is while the server runs: nothing is
//! put together and nothing is looked up by name on the way.

use std::array;
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use rocket::http::{Method, Status};
use rocket::{Orbit, Request, Rocket, Route};

use crate::metric::family::{REQUEST_SECONDS, REQUESTS};
use crate::metric::{Counter, Histogram, Registry};

/// The route of a request for which there is none.
const UNMATCHED: &str = "none";

/// The statuses that are counted by their number; all others are one of the class names.
const STATUSES: [u16; 24] = [
    200, 201, 204, 206, 302, 303, 304, 400, 401, 403, 404, 405, 409, 413, 414, 415, 421, 422, 429,
    431, 500, 501, 502, 503,
];
const CLASSES: [&str; 6] = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx"];

const METHODS: [Method; 9] = [
    Method::Get,
    Method::Put,
    Method::Post,
    Method::Delete,
    Method::Options,
    Method::Head,
    Method::Trace,
    Method::Connect,
    Method::Patch,
];

/// The figures of all routes. Empty until the routes are known, and where nobody watches.
#[derive(Default)]
pub struct RequestCounts {
    registry: Registry,
    table: OnceLock<Table>,
}

struct Table {
    /// By the address of the route, in order.
    routes: Vec<(usize, RouteCounts)>,
    unmatched: [RouteCounts; METHODS.len()],
}

/// The figures of one route; they begin with its first request.
struct RouteCounts {
    method: &'static str,
    pattern: String,
    took: OnceLock<Histogram>,
    statuses: [OnceLock<Counter>; STATUSES.len() + CLASSES.len()],
}

impl RequestCounts {
    /// Counts for `registry`.
    pub fn of(registry: &Registry) -> Self {
        Self { registry: registry.clone(), table: OnceLock::new() }
    }

    /// Whether anybody watches.
    pub fn is_on(&self) -> bool {
        self.registry.is_on()
    }

    /// Learns the routes, when there will be no more of them.
    pub fn learn(&self, rocket: &Rocket<Orbit>) {
        if !self.is_on() {
            return;
        }
        let counts =
            |route: &Route| (address(route), RouteCounts::new(route.method, route.uri.path()));
        let mut routes: Vec<_> = rocket.routes().map(counts).collect();
        routes.sort_by_key(|(address, _)| *address);
        let unmatched = METHODS.map(|method| RouteCounts::new(method, UNMATCHED));
        // There is one start.
        let _ = self.table.set(Table { routes, unmatched });
    }

    /// Counts a request that was answered so.
    pub fn note(&self, request: &Request<'_>, status: Status, took: Duration) {
        if let Some(counts) = self.table.get().and_then(|table| table.of(request)) {
            counts.note(&self.registry, status, took);
        }
    }
}

/// Where a route stands in memory: while the server runs that names it.
fn address(route: &Route) -> usize {
    ptr::from_ref(route).addr()
}

impl Table {
    fn of(&self, request: &Request<'_>) -> Option<&RouteCounts> {
        if let Some(route) = request.route() {
            let place = self.routes.binary_search_by_key(&address(route), |(address, _)| *address);
            return place.ok().and_then(|place| self.routes.get(place)).map(|(_, counts)| counts);
        }
        let place = METHODS.iter().position(|method| *method == request.method())?;
        self.unmatched.get(place)
    }
}

impl RouteCounts {
    fn new(method: Method, pattern: &str) -> Self {
        Self {
            method: method.as_str(),
            pattern: pattern.to_owned(),
            took: OnceLock::new(),
            statuses: array::from_fn(|_| OnceLock::new()),
        }
    }

    fn note(&self, registry: &Registry, status: Status, took: Duration) {
        let labels = [("method", self.method), ("route", self.pattern.as_str())];
        self.took.get_or_init(|| registry.histogram(&REQUEST_SECONDS, &labels)).note(took);
        let (place, text) = shown(status.code);
        let counted = || {
            let status = if text.is_empty() { status.code.to_string() } else { text.to_owned() };
            registry.counter(&REQUESTS, &[labels[0], labels[1], ("status", &status)])
        };
        if let Some(counter) = self.statuses.get(place) {
            counter.get_or_init(counted).count();
        }
    }
}

/// The place of a status among the counters, and its class if it has no counter of its own.
fn shown(code: u16) -> (usize, &'static str) {
    match STATUSES.iter().position(|known| *known == code) {
        Some(place) => (place, ""),
        None => {
            let class = usize::from(code / 100).min(CLASSES.len() - 1);
            (STATUSES.len() + class, CLASSES[class])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_a_counter_of_its_own_or_that_of_its_class() {
        assert_eq!(shown(200), (0, ""));
        assert_eq!(shown(503), (23, ""));
        assert_eq!(shown(418), (STATUSES.len() + 4, "4xx"));
        assert_eq!(shown(99), (STATUSES.len(), "0xx"));
        assert_eq!(shown(999), (STATUSES.len() + 5, "5xx"));
    }
}
