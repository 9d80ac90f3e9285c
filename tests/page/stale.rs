//! Forms whose token is not good any more: the cookie was lost, or another session began.

use rocket::http::Method;

use super::{form_token, post};
use crate::app::*;
use crate::on_every_backend;

const EXPIRED: &str = "This form had expired";
const NO_COOKIE: &str = "Your browser sent no cookie with this form";

/// Sends the form that stands on `page` once more, as it came back.
async fn again(visitor: &Visitor, page: &Answer, to: &str, fields: &[(&str, &str)]) -> Answer {
    post(visitor, to, Some(&page.hidden("csrf_token")), fields).await
}

on_every_backend! {
    async fn a_lost_cookie_costs_nothing_but_the_password(app: TestApp) {
        app.create("ada@example.org", &["user"]).await;
        let old = form_token(&app.stranger(), "/login").await;
        let fields = [
            ("email", "ada@example.org"),
            ("password", PASSWORD),
            ("remember", "true"),
            ("next", "/profile/sessions"),
        ];
        for token in [Some(&*old), Some(""), None] {
            let browser = app.stranger();
            let page = post(&browser, "/login", token, &fields).await.expect(403);
            page.says(NO_COOKIE).says("value=\"ada@example.org\"").says("checked");
            assert!(!page.text().contains(PASSWORD) && page.header("Set-Cookie").is_some());
            // Its token is good at once, for this browser alone.
            let signed_in = again(&browser, &page, "/login", &fields).await;
            signed_in.expect_redirect("/profile/sessions");
            again(&app.stranger(), &page, "/login", &fields).await.expect(403);
        }
    }

    async fn a_registration_is_kept_when_its_cookie_was_lost(app: TestApp) {
        let old = form_token(&app.stranger(), "/register").await;
        let fields = [
            ("email", "grace@example.org"),
            ("password", PASSWORD),
            ("display_name", "Grace <Hopper>"),
        ];
        let page = post(&app, "/register", Some(&old), &fields).await.expect(403);
        page.says(NO_COOKIE).says("value=\"grace@example.org\"").says("Grace <Hopper>");
        assert!(!page.text().contains(PASSWORD));
        again(&app, &page, "/register", &fields).await.expect_redirect("/profile");
    }

    async fn a_form_of_an_earlier_session_is_shown_again(app: TestApp) {
        app.create("ada@example.org", &["user"]).await;
        app.log_in("ada@example.org").await;
        let old = form_token(&app, "/profile").await;
        app.log_in("ada@example.org").await;
        let fields = [("display_name", "Augusta")];
        let page = post(&app, "/profile", Some(&old), &fields).await.expect(403);
        page.says(EXPIRED).says("value=\"Augusta\"");
        assert!(!app.get("/profile").await.expect(200).text().contains("Augusta"), "not yet");
        again(&app, &page, "/profile", &fields).await.expect_redirect("/profile?done=saved");

        for (to, fields) in [
            ("/profile/password", &[("current_password", PASSWORD), ("new_password", "a castle of nougat")][..]),
            ("/profile/delete", &[("password", PASSWORD)]),
            ("/reauthenticate", &[("password", PASSWORD)]),
        ] {
            let page = post(&app, to, Some(&old), fields).await.expect(403);
            page.says(EXPIRED);
            assert!(!page.text().contains(PASSWORD) && !page.text().contains("nougat"), "{to}");
            app.get("/profile").await.expect(200);
        }
    }
}

#[rocket::async_test]
async fn an_administrators_form_of_an_earlier_session_is_shown_again() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let (root, id) = (
        app.signed_in("root@example.org", &["admin"]).await,
        app.create("ada@example.org", &["user"]).await,
    );
    let old = form_token(&root, "/profile").await;
    root.log_in("root@example.org").await;
    let (roles, email) = (format!("/admin/users/{id}/roles"), format!("/admin/users/{id}/email"));
    for (to, fields, kept) in [
        (
            "/admin/users",
            &[("email", "new@example.org"), ("roles", "admin")][..],
            "value=\"new@example.org\"",
        ),
        ("/admin/roles", &[("name", "editor"), ("description", "Who edits")], "value=\"editor\""),
        (
            "/admin/permissions",
            &[("name", "notes:write"), ("description", "Write notes")],
            "value=\"notes:write\"",
        ),
        ("/admin/tokens", &[("token", "a-jti"), ("reason", "It leaked")], "It leaked"),
        (&*email, &[("email", "lovelace@example.org")], "value=\"lovelace@example.org\""),
        (&*roles, &[("roles", "admin")], "Ada"),
    ] {
        let page = post(&root, to, Some(&old), fields).await.expect(403);
        page.says(EXPIRED);
        assert!(page.text().contains(kept) || kept == "Ada", "{to}: {}", page.text());
    }
    // Its token is good at once.
    let fields = [("email", "lovelace@example.org")];
    let page = post(&root, &email, Some(&old), &fields).await.expect(403);
    assert!(app.accounts().find("lovelace@example.org").await.is_err(), "not yet");
    let done = again(&root, &page, &email, &fields).await;
    done.expect_redirect(&format!("/admin/users/{id}?done=email"));
    // Where nothing was typed there is nothing to keep: the page says where to press the button again.
    let ask = root.ask(Method::Post, &format!("/admin/users/{id}/disable"));
    let ask = ask.header("Sec-Fetch-Site", "same-origin");
    let ask = ask.header("Referer", &format!("{ORIGIN}/admin/users/{id}"));
    let page = ask.form(&[("csrf_token", &old)]).send().await.expect(403);
    page.says(&format!("href=\"/admin/users/{id}\">Open the page again</a>"));
}

#[rocket::async_test]
async fn a_form_is_never_filled_in_by_another_site() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let ada = app.signed_in("ada@example.org", &["user"]).await;
    let fields = [("display_name", "Mallory"), ("csrf_token", "x")];
    for header in [
        None,
        Some(("Sec-Fetch-Site", "cross-site")),
        Some(("Sec-Fetch-Site", "same-site")),
        Some(("Origin", "null")),
        Some(("Origin", "https://evil.example")),
    ] {
        let ask = ada.ask(Method::Post, "/profile");
        let ask = header.into_iter().fold(ask, |ask, (name, value)| ask.header(name, value));
        let page = ask.form(&fields).send().await.expect(403);
        assert!(!page.text().contains("Mallory"), "{header:?}");
    }
}
