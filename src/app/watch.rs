//! What is looked at rather than counted, for whoever watches: how much there is of what, and whether
//! the stores answer.
//!
//! What this process knows is looked at whenever the figures are asked for. What only a store knows is
//! asked for by a task, so that however often somebody asks here, the stores are asked as seldom.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use rocket::Orbit;
use rocket::Rocket;
use rocket::fairing::{AdHoc, Fairing};
use rocket::tokio::time::sleep;

use super::process::Process;
use super::service::Services;
use crate::account::Accounts;
use crate::account::store::AccountStore;
use crate::api::health::Draining;
use crate::audit::Audit;
use crate::metric::{Gauge, Registry, family};
use crate::session::Sessions;
use crate::session::store::SessionStore;
use crate::store::sql::SqlPool;
use crate::token::key::{KeyState, Keys};

/// How often the stores are asked.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// At which of those times accounts and denied tokens are counted as well: it takes a store longer.
const COUNT_EVERY: u32 = 30;

/// The states of a key that is not erased.
const KEY_STATES: [KeyState; 5] =
    [KeyState::Next, KeyState::Current, KeyState::Retiring, KeyState::Retired, KeyState::Withdrawn];

/// Looks at what is not counted.
pub struct Watch {
    registry: Registry,
    draining: Arc<Draining>,
    sql: SqlPool,
    database: Arc<dyn AccountStore>,
    store: Arc<dyn SessionStore>,
    accounts: Arc<Accounts>,
    sessions: Arc<Sessions>,
    audit: Arc<Audit>,
    keys: Arc<Keys>,
    stores_answer: AtomicBool,
    process: Option<Process>,
    figures: Figures,
}

/// Handles on what is looked at.
struct Figures {
    ready: Gauge,
    database_up: Gauge,
    store_up: Gauge,
    connections_used: Gauge,
    connections_idle: Gauge,
    connections_max: Gauge,
    sessions: Gauge,
    accounts: Gauge,
    denied: Gauge,
    audit_waiting: Gauge,
    key_since: Gauge,
    keys: [Gauge; KEY_STATES.len()],
}

impl Figures {
    fn of(registry: &Registry) -> Self {
        let gauge = |family, labels: &[(&str, &str)]| registry.gauge(family, labels);
        Self {
            ready: gauge(&family::READY, &[]),
            database_up: gauge(&family::STORE_UP, &[("store", "sql")]),
            store_up: gauge(&family::STORE_UP, &[("store", "sessions")]),
            connections_used: gauge(&family::SQL_CONNECTIONS, &[("state", "used")]),
            connections_idle: gauge(&family::SQL_CONNECTIONS, &[("state", "idle")]),
            connections_max: gauge(&family::SQL_CONNECTIONS_MAX, &[]),
            sessions: gauge(&family::SESSIONS, &[]),
            accounts: gauge(&family::ACCOUNTS, &[]),
            denied: gauge(&family::DENIED, &[]),
            audit_waiting: gauge(&family::AUDIT_WAITING, &[]),
            key_since: gauge(&family::KEY_SINCE, &[]),
            keys: KEY_STATES.map(|state| gauge(&family::KEYS, &[("state", state.as_str())])),
        }
    }
}

impl Watch {
    pub(super) fn new(registry: &Registry, draining: Arc<Draining>, services: &Services) -> Self {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.gauge(&family::BUILD, &version).set(1.0);
        Self {
            registry: registry.clone(),
            draining,
            sql: services.sql.clone(),
            database: Arc::clone(&services.account_store),
            store: Arc::clone(&services.session_store),
            accounts: Arc::clone(&services.accounts),
            sessions: Arc::clone(&services.sessions),
            audit: Arc::clone(&services.audit),
            keys: Arc::clone(&services.keys),
            stores_answer: AtomicBool::new(false),
            process: Process::of(registry),
            figures: Figures::of(registry),
        }
    }

    /// All figures, as they are now.
    pub fn page(&self) -> String {
        self.look();
        self.registry.render()
    }

    /// Looks at what this process knows.
    fn look(&self) {
        let figures = &self.figures;
        let connections = self.sql.connections();
        figures.connections_used.set_count(connections.used);
        figures.connections_idle.set_count(connections.idle);
        figures.connections_max.set_count(connections.limit);
        figures.audit_waiting.set_count(self.audit.waiting());
        let keys = self.keys.list();
        for (state, gauge) in KEY_STATES.iter().zip(&figures.keys) {
            gauge.set_count(keys.iter().filter(|key| key.state == *state).count());
        }
        if let Some(current) = keys.iter().find(|key| key.state == KeyState::Current) {
            figures.key_since.set(current.signs_from.as_millis() as f64 / 1000.0);
        }
        let ready = self.stores_answer.load(Ordering::Relaxed) && !self.draining.has_begun();
        figures.ready.set_count(u8::from(ready));
        if let Some(process) = &self.process {
            process.look();
        }
    }

    /// Asks the stores whether they answer, and how many sessions there are.
    pub async fn ask(&self) {
        let (database, store, sessions) =
            rocket::tokio::join!(self.database.ping(), self.store.ping(), self.sessions.count());
        self.figures.database_up.set_count(u8::from(database.is_ok()));
        self.figures.store_up.set_count(u8::from(store.is_ok()));
        self.stores_answer.store(database.is_ok() && store.is_ok(), Ordering::Relaxed);
        // What is not known stays what it was: that the store is away is said already.
        if let Ok(sessions) = sessions {
            self.figures.sessions.set_count(sessions);
        }
    }

    /// Asks the stores for what takes them longer.
    pub async fn count(&self) {
        let (accounts, denied) =
            rocket::tokio::join!(self.accounts.count(), self.sessions.denied_tokens());
        if let Ok(accounts) = accounts {
            self.figures.accounts.set_count(accounts);
        }
        if let Ok(denied) = denied {
            self.figures.denied.set_count(denied.len());
        }
    }
}

/// Asks the stores as long as the server runs.
pub(super) fn stores() -> impl Fairing {
    AdHoc::on_liftoff("Figures", |rocket: &Rocket<Orbit>| {
        Box::pin(async move {
            if let Some(watch) = rocket.state::<Arc<Watch>>() {
                rocket::tokio::spawn(ask(Arc::downgrade(watch)));
            }
        })
    })
}

/// Ends when the server has ended.
async fn ask(watch: Weak<Watch>) {
    for round in 0_u32.. {
        let Some(watch) = watch.upgrade() else { return };
        watch.ask().await;
        if round.is_multiple_of(COUNT_EVERY) {
            watch.count().await;
        }
        drop(watch);
        sleep(ASK_EVERY).await;
    }
}
