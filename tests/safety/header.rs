//! The headers of every answer, whatever it is (SR-42 to SR-44).

use rocket::http::Method::{Get, Head, Options, Post};
use serde_json::Value;

use crate::app::*;

const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// What every answer says.
const ALWAYS: [(&str, &str); 7] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Origin-Agent-Cluster", "?1"),
    (
        "Permissions-Policy",
        "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), \
         microphone=(), payment=(), usb=()",
    ),
];

/// The nonce in a page's policy, after checking that the policy is the one it should be.
#[track_caller]
fn nonce(answer: &Answer) -> String {
    let policy = answer.header("Content-Security-Policy").expect("a policy");
    let (_, rest) = policy.split_once("'nonce-").expect("a nonce");
    let nonce = rest.split('\'').next().unwrap_or_default().to_owned();
    let expected = "default-src 'none'; script-src 'nonce-N'; style-src 'self'; img-src 'self'; \
         font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; \
         object-src 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'; report-uri /csp-report";
    assert_eq!(policy.replace(&format!("nonce-{nonce}"), "nonce-N"), expected);
    assert!(nonce.len() >= 22, "128 bits");
    nonce
}

#[track_caller]
fn check(what: &str, answer: &Answer) {
    for (name, value) in ALWAYS {
        assert_eq!(answer.all(name), [value], "{what}: {name}");
    }
    for name in ["Server", "X-Powered-By", "Access-Control-Allow-Origin"] {
        assert_eq!(answer.header(name), None, "{what}: {name}");
    }
    assert_eq!(answer.header("Strict-Transport-Security"), None, "{what}: not without https");
    assert_eq!(answer.all("Cache-Control").len(), 1, "{what}");
    assert_eq!(answer.all("Content-Security-Policy").len(), 1, "{what}");
    assert_eq!(answer.all("X-Request-Id").len(), 1, "{what}");
    let kind = answer.header("Content-Type");
    if kind == Some("text/html; charset=utf-8") {
        nonce(answer);
    } else {
        assert_eq!(answer.header("Content-Security-Policy"), Some(NO_PAGE), "{what}");
        if let Some(kind) = kind.filter(|kind| kind.starts_with("text/")) {
            assert!(kind.ends_with("; charset=utf-8"), "{what}: {kind}");
        }
    }
    assert!(answer.body.is_empty() || kind.is_some(), "{what}: content has a type");
}

#[rocket::async_test]
async fn sr_42_every_kind_of_answer_carries_the_headers() {
    let app = TestApp::light().await;
    let page = app.get("/login").await.expect(200);
    let style = page.text().split("href=\"/static/").nth(1).expect("a style sheet").to_owned();
    let style = format!("/static/{}", style.split('"').next().unwrap());
    let ask = |method, path: &str| app.ask(method, path);
    let answers = [
        ("a page", page),
        ("JSON", app.get("/livez").await.expect(200)),
        ("keys", app.get("/.well-known/jwks.json").await.expect(200)),
        ("401", app.me().await.expect(401)),
        ("404 for programs", app.get("/api/v1/nothing").await.expect(404)),
        ("404 for people", app.get("/nothing").await.expect(404)),
        ("405", ask(Post, "/livez").send().await.expect(405)),
        ("OPTIONS", ask(Options, "/api/v1/me").send().await.expect(405)),
        ("HEAD", ask(Head, "/login").send().await.expect(200)),
        ("a redirect", app.get("/").await.expect(303)),
        ("a redirect to sign-in", app.get("/profile").await.expect(303)),
        ("a static file", app.get(&style).await.expect(200)),
        ("a report", ask(Post, "/csp-report").body("application/csp-report", "{}").send().await),
        ("422", app.call(Post, "/api/v1/auth/login", serde_json::json!({})).await.expect(422)),
        ("201", app.register("ada@example.org").await),
        ("403", app.get("/admin").await.expect(403)),
        ("204", app.log_out().await.expect(204)),
    ];
    for (what, answer) in &answers {
        check(what, answer);
        let cache = answer.header("Cache-Control");
        let expected = match *what {
            "a static file" => "public, max-age=31536000, immutable",
            "keys" => "public, max-age=300",
            _ => "no-store",
        };
        assert_eq!(cache, Some(expected), "{what}");
    }
}

#[rocket::async_test]
async fn sr_43_every_page_has_a_nonce_of_its_own_and_uses_it() {
    let app = TestApp::light().await;
    let mut nonces = std::collections::BTreeSet::new();
    for path in ["/login", "/login", "/register", "/nothing", "/login"] {
        let page = app.get(path).await;
        let nonce = nonce(&page);
        let html = page.text();
        for script in html.split("<script").skip(1) {
            let tag = script.split('>').next().unwrap();
            assert!(tag.contains(&format!("nonce=\"{nonce}\"")), "{tag}");
        }
        for inline in [" style=", " onclick=", " onload=", " onsubmit=", "javascript:", "<style"] {
            assert!(!html.contains(inline), "{path}: {inline}");
        }
        assert!(nonces.insert(nonce), "a nonce came twice");
    }
}

#[rocket::async_test]
async fn sr_42_https_is_demanded_where_there_is_https() {
    for (settings, expected) in [
        (
            &[("DOORWARD_PUBLIC_URL", "https://id.example.org")][..],
            "max-age=63072000; includeSubDomains",
        ),
        (
            &[("DOORWARD_PUBLIC_URL", "https://id.example.org"), ("DOORWARD_HSTS_PRELOAD", "true")],
            "max-age=63072000; includeSubDomains; preload",
        ),
    ] {
        let app = TestApp::boot_with(Backend::SqliteEmbedded, settings).await;
        for path in ["/login", "/livez", "/api/v1/me", "/nothing", "/"] {
            let answer = app.get(path).await;
            assert_eq!(answer.all("Strict-Transport-Security"), [expected], "{path}");
        }
    }
}

#[rocket::async_test]
async fn every_answer_names_itself_and_a_problem_says_the_same_name() {
    let app = TestApp::light().await;
    let (one, two) = (app.me().await, app.me().await);
    let name = |answer: &Answer| answer.header("X-Request-Id").unwrap().to_owned();
    assert_ne!(name(&one), name(&two));
    assert_eq!(one.json()["request_id"], Value::String(name(&one)));
    // A name that the client brings along is not ours.
    let ask = app.ask(Get, "/livez").header("X-Request-Id", "mine<script>");
    assert_ne!(name(&ask.send().await), "mine<script>");
}

#[rocket::async_test]
async fn sr_42_an_answer_for_a_static_file_of_another_content_is_not_kept() {
    let app = TestApp::light().await;
    for path in ["/static/app.AAAAAAAAAAAA.css", "/static/app.css", "/static/..%2Fapp.css"] {
        let answer = app.get(path).await.expect(404);
        assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{path}");
    }
}

#[rocket::async_test]
async fn sr_43_reports_are_taken_from_anybody_but_not_without_end() {
    let app = TestApp::light().await;
    let report = |size: usize| {
        let ask = app.ask(Post, "/csp-report").header("Sec-Fetch-Site", "same-origin");
        ask.body("application/csp-report", "x".repeat(size)).send()
    };
    report(8 * 1024).await.expect(204);
    report(8 * 1024 + 1).await.expect(413);
    report(0).await.expect(204);
}
