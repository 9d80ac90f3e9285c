//! `/profile` and `/profile/password`.

use super::{expect_only_own_forms, expect_strict_forms, form_token};
use crate::app::*;
use crate::on_every_backend;

const NEW: &str = "seven quiet lanterns";

fn passwords<'a>(current: &'a str, new: &'a str) -> [(&'static str, &'a str); 2] {
    [("current_password", current), ("new_password", new)]
}

on_every_backend! {
    async fn one_sees_who_one_is_and_what_one_may_do(app: TestApp) {
        app.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
        let ada = app.signed_in("ada@example.org", &[]).await;
        let page = ada.get("/profile").await.expect(200);
        page.says("ada@example.org").says("Member since 15 January 2027").says(">user<");
        page.says("You can look after your own account").never_says("href=\"/admin\"");
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let page = root.get("/profile").await.expect(200);
        page.says(">admin<").says("End anybody's sessions").says("href=\"/admin\"");
    }

    async fn one_changes_ones_name(app: TestApp) {
        let ada = app.signed_in("ada@example.org", &[]).await;
        let saved = ada.submit("/profile", "/profile", &[("display_name", "  Ada  ")]).await;
        saved.expect_redirect("/profile?done=saved");
        let page = ada.get("/profile?done=saved").await.expect(200);
        page.says("Your changes are saved.").says("<h1><bdi>Ada</bdi></h1>");
        ada.submit("/profile", "/profile", &[("display_name", "")]).await.expect(303);
        ada.get("/profile").await.expect(200).says("<h1><bdi>ada</bdi></h1>");
    }

    async fn a_name_that_cannot_be_is_told_and_kept(app: TestApp) {
        let ada = app.signed_in("ada@example.org", &[]).await;
        let long = "n".repeat(101);
        for name in [&*long, "a\u{7}b"] {
            let refused = ada.submit("/profile", "/profile", &[("display_name", name)]).await;
            let refused = refused.expect(422);
            assert!(refused.fault("display_name").is_some());
            assert_eq!(refused.field("display_name"), name);
        }
        ada.get("/profile").await.expect(200).says("<h1><bdi>ada</bdi></h1>");
    }

    async fn sr_37_a_new_password_ends_every_other_session(app: TestApp) {
        let ada = app.signed_in("ada@example.org", &[]).await;
        let (thief, elsewhere) = (ada.copy(), app.stranger());
        elsewhere.log_in("ada@example.org").await;
        let done = ada.submit("/profile", "/profile/password", &passwords(PASSWORD, NEW)).await;
        done.expect_redirect("/profile?done=password");
        ada.get("/profile?done=password").await.expect(200).says("Your password is changed.");
        elsewhere.get("/profile").await.expect(303);
        ada.get("/profile").await.expect(200);
        thief.get("/profile").await.expect(303);
        app.stranger().log_in_with("ada@example.org", PASSWORD).await.expect(401);
        app.stranger().log_in_with("ada@example.org", NEW).await.expect(200);
    }

    async fn sr_9_the_current_password_has_to_be_right(app: TestApp) {
        let ada = app.signed_in("ada@example.org", &[]).await;
        let elsewhere = app.stranger();
        elsewhere.log_in("ada@example.org").await;
        for wrong in ["the wrong password", "", &*"long".repeat(1500)] {
            let answer = ada.submit("/profile", "/profile/password", &passwords(wrong, NEW)).await;
            let answer = answer.expect(403);
            let told = answer.fault("current_password");
            assert_eq!(told.as_deref(), Some("The current password is not right."));
            assert_eq!(answer.field("current_password"), "");
            answer.says("<a href=\"/profile\" aria-current=\"page\">");
            answer.never_says(NEW);
        }
        let weak = passwords(PASSWORD, "short");
        let answer = ada.submit("/profile", "/profile/password", &weak).await.expect(422);
        assert!(answer.fault("new_password").is_some());
        answer.never_says(PASSWORD);
        elsewhere.get("/profile").await.expect(200);
        app.stranger().log_in("ada@example.org").await;
    }

    async fn sr_41_only_ones_own_form_changes_anything(app: TestApp) {
        let ada = app.signed_in("ada@example.org", &[]).await;
        let bob = app.signed_in("bob@example.org", &[]).await;
        let foreign = form_token(&bob, "/profile").await;
        let name = [("display_name", "Mallory")];
        expect_only_own_forms(&ada, "/profile", "/profile", &name, &foreign).await;
        let visitors = form_token(&app.stranger(), "/login").await;
        let both = passwords(PASSWORD, NEW);
        expect_only_own_forms(&ada, "/profile", "/profile/password", &both, &visitors).await;
        ada.get("/profile").await.expect(200).never_says("Mallory");
        app.stranger().log_in("ada@example.org").await;
    }
}

#[rocket::async_test]
async fn what_is_no_form_of_ours_is_refused() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let ada = app.signed_in("ada@example.org", &[]).await;
    expect_strict_forms(&ada, "/profile", "/profile", &[("display_name", "Ada")]).await;
    let both = passwords(PASSWORD, NEW);
    expect_strict_forms(&ada, "/profile", "/profile/password", &both).await;
    ada.submit("/profile", "/profile/password", &both[..1]).await.expect(422);
    let status = [("display_name", "Ada"), ("status", "active")];
    ada.submit("/profile", "/profile", &status).await.expect(422);
    ada.get("/profile").await.expect(200).says("<h1><bdi>ada</bdi></h1>");
}
