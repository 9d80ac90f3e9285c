//! Who passes, for how long and with what token; and what holds when a store is away.

use std::time::{Duration, Instant};

use rocket::http::Method::{Get, Patch, Post, Put};
use serde_json::json;

use super::ask::*;
use crate::app::*;
use crate::audit::events;
use crate::key::foreign;
use crate::support::redis::{Options as RedisOptions, RedisServer};

on_every_store! {
    async fn who_lacks_the_permission_is_refused_until_they_have_it(app) {
        let id = app.create("ada@example.org", &["user"]).await;
        app.log_in("ada@example.org").await;
        let refused = page(forward(&app, "GET", "/admin/x")).send().await.expect(403);
        assert!(refused.text().contains("You cannot open this page"), "{}", refused.text());
        assert_eq!(refused.header("Remote-User"), None);
        original(&app, "GET", "/admin").send().await.expect_problem(403, "permission_denied");
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let roles = json!({ "roles": ["user", "admin"] });
        root.call(Put, &format!("/api/v1/admin/users/{id}/roles"), roles).await.expect(200);
        let answer = forward(&app, "GET", "/admin/x").send().await.expect(200);
        assert_eq!(answer.header("Remote-Groups"), Some("admin,user"));
        let granted = answer.header("Remote-Permissions").expect("permissions");
        assert!(granted.split(',').any(|one| one == "users:read"), "{granted}");
        root.call(Patch, &format!("/api/v1/admin/users/{id}"), json!({ "status": "disabled" }))
            .await
            .expect(200);
        forward(&app, "GET", "/app").send().await.expect_problem(401, "session_ended");
    }

    async fn sr_36_asking_never_trades_a_refresh_token_in(app) {
        app.register("ada@example.org").await;
        let before = app.copy();
        app.later(minutes(11));
        for _ in 0..3 {
            let answer = forward(&app, "POST", "/app").send().await.expect(200);
            assert!(answer.all("Set-Cookie").is_empty());
            assert!(answer.header("Remote-User").is_some());
            app.later(minutes(20));
        }
        // A page is opened by way of the sign-in page, which hands over a new pair.
        let answer = page(forward(&app, "GET", "/app")).send().await.expect(302);
        let login = answer.header("Location").expect("a location").replace(ORIGIN, "");
        app.get(&login).await.expect_redirect("http://localhost:3000/app");
        assert_ne!(app.cookie(REFRESH), before.cookie(REFRESH));
        page(forward(&app, "GET", "/app")).send().await.expect(200);
        // What was sent before the new pair arrived is let through for a moment.
        forward(&before, "GET", "/app").send().await.expect(200);
        app.later(seconds(11));
        // After that somebody has a copy: the session is over for both.
        forward(&before, "GET", "/app").send().await.expect_problem(401, "refresh_reused");
        forward(&app, "GET", "/app").send().await.expect_problem(401, "session_ended");
        app.refresh().await.expect_problem(401, "session_ended");
        let events = events(&app).await;
        assert_eq!(events.iter().filter(|event| event.kind == "authn_token_reuse").count(), 1);
    }
}

#[rocket::async_test]
async fn a_session_does_not_outlive_itself_by_asking() {
    let app = light().await;
    app.register("ada@example.org").await;
    app.later(hours(23));
    forward(&app, "GET", "/app").send().await.expect(200);
    app.later(hours(1));
    forward(&app, "GET", "/app").send().await.expect_problem(401, "session_ended");
    // An administrator's ends after half an hour, also of one who became one meanwhile.
    let root = app.signed_in("root@example.org", &["admin"]).await;
    app.later(minutes(29));
    forward(&root, "GET", "/admin").send().await.expect(200);
    app.later(minutes(1));
    forward(&root, "GET", "/admin").send().await.expect_problem(401, "session_ended");
}

#[rocket::async_test]
async fn a_token_in_a_header_is_the_apps_business() {
    let app = light().await;
    app.register("ada@example.org").await;
    let bearer = format!("Bearer {}", app.cookie(ACCESS).expect("a cookie"));
    let ask = forward(&app, "GET", "/app").without_jar().header("Authorization", &bearer);
    ask.send().await.expect_problem(401, "not_signed_in");
    let ask = forward(&app, "GET", "/app").header("Authorization", "Bearer of-the-app");
    ask.send().await.expect(200);
}

#[rocket::async_test]
async fn sr_40_a_cookie_that_comes_twice_counts_as_none() {
    let app = light().await;
    app.register("ada@example.org").await;
    app.drop_cookie(REFRESH);
    let ask = forward(&app, "GET", "/app").header("Cookie", &format!("{ACCESS}=tossed"));
    ask.send().await.expect_problem(401, "not_signed_in");
}

