//! The Prometheus page, on an address of its own: it is for the operator's network, not for the public.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use rocket::config::{Config, Ident, LogLevel, Shutdown};
use rocket::fairing::{AdHoc, Fairing};
use rocket::http::{ContentType, Header, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::response::{self, Responder, Response};
use rocket::{Build, Rocket, State, catch, catchers, get, routes};

use super::watch::Watch;
use crate::error::chain;
use crate::guard::host;

/// Shows the figures at `address` while the server runs.
pub(super) fn at(address: SocketAddr) -> impl Fairing {
    AdHoc::on_liftoff("Metrics", move |rocket| {
        Box::pin(async move {
            if let Some(watch) = rocket.state::<Arc<Watch>>() {
                rocket::tokio::spawn(show(application(address, Arc::downgrade(watch))));
            }
        })
    })
}

/// People can sign in though nobody can watch: that it cannot be shown is said, and that is all.
async fn show(application: Rocket<Build>) {
    if let Err(error) = application.launch().await {
        tracing::error!(cause = chain(&error), "the figures for Prometheus cannot be shown");
    }
}

/// The application that shows the figures at `/metrics`. It keeps no store open that the server has
/// let go of.
fn application(address: SocketAddr, watch: Weak<Watch>) -> Rocket<Build> {
    let config = Config {
        address: address.ip(),
        port: address.port(),
        workers: 1,
        ident: Ident::none(),
        ip_header: None,
        log_level: LogLevel::Off,
        // The server that people use decides when to stop.
        shutdown: Shutdown { ctrlc: false, signals: Default::default(), ..Shutdown::default() },
        ..Config::default()
    };
    rocket::custom(config).manage(watch).mount("/", routes![page]).register("/", catchers![failed])
}

/// A request that names exactly one host (RFC 9112 §3.2). Which one, says nothing on this address.
struct Addressed;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Addressed {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match host::named(request) {
            Some(_) => Outcome::Success(Self),
            None => Outcome::Error((Status::BadRequest, ())),
        }
    }
}

/// A failure in a word, instead of the page on which Rocket names itself.
struct Failed(Status);

impl<'r> Responder<'r, 'static> for Failed {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let text = format!("{}\n", self.0.reason_lossy());
        let mut response = Response::build();
        response.status(self.0).header(ContentType::Plain);
        response.header(Header::new("X-Content-Type-Options", "nosniff"));
        if self.0 == Status::BadRequest {
            response.header(Header::new("Connection", "close"));
        }
        response.sized_body(text.len(), std::io::Cursor::new(text)).ok()
    }
}

#[catch(default)]
fn failed(status: Status, request: &Request<'_>) -> Failed {
    Failed(if host::named(request).is_some() { status } else { Status::BadRequest })
}

/// The figures in Prometheus's text format; nothing once the server has ended.
#[get("/metrics")]
fn page(_addressed: Addressed, watch: &State<Weak<Watch>>) -> Option<(ContentType, String)> {
    let format = ContentType::new("text", "plain").with_params(("version", "0.0.4"));
    Some((format, watch.upgrade()?.page()))
}
