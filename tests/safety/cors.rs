//! Scripts of other sites (SR-45).

use rocket::http::Method::{Get, Options, Post};

use crate::app::*;

const FRIEND: &str = "https://app.example.org";

/// An application that lets the scripts of one other site in.
async fn open() -> TestApp {
    let settings = [("DOORWARD_CORS_ALLOWED_ORIGINS", FRIEND)];
    TestApp::boot_with(Backend::SqliteEmbedded, &settings).await
}

/// The headers of an answer that speak to scripts of other sites.
fn told(answer: &Answer) -> Vec<&str> {
    let all = answer.headers.iter().map(|(name, _)| name.as_str());
    all.filter(|name| name.to_ascii_lowercase().starts_with("access-control-")).collect()
}

#[rocket::async_test]
async fn sr_45_no_other_site_is_spoken_to_unless_configured() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    for origin in [FRIEND, "null", ORIGIN, "http://evil.example", "*"] {
        for path in ["/api/v1/me", "/livez", "/login", "/api/v1/nothing"] {
            let answer = app.ask(Get, path).header("Origin", origin).send().await;
            assert!(told(&answer).is_empty(), "{origin} {path}: {:?}", told(&answer));
        }
        let ask = app.ask(Options, "/api/v1/me").header("Origin", origin);
        let preflight = ask.header("Access-Control-Request-Method", "GET").send().await;
        assert!(told(&preflight).is_empty());
        assert!(preflight.status.code >= 400);
    }
}

#[rocket::async_test]
async fn sr_45_a_named_origin_is_spoken_to_by_name() {
    let app = open().await;
    app.register("ada@example.org").await;
    let answer = app.ask(Get, "/api/v1/me").header("Origin", FRIEND).send().await.expect(200);
    assert_eq!(answer.all("Access-Control-Allow-Origin"), [FRIEND]);
    assert_eq!(answer.header("Access-Control-Allow-Credentials"), Some("true"));
    assert!(answer.all("Vary").iter().any(|vary| vary.contains("Origin")));

    let preflight = app
        .ask(Options, "/api/v1/me")
        .without_jar()
        .header("Origin", FRIEND)
        .header("Access-Control-Request-Method", "PATCH")
        .header("Access-Control-Request-Headers", "content-type, authorization")
        .send()
        .await
        .expect(204);
    assert_eq!(preflight.all("Access-Control-Allow-Origin"), [FRIEND]);
    let methods = preflight.header("Access-Control-Allow-Methods").unwrap();
    assert!(methods.contains("PATCH") && !methods.contains('*'), "{methods}");
}

#[rocket::async_test]
async fn sr_45_no_other_origin_is_let_in_by_resemblance() {
    let app = open().await;
    app.register("ada@example.org").await;
    for origin in [
        "null",
        "*",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://app.example.org.evil.example",
        "https://evil-app.example.org",
        "https://sub.app.example.org",
        "https://example.org",
        "https://APP.example.org.",
        "file://",
        "nonsense",
    ] {
        let answer = app.ask(Get, "/api/v1/me").header("Origin", origin).send().await;
        let allowed = answer.all("Access-Control-Allow-Origin");
        assert!(allowed.is_empty(), "{origin}: {allowed:?}");
        let ask = app.ask(Options, "/api/v1/me").header("Origin", origin);
        let preflight = ask.header("Access-Control-Request-Method", "GET").send().await;
        assert!(preflight.all("Access-Control-Allow-Origin").is_empty(), "{origin}");
        assert!(preflight.status.code >= 400, "{origin}");
    }
}

#[rocket::async_test]
async fn our_own_pages_work_while_another_site_is_let_in() {
    let app = open().await;
    app.create("ada@example.org", &["user"]).await;
    // Browsers send `Origin` with every form and every change, also within a site.
    let token = app.get("/login").await.expect(200).hidden("csrf_token");
    let fields = [("email", "ada@example.org"), ("password", PASSWORD), ("csrf_token", &token)];
    let ask =
        app.ask(Post, "/login").header("Origin", ORIGIN).header("Sec-Fetch-Site", "same-origin");
    ask.form(&fields).send().await.expect_redirect("/profile");
    let ask = app.ask(Post, "/api/v1/auth/refresh").header("Origin", ORIGIN);
    ask.header("Sec-Fetch-Site", "same-origin").send().await.expect(200);
}

#[rocket::async_test]
async fn sr_41_a_named_origin_changes_nothing_with_our_cookies() {
    let app = open().await;
    app.register("ada@example.org").await;
    let ask = app.ask(Post, "/api/v1/auth/logout").header("Origin", FRIEND);
    ask.header("Sec-Fetch-Site", "same-site").send().await.expect_problem(403, "csrf_refused");
    let ask = app.ask(Post, "/api/v1/auth/logout").header("Origin", FRIEND);
    ask.send().await.expect_problem(403, "csrf_refused");
    app.me().await.expect(200);
    // What it can do is show a Bearer token.
    let token = app.cookie(ACCESS).unwrap();
    let ask = app.bearer(Post, "/api/v1/auth/logout", &token).header("Origin", FRIEND);
    ask.header("Sec-Fetch-Site", "cross-site").send().await.expect(204);
    app.me().await.expect(401);
}