#[rocket::async_test]
async fn sr_23_all_that_a_proxy_asks_is_not_counted_as_one_clients() {
    let mut settings = SETTINGS.to_vec();
    settings.push(("DOORWARD_LIMITS_OTHER_PER_ADDRESS", "5/1m"));
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    app.register("ada@example.org").await;
    for _ in 0..50 {
        forward(&app, "GET", "/app").send().await.expect(200);
    }
}

#[rocket::async_test]
async fn pyjwt_reads_the_identity_token() {
    let app = light().await;
    let id = app.create("root@example.org", &["admin"]).await;
    app.log_in("root@example.org").await;
    let token = |answer: Answer| answer.header("X-Doorward-Identity").expect("a token").to_owned();
    let ours = token(forward(&app, "GET", "/app").send().await.expect(200));
    let admins = token(forward(&app, "GET", "/admin").send().await.expect(200));
    let jwks = app.get("/.well-known/jwks.json").await.expect(200).json();
    let judge = |audience: &str, kind: &str, after: i64| {
        foreign::judge(json!({
            "jwks": jwks, "issuer": ORIGIN, "audience": audience, "type": kind,
            "now": START.as_secs() + after, "tokens": { "app": ours, "admin": admins },
        }))
    };
    let refused = "InvalidAudienceError";
    let site = "http://localhost:3000";
    assert_eq!(judge(site, "id+jwt", 0), json!({ "app": "good", "admin": refused }));
    assert_eq!(judge("the-admin-app", "id+jwt", 59), json!({ "app": refused, "admin": "good" }));
    assert_eq!(judge(site, "id+jwt", 61)["app"], "ExpiredSignatureError");
    assert_eq!(judge(ORIGIN, "at+jwt", 0)["app"], "WrongType");
    let payload = doorward::id::from_base64url(ours.split('.').nth(1).expect("a payload"));
    let claims: serde_json::Value =
        serde_json::from_slice(&payload.expect("base64")).expect("JSON");
    assert_fields(&claims, "iss aud sub iat nbf exp email name roles permissions");
    assert_eq!((&claims["sub"], &claims["email"]), (&json!(id), &json!("root@example.org")));
    assert_eq!(claims["roles"], json!(["admin"]));
    // Nothing here takes it for a token of its own.
    app.bearer(Get, "/api/v1/me", &ours).send().await.expect_problem(401, "not_signed_in");
    let thief = app.stranger();
    thief.put_cookie(ACCESS, &ours);
    thief.put_cookie(REFRESH, &ours);
    forward(&thief, "GET", "/app").send().await.expect_problem(401, "not_signed_in");
    thief.refresh().await.expect_problem(401, "refresh_invalid");
}

#[rocket::async_test]
async fn sr_70_a_store_that_is_away_is_said_so_within_a_second() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut settings = SETTINGS.to_vec();
    let url = redis.url();
    settings.push(("DOORWARD_STORE_URL", &url));
    let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
    app.register("ada@example.org").await;
    forward(&app, "GET", "/app").send().await.expect(200);
    redis.pause();
    let begun = Instant::now();
    let answer = forward(&app, "GET", "/app").send().await;
    answer.expect_problem(503, "store_unavailable");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    app.drop_cookie(ACCESS);
    original(&app, "GET", "/app").send().await.expect_problem(503, "store_unavailable");
    let page = page(forward(&app, "GET", "/app")).send().await.expect(503);
    assert!(page.text().contains("One moment") && page.header("Retry-After").is_some());
    // What is public needs no store.
    let public = forward(&app, "GET", "/public/x").send().await.expect(200);
    assert_eq!(public.all("Remote-User"), [""]);
    redis.resume();
}

#[rocket::async_test]
async fn envoy_may_ask_about_any_path_and_no_other_site_matters() {
    let app = light().await;
    app.register("ada@example.org").await;
    for target in
        ["/app/a%20b", "/app/%C3%BC?x=%26", "/app/a%2Fb", "/app/x//y", "/app/?", "/app/x;y"]
    {
        external(&app, Get, target).send().await.expect(200);
    }
    for target in ["/app/../admin", "/app/%2e%2e/admin", "//admin", "/%2fapp", "/ADMIN"] {
        let status = external(&app, Get, target).send().await.status.code;
        assert!(matches!(status, 400 | 403 | 404), "{target}: {status}");
    }
    // The headers are those of a request to the app, which comes from whatever site.
    let ask = external(&app, Post, "/app").header("Sec-Fetch-Site", "cross-site");
    ask.header("Origin", "https://evil.example").send().await.expect(200);
    // A form whose first field would be a method to Rocket.
    let ask = external(&app, Post, "/read").form(&[("_method", "GET")]);
    let status = ask.send().await.status.code;
    assert!(matches!(status, 403 | 404 | 415), "{status}");
}
