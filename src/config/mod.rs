//! The configuration: `Rocket.toml` and the environment, read and checked once, before anything starts.
//!
//! [`Config`] is plain data. Whatever is wrong is found here and told at once, in one [`Refused`]; a server that
//! has a `Config` can rely on it. The guide for operators is `docs/configuration.md`.

mod check;
mod key;
mod read;
mod reload;
mod report;
mod rocket;
mod secret;
mod section;
mod source;
mod value;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ::rocket::figment::Figment;
use url::Url;

pub use key::reference;
pub use reload::{Change, Changes, reloaded};
pub use report::{Report, Setting};
pub use section::{
    Api, Cookies, Cors, Database, Hosts, Keys, Limits, Log, LogFormat, Metrics, Passwords,
    Permissions, Proxies, Registration, Security, Server, Store, Telemetry, Templates, Tokens,
    Trail,
};

use crate::access::Access;
use crate::private_file;
use source::{Household, Sources};

/// Everything that an operator decides. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct Config {
    /// The selected profile: `debug`, `release`, or one of the operator's own.
    pub profile: String,
    /// Where and how the server listens.
    pub server: Server,
    /// The origin at which browsers reach the server.
    pub public_url: Url,
    /// The hosts that the server answers for.
    pub hosts: Hosts,
    /// Where generated keys and the SQLite file are kept.
    pub data_dir: PathBuf,
    /// How long a server that was asked to stop goes on serving, for balancers to turn away (SR-74).
    pub drain: Duration,
    /// Accounts, roles and audit.
    pub database: Database,
    /// The audit trail.
    pub audit: Trail,
    /// Sessions, denylist and limits.
    pub store: Store,
    /// Lives of tokens and sessions.
    pub tokens: Tokens,
    /// Keys and secrets.
    pub keys: Keys,
    /// The password policy and the cost of a hash.
    pub passwords: Passwords,
    /// Permissions of the operator's own application.
    pub permissions: Permissions,
    /// Self-registration.
    pub registration: Registration,
    /// The proxies in front.
    pub proxies: Proxies,
    /// How far the session cookies reach.
    pub cookies: Cookies,
    /// Who may reach which app behind a proxy.
    pub access: Access,
    /// Who may try what, how often.
    pub limits: Limits,
    /// Scripts of other sites.
    pub cors: Cors,
    /// The JSON interface.
    pub api: Api,
    /// Pages of one's own.
    pub templates: Templates,
    /// The log.
    pub log: Log,
    /// Counts for whoever watches.
    pub metrics: Metrics,
    /// Traces for whoever watches.
    pub telemetry: Telemetry,
    /// For those who find a weakness.
    pub security: Security,
    /// Whether cookies may travel over plain http to another machine (SR-40).
    pub insecure_cookies: bool,
    /// Whether `Strict-Transport-Security` says `preload` (SR-42).
    pub hsts_preload: bool,
    rocket: Figment,
    report: Report,
    warnings: Vec<String>,
}

impl Config {
    /// Reads `Rocket.toml` in the working directory, or the file that `ROCKET_CONFIG` names, and the environment.
    ///
    /// # Errors
    ///
    /// [`Refused`] names every problem there is (SR-76).
    pub fn load() -> Result<Self, Refused> {
        Self::load_from(Household::Alone)
    }

    /// Reads the same as [`load`](Self::load) in an application that has settings of its own in `Rocket.toml`.
    ///
    /// # Errors
    ///
    /// [`Refused`], also for what is nearly a setting of Doorward.
    pub fn load_shared() -> Result<Self, Refused> {
        Self::load_from(Household::Shared)
    }

    /// The `data_dir` in force, whatever else is wrong with the configuration.
    pub(crate) fn data_dir_alone() -> PathBuf {
        let sources = Self::sources(Household::Alone);
        sources.map_or_else(|_| PathBuf::from("data"), |sources| read::data_dir(&sources))
    }

    fn load_from(household: Household) -> Result<Self, Refused> {
        read::config(&Self::sources(household)?)
    }

