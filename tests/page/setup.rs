//! `/setup`: the first administrator (SR-6).

use super::{expect_only_own_forms, expect_strict_forms, form_token, post};
use crate::app::*;
use crate::on_every_backend;

const EMAIL: (&str, &str) = ("email", "root@example.org");

fn fields(token: &str) -> [(&str, &str); 4] {
    [("token", token), EMAIL, ("password", PASSWORD), ("display_name", "Root")]
}

fn link(token: &str) -> String {
    format!("/setup?token={token}")
}

on_every_backend! {
    async fn sr_6_the_link_makes_the_first_administrator_once(app: TestApp) {
        let token = app.setup_token().await;
        let other = app.setup_token().await;
        // Looking does not spend it.
        app.get(&link(&token)).await.expect(200);
        assert_eq!(app.get(&link(&token)).await.expect(200).field("token"), token);
        let done = app.submit(&link(&token), "/setup", &fields(&token)).await;
        done.expect_redirect("/admin");
        app.get("/admin").await.expect(200).says("Overview");

        for token in [&token, &other] {
            app.stranger().get(&link(token)).await.expect(403).says("not valid any more");
            let visitor = app.stranger();
            let form = form_token(&visitor, "/login").await;
            let mut again = fields(token);
            again[1].1 = "second@example.org";
            post(&visitor, "/setup", Some(&form), &again).await.expect(403);
            assert_eq!(visitor.cookie(ACCESS), None);
        }
        assert_eq!(app.accounts().count().await.expect("the store answers"), 1);
        assert!(app.accounts().issue_setup_token().await.expect("the store answers").is_none());
    }

    async fn sr_6_of_two_who_hold_the_link_one_wins(app: TestApp) {
        let token = app.setup_token().await;
        let (one, two) = (app.stranger(), app.stranger());
        let (first, mut second) = (fields(&token), fields(&token));
        second[1].1 = "second@example.org";
        let path = link(&token);
        let forms = (form_token(&one, &path).await, form_token(&two, &path).await);
        let answers = rocket::tokio::join!(
            post(&one, "/setup", Some(&forms.0), &first),
            post(&two, "/setup", Some(&forms.1), &second)
        );
        let mut codes = [answers.0.status.code, answers.1.status.code];
        codes.sort_unstable();
        assert_eq!(codes, [303, 403]);
        assert_eq!(app.accounts().count().await.expect("the store answers"), 1);
    }

    async fn sr_6_the_link_works_where_no_administrator_can_sign_in(app: TestApp) {
        let roles: &std::sync::Arc<dyn doorward::role::RoleStore> = app.service();
        let invitation = doorward::account::Invitation {
            email: "bare@example.org",
            display_name: "",
            password: None,
            is_temporary: false,
            roles: &["admin".to_owned()],
        };
        let operator = doorward::account::Actor::Operator;
        app.accounts().create(operator, &**roles, invitation).await.expect("it is made");
        let token = app.setup_token().await;
        app.get(&link(&token)).await.expect(200).says("Nobody can administer here yet");
        let done = app.submit(&link(&token), "/setup", &fields(&token)).await;
        done.expect_redirect("/admin");
        assert!(app.accounts().issue_setup_token().await.expect("the store answers").is_none());
    }

    async fn sr_6_the_link_expires_after_a_quarter_of_an_hour(app: TestApp) {
        let token = app.setup_token().await;
        let form = app.get(&link(&token)).await.expect(200).hidden("csrf_token");
        app.later(minutes(15));
        app.get(&link(&token)).await.expect(403).says("not valid any more");
        post(&app, "/setup", Some(&form), &fields(&token)).await.expect(403);
        assert_eq!(app.cookie(ACCESS), None);
        let fresh = app.setup_token().await;
        app.submit(&link(&fresh), "/setup", &fields(&fresh)).await.expect_redirect("/admin");
    }

    async fn what_is_wrong_is_told_and_the_link_still_works(app: TestApp) {
        app.create("taken@example.org", &[]).await;
        let token = app.setup_token().await;
        let mut wrong = fields(&token);
        (wrong[1].1, wrong[2].1) = ("no address", "short");
        let refused = app.submit(&link(&token), "/setup", &wrong).await.expect(422);
        assert!(refused.fault("email").is_some() && refused.fault("password").is_some());
        assert_eq!(refused.field("email"), "no address");
        assert_eq!(refused.field("display_name"), "Root");
        assert_eq!(refused.field("token"), token);
        assert_eq!(refused.field("password"), "");

        let mut taken = fields(&token);
        taken[1].1 = "taken@example.org";
        app.submit(&link(&token), "/setup", &taken).await.expect(409);
        app.submit(&link(&token), "/setup", &fields(&token)).await.expect_redirect("/admin");
    }
}

#[rocket::async_test]
async fn a_wrong_link_opens_nothing() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let token = app.setup_token().await;
    let wrong = format!("{}{}", if token.starts_with('A') { 'B' } else { 'A' }, &token[1..]);
    for path in ["/setup", "/setup?token=", "/setup?token=%00", &link(&wrong), &link(&token[1..])] {
        app.get(path).await.expect(403).says("This set-up link is not valid any more");
    }
    let form = form_token(&app, "/login").await;
    post(&app, "/setup", Some(&form), &fields("")).await.expect(403);
    post(&app, "/setup", Some(&form), &fields(&wrong)).await.expect(403);
    assert_eq!(app.accounts().count().await.expect("the store answers"), 0);
}

#[rocket::async_test]
async fn sr_41_only_our_own_form_sets_up() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let token = app.setup_token().await;
    let foreign = form_token(&app.stranger(), &link(&token)).await;
    expect_only_own_forms(&app, &link(&token), "/setup", &fields(&token), &foreign).await;
    expect_strict_forms(&app, &link(&token), "/setup", &fields(&token)).await;
    assert_eq!(app.accounts().count().await.expect("the store answers"), 0);
    app.get(&link(&token)).await.expect(200);
}
