//! Limits by account, and the devices that they do not hold up (SR-22).

use std::time::Duration;

use rocket::http::Method;
use serde_json::{Value, json};

use super::{CONFIRM, FAILURES, LOGIN, WRONG, limited, retry_after};
use crate::app::*;

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
        app.later(hours(23));
        fail(&app, "ada@example.org", 1).await;
        let refused = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
        assert_eq!(retry_after(&refused.expect_problem(429, "throttled")), 2);
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

    async fn sr_22_confirmations_are_counted_by_session_good_or_bad(app: TestApp, [CONFIRM, FAILURES]) {
        app.register("ada@example.org").await;
        let elsewhere = app.stranger();
        elsewhere.log_in("ada@example.org").await;
        let good = json!({ "password": PASSWORD });
        // A good password with a new one that is refused, a bad one, and good ones.
        let weak = json!({ "current_password": PASSWORD, "new_password": "short" });
        app.call(Method::Put, "/api/v1/me/password", weak).await.expect(422);
        app.call(Method::Delete, "/api/v1/me", json!({ "password": WRONG })).await.expect(403);
        for left in (0..8).rev() {
            let answer = app.call(Method::Post, "/api/v1/auth/reauthenticate", good.clone()).await.expect(200);
            let state = answer.header("RateLimit").expect("RateLimit");
            assert!(state.starts_with(&format!("\"confirm\";r={left}")), "{state}");
            assert_eq!(answer.header("RateLimit-Policy"), Some("\"confirm\";q=20;w=60"));
        }
        let change = json!({ "current_password": PASSWORD, "new_password": "a tower of nougat" });
        for (method, path, body) in [
            (Method::Post, "/api/v1/auth/reauthenticate", &good),
            (Method::Put, "/api/v1/me/password", &change),
            (Method::Delete, "/api/v1/me", &good),
        ] {
            let refused = app.call(method, path, body.clone()).await;
            assert_eq!(retry_after(&refused.expect_problem(429, "throttled")), 3, "{path}");
        }
        for (page, field) in [
            ("/profile/delete", "password"),
            ("/profile/password", "current_password"),
            ("/reauthenticate", "password"),
        ] {
            let at = if page == "/profile/password" { "/profile" } else { "/profile/delete" };
            let mut fields = vec![(field, PASSWORD)];
            fields.extend((page == "/profile/password").then_some(("new_password", "a tower of nougat")));
            let html = app.submit(at, page, &fields).await.expect(429).text();
            assert!(html.contains("Too many attempts; try again in 3 seconds."), "{page}: {html}");
        }
        app.later(seconds(3));
        elsewhere.call(Method::Put, "/api/v1/me/password", change).await.expect(204);
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

    async fn sr_22_each_known_device_has_a_count_of_its_own(app: TestApp, [FAILURES]) {
        app.register("ada@example.org").await;
        let phone = app.stranger();
        phone.log_in("ada@example.org").await;
        for _ in 0..5 {
            phone.log_in_with("ada@example.org", WRONG).await.expect(401);
        }
        phone.log_in_with("ada@example.org", PASSWORD).await.expect_problem(429, "throttled");
        app.log_in("ada@example.org").await;
    }

    async fn sr_22_the_known_devices_of_each_account_are_counted_apart(app: TestApp, [LOGIN]) {
        let bob = app.stranger();
        bob.register("bob@example.org").await;
        app.register("ada@example.org").await;
        for _ in 0..10 {
            app.log_in("ada@example.org").await;
        }
        app.log_in_with("ada@example.org", PASSWORD).await.expect_problem(429, "throttled");
        bob.log_in("bob@example.org").await;
    }

    async fn sr_81_the_owner_learns_of_the_failures_before_a_sign_in(app: TestApp, [FAILURES]) {
        const TOLD: &str = "signed in after 5 failed attempts";
        app.create("ada@example.org", &[]).await;
        let told = async |visitor: &Visitor| {
            visitor.get("/profile").await.expect(200).text().contains("failed attempts")
        };
        fail(&app, "ada@example.org", 4).await;
        app.log_in("ada@example.org").await;
        assert!(!told(&app).await, "four are what people do");

        fail(&app, "ada@example.org", 5).await;
        app.later(seconds(1));
        let next = app.stranger();
        next.log_in("ada@example.org").await;
        let html = next.get("/profile").await.expect(200).text();
        assert!(html.contains(TOLD), "{html}");
        assert!(told(&app).await, "wherever they are signed in");
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
