//! What whoever watches the server sees of it (docs/metrics.md).

use std::collections::BTreeMap;
use std::sync::Arc;

use doorward::app::Watch;
use rocket::http::Method::{Get, Post};

use crate::app::*;
use crate::support::binary::Server;
use crate::support::http;
use crate::support::redis::{Options, RedisServer};
use crate::support::{free_port, wait_until};

const WRONG: &str = "not the password at all";

/// With this the application counts; it shows the figures on a port that nobody asks.
const WATCHED: (&str, &str) = ("DOORWARD_METRICS_ADDRESS", "127.0.0.1:0");

/// The figures of a page, by name and labels as they stand there.
struct Figures(BTreeMap<String, f64>);

impl Figures {
    fn read(page: &str) -> Self {
        let figure = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        };
        Self(page.lines().filter(|line| !line.starts_with('#')).map(figure).collect())
    }

    /// What the application counts at this moment, after it has asked its stores.
    async fn of(app: &TestApp) -> Self {
        let watch: &Arc<Watch> = app.service();
        watch.ask().await;
        watch.count().await;
        Self::read(&watch.page())
    }

    #[track_caller]
    fn get(&self, name: &str) -> f64 {
        let known: Vec<&String> = self.0.keys().collect();
        *self.0.get(name).unwrap_or_else(|| panic!("{name} is not in {known:#?}"))
    }

    /// Those of one family that are not 0, as `good 2`, in order of their labels' values.
    fn counted(&self, family: &str) -> Vec<String> {
        let line = |(name, value): (&String, &f64)| {
            let labels = name.strip_prefix(family)?.strip_prefix('{')?.strip_suffix('}')?;
            let values: Vec<&str> = labels.split('"').skip(1).step_by(2).collect();
            (*value > 0.0).then(|| format!("{} {value}", values.join(" ")))
        };
        self.0.iter().filter_map(line).collect()
    }
}

async fn watched(backend: Backend, settings: &[(&str, &str)]) -> TestApp {
    TestApp::boot_with(backend, &[settings, &[WATCHED]].concat()).await
}

#[rocket::async_test]
async fn every_outcome_of_a_sign_in_and_of_a_refresh_is_counted_as_what_it_was() {
    let app = watched(Backend::SqliteEmbedded, &[LIMITS[2], LIMITS[5]]).await;

    app.create("ada@example.org", &[]).await;
    app.stranger().register("bob@example.org").await;
    for _ in 0..5 {
        app.log_in_with("ada@example.org", WRONG).await.expect(401);
    }
    app.log_in_with("ada@example.org", PASSWORD).await.expect(429);
    app.later(seconds(1));
    app.log_in("ada@example.org").await;
    let before = app.copy();
    app.refresh().await.expect(200);
    before.copy().refresh().await.expect(200);
    app.later(seconds(10));
    before.copy().refresh().await.expect(200);
    app.later(std::time::Duration::from_millis(1));
    before.copy().refresh().await.expect(200);
    app.me().await.expect(200);
    before.refresh().await.expect(401);
    app.refresh().await.expect(401);
    let stranger = app.stranger();
    stranger.put_cookie(REFRESH, "no token");
    stranger.refresh().await.expect(401);
    app.log_in("ada@example.org").await;
    while app.refresh().await.status.code == 200 {}

    let figures = Figures::of(&app).await;
    assert_eq!(figures.counted("doorward_logins_total"), ["good 3", "refused 5", "throttled 1"]);
    assert_eq!(
        figures.counted("doorward_refreshes_total"),
        [
            "ended 1",
            "invalid 1",
            "repeated_in_grace 2",
            "repeated_unused 1",
            "reused 1",
            "rotated 61",
            "throttled 1",
        ]
    );
    assert_eq!(figures.counted("doorward_throttled_total"), ["account 1", "refresh 1"]);
}

