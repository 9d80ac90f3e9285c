//! The command line: runs the server, and does to accounts what an operator has to do.

mod audit;
mod backup;
mod doctor;
mod explain;
mod generate;
mod health;
mod input;
mod json;
mod keys;
mod log;
mod otel;
mod panic;
mod proxy;
mod report;
mod role;
mod text;
mod token;
mod user;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use rocket::fairing::AdHoc;
use serde_json::json;

use crate::api;
use crate::app::signal::Hangups;
use crate::app::{self, Complaint, Reloader, Services, StartError, World, explain, output};
use crate::audit::Origin;
use crate::config::{Config, Refused};
use report::{Printer, Report, Unwritten};

/// Accounts, sessions and roles for web applications.
#[derive(Parser)]
#[command(name = "doorward", version, about, max_term_width = 100)]
struct Arguments {
    /// Print JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (what happens without a command, too)
    Serve,
    /// Create, list and change accounts
    #[command(subcommand)]
    User(user::Command),
    /// Make and change roles
    #[command(subcommand)]
    Role(role::Command),
    /// Declare the permissions of your application
    #[command(subcommand)]
    Permission(role::PermissionCommand),
    /// Refuse single access tokens before their time
    #[command(subcommand)]
    Token(token::Command),
    /// List and rotate the keys that sign tokens
    #[command(subcommand)]
    Keys(keys::Command),
    /// Read the audit trail, and check that nobody has tampered with it
    #[command(subcommand)]
    Audit(audit::Command),
    /// Copy the SQLite database into a file, while servers work with it
    Backup(backup::Backup),
    /// Put a backup in the place of the database; everybody has to sign in again
    Restore(backup::Restore),
    /// Print a fresh link to make the first administrator
    SetupLink,
    /// Bring the database to this release's schema
    Migrate,
    /// Check the configuration and print every value in force
    CheckConfig,
    /// Print a configuration for the proxy in front of apps that the access rules name
    ProxyConfig(proxy::Asked),
    /// Print the reference of the JSON interface, as an OpenAPI document
    Openapi,
    /// Ask the server of this configuration whether it is ready, for containers
    Healthcheck,
    /// Print what holds of this server and what it needs, on one page without secrets
    Doctor(doctor::Asked),
    /// Say why a request to an app would pass or not, or why a person cannot sign in
    #[command(subcommand)]
    Explain(explain::Command),
}

/// Runs the command line of this process. The exit code is 0 if it is done, 1 if it failed and 2 if
/// it was used wrongly.
///
/// A reader of standard output who goes away early (`doorward user list | head`) changes none of that.
pub fn main() -> ExitCode {
    panic::report();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => return print_usage(&usage),
    };
    let mut printer = Printer::new(arguments.json);
    if let Some(Command::Keys(keys::Command::Generate(asked))) = &arguments.command {
        // A configuration that lacks these keys may be refused, so none is read.
        return finish(generate::run(asked), &mut printer);
    }
    let config = match Config::load() {
        Ok(config) => config,
        Err(refused) => return refuse(&refused, &mut printer),
    };
    let serves = matches!(arguments.command, None | Some(Command::Serve));
    let (_log, level) = match log::start(&config, serves) {
        Ok(log) => log,
        Err(error) => return fail(&*error, &mut printer),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.workers)
        .max_blocking_threads(config.server.max_blocking)
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments.command, config, level, &mut printer)),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(report)) => finish(Ok(report), &mut printer),
        Err(error) => finish(Err(error), &mut printer),
    }
}

/// Prints what a command came to; gives its exit code.
fn finish(done: Result<Report, StartError>, printer: &mut Printer) -> ExitCode {
    let failed = done.and_then(|report| {
        printer.report(&report)?;
        Ok(report.failed)
    });
    match failed {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::FAILURE,
        Err(error) => fail(&*error, printer),
    }
}

