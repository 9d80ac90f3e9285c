//! `doorward user …`: accounts, as the operator changes them.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Report, find};
use crate::account::store::AccountFilter;
use crate::account::{Account, Actor, Invitation, Status};
use crate::app::{Services, StartError};
use crate::id::SecretString;
use crate::page::part::count;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create an account; its password is read from standard input
    Create {
        /// The e-mail address
        #[arg(long)]
        email: String,
        /// The name it shows
        #[arg(long, default_value = "")]
        name: String,
        /// A role; may be given more than once (`user` if none is)
        #[arg(long = "role")]
        roles: Vec<String>,
    },
    /// List accounts, newest first
    List {
        /// Only those whose address or name contains this
        #[arg(long)]
        search: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
    /// Show one account and its sessions
    Show {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Stop an account from being used, and end its sessions
    Disable {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Let a disabled account be used again
    Enable {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Delete an account for good
    Delete {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Give an account exactly these roles
    SetRoles {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
        /// The roles
        roles: Vec<String>,
    },
    /// Set a password, read from standard input, and end the account's sessions
    SetPassword {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
    /// Sign an account out everywhere
    EndSessions {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
}

pub(super) async fn run(command: Command, services: &Services) -> Result<Report, StartError> {
    let accounts = &services.accounts;
    match command {
        Command::Create { email, name, roles } => {
            let invitation = Invitation {
                email: &email,
                display_name: &name,
                password: Some(read_password()?),
                roles: &roles,
            };
            let account =
                accounts.create(Actor::Operator, &*services.role_store, invitation).await?;
            Ok(changed("Created", &account))
        }
        Command::List { search, limit } => list(services, search, limit).await,
        Command::Show { account } => show(services, &account).await,
        Command::Disable { account } => set_status(services, &account, Status::Disabled).await,
        Command::Enable { account } => set_status(services, &account, Status::Active).await,
        Command::Delete { account } => {
            let account = find(services, &account).await?;
            accounts.delete(Actor::Operator, &account.id).await?;
            Ok(changed("Deleted", &account))
        }
        Command::SetRoles { account, roles } => {
            let id = find(services, &account).await?.id;
            let account =
                accounts.set_roles(Actor::Operator, &*services.role_store, &id, &roles).await?;
            Ok(changed("Changed the roles of", &account))
        }
        Command::SetPassword { account } => {
            let id = find(services, &account).await?.id;
            let account = accounts.set_password(&id, read_password()?).await?;
            Ok(changed("Changed the password of", &account))
        }
        Command::EndSessions { account } => {
            let account = find(services, &account).await?;
            let revoked = accounts.end_sessions(Actor::Operator, &account.id).await?;
            let sessions = count(revoked, "session", "sessions");
            let line = format!("Ended {sessions} of {}.", account.email);
            Ok(Report::new(line, json!({ "revoked": revoked })))
        }
    }
}

async fn set_status(services: &Services, name: &str, status: Status) -> Result<Report, StartError> {
    let id = find(services, name).await?.id;
    let account = services.accounts.set_status(Actor::Operator, &id, status).await?;
    let verb = if status == Status::Active { "Enabled" } else { "Disabled" };
    Ok(changed(verb, &account))
}

async fn list(
    services: &Services,
    search: Option<String>,
    limit: u32,
) -> Result<Report, StartError> {
    let filter = AccountFilter { q: search, limit, ..AccountFilter::default() };
    let page = services.accounts.list(filter, None).await?;
    let mut lines: Vec<String> = page.items.iter().map(line).collect();
    if page.next_cursor.is_some() {
        lines.push(format!("(the newest {limit}; --limit shows more)"));
    }
    let value = json!({ "items": page.items.iter().map(value).collect::<Vec<_>>() });
    Ok(Report { lines, value, failed: false })
}

async fn show(services: &Services, name: &str) -> Result<Report, StartError> {
    let account = find(services, name).await?;
    let sessions = services.sessions.list(&account.id).await?;
    let mut lines = vec![line(&account)];
    lines.extend(sessions.iter().map(|session| {
        format!("  session {} from {}, last seen {}", session.id, session.ip, session.last_seen_at)
    }));
    let sessions: Vec<Value> = sessions
        .iter()
        .map(|s| json!({ "id": s.id, "ip": s.ip, "last_seen_at": s.last_seen_at.to_string() }))
        .collect();
    Ok(Report {
        lines,
        value: json!({ "user": value(&account), "sessions": sessions }),
        failed: false,
    })
}

fn changed(verb: &str, account: &Account) -> Report {
    Report::new(format!("{verb} {}", line(account)), json!({ "user": value(account) }))
}

fn line(account: &Account) -> String {
    let roles: Vec<&str> = account.roles.iter().map(|role| role.as_str()).collect();
    format!("{}  {}  {}  [{}]", account.id, account.email, account.status, roles.join(", "))
}

fn value(account: &Account) -> Value {
    json!({
        "id": account.id,
        "email": account.email,
        "display_name": account.display_name,
        "status": account.status,
        "roles": account.roles,
        "created_at": account.created_at.to_string(),
        "last_login_at": account.last_login_at.map(|at| at.to_string()),
    })
}

/// The first line of standard input: never an argument, which every process on the machine can see.
fn read_password() -> Result<SecretString, StartError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("Password (shown as you type; end with Enter): ");
        std::io::stderr().flush()?;
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    let password = SecretString::new(line.trim_end_matches(['\r', '\n']));
    zeroize::Zeroize::zeroize(&mut line);
    if password.expose().is_empty() {
        return Err("no password: write it to standard input".into());
    }
    Ok(password)
}
