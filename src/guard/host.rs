//! Which host a request is for, and whether this server answers for it (SR-11).
//!
//! Links, redirects and cookies follow `public_url`, never what a client calls the server. A request
//! under another name is refused all the same: no cache in between can be made to store our answer under
//! that name, and no page of another site can reach the server by pointing its own name here (DNS
//! rebinding).
//!
//! What is judged is the field `Host`. Rocket shows neither the authority of a target in absolute form
//! (RFC 9112 §3.2.2) nor the version of HTTP: docs/security.md.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::uri::Origin;
use rocket::http::{Method, Status};
use rocket::request::Request;
use rocket::route::{Handler, Outcome};
use rocket::{Data, Route};

use super::log_throttle::LogThrottle;
use super::visit::{Asked, Visit};
use super::{client, is_api, route};
use crate::problem::{self, Problem};

/// Longest `Host` that is read, in bytes: a DNS name and a port.
const MAX_HOST: usize = 261;
/// The routes to which refused requests are led, for pages and below `/api`.
const REFUSED: [&str; 2] = ["/.doorward/host", "/api/.doorward/host"];
/// Their rank: before any other route that an application may have there.
const FIRST: isize = -64;

/// A host without its port, as two spellings of it are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// A name, in lower case.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl HostName {
    /// Reads a host as it stands in a URL: an IPv6 address in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(address) = text.strip_prefix('[') {
            return address.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        // RFC 3986 §3.2.2: `reg-name`.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&b);
        let named = !text.is_empty() && text.bytes().all(plain);
        named.then(|| Self::Name(text.to_ascii_lowercase()))
    }

    /// Whether browsers take it for the machine that they run on.
    pub fn is_this_machine(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Self::V4(address) => *address == Ipv4Addr::LOCALHOST,
            Self::V6(address) => *address == Ipv6Addr::LOCALHOST,
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// The host of a `Host` field (RFC 9112 §3.2, RFC 3986 §3.2.2). The port has to be one, and is not
/// compared: proxies drop it and add it, and nothing follows from it.
fn read(field: &str) -> Option<HostName> {
    if field.len() > MAX_HOST {
        return None;
    }
    let colon = field.rfind(':').filter(|colon| !field[*colon..].contains(']'));
    let (host, port) = field.split_at(colon.unwrap_or(field.len()));
    let port = port.strip_prefix(':').unwrap_or_default();
    let is_port = port.is_empty()
        || port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    HostName::parse(host).filter(|_| is_port)
}

/// What the `Host` of a request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This server answers for it.
    Ours,
    /// It is another server's (RFC 9110 §15.5.20).
    Foreign,
    /// There is not exactly one, or it is none (RFC 9112 §3.2).
    Malformed,
}

/// The hosts that this server answers for: Rocket state.
pub struct Hosts {
    names: Vec<HostName>,
    /// Whether `public_url` is this machine, which goes by several names.
    local: bool,
    public_url: String,
    throttle: LogThrottle,
}

impl Hosts {
    /// The host of `public_url`, and `extra` ones.
    pub fn new(public_url: &url::Url, extra: &[HostName]) -> Self {
        let own = public_url.host_str().and_then(HostName::parse);
        Self {
            local: own.as_ref().is_some_and(HostName::is_this_machine),
            names: own.into_iter().chain(extra.iter().cloned()).collect(),
            public_url: public_url.origin().ascii_serialization(),
            throttle: LogThrottle::default(),
        }
    }

    /// Where the server answers.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    fn judge(&self, request: &Request<'_>) -> Verdict {
        // Not from the network: a request that an application's own tests dispatch in the process.
        if request.remote().is_none() && !request.headers().contains("Host") {
            return Verdict::Ours;
        }
        match named(request) {
            None => Verdict::Malformed,
            Some(host) if self.answer_for(&host) || is_for_any_name(request) => Verdict::Ours,
            Some(_) => Verdict::Foreign,
        }
    }

    fn answer_for(&self, host: &HostName) -> bool {
        self.names.contains(host) || (self.local && host.is_this_machine())
    }

    /// Logs now and then that a host was refused, and how it becomes one of ours.
    fn log(&self, request: &Request<'_>) {
        if self.throttle.is_due() {
            let host = request.headers().get_one("Host").unwrap_or_default();
            let host: String = host.chars().take(100).collect();
            tracing::warn!(
                host = %host.escape_debug(),
                public_url = self.public_url,
                "refused a request for another host; if it is a name of this server, it belongs into \
                 `public_url` or `hosts.extra`"
            );
        }
    }
}

