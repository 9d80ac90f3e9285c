//! The endpoints themselves, with the headers that each proxy sends: also Traefik's and Envoy's.

use rocket::http::Method::{Get, Head, Options, Patch, Post, Put};
use serde_json::json;

use super::ask::*;
use crate::app::*;

#[rocket::async_test]
async fn every_proxy_is_told_who_it_is() {
    let app = light().await;
    let id = app.create("Ada@example.org", &["user"]).await;
    app.log_in("ada@example.org").await;
    let rename = json!({ "display_name": "Zo\u{eb} \u{1f469}, 100%" });
    app.call(Patch, "/api/v1/me", rename).await.expect(200);
    for ask in [
        forward(&app, "GET", "/app/x?y=1"),
        original(&app, "GET", "/app/x?y=1"),
        external(&app, Get, "/app/x?y=1"),
        forward(&app, "PROPFIND", "/app"),
        external(&app, Post, "/app"),
        external(&app, Put, "/app"),
        external(&app, Head, "/app"),
        external(&app, Options, "/app"),
    ] {
        let answer = ask.send().await.expect(200);
        for (name, value) in [
            ("Remote-User", "ada@example.org"),
            ("Remote-Id", id.as_str()),
            ("Remote-Email", "Ada@example.org"),
            ("Remote-Name", "Zo%C3%AB %F0%9F%91%A9, 100%25"),
            ("Remote-Groups", "user"),
            ("Remote-Permissions", ""),
        ] {
            assert_eq!(answer.all(name), [value], "{name}");
        }
        assert!(answer.body.is_empty() && answer.all("Set-Cookie").is_empty());
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    }
}

#[rocket::async_test]
async fn sr_52_a_password_that_an_administrator_chose_opens_no_app() {
    let app = light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    root.call(Post, "/api/v1/admin/users", body).await.expect(201);
    app.log_in("ada@example.org").await;
    for (target, status) in [("/app", 401), ("/admin", 401), ("/public", 200)] {
        let answer = forward(&app, "GET", target).send().await.expect(status);
        assert!(answer.header("Remote-User").is_none_or(str::is_empty), "{target}");
    }
    let page = forward(&app, "GET", "/app").header("Accept", "text/html").send().await.expect(302);
    let location = page.header("Location").expect("a place");
    assert!(location.contains("/profile/new-password?next="), "{location}");
    // Also when the refresh token alone speaks for them, which is traded in nowhere here.
    app.later(minutes(11));
    forward(&app, "GET", "/app").send().await.expect(401);
    app.refresh().await.expect(200);
    forward(&app, "GET", "/app").send().await.expect(401);
    let own = json!({ "current_password": PASSWORD, "new_password": "another tower of nougat" });
    app.call(Put, "/api/v1/me/password", own).await.expect(204);
    let answer = forward(&app, "GET", "/app").send().await.expect(200);
    assert_eq!(answer.header("Remote-User"), Some("ada@example.org"));
}

#[rocket::async_test]
async fn whoever_is_no_trusted_proxy_learns_nothing() {
    let app = light().await;
    app.register("ada@example.org").await;
    let elsewhere = app.copy().at("198.51.100.1");
    for ask in [
        forward(&elsewhere, "GET", "/public"),
        original(&elsewhere, "GET", "/app"),
        external(&elsewhere, Get, "/app"),
    ] {
        let refused = ask.send().await.expect_problem(403, "permission_denied");
        assert_eq!(refused.header("Remote-User"), None);
    }
    let closed = TestApp::light().await;
    forward(&closed, "GET", "/").send().await.expect_problem(403, "permission_denied");
}

