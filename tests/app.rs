//! The server's own application in this process, on real stores, with a clock that a test moves.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use doorward::account::password::Params;
use doorward::account::{Accounts, Actor, Invitation};
use doorward::app::{self, Services, StartError, World};
use doorward::audit::Audit;
use doorward::clock::{Manual, Timestamp};
use doorward::config::Config;
use doorward::id::{Os, SecretString};
use doorward::role::RoleStore;
use doorward::session::Sessions;
use doorward::token::key::{MasterSecret, SigningKey};
use rocket::fairing::AdHoc;
use rocket::local::asynchronous::Client;
use rocket::{Build, Rocket};
use tempfile::TempDir;

use crate::support::{postgres, redis, scratch_dir};
pub use crate::visitor::*;

/// The access cookie.
pub const ACCESS: &str = "__Host-Http-dw-at";
/// The refresh cookie.
pub const REFRESH: &str = "__Host-Http-dw-rt";
/// The cookie by which a device is known.
pub const DEVICE: &str = "__Host-Http-dw-dev";
/// The cookie of visitors.
pub const PRE_LOGIN: &str = "__Host-Http-dw-pre";

/// Where the application believes to be.
pub const ORIGIN: &str = "http://localhost:8000";
/// A password that the policy lets in.
pub const PASSWORD: &str = "a tower of marzipan";
/// When the tests begin.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The limits as they are by default.
pub const LIMITS: [(&str, &str); 7] = [
    ("DOORWARD_LIMITS_LOGIN_PER_ADDRESS", "20/1m"),
    ("DOORWARD_LIMITS_REGISTER_PER_ADDRESS", "10/1h"),
    ("DOORWARD_LIMITS_REFRESH_PER_SESSION", "60/1m"),
    ("DOORWARD_LIMITS_REFRESH_PER_ADDRESS", "600/1m"),
    ("DOORWARD_LIMITS_OTHER_PER_ADDRESS", "600/1m"),
    ("DOORWARD_LIMITS_ACCOUNT_FAILURES", "5"),
    ("DOORWARD_LIMITS_CONFIRM_PER_SESSION", "20/1m"),
];

/// Which stores an application stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    SqliteEmbedded,
    SqliteRedis,
    PostgresRedis,
}

/// Runs a test on every combination of stores: `on_every_backend! { async fn name(app: TestApp) { … } }`.
#[macro_export]
macro_rules! on_every_backend {
    ($(#[$meta:meta])* async fn $name:ident($($app:tt)+) $body:block $($rest:tt)*) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn test($($app)+) $body

            #[rocket::async_test]
            async fn sqlite_embedded() {
                test($crate::app::TestApp::boot($crate::app::Backend::SqliteEmbedded).await).await;
            }

            #[rocket::async_test]
            async fn sqlite_redis() {
                test($crate::app::TestApp::boot($crate::app::Backend::SqliteRedis).await).await;
            }

            #[rocket::async_test]
            async fn postgres_redis() {
                test($crate::app::TestApp::boot($crate::app::Backend::PostgresRedis).await).await;
            }
        }
        $crate::on_every_backend! { $($rest)* }
    };
    () => {};
}

/// The server's own application.
fn built(config: Config, world: World) -> Rocket<Build> {
    app::build(config, world).expect("an application")
}

/// An application with one browser in front of it.
pub struct TestApp {
    browser: Visitor,
    clock: Manual,
    /// Where its accounts are.
    pub database: String,
    /// Where its sessions are.
    pub store: String,
    /// The secret of its keys.
    pub secret: String,
    settings: BTreeMap<String, String>,
    directory: Arc<TempDir>,
}

impl Deref for TestApp {
    type Target = Visitor;

    fn deref(&self) -> &Visitor {
        &self.browser
    }
}

impl TestApp {
    /// An application on fresh stores.
    pub async fn boot(backend: Backend) -> Self {
        Self::boot_with(backend, &[]).await
    }

    /// An application on the quickest stores, where it matters what is asked and not what is kept.
    pub async fn light() -> Self {
        Self::boot(Backend::SqliteEmbedded).await
    }

    /// An application on fresh stores, with settings of its own (`DOORWARD_…`).
    pub async fn boot_with(backend: Backend, settings: &[(&str, &str)]) -> Self {
        Self::boot_changed(backend, settings, |rocket| rocket).await
    }

