//! The Prometheus page, on an address of its own: it is for the operator's network, not for the public.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use rocket::config::{Config, Ident, LogLevel, Shutdown};
use rocket::fairing::{AdHoc, Fairing};
use rocket::http::ContentType;
use rocket::{Build, Rocket, State, get, routes};

use super::watch::Watch;
use crate::error::chain;

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
    rocket::custom(config).manage(watch).mount("/", routes![page])
}

/// The figures in Prometheus's text format; nothing once the server has ended.
#[get("/metrics")]
fn page(watch: &State<Weak<Watch>>) -> Option<(ContentType, String)> {
    let format = ContentType::new("text", "plain").with_params(("version", "0.0.4"));
    Some((format, watch.upgrade()?.page()))
}
