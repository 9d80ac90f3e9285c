//! The server's own application in this process, on real stores, with a clock that a test moves; and
//! browsers that visit it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
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
use rocket::http::{Header, Method, Status};
use rocket::local::asynchronous::Client;
use rocket::{Build, Rocket};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{postgres, redis, scratch_dir};

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
pub const LIMITS: [(&str, &str); 6] = [
    ("DOORWARD_LIMITS_LOGIN_PER_ADDRESS", "20/1m"),
    ("DOORWARD_LIMITS_REGISTER_PER_ADDRESS", "10/1h"),
    ("DOORWARD_LIMITS_REFRESH_PER_SESSION", "60/1m"),
    ("DOORWARD_LIMITS_REFRESH_PER_ADDRESS", "600/1m"),
    ("DOORWARD_LIMITS_OTHER_PER_ADDRESS", "600/1m"),
    ("DOORWARD_LIMITS_ACCOUNT_FAILURES", "5"),
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
        Self::start(env, Manual::at(START), Arc::new(directory), change).await
    }

    /// Another process of the same application: the same stores, settings and time.
    pub async fn replica(&self) -> Self {
        let (clock, directory) = (self.clock.clone(), Arc::clone(&self.directory));
        Self::start(self.settings.clone(), clock, directory, |rocket| rocket).await
    }

    /// Another process of the same application, on a machine whose clock says something else.
    pub async fn replica_at(&self, moment: Timestamp) -> Self {
        let (clock, directory) = (Manual::at(moment), Arc::clone(&self.directory));
        Self::start(self.settings.clone(), clock, directory, |rocket| rocket).await
    }

    async fn start(
        settings: BTreeMap<String, String>,
        clock: Manual,
        directory: Arc<TempDir>,
        change: impl FnOnce(Rocket<Build>) -> Rocket<Build>,
    ) -> Self {
        let (config, world) = (config(settings.clone()), world(&clock));
        let rocket = change(app::build(config, world).expect("an application"));
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

/// An answer, read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: Status,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// All headers of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The whole `Set-Cookie` value of the cookie `name`.
    #[track_caller]
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        let start = format!("{name}=");
        let mut found = self.all("Set-Cookie").into_iter().filter(|set| set.starts_with(&start));
        let cookie = found.next();
        assert_eq!(found.next(), None, "{name} is set twice");
        cookie
    }

    /// The errors of single fields, as `field: code`.
    pub fn faults(&self) -> Vec<String> {
        let body = self.json();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let fault = |error: &Value| format!("{}: {}", word(&error["field"]), word(&error["code"]));
        body["errors"].as_array().map(|all| all.iter().map(fault).collect()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Fails unless the status is `code`.
    #[track_caller]
    pub fn expect(self, code: u16) -> Self {
        assert_eq!(self.status.code, code, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Fails unless this is the problem `code` with the status `status`, told as RFC 9457 tells it.
    #[track_caller]
    pub fn expect_problem(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
        let body = answer.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        for field in ["type", "title", "detail", "request_id"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {body}");
        }
        if status == 401 {
            assert!(answer.header("WWW-Authenticate").is_some());
        }
        if status == 429 || status == 503 {
            assert!(answer.header("Retry-After").is_some());
        }
        answer
    }

    /// Fails unless this sends the browser to `path`, with GET.
    #[track_caller]
    pub fn expect_redirect(self, path: &str) -> Self {
        let answer = self.expect(303);
        assert_eq!(answer.header("Location"), Some(path));
        answer
    }

    /// The value of a hidden field of a form on the page.
    #[track_caller]
    pub fn hidden(&self, name: &str) -> String {
        let html = self.text();
        let start = format!("name=\"{name}\" value=\"");
        let rest = html.split(&start).nth(1).unwrap_or_else(|| panic!("no {name} in {html}"));
        rest.split('"').next().unwrap_or_default().to_owned()
    }
}

/// A request that is being put together.
pub struct Ask<'v> {
    visitor: &'v Visitor,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    jar: bool,
}

impl Ask<'_> {
    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With a form.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// With a body of this type.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// Without the cookies of the jar, and leaving the jar as it is.
    pub fn without_jar(mut self) -> Self {
        self.jar = false;
        self
    }

    /// Sends it. What the answer sets is in the jar afterwards.
    pub async fn send(self) -> Answer {
        let client = &self.visitor.client;
        let mut request = client.req(self.method, self.path.clone());
        request.set_remote(self.visitor.address);
        for (name, value) in self.headers {
            request.add_header(Header::new(name, value));
        }
        let cookies = self.visitor.cookie_header();
        if let Some(cookies) = cookies.filter(|_| self.jar) {
            request.add_header(Header::new("Cookie", cookies));
        }
        let response = request.body(self.body).dispatch().await;
        let headers = response.headers().iter();
        let headers: Vec<_> =
            headers.map(|h| (h.name().to_string(), h.value().to_owned())).collect();
        let status = response.status();
        let body = response.into_bytes().await.unwrap_or_default();
        let answer = Answer { status, headers, body };
        if self.jar {
            answer.all("Set-Cookie").into_iter().for_each(|cookie| self.visitor.keep(cookie));
        }
        answer
    }
}

/// A browser with a jar of cookies, or a program without one.
pub struct Visitor {
    pub client: Arc<Client>,
    address: SocketAddr,
    jar: Mutex<BTreeMap<String, String>>,
}

impl Visitor {
    fn of(client: Arc<Client>) -> Self {
        let address = SocketAddr::from(([203, 0, 113, 7], 50_000));
        Self { client, address, jar: Mutex::default() }
    }

    /// The same browser at another address.
    pub fn at(mut self, ip: &str) -> Self {
        self.address.set_ip(ip.parse().expect("an address"));
        self
    }

    /// A request.
    pub fn ask(&self, method: Method, path: &str) -> Ask<'_> {
        let (path, headers, body) = (path.to_owned(), Vec::new(), Vec::new());
        Ask { visitor: self, method, path, headers, body, jar: true }
    }

    /// `GET`, as a person follows a link.
    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::Get, path).send().await
    }

    /// A request as a script of our own pages makes it.
    pub async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let ask = self.ask(method, path).header("Sec-Fetch-Site", "same-origin");
        if body.is_null() { ask.send().await } else { ask.json(&body).send().await }
    }

    /// Fills in the form on the page `at` and sends it to `to`, as a browser does.
    pub async fn submit(&self, at: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.get(at).await.expect(200).hidden("csrf_token");
        let mut fields = fields.to_vec();
        fields.push(("csrf_token", &token));
        let ask = self.ask(Method::Post, to).header("Sec-Fetch-Site", "same-origin");
        ask.form(&fields).send().await
    }

    /// Registers through the JSON interface.
    pub async fn register(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD });
        self.call(Method::Post, "/api/v1/auth/register", body).await.expect(201)
    }

    /// Signs in through the JSON interface.
    pub async fn log_in(&self, email: &str) -> Answer {
        self.log_in_with(email, PASSWORD).await.expect(200)
    }

    /// Tries to sign in through the JSON interface.
    pub async fn log_in_with(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.call(Method::Post, "/api/v1/auth/login", body).await
    }

    /// Refreshes through the JSON interface.
    pub async fn refresh(&self) -> Answer {
        self.call(Method::Post, "/api/v1/auth/refresh", Value::Null).await
    }

    /// Signs out through the JSON interface.
    pub async fn log_out(&self) -> Answer {
        self.call(Method::Post, "/api/v1/auth/logout", Value::Null).await
    }

    /// Asks who one is.
    pub async fn me(&self) -> Answer {
        self.get("/api/v1/me").await
    }

    /// A request of a program that shows this Bearer token, and no cookies.
    pub fn bearer(&self, method: Method, path: &str, token: &str) -> Ask<'_> {
        self.ask(method, path).without_jar().header("Authorization", &format!("Bearer {token}"))
    }

    /// The value of a cookie in the jar.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar.lock().expect("the jar").get(name).cloned()
    }

    /// Puts a cookie into the jar.
    pub fn put_cookie(&self, name: &str, value: &str) {
        self.jar.lock().expect("the jar").insert(name.to_owned(), value.to_owned());
    }

    /// Takes a cookie out of the jar.
    pub fn drop_cookie(&self, name: &str) {
        self.jar.lock().expect("the jar").remove(name);
    }

    /// A browser with a copy of this one's jar: a thief, or this one at an earlier time.
    pub fn copy(&self) -> Visitor {
        let jar = Mutex::new(self.jar.lock().expect("the jar").clone());
        Visitor { client: Arc::clone(&self.client), address: self.address, jar }
    }

    fn cookie_header(&self) -> Option<String> {
        let jar = self.jar.lock().expect("the jar");
        let pairs: Vec<String> =
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn keep(&self, set_cookie: &str) {
        let (pair, attributes) = set_cookie.split_once(';').expect("attributes");
        let (name, value) = pair.split_once('=').expect("a value");
        if attributes.contains("Max-Age=0") {
            self.drop_cookie(name);
        } else {
            self.put_cookie(name, value);
        }
    }
}

/// Fails unless this is an object of exactly these fields.
#[track_caller]
pub fn assert_fields(object: &Value, fields: &str) {
    let found: std::collections::BTreeSet<&str> =
        object.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(found, fields.split_whitespace().collect(), "{object}");
}

/// The fields of a `user`.
pub const USER: &str = "id email display_name status roles permissions created_at last_login_at";
/// The fields of a `session`.
pub const SESSION: &str = "id current created_at last_seen_at access_expires_at \
                           refresh_expires_at user_agent device ip remember";
/// The fields of a problem that concerns no field.
pub const PROBLEM: &str = "type title status detail code request_id";

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
