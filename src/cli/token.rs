//! `doorward token …`: the denylist of single access tokens.

use clap::Subcommand;
use serde_json::{Value, json};

use super::input;
use super::report::Report;
use crate::app::{Services, StartError};
use crate::session::deny::Denial;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Refuse an access token until it would have run out
    Deny {
        /// Its jti; without it the token itself is read from standard input
        #[arg(long, allow_hyphen_values = true)]
        jti: Option<String>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// List the tokens that are refused
    List,
}

pub(super) async fn run(command: Command, services: &Services) -> Result<Report, StartError> {
    match command {
        Command::Deny { jti, reason } => {
            let denial = match jti {
                Some(jti) => Denial::Jti(jti),
                None => Denial::Token(input::token()?),
            };
            services.sessions.deny_token(denial, &reason).await?;
            Ok(Report::done("The token is refused.", json!({ "denied": true })))
        }
        Command::List => list(services).await,
    }
}

async fn list(services: &Services) -> Result<Report, StartError> {
    let tokens = services.sessions.denied_tokens().await?;
    let lines = tokens
        .iter()
        .map(|token| {
            format!("{}  until {}  {}", token.digest.as_str(), token.expires_at, token.reason)
        })
        .collect();
    let items: Vec<Value> = tokens
        .iter()
        .map(|token| {
            json!({
                "digest": token.digest,
                "denied_at": token.denied_at.to_string(),
                "expires_at": token.expires_at.to_string(),
                "reason": token.reason,
            })
        })
        .collect();
    Ok(Report::list(lines, items))
}
