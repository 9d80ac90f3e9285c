//! Clocks that are set, and replicas whose clocks disagree (SR-75).

use rocket::http::Method::Get;

use super::*;

/// A browser whose requests now go to another replica.
fn at_replica(visitor: &Visitor, replica: &TestApp) -> Visitor {
    let moved = replica.stranger();
    for name in [ACCESS, REFRESH, DEVICE] {
        visitor.cookie(name).into_iter().for_each(|value| moved.put_cookie(name, &value));
    }
    moved
}

#[rocket::async_test]
async fn clock_step_of_30_seconds_changes_nothing() {
    for backend in [Backend::SqliteEmbedded, Backend::SqliteRedis] {
        let app = TestApp::boot(backend).await;
        app.register("ada@example.org").await;
        let ended = app.stranger();
        ended.log_in("ada@example.org").await;
        let over = ended.copy();
        ended.log_out().await.expect(204);
        for moment in [START - seconds(30), START + seconds(30), START] {
            app.set_clock(moment);
            app.me().await.expect(200);
            app.get("/profile").await.expect(200);
            app.refresh().await.expect(200);
            app.me().await.expect(200);
            app.stranger().log_in("ada@example.org").await;
            over.me().await.expect(401);
            over.refresh().await.expect_problem(401, "session_ended");
        }
    }
}

#[rocket::async_test]
async fn clock_5_minutes_behind_refuses_new_tokens() {
    let app = TestApp::boot(Backend::SqliteRedis).await;
    app.register("ada@example.org").await;
    let behind = app.replica_at(app.now() - minutes(5)).await;
    let there = at_replica(&app, &behind);
    let jar = (there.cookie(ACCESS), there.cookie(REFRESH));
    // They are from the future.
    let answer = there.me().await.expect(401);
    assert!(answer.all("Set-Cookie").is_empty());
    there.refresh().await.expect_problem(401, "refresh_invalid");
    assert_eq!((there.cookie(ACCESS), there.cookie(REFRESH)), jar);
    // Nothing has happened to the session, and what the replica issues is good elsewhere.
    app.me().await.expect(200);
    let visitor = behind.stranger();
    visitor.log_in("ada@example.org").await;
    at_replica(&visitor, &app).me().await.expect(200);
}

