//! `doorward role …` and `doorward permission …`: what roles grant, and what there is to be granted.

use clap::Subcommand;
use serde_json::{Value, json};

use super::report::Report;
use crate::account::{Actor, KnownPermission};
use crate::app::{Services, StartError};
use crate::page::part::count;
use crate::role::Role;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List roles, what they grant, and how many have them
    List,
    /// Make a role
    Create {
        /// Its name
        name: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// What it grants
        permissions: Vec<String>,
    },
    /// Have a role grant exactly these permissions
    Set {
        /// Its name
        name: String,
        /// What it is for, if that is to change
        #[arg(long)]
        description: Option<String>,
        /// What it grants
        permissions: Vec<String>,
    },
    /// Delete a role, and take it from everybody who has it
    Delete {
        /// Its name
        name: String,
    },
}

#[derive(Subcommand)]
pub(super) enum PermissionCommand {
    /// List permissions, and who says that they exist
    List,
    /// Declare a permission of your application
    Create {
        /// Its name, such as invoices:read
        name: String,
        /// What it allows
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Withdraw a permission that no role grants
    Delete {
        /// Its name
        name: String,
    },
}

pub(super) async fn run(command: Command, services: &Services) -> Result<Report, StartError> {
    let roles = &services.roles;
    match command {
        Command::List => {
            let (all, holders) = tokio::try_join!(roles.all(), roles.holders())?;
            let number = |role: &Role| holders.get(&role.name).copied().unwrap_or_default();
            let lines = all
                .iter()
                .map(|role| format!("{}  {}", line(role), count(number(role), "person", "people")));
            let items = all.iter().map(|role| {
                let mut item = value(role);
                item["accounts"] = json!(number(role));
                item
            });
            Ok(Report::list(lines.collect(), items.collect()))
        }
        Command::Create { name, description, permissions } => {
            let role = roles.create(Actor::Operator, &name, &description, &permissions).await?;
            Ok(Report::done(format!("Created {}", line(&role)), json!({ "role": value(&role) })))
        }
        Command::Set { name, description, permissions } => {
            let description = description.as_deref();
            let role = roles.change(Actor::Operator, &name, description, &permissions).await?;
            Ok(Report::done(format!("Changed {}", line(&role)), json!({ "role": value(&role) })))
        }
        Command::Delete { name } => {
            let taken = roles.delete(Actor::Operator, &name).await?;
            let people = count(taken, "person", "people");
            let line = format!("Deleted {name}, and took it from {people}.");
            Ok(Report::done(line, json!({ "deleted": name, "accounts": taken })))
        }
    }
}

pub(super) async fn run_permission(
    command: PermissionCommand,
    services: &Services,
) -> Result<Report, StartError> {
    let roles = &services.roles;
    match command {
        PermissionCommand::List => {
            let all = roles.permissions().await?;
            let line = |one: &KnownPermission| {
                format!("{}  {}  {}", one.name, one.source.as_str(), one.description)
            };
            let items = all.iter().map(permission).collect();
            Ok(Report::list(all.iter().map(line).collect(), items))
        }
        PermissionCommand::Create { name, description } => {
            let made = roles.declare(Actor::Operator, &name, &description).await?;
            let line = format!("Declared {}; the role admin grants it.", made.name);
            Ok(Report::done(line, json!({ "permission": permission(&made) })))
        }
        PermissionCommand::Delete { name } => {
            roles.withdraw(Actor::Operator, &name).await?;
            Ok(Report::done(format!("Withdrew {name}."), json!({ "withdrawn": name })))
        }
    }
}

fn line(role: &Role) -> String {
    let granted: Vec<&str> = role.permissions.iter().map(|one| one.as_str()).collect();
    format!("{}  [{}]", role.name, granted.join(", "))
}

fn value(role: &Role) -> Value {
    json!({
        "name": role.name,
        "description": role.description,
        "permissions": role.permissions,
        "built_in": role.name.is_built_in(),
    })
}

fn permission(one: &KnownPermission) -> Value {
    json!({
        "name": one.name,
        "description": one.description,
        "source": one.source.as_str(),
    })
}
