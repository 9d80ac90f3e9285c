//! No secret is found anywhere but in the hands of its owner (SR-80, SR-34): marked ones are put into
//! every place of every request, and then looked for in the log, in SQL and in the session store.

use std::io;
use std::sync::{Arc, Mutex, Once};

use rocket::http::Method;
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use super::chain::sql_rows;
use crate::app::*;

/// What every planted secret contains.
const MARK: &str = "plantedsecret";

/// All log lines of this process, as the server writes them, at the most talkative level.
fn log() -> Arc<Mutex<Vec<u8>>> {
    static LOG: Mutex<Option<Arc<Mutex<Vec<u8>>>>> = Mutex::new(None);
    static START: Once = Once::new();
    let log = Arc::clone(LOG.lock().expect("the log").get_or_insert_default());
    START.call_once(|| {
        let writer = Writer(Arc::clone(&log));
        let filter = "warn,doorward=trace,audit=trace,access=trace,csp=trace,rocket=trace";
        let lines = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_writer(move || writer.clone())
            .json()
            .flatten_event(true)
            .finish();
        tracing::subscriber::set_global_default(lines).expect("nobody else collects the log");
    });
    log
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A secret with a mark and a number, good as a password.
fn planted(n: u32) -> String {
    format!("{MARK}-{n} tower of marzipan")
}

/// One without spaces, as tokens and cookies are.
fn token(n: u32) -> String {
    format!("{MARK}{n}")
}

/// Puts a marked secret into every place that can hold one, good ones and bad ones.
async fn plant(app: &TestApp) {
    let (good, next) = (planted(1), planted(2));
    let register = json!({ "email": "ada@example.org", "password": good, "display_name": "Ada" });
    app.call(Method::Post, "/api/v1/auth/register", register).await.expect(201);
    let change = json!({ "current_password": good, "new_password": next });
    app.call(Method::Put, "/api/v1/me/password", change).await.expect(204);
    let wrong = json!({ "current_password": planted(3), "new_password": planted(4) });
    app.call(Method::Put, "/api/v1/me/password", wrong).await.expect(403);
    app.submit(
        "/profile",
        "/profile/password",
        &[("current_password", &planted(5)), ("new_password", &planted(6))],
    )
    .await
    .expect(403);
    app.call(Method::Delete, "/api/v1/me", json!({ "password": planted(7) })).await.expect(403);
    app.submit("/profile/delete", "/profile/delete", &[("password", &planted(8))])
        .await
        .expect(403);

    let visitor = app.stranger();
    visitor.log_in_with("ada@example.org", &next).await.expect(200);
    visitor.log_in_with("ada@example.org", &planted(9)).await.expect(401);
    visitor.log_in_with(&planted(10), &planted(11)).await.expect(401);
    visitor.log_in_with(&token(12), &planted(13).repeat(100)).await.expect(401);
    let page = app.stranger();
    page.submit("/login", "/login", &[("email", &planted(14)), ("password", &planted(15))])
        .await
        .expect(401);
    page.submit("/register", "/register", &[("email", "x"), ("password", &planted(16))])
        .await
        .expect(422);

    let admin = app.signed_in("root@example.org", &["admin"]).await;
    let body = json!({ "email": "eve@example.org", "password": planted(17) });
    admin.call(Method::Post, "/api/v1/admin/users", body).await.expect(201);
    admin
        .submit(
            "/admin/users/new",
            "/admin/users",
            &[("email", "bob@example.org"), ("password", &planted(18))],
        )
        .await
        .expect(303);
}

/// The same with tokens, cookies, headers and what cannot be read at all.
async fn plant_noise(app: &TestApp) {
    let visitor = app.stranger();
    for name in [ACCESS, REFRESH, PRE_LOGIN] {
        visitor.put_cookie(name, &token(20));
    }
    visitor.get("/profile").await;
    visitor.get("/api/v1/me").await.expect(401);
    visitor.refresh().await.expect(401);
    visitor.call(Method::Post, "/api/v1/auth/logout", Value::Null).await.expect(204);
    for scheme in ["Bearer", "Basic", "Digest", ""] {
        let value = format!("{scheme} {}", token(21));
        let ask = app.stranger();
        let ask = ask.ask(Method::Get, "/api/v1/me").header("Authorization", &value);
        ask.send().await.expect(401);
    }
    for path in [
        format!("/setup?token={}", token(22)),
        format!("/login?next=/{}", token(23)),
        format!("/api/v1/admin/audit?cursor={}", token(24)),
        format!("/no/such/page?token={}", token(25)),
    ] {
        app.stranger().get(&path).await;
    }
    for (kind, body) in [
        ("application/json", format!("{{\"password\": \"{}\"", token(26))),
        ("application/json", json!({ "password": token(27), (token(28)): token(29) }).to_string()),
        ("application/json", json!({ "email": [token(30)], "password": 1 }).to_string()),
        ("application/x-www-form-urlencoded", format!("csrf_token={0}&{0}={0}", token(31))),
        ("text/plain", token(32)),
    ] {
        for path in ["/api/v1/auth/login", "/login", "/setup", "/profile"] {
            let ask = visitor.ask(Method::Post, path).header("X-CSRF-Token", &token(33));
            ask.body(kind, body.clone()).send().await;
        }
    }
    let report = json!({ "csp-report": {
        "document-uri": format!("http://localhost:8000/setup?token={}", token(34)),
        "blocked-uri": "inline", "script-sample": token(35),
    } });
    let browser = app.stranger();
    let ask = browser.ask(Method::Post, "/csp-report");
    ask.body("application/csp-report", report.to_string()).send().await.expect(204);
}

/// Fails if the mark is in `text`; shows where.
#[track_caller]
fn clean(place: &str, text: &str) {
    if let Some(at) = text.find(MARK) {
        let from = text.floor_char_boundary(at.saturating_sub(300));
        let to = text.ceil_char_boundary((at + 60).min(text.len()));
        panic!("{place}: … {} …", &text[from..to]);
    }
}

/// The real tokens of a browser, whose signatures must not be anywhere either.
fn real_tokens(app: &TestApp) -> Vec<String> {
    let tokens = [ACCESS, REFRESH].map(|name| app.cookie(name).expect("it is signed in"));
    tokens.iter().filter_map(|token| token.rsplit('.').next()).map(str::to_owned).collect()
}

async fn look_for(app: &TestApp, secret: &str, say: impl Fn(&str, &str)) {
    for (table, row) in sql_rows(&app.database).await {
        say(&format!("{table}: {secret}"), &row);
    }
    if app.store.starts_with("redis") {
        for (key, value) in redis_entries(&app.store).await {
            say(&format!("Redis {key}: {secret}"), &format!("{key} {value}"));
        }
    }
    let log = log();
    let log = log.lock().expect("the log");
    say(&format!("the log: {secret}"), &String::from_utf8_lossy(&log));
}

/// Every key of a Redis database, with what it holds.
async fn redis_entries(url: &str) -> Vec<(String, String)> {
    let client = ::redis::Client::open(url).expect("a Redis URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("connect");
    let keys: Vec<String> =
        ::redis::cmd("KEYS").arg("*").query_async(&mut connection).await.expect("KEYS");
    let mut entries = Vec::new();
    for key in keys {
        let kind: String =
            ::redis::cmd("TYPE").arg(&key).query_async(&mut connection).await.expect("TYPE");
        let mut read = match kind.as_str() {
            "string" => ::redis::cmd("GET"),
            "hash" => ::redis::cmd("HGETALL"),
            "set" => ::redis::cmd("SMEMBERS"),
            "zset" => ::redis::cmd("ZRANGE"),
            "list" => ::redis::cmd("LRANGE"),
            other => panic!("a {other} at {key}"),
        };
        read.arg(&key);
        if matches!(kind.as_str(), "zset" | "list") {
            read.arg(0).arg(-1);
        }
        let value: ::redis::Value = read.query_async(&mut connection).await.expect("a value");
        entries.push((key, format!("{value:?}")));
    }
    entries
}

mod sr_80_no_secret_is_kept_or_logged {
    use super::*;

    async fn test(backend: Backend) {
        log();
        let app = TestApp::boot_with(backend, &[("DOORWARD_LOG_ACCESS", "true")]).await;
        let setup = app.setup_token().await;
        plant(&app).await;
        plant_noise(&app).await;
        app.audit().await;
        // The search finds what is there: otherwise it would prove nothing.
        let seen = Mutex::new(0);
        look_for(&app, "ada@example.org", |_, text| {
            *seen.lock().expect("a number") += usize::from(text.contains("ada@example.org"));
        })
        .await;
        assert!(*seen.lock().expect("a number") > 0);

        look_for(&app, MARK, clean).await;
        for secret in real_tokens(&app).into_iter().chain([setup]) {
            look_for(&app, &secret, |place, text| assert!(!text.contains(&secret), "{place}"))
                .await;
        }
    }

    #[rocket::async_test]
    async fn sqlite_embedded() {
        test(Backend::SqliteEmbedded).await;
    }

    #[rocket::async_test]
    async fn sqlite_redis() {
        test(Backend::SqliteRedis).await;
    }

    #[rocket::async_test]
    async fn postgres_redis() {
        test(Backend::PostgresRedis).await;
    }
}
