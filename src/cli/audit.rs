//! `doorward audit …`: the audit trail, as the operator reads and checks it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Report;
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
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
}

fn checkpoint(text: &str) -> Result<Checkpoint, &'static str> {
    Checkpoint::parse(text).ok_or("a checkpoint looks like 1234:Zm9v…")
}

fn kind(text: &str) -> Result<Kind, &'static str> {
    Kind::parse(text).ok_or("there is no such kind of event; docs/audit.md lists them")
}

pub(super) async fn run(command: Command, services: &Services) -> Result<Report, StartError> {
    match command {
        Command::Verify { checkpoint } => verify(services, checkpoint.as_ref()).await,
        Command::List { kind, subject, actor, limit } => {
            let filter = EventFilter { kind, subject, actor, limit, ..EventFilter::default() };
            let page = services.audit.list(filter, None).await?;
            let mut lines: Vec<String> = page.items.iter().map(line).collect();
            if page.next_cursor.is_some() {
                lines.push(format!("(the latest {limit}; --limit shows more)"));
            }
            let items: Vec<Value> = page.items.iter().map(value).collect();
            Ok(Report { lines, value: json!({ "items": items }), failed: false })
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
    Ok(Report { lines, value, failed: verdict.broken.is_some() })
}

/// One line for an event. What stands in the table may have been put there by somebody else than
/// us, so that control characters are shown and not obeyed.
fn line(event: &Event) -> String {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let line = format!(
        "{}  {}  {}  by {}  about {}  from {}  {}",
        event.at,
        event.kind,
        event.result,
        word(&event.actor),
        word(&event.subject),
        word(&event.ip),
        event.detail.as_deref().unwrap_or_default(),
    );
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    line.trim_end().chars().map(shown).collect()
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