    /// What there is to read a configuration from.
    fn sources(household: Household) -> Result<Sources, Refused> {
        let env = environment()?;
        let find = |variable: &str| {
            env.iter()
                .find(|(name, text)| name == variable && !text.is_empty())
                .map(|(_, text)| text)
        };
        let toml_name = find("ROCKET_CONFIG").cloned().unwrap_or_else(|| "Rocket.toml".to_owned());
        let toml = match std::fs::read(&toml_name) {
            Ok(bytes) => private_file::decode(&bytes)
                .map_err(|what| Refused::one(format!("{toml_name} {what}")))?
                .to_owned(),
            // Nobody has to have a file, unless they name one.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && find("ROCKET_CONFIG").is_none() =>
            {
                String::new()
            }
            Err(error) => {
                return Err(Refused::one(format!("{toml_name} cannot be read: {error}")));
            }
        };
        let (profile, profile_source) = match find("ROCKET_PROFILE") {
            Some(profile) => (profile.as_str(), "environment ROCKET_PROFILE"),
            None if cfg!(debug_assertions) => ("debug", "debug build"),
            None => ("release", "release build"),
        };
        let profile = profile.to_ascii_lowercase();
        Ok(Sources { toml, toml_name, profile, profile_source, env, household })
    }

    /// Reads a configuration from the text of a `Rocket.toml`, with the profile `profile` selected, and from the
    /// environment variables `env` instead of the process's own.
    ///
    /// # Errors
    ///
    /// [`Refused`] names every problem there is (SR-76).
    ///
    /// # Examples
    ///
    /// ```
    /// use doorward::config::Config;
    ///
    /// let toml = "[default.tokens]\naccess_ttl = '5m'";
    /// let env = [("DOORWARD_PUBLIC_URL", "https://login.example.com")];
    /// let config = Config::from_sources(toml, "release", env).expect("these settings are fine");
    /// assert_eq!(config.tokens.access_ttl.as_secs(), 300);
    /// assert_eq!(config.tokens.issuer, "https://login.example.com");
    /// ```
    pub fn from_sources<N, T>(
        toml: &str,
        profile: &str,
        env: impl IntoIterator<Item = (N, T)>,
    ) -> Result<Self, Refused>
    where
        N: Into<String>,
        T: Into<String>,
    {
        read::config(&Sources {
            toml: toml.to_owned(),
            toml_name: "Rocket.toml".to_owned(),
            profile: profile.to_ascii_lowercase(),
            profile_source: "given",
            env: env.into_iter().map(|(name, text)| (name.into(), text.into())).collect(),
            household: Household::Alone,
        })
    }

    /// The settings for `rocket::custom`.
    ///
    /// The number of worker threads is not taken from there by Rocket's own `#[launch]`: build the runtime with
    /// [`Server::workers`] and [`Server::max_blocking`].
    pub fn rocket(&self) -> Figment {
        self.rocket.clone()
    }

    /// Every value in force and where it came from, secrets hidden.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What is permitted but worth a line in the log at start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Which setting says where the database is, and where that setting comes from.
    pub fn origin_of_database(&self) -> String {
        let name =
            if self.source("database.url") == "default" { "data_dir" } else { "database.url" };
        format!("{name}, {}", self.source(name))
    }

    /// The same of Redis.
    pub fn origin_of_store(&self) -> String {
        format!("store.url, {}", self.source("store.url"))
    }

    /// Where a setting comes from.
    fn source(&self, name: &str) -> &str {
        let settings = self.report.settings().iter();
        settings
            .filter(|setting| setting.key == name)
            .map(|one| one.source.as_str())
            .next()
            .unwrap_or("default")
    }

    /// Whether browsers reach the server over https, so that HSTS makes sense (SR-42).
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

/// The environment. Where one of ours is no text it cannot be what was meant: it is refused, rather
/// than taken for something else.
fn environment() -> Result<Vec<(String, String)>, Refused> {
    let mut problems = Vec::new();
    let mut env = Vec::new();
    for (name, text) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        match text.into_string() {
            Ok(text) => env.push((name, text)),
            Err(_) if source::is_read(&name) => {
                problems.push(format!("the environment variable {name} is not UTF-8"));
            }
            Err(_) => {}
        }
    }
    if problems.is_empty() { Ok(env) } else { Err(Refused { problems }) }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.report.settings().iter().map(|setting| (setting.key, &setting.value));
        f.write_str("Config ")?;
        f.debug_map().entries(settings).finish()
    }
}

/// A configuration that the server does not start with. It prints one line for each problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    problems: Vec<String>,
}

impl Refused {
    fn one(problem: String) -> Self {
        Self { problems: vec![problem] }
    }

    /// What is wrong, one line each, with no secret in it.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Refused {}
