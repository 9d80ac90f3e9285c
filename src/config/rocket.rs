//! What Rocket is given: its own settings where an operator chose them, and Doorward's where safety did.

use std::net::{IpAddr, Ipv4Addr};

use rocket::config::{Ident, LogLevel, Shutdown};
use rocket::data::{Limits, ToByteUnit as _};
use rocket::figment::{Figment, Profile};

use super::section::{Server, cores};
use super::source::Gathered;

/// The figment for `rocket::custom`, and the part of it that others ask for; `None` if Rocket would not start.
pub(super) fn settings(gathered: &mut Gathered, profile: &str) -> (Figment, Option<Server>) {
    // Rocket learns its profile from the selected one; the values themselves stand in `default`.
    let figment = std::mem::take(&mut gathered.rockets).select(Profile::new(profile));
    let server = match rocket::Config::try_from(&figment) {
        Ok(config) => {
            gathered.problems.extend(unsafe_settings(&config, &figment));
            Some(Server {
                address: config.address,
                port: config.port,
                workers: config.workers.max(1),
                max_blocking: config.max_blocking.max(1),
                tls: config.tls_enabled(),
            })
        }
        Err(errors) => {
            let told = |error: rocket::figment::Error| {
                problem(&figment, &error.path.join("."), &error.kind.to_string())
            };
            gathered.problems.extend(errors.into_iter().map(told));
            None
        }
    };
    if !cfg!(feature = "tls") && figment.contains("tls") {
        gathered.problems.push(problem(
            &figment,
            "tls",
            "this build cannot end TLS; build it with the feature `tls`, or put a proxy in front",
        ));
    }
    (figment, server)
}

/// What Rocket would do and Doorward does not.
fn unsafe_settings(config: &rocket::Config, figment: &Figment) -> Vec<String> {
    let mut problems = Vec::new();
    if config.ident != Ident::none() {
        let what = "must be false: the server does not tell what software it is";
        problems.push(problem(figment, "ident", what));
    }
    // The debug profile is for the developer's own machine (SR-76).
    if config.profile == rocket::Config::DEBUG_PROFILE && !config.address.is_loopback() {
        let what = format!(
            "profile debug does not listen on {}, where others can reach it; set ROCKET_PROFILE=release",
            config.address
        );
        problems.push(problem(figment, "address", &what));
    }
    problems
}

fn problem(figment: &Figment, key: &str, what: &str) -> String {
    let source = figment.find_metadata(key).map(|metadata| metadata.name.as_ref());
    let source = source.filter(|name| !name.starts_with("rocket::")).unwrap_or("default");
    format!("`{key}` ({source}): {what}")
}

/// What holds for Rocket if nobody says otherwise; `hosted` if a platform told the port.
pub(super) fn defaults(profile: &str, hosted: bool) -> rocket::Config {
    let debug = profile == "debug";
    // A hosting platform forwards to the port it names; elsewhere a server that nobody published stays private.
    let address = if hosted && !debug { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    rocket::Config {
        profile: Profile::new(profile),
        address: IpAddr::V4(address),
        port: 8000,
        workers: cores(),
        ident: Ident::none(),
        // X-Real-IP would be believed from anybody (SR-24).
        ip_header: None,
        limits: limits(),
        // Longer than a proxy keeps its side: else it may send into a connection that just closed.
        keep_alive: 75,
        // With `drain` less than ten seconds in all: what container platforms wait before they kill.
        shutdown: Shutdown { grace: 6, mercy: 1, ..Shutdown::default() },
        // Rocket writes its own lines to standard output, between ours, and they cost a quarter of the
        // throughput.
        log_level: LogLevel::Off,
        cli_colors: debug,
        ..rocket::Config::default()
    }
}

/// The largest bodies that are read (SR-60).
fn limits() -> Limits {
    Limits::new()
        .limit("form", 16.kibibytes())
        .limit("data-form", 16.kibibytes())
        .limit("json", 64.kibibytes())
        .limit("msgpack", 0.bytes())
        .limit("string", 16.kibibytes())
        .limit("bytes", 16.kibibytes())
        .limit("file", 0.bytes())
}
