//! Puts stores, services and routes together: the Rocket application, and the same services without
//! one for the command line.

pub mod doctor;
mod fairing;
mod key_file;
mod leave;
mod metrics;
pub(crate) mod output;
mod policy;
mod process;
mod reload;
pub mod restore;
mod service;
pub mod signal;
pub mod stop;
mod tend;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::shield::Shield;
use rocket::{Build, Ignite, Orbit, Rocket};

use crate::account::Accounts;
use crate::account::password::Params;
use crate::api::health::Draining;
use crate::audit::{self, Audit, Entry, Kind};
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::error::{Error, chain};
use crate::guard::count::RequestCounts;
use crate::guard::csrf::PublicOrigin;
use crate::guard::header::Headers;
use crate::guard::host::{self, Hosts};
use crate::id::{self, Random};
use crate::metric::Registry;
use crate::page::docs::Docs;
use crate::page::view::Views;
use crate::reloadable::Reloadable;
use crate::session::store::SessionStore;
use crate::store::sql::SqlPool;
use crate::{api, page};

pub use fairing::Doorward;
pub use policy::basis;
pub use reload::Reloader;
use reload::{Edge, Load};
pub use service::Services;
pub use watch::Watch;

/// Why the server does not start. Its text is the one line that the operator reads.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// What comes from outside the program, so that tests can bring their own.
#[derive(Clone)]
pub struct World {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes.
    pub random: Arc<dyn Random>,
    /// What a password hash costs, where tests may not wait for the real one.
    pub hash_cost: Option<Params>,
}

impl Default for World {
    fn default() -> Self {
        Self { clock: Arc::new(clock::System), random: Arc::new(id::Os), hash_cost: None }
    }
}

/// How long a server or a command that ends waits for its last events to be in the database.
pub(crate) const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Where the reason goes for which an application does not ignite: Rocket itself tells nobody.
#[derive(Clone, Default)]
pub(crate) struct Complaint(Option<Arc<Mutex<Option<StartError>>>>);

impl Complaint {
    /// Keeps it for whoever starts the application.
    pub fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    /// What was kept, once.
    pub fn take(&self) -> Option<StartError> {
        self.0.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the reason, or says it: in the log, or, in an application without one, where whoever
    /// starts it looks.
    fn say(&self, error: StartError) {
        if let Some(kept) = &self.0 {
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        } else if tracing::dispatcher::has_been_set() {
            tracing::error!(cause = explain(&*error), "failed to start Doorward");
        } else {
            output::complain(&format!("doorward: {}", explain(&*error)));
        }
    }
}

/// An error as the operator reads it, with its causes: nothing that is said to visitors, and each field
/// by its name.
pub(crate) fn explain(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref::<Error>() {
        Some(Error::Unavailable(cause) | Error::Internal(cause)) => chain(&**cause),
        Some(Error::Invalid(fields)) => {
            let field = |f: &crate::error::FieldError| format!("{}: {}", f.field, f.message);
            fields.iter().map(field).collect::<Vec<_>>().join("; ")
        }
        _ => chain(error),
    }
}

/// The Rocket application for a configuration.
///
/// Stores are opened, and migrations run, when it ignites.
///
/// # Errors
/// A template or an origin that cannot be used.
pub fn build(config: Config, world: World) -> Result<Rocket<Build>, StartError> {
    build_with(config, world, Complaint::default())
}

/// The same, with a place for the reason if it does not ignite.
pub(crate) fn build_with(
    config: Config,
    world: World,
    complaint: Complaint,
) -> Result<Rocket<Build>, StartError> {
    let rocket = rocket::custom(config.rocket());
    let rocket =
        Prepared::new(config, world, complaint, true)?.attach(rocket, Box::new(Config::load));
    Ok(rocket.mount("/", page::site::routes()))
}

/// What is made of a configuration before an application is touched, so that what is wrong with it
/// leaves the application whole.
struct Prepared {
    config: Config,
    world: World,
    views: Arc<Views>,
    cors: Option<rocket_cors::Cors>,
    complaint: Complaint,
    /// Whether the host of every request is checked, not that of Doorward's own routes alone.
    all_hosts: bool,
}

impl Prepared {
    fn new(
        config: Config,
        world: World,
        complaint: Complaint,
        all_hosts: bool,
    ) -> Result<Self, StartError> {
        let views = Arc::new(views(&config)?);
        let cors = match config.cors.allowed_origins.as_slice() {
            [] => None,
            _ => Some(policy::cors(&config)?),
        };
        Ok(Self { config, world, views, cors, complaint, all_hosts })
    }