#[rocket::async_test]
async fn a_proxy_that_does_not_say_what_was_asked_gets_400() {
    let app = light().await;
    app.register("ada@example.org").await;
    let forwarded = [
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "localhost:3000"),
        ("X-Forwarded-Uri", "/app"),
    ];
    let originals = [("X-Original-Method", "GET"), ("X-Original-URL", "http://localhost:3000/app")];
    for (path, headers) in [(FORWARD, &forwarded[..]), (ORIGINAL, &originals[..])] {
        let with = |change: &dyn Fn(&str, &str) -> Vec<String>| {
            headers.iter().fold(app.ask(Get, path), |ask, (name, value)| {
                change(name, value).iter().fold(ask, |ask, value| ask.header(name, value))
            })
        };
        with(&|_, value| vec![value.to_owned()]).send().await.expect(200);
        for (missing, _) in headers {
            let without = |name: &str, value: &str| {
                if name == *missing { Vec::new() } else { vec![value.to_owned()] }
            };
            with(&without).send().await.expect_problem(400, "validation_failed");
            let twice = |name: &str, value: &str| {
                vec![value.to_owned(); if name == *missing { 2 } else { 1 }]
            };
            with(&twice).send().await.expect_problem(400, "validation_failed");
            for odd in ["", " ", "get", "GET /", "a b", "\u{e4}", "ftp", "//", "https://"] {
                let odd = |name: &str, value: &str| {
                    vec![if name == *missing { odd } else { value }.to_owned()]
                };
                let status = with(&odd).send().await.status.code;
                assert!(matches!(status, 400 | 403), "{missing}: {status}");
            }
        }
    }
    app.ask(Get, "/api/authz/ext-authz/app").send().await.expect_problem(400, "validation_failed");
    app.ask(Get, "/api/authz/ext-authz").send().await.expect_problem(400, "validation_failed");
}

#[rocket::async_test]
async fn strangers_are_answered_as_their_proxy_understands() {
    let app = light().await;
    let to = |target: &str| {
        let there = format!("http://localhost:3000{target}");
        let next: String = url::form_urlencoded::byte_serialize(there.as_bytes()).collect();
        format!("{ORIGIN}/login?next={next}")
    };
    for (method, status) in [
        ("GET", 302),
        ("HEAD", 302),
        ("OPTIONS", 302),
        ("POST", 303),
        ("PUT", 303),
        ("DELETE", 303),
        ("PATCH", 303),
    ] {
        let answer = page(forward(&app, method, "/app?a=b")).send().await.expect(status);
        assert_eq!(answer.header("Location"), Some(to("/app?a=b").as_str()), "{method}");
        let answer = page(original(&app, method, "/app?a=b")).send().await.expect(401);
        assert_eq!(answer.header("Location"), Some(to("/app?a=b").as_str()), "{method}");
        assert_eq!(answer.header("X-Doorward-Answer"), Some(status.to_string().as_str()));
        let told = forward(&app, method, "/app").header("Accept", "application/json").send().await;
        let told = told.expect_problem(401, "not_signed_in");
        assert_eq!(told.header("Location"), None);
        let told = original(&app, method, "/app").send().await.expect_problem(401, "not_signed_in");
        assert_eq!(told.header("X-Doorward-Answer"), Some("401"));
    }
    page(external(&app, Post, "/app")).send().await.expect(303);
    page(external(&app, Head, "/app")).send().await.expect(302);
    external(&app, Get, "/app").send().await.expect_problem(401, "not_signed_in");
    // An older browser says nothing of fetching: what it accepts counts.
    forward(&app, "GET", "/app").header("Accept", "text/html").send().await.expect(302);
    for (name, value) in [
        ("X-Requested-With", "xmlhttprequest"),
        ("Upgrade", "websocket"),
        ("Sec-Fetch-Mode", "cors"),
    ] {
        let ask = forward(&app, "GET", "/app").header("Accept", "text/html").header(name, value);
        ask.send().await.expect_problem(401, "not_signed_in");
    }
    // Where nobody may go, signing in helps nobody.
    for target in ["/", "/other", "/app/../x", "/%2fapp"] {
        let refused = page(forward(&app, "GET", target)).send().await.expect(403);
        assert_eq!(refused.header("Location"), None, "{target}");
        original(&app, "GET", target).send().await.expect_problem(403, "permission_denied");
    }
}
