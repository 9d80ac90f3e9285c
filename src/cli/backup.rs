//! `doorward backup` and `doorward restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::report::Report;
use crate::app::restore::{self, Restored};
use crate::app::{StartError, World};
use crate::config::Config;
use crate::page::part::count;

#[derive(Args)]
pub(super) struct Backup {
    /// The file to write, which must not be there yet; only its owner can read it
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Restore {
    /// A file that `doorward backup` wrote; no server may run
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The database was put back by its own means, such as pg_restore: make it safe to use
    #[arg(long)]
    in_place: bool,
}

pub(super) async fn back_up(asked: &Backup, config: &Config) -> Result<Report, StartError> {
    restore::back_up(config, &asked.to).await?;
    let file = asked.to.display().to_string();
    let line =
        format!("Wrote {file}. Keep it apart from keys.secret, without which it is of no use.");
    Ok(Report::done(line, json!({ "backup": file })))
}

pub(super) async fn restore(
    asked: &Restore,
    config: &Config,
    world: &World,
) -> Result<Report, StartError> {
    let Restored { ended, before } = match &asked.from {
        Some(from) => restore::restore(config, world, from).await?,
        None => Restored { ended: restore::make_safe(config, world).await?, before: None },
    };
    let before = before.map(|path| path.display().to_string());
    let sessions = count(ended, "session", "sessions");
    let mut report = Report::done(
        format!("Restored. Ended {sessions}; a new key signs. Everybody has to sign in again."),
        json!({ "restored": true, "revoked": ended, "before": before }),
    );
    report.lines.extend(before.map(|path| format!("The database that was there is {path}.")));
    report.lines.push(
        "What was changed since the backup is undone: docs/backup.md says what to look after."
            .into(),
    );
    Ok(report)
}
