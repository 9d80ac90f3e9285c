//! `/profile/delete`.

use super::{expect_only_own_forms, expect_strict_forms, form_token};
use crate::app::*;
use crate::on_every_backend;

const AT: &str = "/profile/delete";

on_every_backend! {
    async fn the_password_deletes_the_account_for_good(app: TestApp) {
        let ada = app.signed_in("ada@example.org", &[]).await;
        let elsewhere = app.stranger();
        elsewhere.log_in("ada@example.org").await;
        ada.get(AT).await.expect(200).says("ada@example.org");
        let gone = ada.submit(AT, AT, &[("password", PASSWORD)]).await;
        let gone = gone.expect_redirect("/login?done=deleted");
        assert_eq!(gone.header("Clear-Site-Data"), Some("\"storage\""));
        assert_eq!((ada.cookie(ACCESS), ada.cookie(REFRESH)), (None, None));
        ada.get("/login?done=deleted").await.expect(200).says("Your account is deleted.");
        elsewhere.get("/profile").await.expect(303);
        ada.log_in_with("ada@example.org", PASSWORD).await.expect(401);
        // The address is free again, and the new account is another one.
        ada.register("ada@example.org").await;
        elsewhere.get("/profile").await.expect(303);
    }

    async fn without_the_password_nothing_is_deleted(app: TestApp) {
        let ada = app.signed_in("ada@example.org", &[]).await;
        for wrong in ["the wrong password", ""] {
            let refused = ada.submit(AT, AT, &[("password", wrong)]).await.expect(403);
            let told = refused.fault("password");
            assert_eq!(told.as_deref(), Some("The current password is not right."));
            refused.says("ada@example.org").never_says("the wrong password");
        }
        ada.get("/profile").await.expect(200);
        app.stranger().log_in("ada@example.org").await;
    }

    async fn sr_51_the_last_administrator_stays(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let refused = root.submit(AT, AT, &[("password", PASSWORD)]).await.expect(409);
        refused.says("At least one administrator who can sign in must remain.");
        root.get("/admin").await.expect(200);

        app.create("second@example.org", &["admin"]).await;
        root.submit(AT, AT, &[("password", PASSWORD)]).await.expect(303);
    }
}

#[rocket::async_test]
async fn sr_41_only_ones_own_form_deletes() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    app.get(AT).await.expect_redirect("/login?next=%2Fprofile%2Fdelete");
    let ada = app.signed_in("ada@example.org", &[]).await;
    let bob = app.signed_in("bob@example.org", &[]).await;
    let foreign = form_token(&bob, AT).await;
    expect_only_own_forms(&ada, AT, AT, &[("password", PASSWORD)], &foreign).await;
    expect_strict_forms(&ada, AT, AT, &[("password", PASSWORD)]).await;
    ada.submit(AT, AT, &[]).await.expect(422);
    ada.get("/profile").await.expect(200);
}
