//! The headers of every answer, whatever it is (SR-42 to SR-44), and the line about it in the log.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Status};
use rocket::{Data, Orbit, Request, Response, Rocket};

use super::count::RequestCounts;
use super::visit::Visit;
use super::{catch, client, cookie, host, known_session, limit, nonce, span};
use crate::problem::{self, request_id};
use crate::reloadable::Reloadable;
use crate::trace;

/// Puts the security headers and the cookies into every answer, writes the access log, and counts.
pub struct Headers {
    /// What `Strict-Transport-Security` says; nothing without https (SR-42).
    pub hsts: Option<&'static str>,
    /// Whether answers depend on `Origin`, so that no cache gives one site's to another (SR-45).
    pub vary_origin: bool,
    /// Whether each request is a line in the log.
    pub log_requests: Reloadable<bool>,
    /// Where requests are counted.
    pub counts: RequestCounts,
}

impl Headers {
    /// Two years, for all subdomains.
    pub const HSTS: &'static str = "max-age=63072000; includeSubDomains";
    /// The same, for the list that browsers ship.
    pub const HSTS_PRELOAD: &'static str = "max-age=63072000; includeSubDomains; preload";
}

/// What every answer says (SR-42).
const ALWAYS: [(&str, &str); 7] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Origin-Agent-Cluster", "?1"),
    (
        "Permissions-Policy",
        "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), \
         microphone=(), payment=(), usb=()",
    ),
];

/// The Content-Security-Policy of what is no page (SR-43).
const CSP_NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// The origin to which a form of the answer leads in the end, if it is another than ours.
#[derive(Default)]
struct FormTarget(OnceLock<String>);

/// Lets the forms of this answer lead to `origin`: browsers hold a form to `form-action` through all
/// redirects that it meets.
pub(crate) fn allow_form_target(request: &Request<'_>, origin: String) {
    // The first stays: an answer is one page.
    let _ = request.local_cache(FormTarget::default).0.set(origin);
}

/// The Content-Security-Policy of a page (SR-43).
fn page_csp(nonce: &str, form_target: Option<&str>) -> String {
    let (space, origin) = form_target.map_or(("", ""), |origin| (" ", origin));
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; \
         font-src 'self'; connect-src 'self'; form-action 'self'{space}{origin}; base-uri 'none'; \
         object-src 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'; report-uri /csp-report"
    )
}

#[rocket::async_trait]
impl Fairing for Headers {
    fn info(&self) -> Info {
        Info { name: "Security headers", kind: Kind::Liftoff | Kind::Request | Kind::Response }
    }

    async fn on_liftoff(&self, rocket: &Rocket<Orbit>) {
        self.counts.learn(rocket);
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        Visit::of(request).received.store(true, Ordering::Relaxed);
        if self.is_timed() {
            Visit::of(request).began.get_or_init(Instant::now);
        }
        if let Some(id) = client::request_id(request) {
            problem::adopt_request_id(request, id);
        }
        if trace::is_on() {
            span::begin(request, if self.hsts.is_some() { "https" } else { "http" });
        }
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        self.complete(request, response);
    }
}

impl Headers {
    /// Puts into an answer what every answer has, logs it and counts it.
    pub(super) fn complete(&self, request: &Request<'_>, response: &mut Response<'_>) {
        // Asked while there are few headers, without a look-up by name: those hash it letter by letter.
        let (mut html, mut keeps) = (false, false);
        for header in response.headers().iter() {
            // Not parsed: what is written otherwise gets the stricter policy.
            html |= header.name() == "Content-Type" && header.value().starts_with("text/html");
            keeps |= header.name() == "Cache-Control";
        }
        cookie::write(request, response);
        limit::write(request, response);
        for (name, value) in ALWAYS {
            response.set_header(Header::new(name, value));
        }
        if let Some(hsts) = self.hsts {
            response.set_header(Header::new("Strict-Transport-Security", hsts));
        }
        if self.vary_origin {
            response.adjoin_header(Header::new("Vary", "Origin"));
        }
        if html {
            let target = request.local_cache(FormTarget::default).0.get();
            let policy = page_csp(nonce(request), target.map(String::as_str));
            response.set_header(Header::new("Content-Security-Policy", policy));
        } else {
            response.set_header(Header::new("Content-Security-Policy", CSP_NO_PAGE));
        }
        if !keeps {
            response.set_header(Header::new("Cache-Control", "no-store"));
        }
        // Where a request is not clear about its host, neither is where the next one begins.
        if Visit::of(request).host.get() == Some(&host::Verdict::Malformed) {
            response.set_header(Header::new("Connection", "close"));
        }
        response.set_header(Header::new("X-Request-Id", request_id(request).to_owned()));
        if trace::is_on() {
            span::end(request, response.status());
        }
        if self.is_timed() {
            let took = Visit::of(request).began.get_or_init(Instant::now).elapsed();
            self.counts.note(request, response.status(), took);
            if *self.log_requests.get() {
                log(request, response.status(), took);
            }
        }
    }
}

impl Headers {
    fn is_timed(&self) -> bool {
        *self.log_requests.get() || self.counts.is_on()
    }
}

/// One line for a request. The query is left out: it can hold what is secret or personal.
fn log(request: &Request<'_>, status: Status, took: Duration) {
    let live = known_session(request);
    let asked = Visit::of(request).asked.get();
    let method = asked.map_or(request.method(), |asked| asked.method).as_str();
    let path = asked.map_or(request.uri().path().as_str(), |asked| &asked.path);
    tracing::info!(
        target: "access",
        method = if catch::is_unreadable(request) { "unknown" } else { method },
        path,
        route = request.route().map(|route| route.uri.path()),
        status = status.code,
        micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        ip = %client::address(request),
        account = live.as_ref().map(|live| live.account.id.as_str()),
        session = live.as_ref().map(|live| live.session.id.as_str()),
        request_id = request_id(request),
    );
}
