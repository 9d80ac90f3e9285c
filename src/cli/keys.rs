//! `doorward keys …`: the keys that sign tokens, as the operator sees and changes them.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::generate::{self, Generate};
use super::report::Report;
use crate::api::view::{KeyBody, ListBody, SigningKeyView};
use crate::app::{Services, StartError};
use crate::audit;
use crate::clock::Timestamp;
use crate::token::key::{self, KeyState, KeyView, Keys, Start};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the keys that there are and have been, oldest first
    List,
    /// Make the keys that replicas share: signing key and secret, in new files
    Generate(Generate),
    /// Make the next key: published at once, it signs after `keys.lead`
    Rotate {
        /// How the next key signs (as the last one, if not given)
        #[arg(long, value_enum)]
        algorithm: Option<Algorithm>,
        /// For a key that others may know: let the new one sign at once, and withdraw all others
        #[arg(long)]
        now: bool,
    },
}

/// The algorithms by the names that are typed.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Algorithm {
    /// Ed25519
    Eddsa,
    /// P-256, for services that do not know EdDSA
    Es256,
}

impl From<Algorithm> for key::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Eddsa => Self::EdDsa,
            Algorithm::Es256 => Self::Es256,
        }
    }
}

pub(super) async fn run(command: Command, services: &Services) -> Result<Report, StartError> {
    let keys = &services.keys;
    match command {
        Command::List => Ok(list(keys)),
        Command::Generate(asked) => generate::run(&asked),
        Command::Rotate { algorithm, now } => {
            let start = if now { Start::Now } else { Start::AfterLead };
            let algorithm = algorithm.map(Into::into);
            let made = audit::key::rotate(keys, &services.audit, algorithm, start).await?;
            Ok(rotated(&made, start))
        }
    }
}

fn list(keys: &Keys) -> Report {
    let views = keys.list();
    let value = json!(ListBody::whole(views.iter().map(SigningKeyView::from).collect()));
    Report::of(views.iter().map(line).collect(), value)
}

fn rotated(made: &KeyView, start: Start) -> Report {
    let when = match start {
        Start::AfterLead => {
            format!("It is published, and signs from {} on. Nobody is signed out.", made.signs_from)
        }
        Start::Now => format!(
            "It signs from now on, and every other key is withdrawn; running servers follow within {} seconds.",
            Keys::TEND_EVERY.as_secs()
        ),
    };
    let made_line = format!("Made {}", line(made));
    let mut report = Report::done(made_line, json!(KeyBody::from(made)));
    report.lines.push(when);
    report
}

/// One line for a key: what it is, and until when.
fn line(key: &KeyView) -> String {
    let until = |what: &str, at: Option<Timestamp>| at.map(|at| format!("{what} {at}"));
    let more = match key.state {
        KeyState::Next => Some(format!("signs from {}", key.signs_from)),
        KeyState::Current => until("signs until", key.stops_at)
            .or_else(|| Some(format!("signs since {}", key.signs_from))),
        KeyState::Retiring => until("verifies until", key.access_until),
        KeyState::Retired | KeyState::Withdrawn => until("refreshes until", key.refresh_until),
        KeyState::Erased => until("stopped", key.stops_at),
    };
    format!(
        "{}  {}  {:<9}  {}",
        key.id,
        key.algorithm,
        key.state.as_str(),
        more.unwrap_or_default()
    )
}
