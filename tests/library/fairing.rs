//! What the fairing and the guards do for routes that an application mounts by itself.

use doorward::guard::{AdminView, Allowed};
use doorward::{Body, Doorward, Form, LoggedIn};
use rocket::http::Method::Post;
use rocket::serde::Deserialize;
use rocket::{Build, Rocket, get, post, routes};
use serde_json::json;

use crate::app::*;
use crate::audit::{events, events_since};

#[post("/plain")]
fn plain(viewer: LoggedIn) -> String {
    viewer.account.name().to_owned()
}

#[derive(Deserialize)]
#[serde(crate = "rocket::serde", deny_unknown_fields)]
struct Word {
    word: String,
}

#[post("/form", data = "<form>")]
fn form(_viewer: LoggedIn, form: Form<Word>) -> String {
    form.0.word
}

#[post("/body", data = "<body>")]
fn body(body: Body<Word>) -> String {
    body.0.word
}

#[get("/office")]
fn office(_somebody: Allowed<AdminView>) -> &'static str {
    "the office"
}

fn application(doorward: Doorward) -> Rocket<Build> {
    rocket::build().mount("/", routes![plain, form, body, office]).attach(doorward)
}

async fn boot(settings: &[(&str, &str)]) -> TestApp {
    let make = |config, world| application(Doorward::with(config, world));
    TestApp::boot_made(Backend::SqliteEmbedded, settings, make).await
}

#[rocket::async_test]
async fn sr_41_a_route_with_a_guard_is_safe_from_other_sites() {
    let app = boot(&[]).await;
    app.register("ada@example.org").await.expect(201);
    app.ask(Post, "/plain").header("Sec-Fetch-Site", "same-origin").send().await.expect(200);
    for site in ["same-site", "cross-site"] {
        app.ask(Post, "/plain").header("Sec-Fetch-Site", site).send().await.expect(403);
        let word = json!({ "word": "x" });
        app.ask(Post, "/body").header("Sec-Fetch-Site", site).json(&word).send().await.expect(403);
        let token = app.get("/profile").await.hidden("csrf_token");
        let fields = [("csrf_token", &*token), ("word", "x")];
        app.ask(Post, "/form")
            .header("Sec-Fetch-Site", site)
            .form(&fields)
            .send()
            .await
            .expect(403);
    }
    app.ask(Post, "/plain").header("Origin", "https://evil.example").send().await.expect(403);
    // One that says nothing of where it comes from has to show a form token.
    app.ask(Post, "/plain").send().await.expect(403);
    app.ask(Post, "/form").form(&[("word", "x")]).send().await.expect(403);
    let token = app.get("/profile").await.hidden("csrf_token");
    app.ask(Post, "/plain").header("X-CSRF-Token", &token).send().await.expect(200);
    let fields = [("csrf_token", &*token), ("word", "x")];
    assert_eq!(app.ask(Post, "/form").form(&fields).send().await.expect(200).text(), "x");
}

#[rocket::async_test]
async fn after_signing_in_one_comes_to_what_the_application_shows() {
    let app = boot(&[]).await;
    app.create("ada@example.org", &[]).await;
    for (asked, there) in
        [("/office", "/office"), ("/plain", "/profile"), ("/elsewhere", "/elsewhere")]
    {
        let page = app.stranger();
        let to_login = format!("/login?next={asked}");
        let token = page.get(&to_login).await.expect(200).hidden("csrf_token");
        let fields = [
            ("csrf_token", &*token),
            ("email", "ada@example.org"),
            ("password", PASSWORD),
            ("next", asked),
        ];
        page.ask(Post, "/login").form(&fields).send().await.expect_redirect(there);
    }
}

#[rocket::async_test]
async fn sr_80_what_a_guard_refuses_is_recorded_once() {
    let app = boot(&[]).await;
    app.register("ada@example.org").await.expect(201);
    let before = events(&app).await.len();
    app.get("/office").await.expect(403);
    let said = events_since(&app, before).await;
    let said: Vec<_> = said.iter().map(|e| (e.kind.as_str(), e.detail.as_deref())).collect();
    assert_eq!(said, [("authz_fail", Some("GET /office"))]);
}

#[rocket::async_test]
async fn sr_23_a_route_with_a_guard_is_counted() {
    let app = boot(&[("DOORWARD_LIMITS_OTHER_PER_ADDRESS", "4/1m")]).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let asked = app.ask(Post, "/plain").header("Sec-Fetch-Site", "same-origin");
        statuses.push(asked.send().await.status.code);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[rocket::async_test]
async fn sr_80_what_a_guard_refuses_is_recorded() {
    let app = boot(&[]).await;
    app.register("ada@example.org").await.expect(201);
    app.ask(Post, "/plain").header("Sec-Fetch-Site", "cross-site").send().await.expect(403);
    let admin = app.signed_in("admin@example.org", &["admin"]).await;
    let _ = app.audit().await;
    let events = admin.get("/api/v1/admin/audit?kind=malicious_csrf").await.expect(200).json();
    let event = &events["items"][0];
    assert_eq!(event["detail"], "POST /plain", "{events}");
    assert!(event["ip"].is_string() && event["request_id"].is_string(), "{event}");
}

#[rocket::async_test]
async fn every_answer_of_the_application_has_the_headers() {
    let app = boot(&[]).await;
    app.register("ada@example.org").await.expect(201);
    let answer = app.ask(Post, "/plain").header("Sec-Fetch-Site", "same-origin").send().await;
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(answer.header("Server"), None);
}
