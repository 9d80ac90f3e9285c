//! Requests that another site makes a browser send (SR-41).

use rocket::http::Method::{Delete, Get, Patch, Post};
use serde_json::json;

use crate::app::*;
use crate::on_every_backend;
use crate::support::redis::{Options, RedisServer};

const SITE: &str = "Sec-Fetch-Site";

on_every_backend! {
    async fn sr_41_the_browser_says_where_a_request_comes_from(app: TestApp) {
        app.register("ada@example.org").await;
        let rename = async |name: &str, headers: &[(&str, &str)]| {
            let body = json!({ "display_name": name });
            let ask = app.ask(Patch, "/api/v1/me").json(&body);
            let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
            let answer = ask.send().await;
            let shown = app.me().await.expect(200).json()["user"]["display_name"].clone();
            assert_eq!(shown == name, answer.status.code == 200, "{headers:?}");
            if answer.status.code != 200 {
                answer.clone().expect_problem(403, "csrf_refused");
                assert!(answer.all("Set-Cookie").is_empty());
            }
            answer.status.code
        };
        for (name, headers, status) in [
            ("a", &[(SITE, "same-origin")][..], 200),
            ("b", &[(SITE, "none")], 200),
            ("c", &[(SITE, "same-site")], 403),
            ("d", &[(SITE, "cross-site")], 403),
            ("e", &[(SITE, "")], 403),
            ("f", &[(SITE, "Same-Origin")], 403),
            // What the browser says first is not overruled.
            ("g", &[(SITE, "cross-site"), ("Origin", ORIGIN)], 403),
            ("h", &[("Origin", ORIGIN)], 200),
            ("i", &[("Origin", "null")], 403),
            ("j", &[("Origin", "http://localhost:8001")], 403),
            ("k", &[("Origin", "https://localhost:8000")], 403),
            ("l", &[("Origin", "http://localhost:8000.evil.example")], 403),
            ("m", &[("Origin", "http://evil.example")], 403),
            ("n", &[("Origin", "http://localhost:8000/")], 403),
            ("o", &[("Origin", "")], 403),
            ("p", &[], 403),
            ("q", &[("Referer", "http://localhost:8000/profile")], 403),
            ("r", &[("X-CSRF-Token", "")], 403),
            ("s", &[("X-CSRF-Token", "AAAA.AAAA")], 403),
            ("t", &[("X-Requested-With", "XMLHttpRequest")], 403),
        ] {
            assert_eq!(rename(name, headers).await, status, "{headers:?}");
        }
    }

    async fn sr_41_a_form_token_speaks_for_a_client_that_says_nothing(app: TestApp) {
        app.register("ada@example.org").await;
        let mine = app.get("/profile").await.expect(200).hidden("csrf_token");
        let bob = app.signed_in("bob@example.org", &["user"]).await;
        let theirs = bob.get("/profile").await.expect(200).hidden("csrf_token");
        let visitors = app.stranger().get("/login").await.expect(200).hidden("csrf_token");
        let body = json!({ "display_name": "Ada" });
        for foreign in [&theirs, &visitors] {
            let ask = app.ask(Patch, "/api/v1/me").header("X-CSRF-Token", foreign).json(&body);
            ask.send().await.expect_problem(403, "csrf_refused");
        }
        let ask = app.ask(Patch, "/api/v1/me").header("X-CSRF-Token", &mine).json(&body);
        ask.send().await.expect(200);
        // It ends with the session (SR-25): a token of the last one is none of this one.
        app.log_in("ada@example.org").await;
        let ask = app.ask(Patch, "/api/v1/me").header("X-CSRF-Token", &mine).json(&body);
        ask.send().await.expect_problem(403, "csrf_refused");
    }
}

#[rocket::async_test]
async fn sr_70_a_form_token_is_not_called_foreign_because_nobody_can_look_up_whose_it_is() {
    let server = RedisServer::start(Options::default());
    let url = server.url();
    let settings = [LIMITS[2], ("DOORWARD_STORE_URL", url.as_str())];
    let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
    app.register("ada@example.org").await;
    let token = app.get("/profile").await.expect(200).hidden("csrf_token");
    let rename = async || {
        let ask = app.ask(Patch, "/api/v1/me").header("X-CSRF-Token", &token);
        ask.json(&json!({ "display_name": "Ada" })).send().await
    };
    rename().await.expect(200);
    let me = app.me().await.expect(200).json();
    let shown = format!("dw:{{{}}}:account", me["user"]["id"].as_str().expect("an identifier"));
    let redis = |command: &str| server.command(command).expect("Redis answers");
    redis(&format!("COPY {shown} saved"));
    redis(&format!("HSET {shown} j nonsense"));
    rename().await.expect_problem(500, "internal");
    redis(&format!("COPY saved {shown} REPLACE"));
    while app.refresh().await.status.code == 200 {}
    let access = app.cookie(ACCESS).expect("signed in");
    app.drop_cookie(ACCESS);
    rename().await.expect_problem(429, "throttled");
    app.put_cookie(ACCESS, &access);
    server.pause();
    rename().await.expect_problem(503, "store_unavailable");
    server.resume();
}

