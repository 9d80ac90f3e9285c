//! `doorward explain …`: why a request to an app would pass or not, and why a person cannot sign in.

use std::fmt;

use clap::Subcommand;
use serde_json::{Value, json};

use super::audit;
use super::report::Report;
use crate::access::{Asked, Demand, Requirement};
use crate::account::{Account, Status};
use crate::app::{Services, StartError};
use crate::audit::Event;
use crate::audit::store::EventFilter;
use crate::config::Config;
use crate::error::Error;
use crate::limit::AccountDelay;
use crate::role::{Permission, RoleName};

/// How many events about the person are shown.
const EVENTS: u32 = 5;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Say why a request to an app behind a proxy would pass or not
    Request {
        /// The host of the app, as browsers name it
        #[arg(long)]
        host: String,
        /// The path, with its query
        #[arg(long)]
        path: String,
        /// The method
        #[arg(long, default_value = "GET")]
        method: String,
        /// Who makes it: an e-mail address
        #[arg(long)]
        email: Option<String>,
    },
    /// Say why a person cannot sign in just now
    SignIn {
        /// Their e-mail address
        #[arg(long)]
        email: String,
    },
}

pub(super) async fn run(
    command: Command,
    config: &Config,
    services: &Services,
) -> Result<Report, StartError> {
    match command {
        Command::Request { host, path, method, email } => {
            let scheme = config.public_url.scheme();
            let asked = Asked { method: &method, scheme, host: &host, target: &path };
            explain_request(&asked, email.as_deref(), config, services).await
        }
        Command::SignIn { email } => explain_sign_in(&email, config, services).await,
    }
}

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Answer {
    Passes,
    SignsIn,
    ChangesPassword,
    Forbidden,
    Refused,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passes => "passes",
            Self::SignsIn => "has to sign in first",
            Self::ChangesPassword => "has to change the password first",
            Self::Forbidden => "is forbidden",
            Self::Refused => "is refused, whoever makes it",
        })
    }
}

async fn explain_request(
    asked: &Asked<'_>,
    email: Option<&str>,
    config: &Config,
    services: &Services,
) -> Result<Report, StartError> {
    // Also where the request is refused: these are the rules that it may fall under.
    let rules = config.access.candidates(asked).unwrap_or_default();
    let rules: Vec<(usize, String)> =
        rules.iter().map(|candidate| (candidate.number, candidate.rule.to_string())).collect();
    let person = match email {
        Some(email) => find(services, email).await?,
        None => None,
    };
    let (answer, reason) = match config.access.demand(asked) {
        Err(refusal) => (Answer::Refused, refusal.to_string()),
        Ok(demand) => match (email, &person) {
            _ if demand.is_public() => {
                (Answer::Passes, "everybody may, signed in or not".to_owned())
            }
            (None, _) => (Answer::SignsIn, format!("what is asked for is {demand}")),
            (Some(_), None) => {
                (Answer::SignsIn, "there is no account with this address".to_owned())
            }
            (Some(_), Some(account)) => judge(&demand, account, services).await?,
        },
    };
    let Asked { method, scheme, host, target } = asked;
    let mut lines = vec![format!("{method} {scheme}://{host}{target} {answer}: {reason}.")];
    lines.extend(rules.iter().map(|(number, rule)| format!("rule {number}: {rule}")));
    if rules.is_empty() {
        lines.push(format!("none of the {} rules is about it", config.access.rules().len()));
    }
    let mut value = json!({
        "passes": matches!(answer, Answer::Passes),
        "answer": answer.to_string(),
        "reason": reason,
        "rules": rules.iter().map(|(number, rule)| json!({ "number": number, "rule": rule })).collect::<Vec<_>>(),
    });
    tell_of(person.as_ref(), services, &mut lines, &mut value).await?;
    Ok(report(lines, value))
}

/// Whether the request of a person who is known passes.
async fn judge(
    demand: &Demand<'_>,
    account: &Account,
    services: &Services,
) -> Result<(Answer, String), StartError> {
    if account.status == Status::Disabled {
        return Ok((Answer::SignsIn, "the account is disabled, so it cannot sign in".to_owned()));
    }
    if account.must_change_password {
        return Ok((
            Answer::ChangesPassword,
            "another person chose the password of the account".to_owned(),
        ));
    }
    if demand.admit(&account.permissions).is_err() {
        return Ok((Answer::Forbidden, missing(demand, account, services).await?));
    }
    if services.sessions.list(&account.id).await?.is_empty() {
        return Ok((
            Answer::SignsIn,
            format!("the account may ({demand}), and has no session now"),
        ));
    }
    Ok((Answer::Passes, format!("the account may ({demand}), in a browser that is signed in")))
}

