//! Requests whose access token has run out are refreshed on their way (contract §3).

use std::collections::BTreeSet;

use futures::future::join_all;
use rocket::http::Method::{Get, Patch, Post};
use serde_json::{Value, json};

use crate::app::*;
use crate::on_every_backend;

on_every_backend! {
    async fn an_expired_access_token_is_refreshed_within_the_request(app: TestApp) {
        app.register("ada@example.org").await;
        let (access, refresh) = (app.cookie(ACCESS), app.cookie(REFRESH));
        app.later(minutes(11));
        let answer = app.me().await.expect(200);
        assert!(answer.set_cookie(ACCESS).is_some() && answer.set_cookie(REFRESH).is_some());
        assert_ne!(app.cookie(ACCESS), access);
        assert_ne!(app.cookie(REFRESH), refresh);
        assert!(app.me().await.expect(200).all("Set-Cookie").is_empty());
    }

    async fn a_change_is_made_with_an_expired_or_missing_access_token(app: TestApp) {
        app.register("ada@example.org").await;
        app.later(minutes(11));
        let body = json!({ "display_name": "Ada" });
        let answer = app.call(Patch, "/api/v1/me", body).await.expect(200);
        assert!(answer.set_cookie(ACCESS).is_some());
        app.drop_cookie(ACCESS);
        let body = json!({ "display_name": "Countess" });
        app.call(Patch, "/api/v1/me", body).await.expect(200);
        assert_eq!(app.me().await.json()["user"]["display_name"], "Countess");
    }

    async fn a_form_that_was_left_open_too_long_is_not_lost(app: TestApp) {
        app.register("ada@example.org").await;
        let token = app.get("/profile").await.expect(200).hidden("csrf_token");
        app.later(hours(2));
        let form = app.ask(Post, "/profile").header("Sec-Fetch-Site", "same-origin");
        let fields = [("display_name", "Ada"), ("csrf_token", token.as_str())];
        let saved = form.form(&fields).send().await.expect(303);
        assert!(saved.set_cookie(ACCESS).is_some());
        assert_eq!(app.me().await.expect(200).json()["user"]["display_name"], "Ada");
    }

    async fn sr_36_fifty_parallel_requests_all_succeed_with_one_successor(app: TestApp) {
        app.register("ada@example.org").await;
        app.later(minutes(11));
        let tries = (0..50).map(|n| {
            let tab = app.copy();
            async move {
                let answer = match n % 2 {
                    0 => tab.me().await,
                    _ => tab.call(Patch, "/api/v1/me", json!({ "display_name": "Ada" })).await,
                };
                answer.expect(200);
                (tab.cookie(ACCESS), tab.cookie(REFRESH))
            }
        });
        let jars: BTreeSet<_> = join_all(tries).await.into_iter().collect();
        assert_eq!(jars.len(), 1);
        let (access, refresh) = jars.into_iter().next().unwrap();
        app.put_cookie(ACCESS, &access.unwrap());
        app.put_cookie(REFRESH, &refresh.unwrap());
        app.me().await.expect(200);
        app.refresh().await.expect(200);
    }

    async fn a_loser_never_takes_cookies_away(app: TestApp) {
        app.register("ada@example.org").await;
        let late = app.copy();
        app.later(minutes(11));
        app.me().await.expect(200);
        app.me().await.expect(200);
        app.later(seconds(20));
        // The thief, or the tab that slept: refused, the session is over, but nothing is deleted.
        let refused = late.me().await.expect_problem(401, "refresh_reused");
        assert!(refused.all("Set-Cookie").is_empty());
        let refused = app.me().await.expect_problem(401, "session_ended");
        assert!(refused.all("Set-Cookie").is_empty());
        let page = app.get("/profile").await.expect(303);
        assert!(page.set_cookie(REFRESH).is_none() && page.set_cookie(ACCESS).is_none());
    }
}