#[rocket::async_test]
async fn clock_5_minutes_ahead_is_refused_elsewhere() {
    let app = TestApp::boot(Backend::SqliteRedis).await;
    app.register("ada@example.org").await;
    let ahead = app.replica_at(app.now() + minutes(5)).await;
    let visitor = ahead.stranger();
    visitor.log_in("ada@example.org").await;
    at_replica(&visitor, &app).me().await.expect(401);
    // Here tokens of the others run out early and are refreshed early; nobody is signed out.
    at_replica(&app, &ahead).me().await.expect(200);
    ahead.later(minutes(5));
    let token = app.cookie(ACCESS).expect("a token");
    ahead.bearer(Get, "/api/v1/me", &token).send().await.expect(401);
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn clock_5_minutes_behind_extends_no_access_beyond_them() {
    let app = TestApp::boot(Backend::SqliteRedis).await;
    app.register("ada@example.org").await;
    let token = app.cookie(ACCESS).expect("a token");
    let behind = app.replica_at(app.now() - minutes(5)).await;
    app.later(minutes(10));
    app.bearer(Get, "/api/v1/me", &token).send().await.expect(401);
    behind.later(minutes(15));
    behind.bearer(Get, "/api/v1/me", &token).send().await.expect(401);
    // What has ended has ended there at once, whatever its clock says.
    let other = app.stranger();
    other.log_in("ada@example.org").await;
    let token = other.cookie(ACCESS).expect("a token");
    behind.set_clock(app.now() - minutes(5));
    other.log_out().await.expect(204);
    behind.later(minutes(6));
    behind.bearer(Get, "/api/v1/me", &token).send().await.expect(401);
}

/// Limits as they are by default, but for fewer requests.
fn limits() -> Vec<(&'static str, &'static str)> {
    let mut limits = LIMITS.to_vec();
    limits[4].1 = "180/1m";
    limits
}

/// Fails unless one request is let through from an address whose limit was used up before the clock was
/// set, and those after it are counted.
async fn one_request_passes(app: &TestApp) {
    app.stranger().get("/login").await.expect(200);
    while app.stranger().get("/login").await.status.code != 429 {}
}

/// Fails unless everything can be done again, much sooner than the clock catches up.
async fn nobody_is_locked_out(app: &TestApp) {
    app.later(minutes(2));
    let wrong = "not the password at all";
    app.stranger().get("/login").await.expect(200);
    app.log_in("ada@example.org").await;
    app.me().await.expect(200);
    app.refresh().await.expect(200);
    app.get("/profile").await.expect(200);
    let confirm = serde_json::json!({ "password": PASSWORD });
    app.call(rocket::http::Method::Post, "/api/v1/auth/reauthenticate", confirm).await.expect(200);
    // On a device that is not known too, from the address that had used up its limits.
    app.stranger().log_in("ada@example.org").await;
    app.later(seconds(4));
    app.stranger().log_in_with("ada@example.org", wrong).await.expect(401);
}

/// Uses every limit up, or nearly: of the address, the account, the device and the session.
async fn use_limits_up(app: &TestApp) {
    let wrong = "not the password at all";
    app.register("ada@example.org").await;
    for _ in 0..6 {
        app.stranger().log_in_with("ada@example.org", wrong).await;
        app.log_in_with("ada@example.org", wrong).await;
    }
    for n in 0..4 {
        app.stranger().log_in_with(&format!("{n}@example.org"), wrong).await.expect(401);
    }
    let refused = app.stranger().log_in_with("eve@example.org", wrong).await;
    refused.expect_problem(429, "throttled");
    app.later(seconds(1));
    app.log_in("ada@example.org").await;
    while app.stranger().get("/login").await.status.code != 429 {}
}

#[rocket::async_test]
async fn clock_set_back_by_an_hour_or_a_day_locks_nobody_out() {
    for (backend, back) in [
        (Backend::SqliteEmbedded, hours(1)),
        (Backend::SqliteEmbedded, days(1)),
        (Backend::SqliteRedis, hours(1)),
        (Backend::SqliteRedis, days(1)),
    ] {
        let app = TestApp::boot_with(backend, &limits()).await;
        use_limits_up(&app).await;
        app.set_clock(app.now() - back);
        one_request_passes(&app).await;
        // Tokens of the future are refused, and with them nothing else: one signs in again.
        app.me().await.expect(401);
        nobody_is_locked_out(&app).await;
        let sessions = app.get("/api/v1/me/sessions").await.expect(200).json();
        let seen = sessions["items"][0]["last_seen_at"].as_str().expect("a moment");
        assert!(seen <= app.now().to_string().as_str(), "{seen} lies ahead");
    }
}

#[rocket::async_test]
async fn clock_that_was_ahead_and_is_set_right_locks_nobody_out() {
    for (backend, ahead) in [
        (Backend::SqliteEmbedded, hours(1)),
        (Backend::SqliteRedis, hours(1)),
        (Backend::SqliteEmbedded, days(1)),
        (Backend::SqliteRedis, days(1)),
    ] {
        let app = TestApp::boot_with(backend, &limits()).await;
        let (right, bob) = (app.now(), app.stranger());
        bob.register("bob@example.org").await;
        app.set_clock(right + ahead);
        use_limits_up(&app).await;
        app.set_clock(right);
        one_request_passes(&app).await;
        nobody_is_locked_out(&app).await;
        // Who was signed in before is so still, unless the session ran out by the clock that was ahead.
        if ahead == hours(1) {
            bob.me().await.expect(200);
        }
    }
}

#[rocket::async_test]
async fn clock_set_back_makes_no_confirmation_last_longer() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    app.later(minutes(8));
    let confirm = serde_json::json!({ "password": PASSWORD });
    let token = root.cookie(ACCESS).expect("a token");
    let again = root.bearer(rocket::http::Method::Post, "/api/v1/auth/reauthenticate", &token);
    again.json(&confirm).send().await.expect(200);
    let invite = async |email: &str| {
        let body = serde_json::json!({ "email": email });
        root.bearer(rocket::http::Method::Post, "/api/v1/admin/users", &token)
            .json(&body)
            .send()
            .await
    };
    invite("one@example.org").await.expect(201);
    app.set_clock(START + minutes(1));
    invite("two@example.org").await.expect_problem(401, "reauth_required");
}
