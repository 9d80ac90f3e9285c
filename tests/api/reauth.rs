//! Step-up: what is dangerous asks for the password again (SR-52).

use rocket::http::Method::{Delete, Patch, Post, Put};
use serde_json::{Value, json};

use crate::app::*;
use crate::on_every_backend;

const USERS: &str = "/api/v1/admin/users";
const AGAIN: &str = "/api/v1/auth/reauthenticate";
const ROOT: &str = "root@example.org";

async fn invite(root: &Visitor, email: &str) -> Answer {
    root.call(Post, USERS, json!({ "email": email })).await
}

async fn confirm(visitor: &Visitor) -> Answer {
    visitor.call(Post, AGAIN, json!({ "password": PASSWORD })).await
}

on_every_backend! {
    async fn sr_52_a_change_needs_a_password_that_is_fifteen_minutes_old_at_most(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.later(minutes(15));
        invite(&root, "one@example.org").await.expect(201);
        app.later(seconds(1));
        let refused = invite(&root, "two@example.org").await;
        let refused = refused.expect_problem(401, "reauth_required");
        let challenge = refused.header("WWW-Authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        assert!(challenge.contains(r#"error="insufficient_user_authentication""#), "{challenge}");
        assert!(challenge.ends_with("max_age=900"), "{challenge}");
        // Nobody is signed out by it, and reading goes on.
        assert!(refused.all("Set-Cookie").iter().all(|set| !set.contains("Max-Age=0")));
        root.get(USERS).await.expect(200);
        // Refreshing proves nothing.
        root.refresh().await.expect(200);
        invite(&root, "two@example.org").await.expect_problem(401, "reauth_required");

        let wrong = json!({ "password": "another tower of nougat" });
        root.call(Post, AGAIN, wrong).await.expect_problem(403, "invalid_credentials");
        invite(&root, "two@example.org").await.expect_problem(401, "reauth_required");
        let done = confirm(&root).await.expect(200);
        assert_fields(&done.json(), "session");
        assert_fields(&done.json()["session"], SESSION);
        assert_eq!(done.json()["session"]["current"], true);
        invite(&root, "two@example.org").await.expect(201);
        // It outlives a refresh, and ends like the first one.
        app.later(minutes(11));
        root.refresh().await.expect(200);
        invite(&root, "three@example.org").await.expect(201);
        app.later(minutes(5));
        invite(&root, "four@example.org").await.expect_problem(401, "reauth_required");
    }

    async fn sr_52_a_confirmation_gives_the_browser_new_tokens_of_the_same_session(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let before = root.get("/api/v1/me/sessions").await.json()["items"][0]["id"].clone();
        app.later(minutes(5));
        let (stolen, slow) = (root.copy(), root.copy());
        let done = confirm(&root).await.expect(200);
        assert_eq!(done.json()["session"]["id"], before);
        for name in [ACCESS, REFRESH] {
            assert_ne!(root.cookie(name), stolen.cookie(name), "{name}");
            assert!(done.set_cookie(name).is_some());
        }
        let access = stolen.cookie(ACCESS).expect("a token");
        let old = root.bearer(Post, USERS, &access).json(&json!({ "email": "x@example.org" }));
        old.send().await.expect_problem(401, "session_ended");
        // A request that was under way with the old ones is no theft.
        slow.me().await.expect(200);
        root.me().await.expect(200);
        app.later(minutes(1));
        stolen.me().await.expect_problem(401, "refresh_reused");
    }

    async fn sr_52_a_confirmation_sets_each_cookie_once_also_after_a_refresh_on_the_way(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.later(minutes(20));
        let done = confirm(&root).await.expect(200);
        for name in [ACCESS, REFRESH] {
            // Fails if it is set twice.
            assert!(done.set_cookie(name).is_some());
        }
        invite(&root, "one@example.org").await.expect(201);
    }

    async fn sr_52_a_bearer_token_is_as_fresh_as_its_session(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.later(minutes(14));
        root.refresh().await.expect(200);
        app.later(minutes(2));
        let token = root.cookie(ACCESS).expect("a token");
        let body = json!({ "email": "one@example.org" });
        let ask = || root.bearer(Post, USERS, &token).json(&body);
        ask().send().await.expect_problem(401, "reauth_required");
        let password = json!({ "password": PASSWORD });
        let done = root.bearer(Post, AGAIN, &token).json(&password).send().await.expect(200);
        // The program goes on with the token that it has.
        assert!(done.all("Set-Cookie").is_empty());
        ask().send().await.expect(201);
    }

    async fn sr_52_a_new_password_counts_as_a_fresh_one(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.later(minutes(16));
        let body = json!({ "current_password": PASSWORD, "new_password": "a bridge of gingerbread" });
        root.call(Put, "/api/v1/me/password", body).await.expect(204);
        invite(&root, "one@example.org").await.expect(201);
    }

    async fn sr_52_each_session_proves_itself(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.later(minutes(16));
        let other = app.stranger();
        other.log_in(ROOT).await;
        invite(&other, "one@example.org").await.expect(201);
        invite(&root, "two@example.org").await.expect_problem(401, "reauth_required");
        confirm(&root).await.expect(200);
        app.later(minutes(14));
        invite(&root, "two@example.org").await.expect(201);
    }
}

#[rocket::async_test]
async fn sr_52_whoever_may_not_is_told_that_first() {
    let app = TestApp::light().await;
    let user = app.signed_in("user@example.org", &["user"]).await;
    app.later(minutes(16));
    invite(&user, "one@example.org").await.expect_problem(403, "permission_denied");
    // What concerns oneself alone asks for no fresh password.
    user.call(Patch, "/api/v1/me", json!({ "display_name": "Ada" })).await.expect(200);
    user.call(Delete, "/api/v1/me/sessions?others=true", Value::Null).await.expect(200);
}

#[rocket::async_test]
async fn sr_52_the_operator_can_ask_more_often() {
    let settings = [("DOORWARD_TOKENS_REAUTH_AFTER", "2m")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    app.later(minutes(2));
    invite(&root, "one@example.org").await.expect(201);
    app.later(seconds(1));
    let refused = invite(&root, "two@example.org").await.expect_problem(401, "reauth_required");
    assert!(refused.header("WWW-Authenticate").is_some_and(|text| text.ends_with("max_age=120")));
}

#[rocket::async_test]
async fn sr_22_whoever_took_over_a_session_cannot_guess_at_its_password() {
    let settings = [("DOORWARD_LIMITS_ACCOUNT_FAILURES", "5")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    app.later(minutes(16));
    for _ in 0..5 {
        let wrong = json!({ "password": "another tower of nougat" });
        root.call(Post, AGAIN, wrong).await.expect_problem(403, "invalid_credentials");
    }
    confirm(&root).await.expect_problem(429, "throttled");
    app.later(seconds(2));
    confirm(&root).await.expect(200);
}

#[rocket::async_test]
async fn a_confirmation_is_read_strictly_and_needs_a_session() {
    let app = TestApp::light().await;
    confirm(&app.stranger()).await.expect_problem(401, "not_signed_in");
    let root = app.signed_in(ROOT, &["admin"]).await;
    for (body, fault) in [
        (json!({}), "password: required"),
        (json!({ "password": 7 }), "password: wrong_type"),
        (json!({ "password": "x", "email": ROOT }), "email: unknown_field"),
    ] {
        let refused = root.call(Post, AGAIN, body).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), [fault]);
    }
    app.later(hours(1));
    confirm(&root).await.expect(401);
}