#[rocket::async_test]
async fn programs_get_no_refresh_on_the_way() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let access = app.cookie(ACCESS).unwrap();
    app.bearer(Get, "/api/v1/me", &access).send().await.expect(200);
    app.later(minutes(11));
    let refused = app.bearer(Get, "/api/v1/me", &access).send().await;
    let refused = refused.expect_problem(401, "token_expired");
    assert_eq!(
        refused.header("WWW-Authenticate"),
        Some(r#"Bearer realm="doorward", error="invalid_token""#)
    );
    // Cookies that come along change nothing: the Bearer token alone is judged.
    let both = app.ask(Get, "/api/v1/me").header("Authorization", &format!("Bearer {access}"));
    let refused = both.send().await.expect_problem(401, "token_expired");
    assert!(refused.all("Set-Cookie").is_empty());
}

#[rocket::async_test]
async fn a_bearer_token_is_judged_alone() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let bob = app.signed_in("bob@example.org", &["user"]).await;
    let token = bob.cookie(ACCESS).unwrap();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let ask = app.ask(Get, "/api/v1/me").header("Authorization", &format!("{scheme} {token}"));
        let me = ask.send().await.expect(200).json();
        assert_eq!(me["user"]["email"], "bob@example.org");
    }
    for value in ["Bearer ", "Bearer garbage", "Bearer a.b.c"] {
        let ask = app.ask(Get, "/api/v1/me").header("Authorization", value);
        ask.send().await.expect_problem(401, "not_signed_in");
    }
    // Another scheme is nothing to us: the cookies count.
    let ask = app.ask(Get, "/api/v1/me").header("Authorization", "Basic YWRhOnB3");
    assert_eq!(ask.send().await.expect(200).json()["user"]["email"], "ada@example.org");
}

#[rocket::async_test]
async fn a_bearer_token_opens_the_interface_and_no_page() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let token = app.cookie(ACCESS).unwrap();
    app.bearer(Get, "/profile", &token).send().await.expect_redirect("/login?next=%2Fprofile");
    app.bearer(Get, "/api/v1/me/sessions", &token).send().await.expect(200);
}

#[rocket::async_test]
async fn neither_token_stands_in_for_the_other() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let (access, refresh) = (app.cookie(ACCESS).unwrap(), app.cookie(REFRESH).unwrap());
    let swapped = app.stranger();
    swapped.put_cookie(ACCESS, &refresh);
    swapped.me().await.expect_problem(401, "not_signed_in");
    swapped.put_cookie(REFRESH, &access);
    swapped.me().await.expect_problem(401, "not_signed_in");
    swapped.refresh().await.expect_problem(401, "refresh_invalid");
    app.bearer(Get, "/api/v1/me", &refresh).send().await.expect_problem(401, "not_signed_in");
    app.me().await.expect(200);
    app.refresh().await.expect(200);
}

#[rocket::async_test]
async fn sr_33_a_session_ends_when_nobody_comes_back_for_a_day() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    app.later(hours(23));
    app.me().await.expect(200);
    app.later(hours(24));
    app.me().await.expect_problem(401, "session_ended");
    app.refresh().await.expect_problem(401, "session_ended");
}

/// Refreshes once an hour for as long as that is possible, and says how long that was.
async fn lived(app: &TestApp, visitor: &Visitor, step: std::time::Duration) -> std::time::Duration {
    let begun = app.now();
    for _ in 0..100 {
        app.later(step);
        let answer = visitor.refresh().await;
        if answer.status.code != 200 {
            answer.expect_problem(401, "session_ended");
            return app.now().since(begun);
        }
    }
    panic!("it never ends");
}

#[rocket::async_test]
async fn sr_33_the_absolute_end_of_a_session_does_not_move() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    assert_eq!(lived(&app, &app.copy(), hours(12)).await, days(7));
    let remembered = app.stranger();
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "remember": true });
    remembered.call(Post, "/api/v1/auth/login", body).await.expect(200);
    assert_eq!(lived(&app, &remembered, days(10)).await, days(30));
}

#[rocket::async_test]
async fn a_dead_refresh_token_leaves_the_reason_to_read() {
    let app = TestApp::light().await;
    app.me().await.expect_problem(401, "not_signed_in");
    app.put_cookie(REFRESH, "garbage");
    app.me().await.expect_problem(401, "not_signed_in");
    app.drop_cookie(REFRESH);
    app.register("ada@example.org").await;
    app.drop_cookie(REFRESH);
    app.later(minutes(11));
    app.me().await.expect_problem(401, "token_expired");
    let _: Value = app.get("/livez").await.expect(200).json();
}
