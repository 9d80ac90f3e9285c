//! `doorward user …`: accounts, as the operator changes them.

use clap::Subcommand;
use serde_json::{Value, json};

use super::report::{Extent, Printer, Report};
use super::{find, input};
use crate::account::search::Search;
use crate::account::store::AccountFilter;
use crate::account::{Account, Actor, Invitation, Status};
use crate::app::{Services, StartError};
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
        /// The password is for the first sign-in alone: its owner has to change it there
        #[arg(long)]
        temporary: bool,
    },
    /// List accounts, newest first
    List {
        /// Only those whose address or name contains this
        #[arg(long)]
        search: Option<String>,
        #[command(flatten)]
        extent: Extent,
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
    /// Change the e-mail address that an account signs in with
    SetEmail {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
        /// The new address
        email: String,
    },
    /// Set a password, read from standard input, and end the account's sessions
    SetPassword {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
        /// The password is for the next sign-in alone: its owner has to change it there
        #[arg(long)]
        temporary: bool,
    },
    /// Sign an account out everywhere
    EndSessions {
        /// Its e-mail address or identifier
        #[arg(allow_hyphen_values = true)]
        account: String,
    },
}

pub(super) async fn run(
    command: Command,
    services: &Services,
    printer: &mut Printer,
) -> Result<Report, StartError> {
    let accounts = &services.accounts;
    match command {
        Command::Create { email, name, roles, temporary } => {
            let invitation = Invitation {
                email: &email,
                display_name: &name,
                password: Some(input::password()?),
                is_temporary: temporary,
                roles: &roles,
            };
            let account =
                accounts.create(Actor::Operator, &*services.role_store, invitation).await?;
            Ok(changed("Created", &account))
        }
        Command::List { search, extent } => list(services, search, extent, printer).await,
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
        Command::SetEmail { account, email } => {
            let id = find(services, &account).await?.id;
            let account = accounts.set_email(Actor::Operator, &id, &email).await?;
            Ok(changed("Changed the address of", &account))
        }
        Command::SetPassword { account, temporary } => {
            let id = find(services, &account).await?.id;
            let account = accounts.set_password(&id, input::password()?, temporary).await?;
            Ok(changed("Changed the password of", &account))
        }
        Command::EndSessions { account } => {
            let account = find(services, &account).await?;
            let revoked = accounts.end_sessions(Actor::Operator, &account.id).await?;
            let sessions = count(revoked, "session", "sessions");
            let line = format!("Ended {sessions} of {}.", account.email);
            Ok(Report::done(line, json!({ "revoked": revoked })))
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
    extent: Extent,
    printer: &mut Printer,
) -> Result<Report, StartError> {
    let q = search.as_deref().map(Search::parse).transpose()?.flatten();
    let read = async |limit, cursor: Option<String>| {
        let filter = AccountFilter { q: q.clone(), limit, ..AccountFilter::default() };
        let page = services.accounts.list(filter, cursor.as_deref()).await?;
        Ok((page.items, page.next_cursor))
    };
    extent.print(printer, read, |account| (line(account), value(account))).await
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
        .map(|s| json!({ "id": s.id, "ip": s.ip.known(), "last_seen_at": s.last_seen_at.to_string() }))
        .collect();
    Ok(Report::of(lines, json!({ "user": value(&account), "sessions": sessions })))
}

fn changed(verb: &str, account: &Account) -> Report {
    Report::done(format!("{verb} {}", line(account)), json!({ "user": value(account) }))
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
