//! How a running server takes over a changed configuration.

use std::sync::Arc;
use std::time::Duration;

use rocket::tokio::sync::Mutex;
use rocket::tokio::task::spawn_blocking;
use rocket::{Build, Rocket};

use super::{Services, StartError, cause, policy};
use crate::access::Access;
use crate::account::{Accounts, Roles};
use crate::audit::{self, Audit, Entry, Kind, Origin};
use crate::config::{Changes, Config, Refused};
use crate::error::chain;
use crate::guard::client::TrustedProxies;
use crate::guard::setting::Settings;
use crate::limit::Limits;
use crate::page::view::Views;
use crate::page::well_known::SecurityContact;
use crate::reloadable::Reloadable;

/// Reads the configuration again, as it was read at the start.
pub(super) type Load = Box<dyn Fn() -> Result<Config, Refused> + Send + Sync>;

/// What the pages and the JSON interface read of the configuration at each request.
#[derive(Clone)]
pub(super) struct Edge {
    access: Reloadable<Access>,
    proxies: Reloadable<TrustedProxies>,
    contact: Reloadable<SecurityContact>,
    settings: Reloadable<Settings>,
    pub(super) log_requests: Reloadable<bool>,
    pub(super) retention: Reloadable<Option<Duration>>,
}

impl Edge {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            access: Reloadable::new(config.access.clone()),
            proxies: Reloadable::new(TrustedProxies::new(config.proxies.trusted.clone())),
            contact: Reloadable::new(SecurityContact(config.security.contact.clone())),
            settings: Reloadable::new(policy::settings(config)),
            log_requests: Reloadable::new(config.log.access),
            retention: Reloadable::new(config.audit.retention),
        }
    }

    pub(super) fn manage(&self, rocket: Rocket<Build>) -> Rocket<Build> {
        rocket
            .manage(self.access.clone())
            .manage(self.proxies.clone())
            .manage(self.contact.clone())
            .manage(self.settings.clone())
    }

    fn take_over(&self, config: &Config) {
        self.access.replace(config.access.clone());
        self.proxies.replace(TrustedProxies::new(config.proxies.trusted.clone()));
        self.contact.replace(SecurityContact(config.security.contact.clone()));
        self.settings.replace(policy::settings(config));
        self.log_requests.replace(config.log.access);
        self.retention.replace(config.audit.retention);
    }
}

/// A part of the program that follows the configuration, and that this module does not know.
type Follower = Box<dyn Fn(&Config) + Send + Sync>;

/// What of a running server follows the configuration: Rocket state.
pub struct Reloader {
    load: Load,
    running: Mutex<Config>,
    edge: Edge,
    views: Arc<Views>,
    accounts: Arc<Accounts>,
    limits: Arc<Limits>,
    roles: Arc<Roles>,
    audit: Arc<Audit>,
    followers: std::sync::Mutex<Vec<Follower>>,
}

impl Reloader {
    pub(super) fn new(
        load: Load,
        running: Config,
        edge: Edge,
        views: Arc<Views>,
        services: &Services,
    ) -> Self {
        Self {
            load,
            running: Mutex::new(running),
            edge,
            views,
            accounts: Arc::clone(&services.accounts),
            limits: Arc::clone(services.accounts.limits()),
            roles: Arc::clone(&services.roles),
            audit: Arc::clone(&services.audit),
            followers: std::sync::Mutex::default(),
        }
    }

    /// Tells `follower` of each configuration that is taken over.
    pub fn also(&self, follower: impl Fn(&Config) + Send + Sync + 'static) {
        let mut followers = self.followers.lock().unwrap_or_else(|broken| broken.into_inner());
        followers.push(Box::new(follower));
    }

    /// Reads the configuration again and takes over what can be, as SIGHUP asks. What changed, what waits for
    /// a restart, and why nothing changed stands in the log and in the audit trail.
    pub async fn reload(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let read = spawn_blocking(move || (this.load)()).await;
        let taken = match read {
            Ok(Ok(config)) => self.take_over(&config).await.map_err(|error| vec![chain(&*error)]),
            Ok(Err(refused)) => Err(refused.problems().to_vec()),
            Err(error) => Err(vec![error.to_string()]),
        };
        let event = Entry::of(Kind::Reloaded).by(audit::SERVER);
        let event = match taken {
            Ok(changes) => event.detail(told(&changes)),
            Err(problems) => {
                for problem in problems {
                    tracing::error!(
                        problem,
                        "failed to reload the configuration; the running one stays"
                    );
                }
                event.refused()
            }
        };
        Origin::server().scope(self.audit.record(event)).await;
    }

    /// Takes over what a running server can take over of `new`. All of that, or nothing.
    ///
    /// # Errors
    /// What keeps it from being used: a template or a file of breached passwords that cannot be read, a
    /// database that does not take declared permissions.
    pub async fn take_over(&self, new: &Config) -> Result<Changes, StartError> {
        let mut running = self.running.lock().await;
        let (next, changes) = running.taking_over(new);
        // What can fail comes first.
        let views = super::views(&next)?;
        let account_policy = policy::account_policy(&next)?;
        let declared = self.roles.declare_configured(&next.permissions.declared);
        Origin::server().scope(declared).await.map_err(cause)?;

        self.views.replace(views);
        self.accounts.set_policy(account_policy);
        self.limits.set_policy(policy::limits(&next));
        self.edge.take_over(&next);
        for follower in &*self.followers.lock().unwrap_or_else(|broken| broken.into_inner()) {
            follower(&next);
        }
        for warning in next.warnings().iter().filter(|text| !running.warnings().contains(text)) {
            tracing::warn!("{warning}");
        }
        *running = next;
        Ok(changes)
    }
}

/// Tells the log of changed settings, and the audit trail by what is returned.
fn told(changes: &Changes) -> String {
    for change in &changes.taken {
        let (from, to) = (&change.from, &change.to);
        tracing::info!(setting = change.key, from, to, "changed setting");
    }
    for change in &changes.waiting {
        let (running, configured) = (&change.from, &change.to);
        tracing::warn!(
            setting = change.key,
            running,
            configured,
            "changed setting needs a restart; the running value stays"
        );
    }
    let (changed, waiting) = (Changes::names(&changes.taken), Changes::names(&changes.waiting));
    tracing::info!(changed, needs_restart = waiting, "reloaded the configuration");
    match (changed.is_empty(), waiting.is_empty()) {
        (true, true) => "no setting has changed".to_owned(),
        (false, true) => changed,
        (true, false) => format!("after a restart: {waiting}"),
        (false, false) => format!("{changed}; after a restart: {waiting}"),
    }
}
