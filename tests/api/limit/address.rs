//! Limits by address and by session (SR-23, SR-24).

use std::time::Duration;

use rocket::http::Method;
use serde_json::json;

use super::{FAILURES, LOGIN, WRONG, limited, retry_after};
use crate::app::*;
use crate::audit::{events, events_since};
use crate::support::redis::{Options, RedisServer};

const REGISTER: (&str, &str) = LIMITS[1];
const SESSION: (&str, &str) = LIMITS[2];

limited! {
    async fn sr_23_sign_ins_are_counted_by_address_and_a_success_gives_nothing_back(app: TestApp, [LOGIN]) {
        app.create("ada@example.org", &[]).await;
        for left in (0..10).rev() {
            let answer = app.stranger().log_in("ada@example.org").await;
            let state = answer.header("RateLimit").expect("RateLimit");
            assert!(state.starts_with(&format!("\"login\";r={left}")), "{state}");
            assert_eq!(answer.header("RateLimit-Policy"), Some("\"login\";q=20;w=60"));
        }
        let refused = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
        let refused = refused.expect_problem(429, "throttled");
        assert_eq!(retry_after(&refused), 3);
        assert_eq!(refused.header("RateLimit"), Some("\"login\";r=0;t=3"));
        app.later(Duration::from_millis(2_500));
        let refused = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
        let refused = refused.expect_problem(429, "throttled");
        assert_eq!(refused.header("RateLimit"), Some("\"login\";r=0;t=1"));
        app.later(Duration::from_millis(500));
        app.stranger().at("203.0.113.8").log_in("ada@example.org").await;
        app.stranger().log_in("ada@example.org").await;
        app.stranger().log_in_with("ada@example.org", PASSWORD).await.expect_problem(429, "throttled");
        app.later(minutes(1));
        for _ in 0..10 {
            app.stranger().log_in("ada@example.org").await;
        }
    }

    async fn sr_23_an_ipv6_network_shares_its_limit(app: TestApp, [LOGIN]) {
        for n in 0..10 {
            let stranger = app.stranger().at(&format!("2001:db8:0:1::{n:x}"));
            stranger.log_in_with("ada@example.org", WRONG).await.expect(401);
        }
        let same = app.stranger().at("2001:db8:0:1:aaaa:bbbb:cccc:dddd");
        same.log_in_with("ada@example.org", WRONG).await.expect_problem(429, "throttled");
        let other = app.stranger().at("2001:db8:0:2::1");
        other.log_in_with("ada@example.org", WRONG).await.expect(401);
    }

    async fn sr_24_a_made_up_address_is_not_believed(app: TestApp, [LOGIN]) {
        let attempt = async |n: u8| {
            let stranger = app.stranger();
            let mut ask = stranger.ask(Method::Post, "/api/v1/auth/login");
            for header in ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP"] {
                ask = ask.header(header, &format!("192.0.2.{n}"));
            }
            ask.json(&json!({ "email": "ada@example.org", "password": WRONG })).send().await
        };
        for n in 0..10 {
            attempt(n).await.expect(401);
        }
        attempt(10).await.expect_problem(429, "throttled");
    }

    async fn sr_24_behind_a_trusted_proxy_each_client_is_counted(app: TestApp, [LOGIN, ("DOORWARD_PROXIES_TRUSTED", "203.0.113.7")]) {
        let attempt = async |forwarded: &str| {
            let stranger = app.stranger();
            let ask = stranger.ask(Method::Post, "/api/v1/auth/login");
            let ask = ask.header("X-Forwarded-For", forwarded);
            ask.json(&json!({ "email": "ada@example.org", "password": WRONG })).send().await
        };
        for n in 0..10 {
            attempt(&format!("10.9.8.{n}, 192.0.2.1")).await.expect(401);
        }
        attempt("10.9.8.99, 192.0.2.1").await.expect_problem(429, "throttled");
        attempt("192.0.2.2").await.expect(401);
    }

    async fn sr_23_registrations_are_counted_by_address(app: TestApp, [REGISTER]) {
        for n in 0..10 {
            let answer = app.stranger().register(&format!("ada{n}@example.org")).await;
            assert_eq!(answer.header("RateLimit-Policy"), Some("\"register\";q=10;w=3600"));
        }
        let body = json!({ "email": "ada@example.org", "password": PASSWORD });
        let refused = app.stranger().call(Method::Post, "/api/v1/auth/register", body).await;
        assert_eq!(retry_after(&refused.expect_problem(429, "throttled")), 360);
        app.stranger().get("/api/v1/me").await.expect(401);
        app.later(minutes(6));
        app.stranger().register("ada@example.org").await;
    }

    async fn sr_23_refreshes_are_counted_by_session(app: TestApp, [SESSION]) {
        app.register("ada@example.org").await;
        let elsewhere = app.stranger();
        elsewhere.log_in("ada@example.org").await;
        for _ in 0..60 {
            app.refresh().await.expect(200);
        }
        let refused = app.refresh().await.expect_problem(429, "throttled");
        assert_eq!(retry_after(&refused), 1);
        assert!(refused.all("Set-Cookie").is_empty());
        app.get("/api/v1/me").await.expect(200);
        elsewhere.refresh().await.expect(200);
        app.later(seconds(1));
        app.refresh().await.expect(200);
    }

    async fn sr_23_what_is_no_token_uses_up_nobodys_refreshes(app: TestApp, [("DOORWARD_LIMITS_REFRESH_PER_ADDRESS", "5/1m")]) {
        app.register("ada@example.org").await;
        let thief = app.stranger();
        thief.put_cookie(REFRESH, "eyJhbGciOiJFZERTQSJ9.e30.AAAA");
        for _ in 0..20 {
            thief.refresh().await.expect_problem(401, "refresh_invalid");
        }
        app.refresh().await.expect(200);
        // Counted behind the answers: a few more may get through before it is noticed.
        let mut good = 1;
        while app.refresh().await.status.code == 200 {
            good += 1;
            assert!(good <= 7, "{good}");
            rocket::tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(good >= 5, "{good}");
    }

    async fn sr_23_all_requests_of_an_address_are_counted_together(app: TestApp, [LIMITS[4]]) {
        app.register("ada@example.org").await;
        let stranger = app.stranger();
        let mut passed = 1;
        let refused = loop {
            let answer = stranger.get(["/login", "/api/v1/me"][passed % 2]).await;
            if answer.status.code == 429 {
                break answer;
            }
            passed += 1;
            assert!(passed <= 660, "{passed}");
        };
        assert!(passed >= 540, "{passed}");
        // At ten a second: the next one, and the few that got through before it was noticed.
        assert!((1..=7).contains(&retry_after(&refused)), "{refused:?}");
        assert_eq!(refused.header("RateLimit-Policy"), Some("\"requests\";q=600;w=60"));
        for exempt in ["/livez", "/readyz", "/.well-known/jwks.json", "/static/app.css"] {
            assert_ne!(stranger.get(exempt).await.status.code, 429, "{exempt}");
        }
        // Whoever is known here is counted apart; so is every other address.
        app.get("/login").await.expect(303);
        app.stranger().at("203.0.113.8").get("/login").await.expect(200);
        app.later(seconds(30));
        stranger.get("/login").await.expect(200);
    }

    async fn sr_23_the_pages_say_it_to_people(app: TestApp, [FAILURES, LOGIN]) {
        app.create("ada@example.org", &[]).await;
        let fields = [("email", "ada@example.org"), ("password", WRONG)];
        for _ in 0..5 {
            app.submit("/login", "/login", &fields).await.expect(401);
        }
        let page = app.submit("/login", "/login", &fields).await.expect(429);
        assert_eq!(retry_after(&page), 1);
        let html = page.text();
        assert!(html.contains("Too many attempts; try again in 1 second."), "{html}");
        assert!(html.contains("value=\"ada@example.org\"") && !html.contains(WRONG), "{html}");
    }

    async fn limits_that_are_off_refuse_nobody(app: TestApp, []) {
        app.create("ada@example.org", &[]).await;
        for _ in 0..30 {
            let answer = app.stranger().log_in_with("ada@example.org", WRONG).await.expect(401);
            assert_eq!(answer.header("RateLimit"), None);
        }
        app.stranger().log_in("ada@example.org").await;
    }
}