#[rocket::async_test]
async fn sr_41_every_kind_of_change_is_guarded() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    for (method, path, body) in [
        (Post, "/api/v1/auth/logout", json!(null)),
        (Post, "/api/v1/auth/refresh", json!(null)),
        (Post, "/api/v1/auth/login", json!({ "email": "ada@example.org", "password": PASSWORD })),
        (Post, "/api/v1/auth/register", json!({ "email": "b@example.org", "password": PASSWORD })),
        (Delete, "/api/v1/me/sessions", json!(null)),
        (Delete, "/api/v1/me", json!({ "password": PASSWORD })),
    ] {
        for site in ["cross-site", "same-site"] {
            let ask = app.ask(method, path).header(SITE, site).json(&body);
            let refused = ask.send().await.expect_problem(403, "csrf_refused");
            assert!(refused.all("Set-Cookie").is_empty());
        }
    }
    app.me().await.expect(200);
    assert_eq!(app.accounts().count().await.unwrap(), 1);
    // The sign-in of a victim into an attacker's account (SR-25), by a form on another site.
    let victim = app.stranger();
    let fields = [("email", "ada@example.org"), ("password", PASSWORD), ("csrf_token", "x")];
    for headers in [(SITE, "cross-site"), ("Origin", "null"), ("Origin", "http://evil.example")] {
        let ask = victim.ask(Post, "/login").header(headers.0, headers.1).form(&fields);
        assert!(ask.send().await.expect(403).set_cookie(ACCESS).is_none());
    }
    let ask = victim.ask(Post, "/login").form(&fields);
    assert!(ask.send().await.expect(403).set_cookie(ACCESS).is_none());
}

#[rocket::async_test]
async fn a_program_without_cookies_has_nothing_to_abuse() {
    let app = TestApp::light().await;
    app.create("ada@example.org", &["user"]).await;
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let program = app.stranger();
    let signed_in = program.ask(Post, "/api/v1/auth/login").json(&login).send().await.expect(200);
    assert!(signed_in.set_cookie(ACCESS).is_some());
    // With a Bearer token nothing comes from the browser by itself, whatever it says.
    let token = program.cookie(ACCESS).unwrap();
    let body = json!({ "display_name": "Ada" });
    let ask = app.bearer(Patch, "/api/v1/me", &token).header("Origin", "http://evil.example");
    ask.json(&body).send().await.expect(200);
    // Cookies that are not ours prove nothing and endanger nothing.
    let ask = app
        .stranger()
        .ask(Post, "/api/v1/auth/login")
        .header("Cookie", "theme=dark")
        .json(&login)
        .send()
        .await;
    ask.expect(200);
}

#[rocket::async_test]
async fn sr_41_an_authorization_header_exempts_no_page() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let ask = app.ask(Post, "/logout").header("Authorization", "Bearer x");
    ask.header(SITE, "cross-site").form(&[]).send().await.expect(403);
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn sr_41_another_spelling_of_the_address_is_guarded_alike() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    for path in [
        "/api/v1/auth/logout",
        "/%61pi/v1/auth/logout",
        "/%61%70%69/v1/auth/logout",
        "//api/v1/auth/logout",
        "/api//v1/auth/logout",
        "/API/v1/auth/logout",
        "/api/v1/auth/logout/",
        "/./api/v1/auth/logout",
        "/x/../api/v1/auth/logout",
    ] {
        // What a browser of old sends for a form on another site: its cookies, and no origin.
        let ask = app.ask(Post, path).form(&[("x", "y")]);
        let answer = ask.send().await;
        assert!(matches!(answer.status.code, 403..=405), "{path}: {}", answer.status);
        app.me().await.expect(200);
    }
}

#[rocket::async_test]
async fn sr_41_what_an_html_form_can_send_is_never_taken_for_json() {
    let app = TestApp::light().await;
    app.create("ada@example.org", &["user"]).await;
    let login = json!({ "email": "ada@example.org", "password": PASSWORD }).to_string();
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/jsonp",
        "application/problem+json",
        "*/*",
        "",
        "nonsense",
    ] {
        let ask = app.ask(Post, "/api/v1/auth/login").header(SITE, "same-origin");
        let refused = ask.body(kind, login.clone()).send().await;
        let refused = refused.expect_problem(415, "unsupported_media_type");
        assert_eq!(refused.json()["detail"], "Send application/json.");
    }
    let ask = app.ask(Post, "/api/v1/auth/login").header(SITE, "same-origin");
    ask.body("application/json; charset=utf-8", login).send().await.expect(200);
}

#[rocket::async_test]
async fn sr_41_no_field_of_a_form_changes_the_method() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let phone = app.stranger();
    phone.log_in("ada@example.org").await;
    for (path, method) in [
        ("/api/v1/me/sessions", "DELETE"),
        ("/api/v1/me/sessions?others=true", "delete"),
        ("/api/v1/me", "GET"),
        ("/profile", "GET"),
        ("/profile", "PUT"),
    ] {
        let ask = app.ask(Post, path).header(SITE, "same-origin");
        let answer = ask.form(&[("_method", method)]).send().await;
        assert!(answer.status.code >= 400, "{path} as {method}: {}", answer.status);
    }
    phone.me().await.expect(200);
    for header in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let ask = app.ask(Post, "/api/v1/me/sessions").header(SITE, "same-origin");
        ask.header(header, "DELETE").send().await.expect(405);
        let ask = app.ask(Get, "/api/v1/me/sessions").header(SITE, "same-origin");
        ask.header(header, "DELETE").send().await.expect(200);
    }
    phone.me().await.expect(200);
}
