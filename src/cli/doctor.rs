//! `doorward doctor`: what holds of this server, on one page.

use clap::Args;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::health;
use super::report::Report;
use crate::app::doctor::{Examination, PATIENCE, Store, inspection_path};
use crate::app::{StartError, World};
use crate::config::Config;
use crate::guard::inspection::Inspections;

#[derive(Args)]
pub(super) struct Asked {
    /// Print an address that works once: opened through the proxy, it shows what arrives at the server
    #[arg(long)]
    request: bool,
}

pub(super) async fn run(
    asked: &Asked,
    config: &Config,
    world: &World,
) -> Result<Report, StartError> {
    if asked.request {
        return request(config, world);
    }
    let page = timeout(PATIENCE, Examination::make(config, world)).await;
    let page = page.map_err(|_| "the stores did not answer in time")?;
    let server = match health::check(&config.server).await {
        Ok(_) => "ready".to_owned(),
        Err(error) => format!("not ready: {error}"),
    };
    let mut value = serde_json::to_value(&page)?;
    if let Value::Object(fields) = &mut value {
        let address = format!("{}:{}", config.server.address, config.server.port);
        fields.insert("server".to_owned(), json!({ "address": address, "state": server }));
    }
    let mut report = Report::of(lines(&page, &server), value);
    report.failed = !page.problems.is_empty();
    Ok(report)
}

fn request(config: &Config, world: &World) -> Result<Report, StartError> {
    let path = inspection_path(config, world)?;
    let url = format!("{}{path}", config.public_url.as_str().trim_end_matches('/'));
    let minutes = Inspections::LIFETIME.as_secs() / 60;
    let value = json!({ "url": url, "path": path, "minutes": minutes });
    let about = format!(
        "Open this within {minutes} minutes, the way people reach the server; it works once:"
    );
    Ok(Report::of(vec![about, url], value))
}

/// The page for people.
fn lines(page: &Examination, server: &str) -> Vec<String> {
    let build = match page.build.as_slice() {
        [] => String::new(),
        parts => format!(" ({})", parts.join(", ")),
    };
    let mut lines = vec![
        row("doorward", &format!("{}{build} on {}", page.version, page.system)),
        row("server", server),
        row("database", &store(&page.database)),
    ];
    if let Some(tables) = &page.migrations {
        let made = tables.known - tables.missing.len();
        let newer = match tables.newer.len() {
            0 => String::new(),
            newer => format!(", and {newer} of a newer release"),
        };
        lines.push(row("migrations", &format!("{made} of {}{newer}", tables.known)));
    }
    lines.push(row("session store", &store(&page.session_store)));
    for key in &page.keys {
        let text = format!(
            "{} {} {}, signs from {}, {} days old",
            key.state, key.algorithm, key.id, key.signs_from, key.age_days
        );
        lines.push(row("key", &text));
    }
    for disk in &page.disks {
        let mib = |bytes: u64| bytes >> 20;
        let (folder, free, total) =
            (disk.folder.display(), mib(disk.free_bytes), mib(disk.total_bytes));
        lines.push(row("disk", &format!("{folder}: {free} of {total} MiB free")));
    }
    if let Some(limit) = page.open_files {
        lines.push(row("open files", &format!("at most {limit}")));
    }
    for setting in &page.settings {
        lines.push(row(
            "setting",
            &format!("{} = {} ({})", setting.key, setting.value, setting.source),
        ));
    }
    lines.extend(page.warnings.iter().map(|text| row("warning", text)));
    lines.extend(page.problems.iter().map(|text| row("problem", text)));
    lines
}

fn row(name: &str, text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    format!("{name:<14} {text}")
}

fn store(store: &Store) -> String {
    let mut text = store.kind.to_owned();
    if let Some(version) = &store.version {
        text = format!("{text} {version}");
    }
    text = format!("{text} at {}", store.at);
    match (store.answers, store.round_trip_ms) {
        (Some(true), Some(millis)) => text = format!("{text}, answers in {millis} ms"),
        (Some(false), _) => text = format!("{text}, does not answer"),
        _ => {}
    }
    match store.clock_ahead_ms {
        Some(ahead) => format!("{text}, clock {ahead:+} ms"),
        None => text,
    }
}