/// The permissions that the account lacks, and the roles that grant them.
async fn missing(
    demand: &Demand<'_>,
    account: &Account,
    services: &Services,
) -> Result<String, StartError> {
    let needed =
        demand.candidates.iter().filter_map(|candidate| match &candidate.rule.requirement {
            Requirement::Permission(permission) => Some(permission),
            _ => None,
        });
    let roles = services.roles.all().await?;
    let lacks = |permission: &&Permission| !account.permissions.contains(*permission);
    let told: Vec<String> = needed
        .filter(lacks)
        .map(|permission| {
            let granting = roles.iter().filter(|role| role.permissions.contains(permission));
            let names: Vec<&str> = granting.map(|role| role.name.as_str()).collect();
            match names.is_empty() {
                true => format!("the account lacks {permission}, which no role grants"),
                false => format!(
                    "the account lacks {permission}, which is granted by {}",
                    names.join(", ")
                ),
            }
        })
        .collect();
    Ok(told.join("; "))
}

async fn explain_sign_in(
    email: &str,
    config: &Config,
    services: &Services,
) -> Result<Report, StartError> {
    let person = find(services, email).await?;
    let mut reasons = Vec::new();
    match &person {
        None => reasons.push("there is no account with this address".to_owned()),
        Some(account) if account.status == Status::Disabled => {
            reasons.push(
                "the account is disabled; doorward user enable lets it be used again".to_owned(),
            );
        }
        Some(_) => {}
    }
    let mut notes = Vec::new();
    if person.as_ref().is_some_and(|account| account.must_change_password) {
        notes.push(
            "after signing in, the account has to change its password: another person chose it"
                .to_owned(),
        );
    }
    if config.store.is_embedded() {
        notes.push("failures are counted in the server itself, which is not asked; the events tell of them".to_owned());
    } else if let Some(account) = &person {
        match services.accounts.limits().account_delay(&account.email.key()).await? {
            AccountDelay::None { failures: 0 } => {}
            AccountDelay::None { failures } => {
                notes.push(format!(
                    "{failures} wrong passwords in a row; the next try has not to wait"
                ));
            }
            AccountDelay::For(wait) => reasons.push(format!(
                "after too many wrong passwords the next try on an unknown device has to wait {} s",
                wait.as_secs() + 1
            )),
        }
    }
    let can = reasons.is_empty();
    let first = match can {
        true => format!("{email} can sign in with the right password."),
        false => format!("{email} cannot sign in: {}.", reasons.join("; ")),
    };
    let mut lines = vec![first];
    lines.extend(notes.iter().cloned());
    let mut value = json!({ "can_sign_in": can, "reasons": reasons, "notes": notes });
    tell_of(person.as_ref(), services, &mut lines, &mut value).await?;
    Ok(report(lines, value))
}

/// What is known of the person, with the last events.
async fn tell_of(
    person: Option<&Account>,
    services: &Services,
    lines: &mut Vec<String>,
    value: &mut Value,
) -> Result<(), StartError> {
    let Some(account) = person else { return Ok(()) };
    let sessions = services.sessions.list(&account.id).await?.len();
    let roles: Vec<&str> = account.roles.iter().map(RoleName::as_str).collect();
    let status = account.status.as_str();
    let listed = if roles.is_empty() { "none".to_owned() } else { roles.join(", ") };
    lines.push(format!("account {}: {status}, roles {listed}, sessions {sessions}", account.id));
    let events = last_events(account, services).await?;
    lines.extend(events.iter().map(audit::line));
    value["account"] =
        json!({ "id": account.id, "status": status, "roles": roles, "sessions": sessions });
    value["events"] = events.iter().map(audit::value).collect();
    Ok(())
}

async fn last_events(account: &Account, services: &Services) -> Result<Vec<Event>, StartError> {
    let subject = Some(account.id.to_string());
    let filter = EventFilter { subject, limit: EVENTS, ..EventFilter::default() };
    Ok(services.audit.list(filter, None).await?.items)
}

async fn find(services: &Services, email: &str) -> Result<Option<Account>, StartError> {
    match services.accounts.find(email).await {
        Ok(account) => Ok(Some(account)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The lines with their control characters shown and not obeyed.
fn report(lines: Vec<String>, value: Value) -> Report {
    let plain =
        |line: String| line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    Report::of(lines.into_iter().map(plain).collect(), value)
}
