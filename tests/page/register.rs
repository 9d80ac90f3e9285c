//! `/register`.

use super::{expect_only_own_forms, expect_strict_forms, form_token};
use crate::app::*;
use crate::on_every_backend;

const ADA: [(&str, &str); 3] =
    [("email", "Ada@Example.org"), ("password", PASSWORD), ("display_name", " Ada Lovelace ")];

on_every_backend! {
    async fn whoever_registers_is_signed_in_at_once(app: TestApp) {
        app.submit("/register", "/register", &ADA).await.expect_redirect("/profile");
        let profile = app.get("/profile").await.expect(200);
        profile.says("<h1><bdi>Ada Lovelace</bdi></h1>").says(">user<");
        app.stranger().log_in("ada@example.org").await;
        app.get("/admin").await.expect(403);
    }

    async fn whoever_registers_goes_where_they_wanted(app: TestApp) {
        let page = app.get("/register?next=/profile/sessions").await.expect(200);
        page.says("href=\"/login?next=%2Fprofile%2Fsessions\"");
        let next = page.field("next");
        let fields = [ADA[0], ADA[1], ("next", &*next)];
        let done = app.submit("/register?next=/profile/sessions", "/register", &fields).await;
        done.expect_redirect("/profile/sessions");
    }

    async fn sr_20_a_taken_address_is_not_given_away(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let refused = app.submit("/register", "/register", &ADA).await.expect(409);
        refused.says("An account cannot be registered with these details.").never_says(PASSWORD);
        for word in ["taken", "exists", "already registered", "in use"] {
            refused.never_says(word);
        }
        assert_eq!(refused.fault("email"), None);
        assert_eq!(refused.field("email"), "Ada@Example.org");
        assert_eq!(refused.field("display_name"), " Ada Lovelace ");
        assert_eq!(app.cookie(ACCESS), None);
        app.stranger().log_in("ada@example.org").await;
    }

    async fn every_wrong_field_is_told_and_every_field_is_kept(app: TestApp) {
        let name = "n".repeat(101);
        let fields = [("email", "no address"), ("password", "short"), ("display_name", &*name)];
        let refused = app.submit("/register", "/register", &fields).await.expect(422);
        for field in ["email", "password", "display_name"] {
            let fault = refused.fault(field).unwrap_or_else(|| panic!("nothing beside {field}"));
            assert!(fault.ends_with('.') && fault.len() > 10, "{fault}");
            refused.says(&format!("<a href=\"#f-{field}\">{fault}</a>"));
        }
        assert_eq!(refused.field("email"), "no address");
        assert_eq!(refused.field("display_name"), name);
        assert_eq!(refused.field("password"), "");
        refused.never_says("\"short\"");
        assert_eq!(app.cookie(ACCESS), None);

        // The form that came back works.
        app.submit("/register", "/register", &ADA).await.expect(303);
    }

    async fn sr_41_only_our_own_form_registers(app: TestApp) {
        let foreign = form_token(&app.stranger(), "/register").await;
        expect_only_own_forms(&app, "/register", "/register", &ADA, &foreign).await;
        app.log_in_with("ada@example.org", PASSWORD).await.expect(401);
        let people = app.accounts().count().await.expect("the store answers");
        assert_eq!(people, 0);
    }
}

#[rocket::async_test]
async fn what_people_type_is_never_markup() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let markup = "\"><script>alert(1)</script>";
    let fields = [("email", markup), ("password", "short"), ("display_name", markup)];
    let refused = app.submit("/register", "/register", &fields).await.expect(422);
    assert!(!refused.text().contains("<script>"), "{}", refused.text());
    assert_eq!(refused.field("email"), "", "the reading of the helper ends at the quote");

    let fields = [ADA[0], ADA[1], ("display_name", markup)];
    app.submit("/register", "/register", &fields).await.expect(303);
    for page in ["/profile", "/profile/sessions", "/profile/delete"] {
        let page = app.get(page).await.expect(200);
        assert!(!page.text().contains("<script>"), "{}", page.text());
    }
    let admin = app.signed_in("root@example.org", &["admin"]).await;
    let people = admin.get("/admin/users").await.expect(200);
    assert!(!people.text().contains("<script>"), "{}", people.text());
    people.says(markup);
}

#[rocket::async_test]
async fn what_is_no_form_of_ours_is_refused() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    expect_strict_forms(&app, "/register", "/register", &ADA).await;
    let fields = [ADA[0], ADA[1], ("roles", "admin")];
    app.submit("/register", "/register", &fields).await.expect(422);
    let fields = [ADA[0], ADA[1], ("display_name", "a\0b")];
    let refused = app.submit("/register", "/register", &fields).await.expect(422);
    assert!(refused.fault("display_name").is_some());
    assert_eq!(app.cookie(ACCESS), None);
}

#[rocket::async_test]
async fn where_registration_is_closed_nobody_registers() {
    let closed = [("DOORWARD_REGISTRATION_OPEN", "false")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &closed).await;
    app.get("/register").await.expect(403).says("Registration is closed here.");
    app.get("/login").await.expect(200).never_says("/register");
    let refused = app.submit("/login", "/register", &ADA).await.expect(403);
    refused.says("Registration is closed here.");
    app.submit("/login", "/login", &ADA[..2]).await.expect(401).never_says("/register");
    let people = app.accounts().count().await.expect("the store answers");
    assert_eq!(people, 0);
}
