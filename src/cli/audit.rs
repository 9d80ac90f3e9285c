//! `doorward audit …`: the audit trail, as the operator reads and checks it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::report::{Extent, Printer, Report};
use crate::app::{Services, StartError, World};
use crate::audit::store::EventFilter;
use crate::audit::verify::Checkpoint;
use crate::audit::{Event, Kind};
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Walk the whole chain and name the first row that was altered, removed or moved
    Verify {
        /// What an earlier verification printed: also check that this is still the same chain
        #[arg(long, value_name = "SEQ:MAC", value_parser = checkpoint)]
        checkpoint: Option<Checkpoint>,
    },
    /// Delete the trail and begin a new one, after a change of `keys.secret` or a known break
    BeginAnew {
        /// Delete all events: they were exported, or nobody needs them
        #[arg(long, required = true)]
        delete_events: bool,
    },
    /// List events, the latest first
    List {
        /// Only this kind, such as authn_login_fail
        #[arg(long, value_parser = kind)]
        kind: Option<Kind>,
        /// Only what was done to the account with this identifier
        #[arg(long)]
        subject: Option<String>,
        /// Only what this account, `operator` or `server` did
        #[arg(long)]
        actor: Option<String>,
        #[command(flatten)]
        extent: Extent,
    },
}

fn checkpoint(text: &str) -> Result<Checkpoint, &'static str> {
    Checkpoint::parse(text).ok_or("a checkpoint looks like 1234:Zm9v…")
}

fn kind(text: &str) -> Result<Kind, &'static str> {
    Kind::parse(text).ok_or("there is no such kind of event; docs/audit.md lists them")
}

pub(super) async fn run(
    command: Command,
    config: &Config,
    world: &World,
    printer: &mut Printer,
) -> Result<Report, StartError> {
    let services = Services::open_to_audit(config, world).await?;
    match command {
        Command::Verify { checkpoint } => verify(&services, checkpoint.as_ref()).await,
        Command::BeginAnew { .. } => super::recorded(&services, begin_anew(&services)).await,
        Command::List { kind, subject, actor, extent } => {
            let filter = EventFilter { kind, subject, actor, ..EventFilter::default() };
            let read = async |limit, cursor: Option<String>| {
                let filter = EventFilter { limit, ..filter.clone() };
                let page = services.audit.list(filter, cursor.as_deref()).await?;
                Ok((page.items, page.next_cursor))
            };
            extent.print(printer, read, |event| (line(event), value(event))).await
        }
    }
}

/// What a verification by itself cannot show.
const NOT_SHOWN: &str = "Not shown without --checkpoint: whether the database was put back to an \
                         older copy of itself, or replaced.";

async fn verify(
    services: &Services,
    checkpoint: Option<&Checkpoint>,
) -> Result<Report, StartError> {
    let verdict = services.audit.verify(checkpoint).await?;
    let last = verdict.checkpoint.as_ref().map(ToString::to_string);
    let removed = match verdict.removed {
        0 => String::new(),
        removed => format!(", behind {removed} that were too old to be kept"),
    };
    let mut lines = match &verdict.broken {
        None => vec![format!("The audit trail is whole: {} events{removed}.", verdict.good)],
        Some(broken) => vec![
            format!("The audit trail is broken: {broken}."),
            format!("{} events before that are as they were written.", verdict.good),
        ],
    };
    if verdict.broken.is_none() && checkpoint.is_none() {
        lines.push(NOT_SHOWN.to_owned());
    }
    lines.extend(last.iter().map(|last| format!("Checkpoint: {last}")));
    let value = json!({
        "whole": verdict.broken.is_none(),
        "events": verdict.good,
        "removed": verdict.removed,
        "trail": verdict.trail,
        "checkpoint": last,
        "compared_with": checkpoint.map(ToString::to_string),
        "broken": verdict.broken.as_ref().map(|broken| json!({
            "seq": broken.seq(),
            "how": broken.as_str(),
            "detail": broken.to_string(),
        })),
    });
    let mut report = Report::of(lines, value);
    report.failed = verdict.broken.is_some();
    Ok(report)
}

async fn begin_anew(services: &Services) -> Result<Report, StartError> {
    let renewed = services.audit.renew().await?;
    let line =
        format!("Deleted {} events. The new trail is {}.", renewed.events, renewed.new.trail);
    let value = json!({ "deleted": renewed.events, "trail": renewed.new.trail });
    Ok(Report::of(vec![line], value))
}

/// One line for an event.
pub(super) fn line(event: &Event) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    format!(
        "{}  {}  {}  by {}  about {}  from {}  {}",
        event.at,
        event.kind,
        event.result,
        word(&event.actor),
        word(&event.subject),
        word(&event.ip),
        event.detail.as_deref().unwrap_or_default(),
    )
}

pub(super) fn value(event: &Event) -> Value {
    json!({
        "id": event.id,
        "at": event.at.to_string(),
        "kind": event.kind,
        "actor": event.actor,
        "subject": event.subject,
        "ip": event.ip,
        "result": event.result,
        "request_id": event.request_id,
        "detail": event.detail,
    })
}