    /// Puts Doorward into an application: its pages, its JSON interface, its state and its headers.
    /// `load` reads the configuration again.
    fn attach(self, rocket: Rocket<Build>, load: Load) -> Rocket<Build> {
        let Self { config, world, views, cors, complaint, all_hosts } = self;
        let (registry, edge) = (registry(&config), Edge::of(&config));
        let headers = Arc::new(headers(&config, &registry, &edge));
        let mut rocket = rocket
            // Rocket's own shield would set some of the same headers once more.
            .attach(Shield::new())
            .manage(Arc::clone(&headers))
            .attach(headers)
            .manage(Arc::clone(&views))
            .manage(Arc::clone(&world.clock))
            .manage(Arc::new(Draining::default()))
            .manage(policy::reference(&config))
            .manage(Docs::default())
            .manage(policy::cookies(&config))
            .manage(Hosts::new(&config.public_url, &config.hosts.extra))
            .manage(PublicOrigin(config.public_url.origin().ascii_serialization()))
            .mount(api::BASE, api::routes())
            .mount("/", api::public_routes())
            .mount("/", page::routes())
            .register("/api", api::catchers())
            .register("/", page::catchers());
        rocket = edge.manage(rocket);
        if let Some(cors) = cors {
            rocket = rocket.attach(cors);
        }
        if all_hosts {
            // After CORS, which answers for paths without a route.
            rocket = rocket.attach(host::Everywhere).mount("/", host::routes());
        }
        if let Some(address) = config.metrics.address {
            rocket = rocket.attach(watch::stores()).attach(metrics::at(address));
        }
        tended(rocket, config.tokens.issuer.clone(), edge.retention.clone()).attach(
            AdHoc::try_on_ignite("Doorward's services", move |rocket| async move {
                match Services::serving(&config, &world, &registry).await {
                    Ok(services) => {
                        let reloader = Reloader::new(load, config, edge, views, &services);
                        Ok(manage(rocket, services, &registry).manage(Arc::new(reloader)))
                    }
                    Err(error) => {
                        complaint.say(error);
                        Err(rocket)
                    }
                }
            }),
        )
    }
}

/// Where figures are kept, if there is an address at which they are shown.
fn registry(config: &Config) -> Registry {
    config.metrics.address.map_or_else(Registry::default, |_| Registry::on())
}

fn headers(config: &Config, registry: &Registry, edge: &Edge) -> Headers {
    Headers {
        hsts: config.is_https().then_some(if config.hsts_preload {
            Headers::HSTS_PRELOAD
        } else {
            Headers::HSTS
        }),
        vary_origin: !config.cors.allowed_origins.is_empty(),
        log_requests: edge.log_requests.clone(),
        counts: RequestCounts::of(registry),
    }
}

/// What happens by itself when the server starts, runs and stops.
fn tended(
    rocket: Rocket<Build>,
    public_url: String,
    retention: Reloadable<Option<Duration>>,
) -> Rocket<Build> {
    rocket
        .attach(tend::keys())
        .attach(tend::audit())
        .attach(tend::roles())
        .attach(tend::sessions())
        .attach(tend::database(retention))
        .attach(AdHoc::on_liftoff("Set-up link", move |rocket| {
            Box::pin(async move {
                audit::Origin::server().scope(print_setup_link(rocket, &public_url)).await;
            })
        }))
        .attach(AdHoc::on_liftoff("Audit: start", |rocket| {
            Box::pin(record_server(rocket, Kind::Startup))
        }))
        .attach(AdHoc::on_shutdown("Audit: stop", |rocket| {
            Box::pin(record_server(rocket, Kind::Shutdown))
        }))
}

fn manage(mut rocket: Rocket<Build>, services: Services, registry: &Registry) -> Rocket<Build> {
    if let Some(draining) = rocket.state::<Arc<Draining>>().filter(|_| registry.is_on()) {
        let watch = Watch::new(registry, Arc::clone(draining), &services);
        rocket = rocket.manage(Arc::new(watch));
    }
    rocket
        .manage(services.sql)
        .manage(Arc::clone(services.accounts.limits()))
        .manage(services.account_store)
        .manage(services.session_store)
        .manage(services.role_store)
        .manage(services.roles)
        .manage(services.accounts)
        .manage(services.sessions)
        .manage(services.keys)
        .manage(services.tokens)
        .manage(services.audit)
        .manage(services.form_tokens)
        .manage(services.submissions)
        .manage(services.inspections)
}

/// Records that this server starts or stops.
async fn record_server(rocket: &Rocket<Orbit>, kind: Kind) {
    if let Some(audit) = rocket.state::<Arc<Audit>>() {
        let version = concat!("doorward ", env!("CARGO_PKG_VERSION"));
        audit.record(Entry::of(kind).by(audit::SERVER).detail(version)).await;
        // In the table before anybody is served: a server that is killed at once was there.
        if kind == Kind::Startup {
            audit.flush(FLUSH_LIMIT).await;
        }
    }
}

/// Ends a server that has answered its last request: its last events are in the database, and the
/// database is told that it is gone.
pub async fn finish(rocket: Rocket<Ignite>) {
    if let Some(audit) = rocket.state::<Arc<Audit>>()
        && !audit.flush(FLUSH_LIMIT).await
    {
        tracing::error!("some events are in this log only: the database did not take them");
    }
    if let Some(store) = rocket.state::<Arc<dyn SessionStore>>() {
        store.close().await;
    }
    if let Some(sql) = rocket.state::<SqlPool>() {
        // Whoever holds a connection has been given up by now.
        let _ = tokio::time::timeout(FLUSH_LIMIT, sql.finish()).await;
    }
}

/// On a database without an administrator, says where to make the first one (SR-6).
async fn print_setup_link(rocket: &Rocket<Orbit>, public_url: &str) {
    let Some(accounts) = rocket.state::<Arc<Accounts>>() else { return };
    match accounts.issue_setup_token().await {
        Ok(Some(token)) => output::announce(
            setup_link(public_url, token.expose()),
            "doorward: failed to write the set-up link to standard output; `doorward setup-link` makes another",
        ),
        Ok(None) => {}
        Err(error) => tracing::error!(cause = %error, "the set-up link could not be made"),
    }
}

/// The templates, those of the operator in place of ours.
fn views(config: &Config) -> Result<Views, StartError> {
    let folder = &config.templates.dir;
    Views::new(folder.clone(), cfg!(debug_assertions)).map_err(|error| match folder {
        Some(folder) => format!(
            "cannot use the templates of {} (templates.dir): {}",
            folder.display(),
            chain(&*cause(error))
        )
        .into(),
        None => cause(error),
    })
}

/// The line that tells of the set-up link.
pub fn setup_link(public_url: &str, token: &str) -> String {
    format!("Make the first administrator (within 15 minutes): {public_url}/setup?token={token}")
}

/// The cause behind a domain error: what an operator needs to read.
fn cause(error: Error) -> StartError {
    match error {
        Error::Unavailable(cause) | Error::Internal(cause) => cause,
        other => other.into(),
    }
}
