//! The shared notebook of `examples/`: who may do what in it.

use doorward::Doorward;
use rocket::http::Method::{Get, Post};
use serde_json::json;

use crate::app::*;

#[path = "../../examples/notebook.rs"]
#[allow(dead_code, reason = "it is a program of its own, too")]
mod example;

async fn boot(backend: Backend) -> TestApp {
    let make = |config, world| example::notebook(Doorward::with(config, world));
    TestApp::boot_made(backend, &[], make).await
}

#[test]
fn it_is_short() {
    let lines = include_str!("../../examples/notebook.rs").lines().count();
    assert!(lines < 150, "{lines} lines");
}

#[rocket::async_test]
async fn the_front_page_is_the_applications_own() {
    let app = boot(Backend::SqliteEmbedded).await;
    assert!(app.get("/").await.expect(200).text().contains("Sign in"));
    app.register("ada@example.org").await.expect(201);
    assert!(app.get("/").await.expect(200).text().contains("Hello, ada."));
}

#[rocket::async_test]
async fn strangers_are_sent_to_the_sign_in_page() {
    let app = boot(Backend::SqliteEmbedded).await;
    app.get("/notes").await.expect_redirect("/login?next=%2Fnotes");
    let asked = app.ask(Get, "/notes.json").header("Accept", "application/json").send().await;
    asked.expect_problem(401, "not_signed_in");
}

#[rocket::async_test]
async fn sr_52_a_password_that_another_person_chose_opens_no_page_of_the_application() {
    let app = boot(Backend::SqliteEmbedded).await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "roles": ["editor", "moderator"] });
    root.call(Post, "/api/v1/admin/users", body).await.expect(201);
    app.log_in("ada@example.org").await;
    assert!(app.get("/").await.expect(200).text().contains("Sign in"));
    let change = "/profile/new-password?next=%2Fnotes";
    app.get("/notes").await.expect_redirect(change);
    let asked = app.ask(Get, "/notes.json").header("Accept", "application/json").send().await;
    asked.expect_problem(403, "password_change_required");
    let page = app.get("/profile/new-password?next=/notes").await.expect(200);
    let token = page.hidden("csrf_token");
    for path in ["/notes", "/notes/1/remove"] {
        let ask = app.ask(Post, path).header("Sec-Fetch-Site", "same-origin");
        let sent = ask.form(&[("text", "x"), ("csrf_token", &token)]).send().await;
        sent.expect_redirect("/profile/new-password");
    }
    let fields = [
        ("current_password", PASSWORD),
        ("new_password", "another tower of nougat"),
        ("next", "/notes"),
    ];
    app.submit(change, "/profile/new-password", &fields).await.expect_redirect("/notes");
    app.get("/notes").await.expect(200);
    assert!(app.get("/").await.expect(200).text().contains("Hello, ada."));
}

#[rocket::async_test]
async fn readers_read_editors_write_moderators_remove() {
    let app = boot(Backend::SqliteEmbedded).await;
    let reader = app.signed_in("reader@example.org", &["reader"]).await;
    let editor = app.signed_in("editor@example.org", &["editor"]).await;
    let moderator = app.signed_in("moderator@example.org", &["moderator"]).await;
    let nobody = app.signed_in("nobody@example.org", &["user"]).await;

    nobody.get("/notes").await.expect(403);
    let text = "<b>bold</b> & brave";
    editor.submit("/notes", "/notes", &[("text", text)]).await.expect_redirect("/notes");
    let page = reader.get("/notes").await.expect(200).text();
    assert!(page.contains("editor: &lt;b&gt;bold&lt;"), "{page}");
    assert!(!page.contains("<button>"), "readers are offered nothing: {page}");
    let listed = reader.get("/notes.json").await.expect(200).json();
    assert_eq!(listed, json!([{ "id": 1, "author": "editor", "text": text }]));

    // With the token of a page of their own, so that the permission alone decides.
    for (who, path) in
        [(&reader, "/notes"), (&reader, "/notes/1/remove"), (&editor, "/notes/1/remove")]
    {
        let token = who.get("/profile").await.expect(200).hidden("csrf_token");
        let form = [("csrf_token", &*token), ("text", "x")];
        who.ask(Post, path)
            .form(&form[..if path == "/notes" { 2 } else { 1 }])
            .send()
            .await
            .expect(403);
    }
    assert_eq!(reader.get("/notes.json").await.json(), listed);
    moderator.submit("/notes", "/notes/1/remove", &[]).await.expect_redirect("/notes");
    assert_eq!(reader.get("/notes.json").await.json(), json!([]));
}

#[rocket::async_test]
async fn clearing_takes_the_role_and_a_fresh_password() {
    let app = boot(Backend::SqliteEmbedded).await;
    let editor = app.signed_in("editor@example.org", &["editor"]).await;
    let moderator = app.signed_in("moderator@example.org", &["moderator"]).await;
    editor.submit("/notes", "/notes", &[("text", "mine")]).await.expect_redirect("/notes");
    let token = editor.get("/profile").await.expect(200).hidden("csrf_token");
    editor.ask(Post, "/notes/clear").form(&[("csrf_token", &token)]).send().await.expect(403);
    app.later(minutes(16));
    let asked = moderator.submit("/notes", "/notes/clear", &[]).await;
    assert!(
        asked.header("Location").is_some_and(|to| to.starts_with("/reauthenticate")),
        "{asked:?}"
    );
    let form = [("password", PASSWORD), ("next", "/notes")];
    moderator.submit("/reauthenticate?next=/notes", "/reauthenticate", &form).await.expect(303);
    assert_eq!(moderator.get("/notes.json").await.json().as_array().map(Vec::len), Some(1));
    moderator.submit("/notes", "/notes/clear", &[]).await.expect_redirect("/notes");
    assert_eq!(moderator.get("/notes.json").await.json(), json!([]));
}

#[rocket::async_test]
async fn the_first_roles_are_made_once_and_then_the_administrators() {
    // Two replicas of the example on one pair of stores.
    let app = TestApp::boot(Backend::SqliteRedis).await;
    let notebook =
        || app.replica_made(|config, world| example::notebook(Doorward::with(config, world)));
    let first = notebook().await;
    let admin = first.signed_in("admin@example.org", &["admin"]).await;
    let editor = admin.get("/api/v1/admin/roles").await.expect(200).json();
    let editor = editor["items"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|role| role["name"] == "editor")
        .expect("the editor")
        .clone();
    assert_eq!(editor["permissions"], json!(["notes:read", "notes:write"]));
    let change = json!({ "description": "", "permissions": ["notes:read"] });
    admin.call(rocket::http::Method::Put, "/api/v1/admin/roles/editor", change).await.expect(200);
    let second = notebook().await;
    let pen = second.signed_in("pen@example.org", &["editor"]).await;
    let token = pen.get("/profile").await.expect(200).hidden("csrf_token");
    let form = [("csrf_token", &*token), ("text", "x")];
    pen.ask(Post, "/notes").form(&form).send().await.expect(403);
}
