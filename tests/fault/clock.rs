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