#[rocket::async_test]
async fn every_limit_that_refuses_is_counted_by_its_name() {
    let per_minute = |name| (name, "2/1m");
    let app = watched(
        Backend::SqliteEmbedded,
        &[
            per_minute("DOORWARD_LIMITS_LOGIN_PER_ADDRESS"),
            per_minute("DOORWARD_LIMITS_REGISTER_PER_ADDRESS"),
            ("DOORWARD_LIMITS_OTHER_PER_ADDRESS", "20/1m"),
        ],
    )
    .await;
    app.stranger().log_in_with("ada@example.org", WRONG).await.expect(401);
    app.stranger().log_in_with("ada@example.org", WRONG).await.expect(429);
    let register = serde_json::json!({ "email": "a@example.org", "password": PASSWORD });
    while app.call(Post, "/api/v1/auth/register", register.clone()).await.status.code != 429 {}
    assert_eq!(
        Figures::of(&app).await.counted("doorward_throttled_total"),
        ["login 1", "register 1"]
    );
    while app.stranger().get("/login").await.status.code != 429 {}
    let figures = Figures::of(&app).await;
    assert_eq!(
        figures.counted("doorward_throttled_total"),
        ["login 1", "register 1", "requests 1"]
    );
}

#[rocket::async_test]
async fn a_request_is_counted_by_its_route_whatever_its_address_holds() {
    let app = watched(Backend::SqliteEmbedded, &[]).await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    for id in ["AAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBB", "%7D%22%201"] {
        root.get(&format!("/api/v1/admin/users/{id}")).await.expect(404);
    }
    root.me().await.expect(200);
    app.stranger().me().await.expect(401);
    for path in ["/made-up", "/made/up/also", "/api/v1/nothing"] {
        app.stranger().get(path).await.expect(404);
    }
    app.ask(Post, "/livez").send().await.expect(405);
    app.ask(Get, "/livez").send().await.expect(200);

    let figures = Figures::of(&app).await;
    let mut counted = figures.counted("doorward_http_requests_total");
    counted.retain(|line| !line.contains("/login"));
    assert_eq!(
        counted,
        [
            "GET /api/v1/admin/users/<id> 404 3",
            "GET /api/v1/me 200 1",
            "GET /api/v1/me 401 1",
            "GET /livez 200 1",
            "GET none 404 3",
            "POST none 405 1",
        ]
    );
    let labels = r#"method="GET",route="/api/v1/me""#;
    let took = |part: &str| figures.get(&format!("doorward_http_request_duration_seconds{part}"));
    assert_eq!(took(&format!("_count{{{labels}}}")), 2.0);
    assert_eq!(took(&format!("_bucket{{{labels},le=\"+Inf\"}}")), 2.0);
    let sum = took(&format!("_sum{{{labels}}}"));
    assert!(sum > 0.0 && sum < 20.0, "{sum}");
}

#[rocket::async_test]
async fn what_stores_hold_and_how_they_answer_is_seen() {
    for backend in [Backend::SqliteEmbedded, Backend::SqliteRedis, Backend::PostgresRedis] {
        let app = watched(backend, &[]).await;
        app.create("ada@example.org", &[]).await;
        for _ in 0..3 {
            app.log_in("ada@example.org").await;
            app.drop_cookie(ACCESS);
            app.drop_cookie(REFRESH);
        }
        app.register("bob@example.org").await;
        app.me().await.expect(200);
        app.audit().await;

        let figures = Figures::of(&app).await;
        assert_eq!(figures.get("doorward_sessions"), 4.0);
        assert_eq!(figures.get("doorward_accounts"), 2.0);
        assert_eq!(figures.get("doorward_denied_tokens"), 0.0);
        assert_eq!(figures.get("doorward_ready"), 1.0);
        assert_eq!(figures.counted("doorward_store_up"), ["sessions 1", "sql 1"]);
        assert_eq!(figures.get("doorward_audit_events_waiting"), 0.0);
        assert_eq!(figures.counted("doorward_signing_keys"), ["current 1"]);
        assert!(figures.counted("doorward_store_errors_total").is_empty());
        let done = |store: &str, operation: &str| {
            let labels = format!("store=\"{store}\",operation=\"{operation}\"");
            figures.get(&format!("doorward_store_duration_seconds_count{{{labels}}}"))
        };
        assert_eq!(done("sessions", "open"), 4.0);
        assert!(done("sessions", "verify") >= 1.0);
        assert_eq!(done("sql", "account.create"), 2.0);
        assert!(done("sql", "audit.append") >= 1.0);
        let open = figures.get("doorward_sql_connections{state=\"idle\"}")
            + figures.get("doorward_sql_connections{state=\"used\"}");
        assert!((1.0..=figures.get("doorward_sql_connections_max")).contains(&open), "{open}");
    }
}

