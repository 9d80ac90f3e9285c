//! `/reauthenticate`: the password again, before something dangerous (SR-52).

use rocket::http::Method;

use super::{expect_only_own_forms, expect_strict_forms, form_token, post};
use crate::app::*;
use crate::on_every_backend;

const AGAIN: &str = "/reauthenticate";
const NEW: &str = "/admin/users/new";
const ROOT: &str = "root@example.org";

/// Sends the form of the page `at`, as a browser does that tells where it was.
async fn send_from(visitor: &Visitor, at: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
    let token = form_token(visitor, at).await;
    let mut fields = fields.to_vec();
    fields.push(("csrf_token", &token));
    let ask = visitor.ask(Method::Post, to).header("Sec-Fetch-Site", "same-origin");
    ask.header("Referer", &format!("{ORIGIN}{at}")).form(&fields).send().await
}

on_every_backend! {
    async fn sr_52_a_page_says_before_one_types_that_the_password_is_needed_again(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let id = app.create("ada@example.org", &["user"]).await;
        let user = format!("/admin/users/{id}");
        let delete = format!("{user}/delete");
        let pages = [NEW, &user, &delete, "/admin/roles", "/admin/roles/new", "/admin/roles/user",
            "/admin/roles/user/delete", "/admin/tokens"];
        for page in pages {
            root.get(page).await.expect(200).never_says(AGAIN);
        }
        app.later(minutes(16));
        for page in pages {
            let next: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
            root.get(page).await.expect(200).says(&format!("href=\"{AGAIN}?next={next}\""));
        }
        root.get("/admin").await.expect(200).never_says(AGAIN);
        let ask = root.get("/reauthenticate?next=%2Fadmin%2Froles").await.expect(200);
        ask.says("Confirm it's you");
        assert_eq!(ask.field("next"), "/admin/roles");
        let fields = [("password", PASSWORD), ("next", "/admin/roles")];
        let done = root.submit(AGAIN, AGAIN, &fields).await;
        done.expect_redirect("/admin/roles");
        root.get(NEW).await.expect(200).never_says(AGAIN);
        root.get("/reauthenticate?next=%2Fadmin").await.expect_redirect("/admin");
    }

    async fn sr_52_a_form_that_came_too_late_leads_to_the_question_and_back(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.later(minutes(16));
        let made = [("email", "ada@example.org"), ("password", PASSWORD)];
        let refused = send_from(&root, NEW, "/admin/users", &made).await;
        let question = "/reauthenticate?next=%2Fadmin%2Fusers%2Fnew%3Fdone%3Dagain";
        refused.expect_redirect(question);
        assert_eq!(app.accounts().count().await.expect("the store answers"), 1);
        let ask = root.get(question).await.expect(200);
        let next = ask.field("next");
        let fields = [("password", PASSWORD), ("next", &*next)];
        let done = root.submit(question, AGAIN, &fields).await;
        done.expect_redirect("/admin/users/new?done=again");
        let page = root.get("/admin/users/new?done=again").await.expect(200);
        page.says("Your change is not made yet: please make it again.").never_says(AGAIN);
        root.submit(NEW, "/admin/users", &made).await.expect(303);
        assert_eq!(app.accounts().count().await.expect("the store answers"), 2);
    }

    async fn sr_52_a_wrong_password_is_told_and_changes_nothing(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.later(minutes(16));
        let wrong = [("password", "another tower of nougat"), ("next", "/admin/tokens")];
        let refused = root.submit(AGAIN, AGAIN, &wrong).await.expect(403);
        assert!(refused.fault("password").is_some());
        assert_eq!((refused.field("next").as_str(), refused.field("password").as_str()), ("/admin/tokens", ""));
        root.get(NEW).await.expect(200).says(AGAIN);
    }
}

#[rocket::async_test]
async fn sr_26_the_question_leads_to_pages_of_this_site_only() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    app.later(minutes(16));
    for evil in ["https://evil.example/", "//evil.example", "/\\evil.example"] {
        let next: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        root.get(&format!("{AGAIN}?next={next}")).await.expect(200).never_says("evil.example");
    }
    // Where the form was is believed if it was here.
    for (referer, back) in [
        ("https://evil.example/admin/tokens", "%2Fprofile%3Fdone%3Dagain"),
        ("http://localhost:8000//evil.example", "%2Fprofile%3Fdone%3Dagain"),
        ("nonsense", "%2Fprofile%3Fdone%3Dagain"),
        (
            "http://localhost:8000/admin/users/x?a=1&done=roles",
            "%2Fadmin%2Fusers%2Fx%3Fa%3D1%26done%3Dagain",
        ),
    ] {
        let ask = root.ask(Method::Post, "/admin/tokens").header("Sec-Fetch-Site", "same-origin");
        let refused = ask.header("Referer", referer).form(&[]).send().await;
        refused.expect_redirect(&format!("/reauthenticate?next={back}"));
    }
    let fields = [("password", PASSWORD), ("next", "//evil.example")];
    root.submit(AGAIN, AGAIN, &fields).await.expect_redirect("/");
}

#[rocket::async_test]
async fn sr_41_only_ones_own_form_confirms() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let second = app.signed_in("second@example.org", &["admin"]).await;
    app.later(minutes(16));
    let foreign = form_token(&second, AGAIN).await;
    let fields = [("password", PASSWORD)];
    expect_only_own_forms(&root, AGAIN, AGAIN, &fields, &foreign).await;
    expect_strict_forms(&root, AGAIN, AGAIN, &fields).await;
    app.get(AGAIN).await.expect_redirect("/login?next=%2Freauthenticate");
    post(&app, AGAIN, None, &fields).await.expect_redirect("/login");
    root.get(NEW).await.expect(200).says(AGAIN);
}