    /// An application with routes of its own beside ours.
    pub async fn boot_changed(
        backend: Backend,
        settings: &[(&str, &str)],
        change: impl FnOnce(Rocket<Build>) -> Rocket<Build>,
    ) -> Self {
        let make = |config, world| change(built(config, world));
        Self::boot_made(backend, settings, make).await
    }

    /// An application that is put together by `make`.
    pub async fn boot_made(
        backend: Backend,
        settings: &[(&str, &str)],
        make: impl FnOnce(Config, World) -> Rocket<Build>,
    ) -> Self {
        let directory = scratch_dir("app");
        let path = directory.path().display();
        let database = match backend {
            Backend::PostgresRedis => postgres::create_database().await,
            _ => format!("sqlite://{path}/doorward.db"),
        };
        let store = match backend {
            Backend::SqliteEmbedded => "embedded".to_owned(),
            _ => redis::server().database(),
        };
        let pem = SigningKey::generate_pem().expect("a key");
        let secret = MasterSecret::generate_base64(&Os).expose().to_owned();
        let mut env: BTreeMap<String, String> = BTreeMap::from([
            ("DOORWARD_DATABASE_URL".into(), database.clone()),
            ("DOORWARD_STORE_URL".into(), store.clone()),
            ("DOORWARD_DATA_DIR".into(), path.to_string()),
            ("DOORWARD_PUBLIC_URL".into(), ORIGIN.into()),
            ("DOORWARD_KEYS_SIGNING".into(), pem.expose().into()),
            ("DOORWARD_KEYS_SECRET".into(), secret.clone()),
            ("DOORWARD_LOG_ACCESS".into(), "false".into()),
        ]);
        // Limits are the business of those tests that switch them on.
        env.extend(LIMITS.map(|(name, _)| (name.into(), "off".into())));
        env.extend(settings.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        Self::start(env, Manual::at(START), Arc::new(directory), make).await
    }

    /// Another process of the same application: the same stores, settings and time.
    pub async fn replica(&self) -> Self {
        self.replica_made(built).await
    }

    /// Another process on the same stores, settings and time, that is put together by `make`.
    pub async fn replica_made(&self, make: impl FnOnce(Config, World) -> Rocket<Build>) -> Self {
        let (clock, directory) = (self.clock.clone(), Arc::clone(&self.directory));
        Self::start(self.settings.clone(), clock, directory, make).await
    }

    /// Another process of the same application, on a machine whose clock says something else.
    pub async fn replica_at(&self, moment: Timestamp) -> Self {
        let (clock, directory) = (Manual::at(moment), Arc::clone(&self.directory));
        Self::start(self.settings.clone(), clock, directory, built).await
    }

    /// The same application in front of its stores once more, for browsers: it listens on the port of
    /// its settings, for as long as the test runs.
    pub async fn listen(&self, change: impl FnOnce(Rocket<Build>) -> Rocket<Build>) {
        let rocket = built(config(self.settings.clone()), world(&self.clock));
        let (started, ready) = rocket::tokio::sync::oneshot::channel();
        let started = std::sync::Mutex::new(Some(started));
        let tell = AdHoc::on_liftoff("Tell the test", move |_| {
            let started = started.lock().expect("unpoisoned").take();
            Box::pin(async move {
                let _ = started.map(|started| started.send(()));
            })
        });
        let rocket = change(rocket).attach(tell);
        rocket::tokio::spawn(rocket.launch());
        ready.await.expect("it listens");
    }

    async fn start(
        settings: BTreeMap<String, String>,
        clock: Manual,
        directory: Arc<TempDir>,
        make: impl FnOnce(Config, World) -> Rocket<Build>,
    ) -> Self {
        let rocket = make(config(settings.clone()), world(&clock));
        let client = Client::untracked(rocket).await.expect("it ignites");
        let browser = Visitor::of(Arc::new(client));
        let setting = |name: &str| settings[name].clone();
        let (database, store) = (setting("DOORWARD_DATABASE_URL"), setting("DOORWARD_STORE_URL"));
        let secret = setting("DOORWARD_KEYS_SECRET");
        Self { browser, clock, database, store, secret, settings, directory }
    }

    /// The services as a command of the operator opens them beside the application, with some
    /// settings replaced.
    pub async fn command(&self, settings: &[(&str, &str)]) -> Result<Services, StartError> {
        let mut env = self.settings.clone();
        env.extend(settings.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        Services::open(&config(env), &world(&self.clock)).await
    }

    /// A service that the application manages.
    pub fn service<T: Send + Sync + 'static>(&self) -> &T {
        self.client.rocket().state().expect("the service is managed")
    }

    /// Another browser, or another program, with nothing in its jar.
    pub fn stranger(&self) -> Visitor {
        Visitor::of(Arc::clone(&self.browser.client))
    }

    /// Lets time pass.
    pub fn later(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Sets the clock, forward or back.
    pub fn set_clock(&self, moment: Timestamp) {
        self.clock.set(moment);
    }

    /// The service behind accounts, to prepare what a test is not about.
    pub fn accounts(&self) -> &Arc<Accounts> {
        self.client.rocket().state().expect("the service is managed")
    }

    /// The service behind sessions.
    pub fn sessions(&self) -> &Arc<Sessions> {
        self.client.rocket().state().expect("the service is managed")
    }

    /// The private key that signs the tokens: PKCS#8 in PEM.
    pub fn signing_key(&self) -> SecretString {
        SecretString::new(self.settings["DOORWARD_KEYS_SIGNING"].as_str())
    }

    /// A connection of one's own to the database. Only on SQLite.
    pub async fn database(&self) -> sqlx::SqliteConnection {
        use sqlx::Connection as _;
        sqlx::SqliteConnection::connect(&self.settings["DOORWARD_DATABASE_URL"])
            .await
            .expect("the database opens")
    }

    /// The moment on the application's clock.
    pub fn now(&self) -> Timestamp {
        doorward::clock::Clock::now(&self.clock)
    }

    /// Makes a role that grants these permissions. Only on SQLite.
    pub async fn add_role(&self, name: &str, permissions: &[&str]) {
        let mut database = self.database().await;
        let role = "INSERT INTO role (name, description, created_at) VALUES (?, '', 0)";
        sqlx::query(role).bind(name).execute(&mut database).await.expect("a role");
        for permission in permissions {
            let grant = "INSERT INTO role_permission (role, permission) VALUES (?, ?)";
            let grant = sqlx::query(grant).bind(name).bind(*permission);
            grant.execute(&mut database).await.expect("a permission");
        }
    }

    /// The audit trail, with everything that was recorded so far in the table.
    pub async fn audit(&self) -> &Arc<Audit> {
        let audit: &Arc<Audit> = self.client.rocket().state().expect("the service is managed");
        assert!(audit.flush(Duration::from_secs(20)).await, "the database takes events");
        audit
    }

    /// A fresh set-up token.
    pub async fn setup_token(&self) -> String {
        let token = self.accounts().issue_setup_token().await.expect("the store answers");
        token.expect("nobody administers yet").expose().to_owned()
    }

    /// Makes an account with these roles, and says its identifier.
    pub async fn create(&self, email: &str, roles: &[&str]) -> String {
        let known: &Arc<dyn RoleStore> = self.client.rocket().state().expect("roles are managed");
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let invitation = Invitation {
            email,
            display_name: "",
            password: Some(SecretString::new(PASSWORD)),
            is_temporary: false,
            roles: &roles,
        };
        let made = self.accounts().create(Actor::Operator, &**known, invitation).await;
        made.expect("the account is made").id.to_string()
    }

    /// A browser in which somebody with these roles is signed in.
    pub async fn signed_in(&self, email: &str, roles: &[&str]) -> Visitor {
        self.create(email, roles).await;
        let visitor = self.stranger();
        visitor.log_in(email).await;
        visitor
    }
}

fn config(settings: BTreeMap<String, String>) -> Config {
    Config::from_sources("", "debug", settings).expect("a good configuration")
}

fn world(clock: &Manual) -> World {
    World {
        clock: Arc::new(clock.clone()),
        random: Arc::new(Os),
        hash_cost: Some(Params::insecure_for_tests(64, 1, 1)),
    }
}

/// `n` seconds.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// `n` days.
pub const fn days(n: u64) -> Duration {
    hours(24 * n)
}

/// `n` hours.
pub const fn hours(n: u64) -> Duration {
    minutes(60 * n)
}