/// The host that a request names, if it names exactly one.
pub fn named(request: &Request<'_>) -> Option<HostName> {
    let mut fields = request.headers().get("Host");
    let host = fields.next().and_then(read)?;
    fields.next().is_none().then_some(host)
}

/// Load balancers, services and proxies reach the server at an inner address, and call it as they like.
/// What they are told here is the same under every name.
fn is_for_any_name(request: &Request<'_>) -> bool {
    match request.uri().path().as_str() {
        "/livez" | "/readyz" | "/.well-known/jwks.json" => true,
        // What an operator asks who looks for the proxy that sends a wrong name.
        path if path.starts_with("/api/v1/inspections/") => true,
        path => path.starts_with("/api/authz/") && client::is_trusted_proxy(request),
    }
}

/// The verdict on a request's host, which is the same whoever asks.
pub fn verdict(request: &Request<'_>) -> Verdict {
    *Visit::of(request).host.get_or_init(|| match request.rocket().state::<Hosts>() {
        Some(hosts) => {
            let verdict = hosts.judge(request);
            if verdict == Verdict::Foreign {
                hosts.log(request);
            }
            verdict
        }
        // An application without Doorward's services: the guards say so.
        None => Verdict::Ours,
    })
}

/// Refuses a request for another host, or for none.
///
/// # Errors
/// 421 `misdirected_request`; 400, after which the connection is closed.
pub fn admit(request: &Request<'_>) -> Result<(), Problem> {
    match verdict(request) {
        Verdict::Ours => Ok(()),
        Verdict::Foreign => {
            let hosts = request.rocket().state::<Hosts>();
            let place = hosts.map(|hosts| hosts.public_url.as_str()).unwrap_or_default();
            let detail = format!("This server does not answer for that host. It is at {place}.");
            Err(Problem::new(Status::MisdirectedRequest, "misdirected_request", detail))
        }
        Verdict::Malformed => {
            let detail = "A request must name one host, in the header Host.";
            Err(Problem::new(Status::BadRequest, "validation_failed", detail))
        }
    }
}

/// Holds every request to the hosts, whatever it is for: also for paths without a route, and for routes
/// without a guard.
pub struct Everywhere;

#[rocket::async_trait]
impl Fairing for Everywhere {
    fn info(&self) -> Info {
        Info { name: "Hosts", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        if verdict(request) == Verdict::Ours {
            return;
        }
        let asked = Asked { method: request.method(), path: request.uri().path().to_string() };
        let _ = Visit::of(request).asked.set(asked);
        let [page, api] = REFUSED;
        if let Ok(refused) = Origin::parse(if is_api(request) { api } else { page }) {
            request.set_uri(refused);
        }
        if request.method() != Method::Head {
            request.set_method(Method::Get);
        }
    }
}

/// Where [`Everywhere`] leads what it refuses.
pub fn routes() -> Vec<Route> {
    let routes = REFUSED.map(|path| Route::ranked(FIRST, Method::Get, path, Refuse));
    route::marked(routes.into(), false)
}

#[derive(Clone)]
struct Refuse;

#[rocket::async_trait]
impl Handler for Refuse {
    async fn handle<'r>(&self, request: &'r Request<'_>, _: Data<'r>) -> Outcome<'r> {
        match admit(request) {
            // Somebody asks for this path itself.
            Ok(()) => Outcome::Error(Status::NotFound),
            Err(problem) => {
                let status = problem.status;
                problem::leave(request, problem);
                Outcome::Error(status)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for (field, expected) in [
            ("localhost", "localhost"),
            ("LocalHost:8000", "localhost"),
            ("login.example.com:", "login.example.com"),
            ("127.0.0.1:65535", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[0:0::1]:8000", "[::1]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(read(field).map(|host| host.to_string()).as_deref(), Some(expected));
        }
        for field in [
            "",
            " ",
            ":8000",
            "a b",
            "a b@c",
            "user@localhost",
            "localhost/",
            "localhost:80:80",
            "localhost:x",
            "localhost:+80",
            "localhost:65536",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:x",
            "[]",
            "[fe80::1%25eth0]",
            "b\u{fc}cher.example",
            "localhost, localhost",
            "localhost\\@evil.example",
            "http://localhost",
        ] {
            assert_eq!(read(field), None, "{field:?}");
        }
        assert_eq!(read(&"a".repeat(MAX_HOST + 1)), None);
    }
}
