//! The Prometheus page, on an address of its own: it is for the operator's network, not for the public.

use std::net::SocketAddr;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use rocket::config::{Config, Ident, LogLevel, Shutdown};
use rocket::http::ContentType;
use rocket::{Build, Rocket, State, get, routes};

use super::StartError;
use crate::metric;

/// Starts counting, and gives the application that shows the counts at `/metrics`.
///
/// # Errors
/// Something in this process counts already.
pub fn application(address: SocketAddr) -> Result<Rocket<Build>, StartError> {
    let counts = PrometheusBuilder::new().install_recorder()?;
    metric::describe();
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
    Ok(rocket::custom(config).manage(counts).mount("/", routes![page]))
}

/// The counts in Prometheus's text format.
#[get("/metrics")]
fn page(counts: &State<PrometheusHandle>) -> (ContentType, String) {
    counts.run_upkeep();
    let format = ContentType::new("text", "plain").with_params(("version", "0.0.4"));
    (format, counts.render())
}