#[rocket::async_test]
async fn sr_23_the_error_page_says_it_too() {
    let few = [("DOORWARD_LIMITS_OTHER_PER_ADDRESS", "2/1m")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &few).await;
    app.get("/login").await.expect(200);
    app.get("/register").await.expect(200);
    let page = app.get("/login").await.expect(429);
    assert_eq!(retry_after(&page), 30);
    let html = page.text();
    assert!(html.contains("Too many attempts; try again in 30 seconds."), "{html}");
    assert!(page.header("Content-Security-Policy").is_some_and(|csp| csp.contains("nonce")));
    app.get("/api/v1/me").await.expect_problem(429, "throttled");
}

#[rocket::async_test]
async fn sr_80_of_a_flood_of_requests_one_event_a_minute_is_recorded() {
    let few = [("DOORWARD_LIMITS_OTHER_PER_ADDRESS", "2/1m")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &few).await;
    for _ in 0..2 {
        app.get("/login").await.expect(200);
    }
    let before = events(&app).await.len();
    for _ in 0..10 {
        app.get("/login").await.expect(429);
    }
    let said = events_since(&app, before).await;
    let said: Vec<_> = said.iter().map(|e| (e.kind.as_str(), e.detail.as_deref())).collect();
    assert_eq!(said, [("excess_rate_limit_exceeded", Some("GET /login"))]);
}

#[rocket::async_test]
async fn sr_70_what_cannot_be_counted_is_refused_where_passwords_are_tried() {
    let server = RedisServer::start(Options::default());
    let url = server.url();
    let store = ("DOORWARD_STORE_URL", url.as_str());
    let settings: Vec<(&str, &str)> = LIMITS.into_iter().chain([store]).collect();
    let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
    app.create("ada@example.org", &[]).await;
    server.pause();
    let refused = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
    refused.expect_problem(503, "store_unavailable");
    let body = json!({ "email": "bob@example.org", "password": PASSWORD });
    let refused = app.stranger().call(Method::Post, "/api/v1/auth/register", body).await;
    refused.expect_problem(503, "store_unavailable");
    for _ in 0..20 {
        app.stranger().get("/login").await.expect(200);
    }
    server.resume();
    let until = std::time::Instant::now() + seconds(5);
    while app.stranger().log_in_with("ada@example.org", PASSWORD).await.status.code != 200 {
        assert!(std::time::Instant::now() < until);
        rocket::tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