#[rocket::async_test]
async fn a_store_that_is_away_is_seen_to_be_away_and_to_be_back() {
    let redis = RedisServer::start(Options::default());
    let app = watched(Backend::SqliteRedis, &[("DOORWARD_STORE_URL", &redis.url())]).await;
    app.register("ada@example.org").await;
    let figures = Figures::of(&app).await;
    assert_eq!((figures.get("doorward_ready"), figures.get("doorward_sessions")), (1.0, 1.0));
    redis.pause();
    app.me().await.expect(503);
    app.log_in_with("ada@example.org", PASSWORD).await.expect(503);
    let figures = Figures::of(&app).await;
    assert_eq!(figures.get("doorward_ready"), 0.0);
    assert_eq!(figures.counted("doorward_store_up"), ["sql 1"]);
    // It stays what it was.
    assert_eq!(figures.get("doorward_sessions"), 1.0);
    let errors = figures.counted("doorward_store_errors_total");
    assert!(errors.iter().any(|line| line == "sessions verify unavailable 1"), "{errors:?}");
    assert_eq!(figures.counted("doorward_logins_total"), ["failed 1", "good 1"]);
    redis.resume();
    let back = async || Figures::of(&app).await.get("doorward_ready") == 1.0;
    while !back().await {}
}

#[rocket::async_test]
async fn where_nobody_watches_there_are_no_figures() {
    let app = TestApp::light().await;
    assert!(app.client.rocket().state::<Arc<Watch>>().is_none());
    app.get("/metrics").await.expect(404);
}

#[test]
fn a_server_shows_its_figures_at_an_address_of_their_own() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let server = Server::start(&[("DOORWARD_METRICS_ADDRESS", &address)]);
    assert_eq!(http::get(server.port(), "/metrics").expect("an answer").status, 404);
    http::get(server.port(), "/login").expect("an answer");
    let mut page = String::new();
    let ready = wait_until(std::time::Duration::from_secs(10), || {
        page = http::get(port, "/metrics").map(|answer| answer.text()).unwrap_or_default();
        page.contains("doorward_ready 1\n")
    });
    assert!(ready, "{page}");
    let answer = http::get(port, "/metrics").expect("an answer");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
    for family in doorward::metric::family::ALL {
        assert!(page.contains(&format!("# TYPE {} ", family.name)), "{} in {page}", family.name);
    }
    let figures = Figures::read(&page);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(figures.get(&format!("doorward_build_info{{version=\"{version}\"}}")), 1.0);
    let login = r#"doorward_http_requests_total{method="GET",route="/login",status="200"}"#;
    assert_eq!(figures.get(login), 1.0);
    assert!(figures.get("process_resident_memory_bytes") > 1e6);
    assert!(figures.get("process_cpu_seconds_total") > 0.0);
    assert!(figures.get("process_threads") > 1.0);
    let (open, max) = (figures.get("process_open_fds"), figures.get("process_max_fds"));
    assert!(open > 5.0 && open < max, "{open} of {max}");
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64();
    let started = figures.get("process_start_time_seconds");
    assert!((now - 120.0..=now + 2.0).contains(&started), "{started} and {now}");
}
