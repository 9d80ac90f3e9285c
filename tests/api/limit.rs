//! Limits: what a person, a program and a crowd of attackers get to see of them.

use std::time::Duration;

use rocket::http::Method;
use serde_json::{Value, json};

use crate::app::*;
use crate::support::redis::{Options, RedisServer};

const WRONG: &str = "not the password at all";

/// Runs a test on every combination of stores, with these limits on and all others off.
macro_rules! limited {
    ($(#[$meta:meta])* async fn $name:ident($($app:ident)+ : TestApp, [$($setting:expr),* $(,)?]) $body:block $($rest:tt)*) => {
        mod $name {
            use super::*;

            async fn test(backend: Backend) {
                let $($app)+ = TestApp::boot_with(backend, &[$($setting),*]).await;
                $body
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
        limited! { $($rest)* }
    };
    () => {};
}

const LOGIN: (&str, &str) = LIMITS[0];
const REGISTER: (&str, &str) = LIMITS[1];
const SESSION: (&str, &str) = LIMITS[2];
const FAILURES: (&str, &str) = LIMITS[5];

fn retry_after(answer: &Answer) -> u64 {
    answer.header("Retry-After").expect("Retry-After").parse().expect("whole seconds")
}

/// A problem without what differs in every answer.
fn plain(answer: &Answer) -> Value {
    let mut body = answer.json();
    body["request_id"] = Value::Null;
    body
}

/// Tries `times` wrong passwords, each from an address of its own, all of which are looked at.
async fn fail(app: &TestApp, email: &str, times: u8) {
    for n in 0..times {
        let stranger = app.stranger().at(&format!("198.51.100.{n}"));
        stranger.log_in_with(email, WRONG).await.expect_problem(401, "invalid_credentials");
    }
}

limited! {
    async fn sr_22_failures_delay_the_account_longer_and_longer(app: TestApp, [FAILURES]) {
        app.create("ada@example.org", &[]).await;
        fail(&app, "ada@example.org", 5).await;
        for delay in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            // The right password is not looked at either.
            let refused = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
            let refused = refused.expect_problem(429, "throttled");
            assert_eq!(retry_after(&refused), delay);
            assert_eq!(refused.json()["retry_after"], delay);
            assert!(refused.all("Set-Cookie").is_empty());
            app.later(seconds(delay) - Duration::from_millis(1));
            let refused = app.stranger().log_in_with("ada@example.org", WRONG).await;
            assert_eq!(retry_after(&refused.expect_problem(429, "throttled")), 1);
            app.later(Duration::from_millis(1));
            fail(&app, "ada@example.org", 1).await;
        }
        app.later(minutes(15));
        app.stranger().log_in("ada@example.org").await;
    }

    async fn sr_22_a_good_sign_in_forgets_the_failures_of_the_account(app: TestApp, [FAILURES]) {
        app.create("ada@example.org", &[]).await;
        for _ in 0..3 {
            fail(&app, "ada@example.org", 4).await;
            app.stranger().log_in("ada@example.org").await;
        }
        fail(&app, "ADA@Example.org", 5).await;
        let refused = app.stranger().log_in_with(" ada@example.org", PASSWORD).await;
        refused.expect_problem(429, "throttled");
        app.later(hours(25));
        fail(&app, "ada@example.org", 5).await;
    }

    async fn sr_20_sr_22_an_account_that_does_not_exist_is_throttled_alike(app: TestApp, [FAILURES, LOGIN]) {
        app.create("ada@example.org", &[]).await;
        for email in ["nobody@example.org", "ada@example.org", "no address", ""] {
            fail(&app, email, 5).await;
        }
        let refused = app.stranger().log_in_with("ada@example.org", WRONG).await;
        let known = refused.expect_problem(429, "throttled");
        for email in ["nobody@example.org", "no address", ""] {
            let stranger = app.stranger().at("192.0.2.99");
            let unknown = stranger.log_in_with(email, WRONG).await.expect_problem(429, "throttled");
            assert_eq!(plain(&unknown), plain(&known), "{email}");
            let names = |answer: &Answer| -> Vec<String> {
                answer.headers.iter().map(|(name, _)| name.clone()).collect()
            };
            assert_eq!(names(&unknown), names(&known));
        }
    }

    async fn sr_22_a_live_session_goes_on_whatever_is_guessed(app: TestApp, [FAILURES]) {
        app.register("ada@example.org").await;
        fail(&app, "ada@example.org", 5).await;
        app.get("/api/v1/me").await.expect(200);
        app.refresh().await.expect(200);
        app.drop_cookie(ACCESS);
        app.get("/profile").await.expect(200);
        let change = json!({ "current_password": PASSWORD, "new_password": "a tower of nougat" });
        app.call(Method::Put, "/api/v1/me/password", change).await.expect(204);
    }

    async fn sr_22_who_took_over_a_session_cannot_guess_at_the_password_for_long(app: TestApp, [FAILURES]) {
        app.register("ada@example.org").await;
        let elsewhere = app.stranger();
        elsewhere.log_in("ada@example.org").await;
        let guess = |password: &'static str| json!({ "password": password });
        for _ in 0..5 {
            app.call(Method::Delete, "/api/v1/me", guess(WRONG)).await.expect(403);
        }
        let refused = app.call(Method::Delete, "/api/v1/me", guess(PASSWORD)).await;
        refused.expect_problem(429, "throttled");
        elsewhere.call(Method::Delete, "/api/v1/me", guess(PASSWORD)).await.expect(204);
    }

    async fn sr_22_a_known_device_signs_in_while_the_account_is_under_attack(app: TestApp, [FAILURES]) {
        app.register("ada@example.org").await;
        let device = app.cookie(DEVICE).expect("the device is known");
        fail(&app, "ada@example.org", 5).await;
        app.stranger().log_in_with("ada@example.org", PASSWORD).await.expect_problem(429, "throttled");
        app.later(Duration::from_millis(1));
        app.log_in("ada@example.org").await;
        assert_ne!(app.cookie(DEVICE), Some(device.clone()), "the device is known for longer");

        // That was no reason to forget what the others do.
        app.stranger().log_in_with("ada@example.org", PASSWORD).await.expect_problem(429, "throttled");
        // The device alone opens nothing, and has a count of its own.
        let thief = app.stranger();
        thief.put_cookie(DEVICE, &device);
        thief.get("/api/v1/me").await.expect_problem(401, "not_signed_in");
        for _ in 0..5 {
            thief.log_in_with("ada@example.org", WRONG).await.expect_problem(401, "invalid_credentials");
        }
        let refused = thief.log_in_with("ada@example.org", PASSWORD).await;
        assert_eq!(retry_after(&refused.expect_problem(429, "throttled")), 1);
        let other = app.stranger();
        other.put_cookie(DEVICE, &device);
        other.log_in_with("bob@example.org", WRONG).await.expect_problem(401, "invalid_credentials");
    }

    async fn sr_22_a_new_password_makes_other_devices_unknown(app: TestApp, [FAILURES]) {
        app.register("ada@example.org").await;
        let elsewhere = app.stranger();
        elsewhere.log_in("ada@example.org").await;
        let change = json!({ "current_password": PASSWORD, "new_password": "a tower of nougat" });
        app.call(Method::Put, "/api/v1/me/password", change).await.expect(204);
        fail(&app, "ada@example.org", 5).await;
        let refused = elsewhere.log_in_with("ada@example.org", "a tower of nougat").await;
        refused.expect_problem(429, "throttled");
        app.log_in_with("ada@example.org", "a tower of nougat").await.expect(200);
    }

    async fn sr_22_a_browser_is_known_to_several_accounts(app: TestApp, [FAILURES]) {
        for email in ["ada@example.org", "bob@example.org"] {
            app.register(email).await;
        }
        let cookie = app.log_in("ada@example.org").await;
        let cookie = cookie.all("Set-Cookie").into_iter().find(|set| set.starts_with(DEVICE));
        let attributes = cookie.and_then(|set| set.split_once("; ")).expect("it is set").1;
        assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=15552000");
        for email in ["ada@example.org", "bob@example.org"] {
            fail(&app, email, 5).await;
            app.call(Method::Post, "/api/v1/auth/logout", Value::Null).await.expect(204);
            app.log_in(email).await;
        }
        app.later(hours(24 * 180));
        fail(&app, "ada@example.org", 5).await;
        app.log_in_with("ada@example.org", PASSWORD).await.expect_problem(429, "throttled");
    }

    async fn sr_22_ten_thousand_guesses_get_seventeen_in_an_hour_and_the_owner_gets_in(app: TestApp, [FAILURES, LOGIN, LIMITS[4]]) {
        app.register("ada@example.org").await;
        let (mut looked_at, mut first_hour) = (0, 0);
        for n in 0..10_000_u32 {
            let address = format!("198.51.{}.{}", n % 500 / 250, n % 250);
            let attacker = app.stranger().at(&address);
            match attacker.log_in_with("ada@example.org", WRONG).await.status.code {
                401 => looked_at += 1,
                429 => {}
                other => panic!("{other}"),
            }
            if n % 1_000 == 999 {
                // From the address of an attacker, too.
                app.log_in("ada@example.org").await;
                app.copy().at(&address).log_in("ada@example.org").await;
            }
            // 5,000 guesses in each of two hours.
            app.later(Duration::from_millis(720));
            if n == 4_999 {
                first_hour = looked_at;
            }
        }
        assert!((15..=17).contains(&first_hour), "{first_hour} in the first hour");
        assert!((3..=4).contains(&(looked_at - first_hour)), "{looked_at} in two hours");
    }

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
        app.stranger().at("203.0.113.8").log_in("ada@example.org").await;
        app.later(seconds(3));
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
        assert_eq!(retry_after(&refused), 1);
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
async fn sr_22_many_guesses_at_the_same_time_get_no_further() {
    for backend in [Backend::SqliteEmbedded, Backend::SqliteRedis] {
        let app = TestApp::boot_with(backend, &[FAILURES]).await;
        app.create("ada@example.org", &[]).await;
        let strangers: Vec<_> = (0..50).map(|_| app.stranger()).collect();
        let guesses = strangers.iter().map(|one| one.log_in_with("ada@example.org", WRONG));
        let answers = futures::future::join_all(guesses).await;
        let looked_at = answers.iter().filter(|answer| answer.status.code == 401).count();
        assert_eq!(looked_at, 5, "{backend:?}");
    }
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
