//! `doorward audit …`: the audit trail, as the operator reads and checks it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::report::{Extent, Printer, Report};
use crate::app::{Services, StartError};
use crate::audit::store::EventFilter;
use crate::audit::verify::Checkpoint;
use crate::audit::{Event, Kind};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Walk the whole chain and name the first row that was altered, removed or moved
    Verify {
        /// What an earlier verification printed: also check that this is still the same chain
        #[arg(long, value_name = "SEQ:MAC", value_parser = checkpoint)]
        checkpoint: Option<Checkpoint>,
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
    services: &Services,
    printer: &mut Printer,
) -> Result<Report, StartError> {
    match command {
        Command::Verify { checkpoint } => verify(services, checkpoint.as_ref()).await,
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
    lines.extend(last.iter().map(|last| format!("Checkpoint: {last}")));
    let value = json!({
        "whole": verdict.broken.is_none(),
        "events": verdict.good,
        "removed": verdict.removed,
        "checkpoint": last,
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

/// One line for an event.
fn line(event: &Event) -> String {
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

fn value(event: &Event) -> Value {
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