/// What clap has to say: help to standard output, wrong usage to standard error.
fn print_usage(usage: &clap::Error) -> ExitCode {
    let text = usage.render();
    let terminal =
        if usage.use_stderr() { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = if colours { text.ansi().to_string() } else { text.to_string() };
    let code = ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
    if usage.use_stderr() {
        output::complain(text.trim_end());
        return code;
    }
    match output::print(&text).map_err(Unwritten::from) {
        Err(error) if !error.is_nobody_reading() => fail(&error, &mut Printer::new(false)),
        _ => code,
    }
}

async fn run(
    command: Option<Command>,
    config: Config,
    level: log::Level,
    printer: &mut Printer,
) -> Result<Option<Report>, StartError> {
    let world = World::default();
    match command {
        None | Some(Command::Serve) => serve(config, world, level).await.map(|()| None),
        Some(Command::User(command)) => {
            let services = Services::open(&config, &world).await?;
            recorded(&services, user::run(command, &services, printer)).await.map(Some)
        }
        Some(Command::Role(command)) => {
            let services = Services::open(&config, &world).await?;
            recorded(&services, role::run(command, &services)).await.map(Some)
        }
        Some(Command::Permission(command)) => {
            let services = Services::open(&config, &world).await?;
            recorded(&services, role::run_permission(command, &services)).await.map(Some)
        }
        Some(Command::Audit(command)) => {
            audit::run(command, &config, &world, printer).await.map(Some)
        }
        Some(Command::Token(command)) => {
            let services = Services::open(&config, &world).await?;
            recorded(&services, token::run(command, &services)).await.map(Some)
        }
        Some(Command::Keys(command)) => {
            let services = Services::open(&config, &world).await?;
            recorded(&services, keys::run(command, &services)).await.map(Some)
        }
        Some(Command::Backup(asked)) => backup::back_up(&asked, &config).await.map(Some),
        Some(Command::Restore(asked)) => backup::restore(&asked, &config, &world).await.map(Some),
        Some(Command::SetupLink) => {
            let services = Services::open(&config, &world).await?;
            let token = recorded(&services, services.accounts.issue_setup_token()).await?;
            let token = token.ok_or("an administrator who can sign in exists already")?;
            let link = app::setup_link(&config.tokens.issuer, token.expose());
            let url = link.rsplit(' ').next().unwrap_or_default().to_owned();
            // The link itself belongs on standard output alone.
            let report = Report::new(link, json!({ "setup_link": url }));
            Ok(Some(report.having_done("made a set-up link; run it again for another")))
        }
        Some(Command::Migrate) => {
            Services::migrate(&config).await?;
            Ok(Some(Report::done("The database is up to date.", json!({ "migrated": true }))))
        }
        Some(Command::CheckConfig) => {
            let settings = serde_json::to_value(config.report())?;
            let mut report = Report::new(config.report().to_string(), settings);
            report.lines.extend(config.warnings().iter().map(|text| format!("warning: {text}")));
            Ok(Some(report))
        }
        Some(Command::ProxyConfig(asked)) => proxy::print(&asked, &config).map(Some),
        Some(Command::Openapi) => {
            let document = api::document(&app::basis(&config, "/")).json().clone();
            Ok(Some(Report::new(format!("{document:#}"), document)))
        }
        Some(Command::Explain(command)) => {
            let services = Services::open(&config, &world).await?;
            explain::run(command, &config, &services).await.map(Some)
        }
        Some(Command::Doctor(asked)) => doctor::run(&asked, &config, &world).await.map(Some),
        Some(Command::Healthcheck) => health::check(&config.server).await.map(Some),
    }
}

/// Does `work` as the operator's; its events are in the database before the command ends.
async fn recorded<T>(services: &Services, work: impl Future<Output = T>) -> T {
    let done = Origin::operator().scope(work).await;
    if !services.audit.flush(app::FLUSH_LIMIT).await {
        tracing::error!("the audit trail could not be written");
    }
    done
}

/// Serves until a signal says to stop; what is being answered then is finished first.
async fn serve(config: Config, world: World, level: log::Level) -> Result<(), StartError> {
    app::signal::ignore_meaningless();
    let hangups = Hangups::listen();
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let drain = config.drain;
    let (address, public_url) =
        (format!("{}:{}", config.server.address, config.server.port), config.tokens.issuer.clone());
    let tell = |error| tell(&error, &address);
    let told = address.clone();
    let serving = AdHoc::on_liftoff("Serving", |_| {
        Box::pin(async move { tracing::info!(address = told, public_url, "serving") })
    });
    let complaint = Complaint::kept();
    let rocket = app::build_with(config, world, complaint.clone())?.attach(serving);
    let rocket = app::stop::prepare(rocket).ignite().await.map_err(|error| {
        // Asking for it keeps Rocket from panicking.
        let told = tell(error);
        complaint.take().unwrap_or(told)
    })?;
    if let Some(reloader) = rocket.state::<Arc<Reloader>>() {
        reloader.also(move |config| level.set(config.log.level));
    }
    let ended = app::stop::serve_hearing(hangups, rocket, drain).await.map_err(tell)?;
    // Requests that were finished while the server stopped have recorded events, too.
    app::finish(ended).await;
    Ok(())
}

/// What Rocket says of a failed start, as one line; asking for it keeps Rocket from panicking.
fn tell(error: &rocket::Error, address: &str) -> StartError {
    use rocket::error::ErrorKind;
    match error.kind() {
        ErrorKind::Bind(cause) => format!(
            "cannot listen on {address}: {cause}; stop the program that uses the port, or set `port`"
        )
        .into(),
        ErrorKind::FailedFairings(_) => "a part of the server cannot start".into(),
        other => other.to_string().into(),
    }
}

fn refuse(refused: &Refused, printer: &mut Printer) -> ExitCode {
    printer.failure(&json!({ "error": "configuration", "problems": refused.problems() }));
    output::complain(&format!("{refused}\ndocs/start-errors.md says more"));
    ExitCode::FAILURE
}

fn fail(
    error: &(dyn std::error::Error + Send + Sync + 'static),
    printer: &mut Printer,
) -> ExitCode {
    let unwritten = error.downcast_ref::<Unwritten>();
    if unwritten.is_some_and(Unwritten::is_nobody_reading) {
        return ExitCode::SUCCESS;
    }
    let message = unwritten.map_or_else(|| explain(error), ToString::to_string);
    printer.failure(&json!({ "error": message }));
    output::complain(&format!("doorward: {message}"));
    ExitCode::FAILURE
}

/// The account store, for commands that name an account by its address or identifier.
async fn find(services: &Services, name: &str) -> Result<crate::account::Account, StartError> {
    let accounts: &Arc<_> = &services.accounts;
    let found = match crate::id::AccountId::parse(name) {
        Some(id) => accounts.get(&id).await,
        None => accounts.find(name).await,
    };
    match found {
        Err(crate::error::Error::NotFound) => Err(format!("there is no account {name}").into()),
        other => Ok(other?),
    }
}
