//! A Redis that has forgotten everything, or remembers what is over.

use std::sync::Arc;

use doorward::id::SessionId;
use doorward::session::store::SessionStore;
use rocket::http::Method::{Delete, Get, Put};
use serde_json::json;

use super::*;

/// Everything that a Redis holds at a moment.
struct Copy(Vec<(Vec<u8>, Vec<u8>)>);

impl Copy {
    fn of(server: &RedisServer) -> Self {
        let mut link = link(server);
        let keys: Vec<Vec<u8>> = ::redis::cmd("KEYS").arg("*").query(&mut link).expect("keys");
        let mut dump = |key: Vec<u8>| {
            let value: Vec<u8> = ::redis::cmd("DUMP").arg(&key).query(&mut link).expect("a value");
            (key, value)
        };
        Self(keys.into_iter().map(&mut dump).collect())
    }

    fn restore(&self, server: &RedisServer) {
        let mut link = link(server);
        server.flush();
        for (key, value) in &self.0 {
            let mut restore = ::redis::cmd("RESTORE");
            let () = restore.arg(key).arg(0).arg(value).query(&mut link).expect("it is restored");
        }
    }
}

fn link(server: &RedisServer) -> ::redis::Connection {
    let client = ::redis::Client::open(server.url()).expect("an address");
    client.get_connection().expect("Redis answers")
}

#[rocket::async_test]
async fn redis_flushed_ends_every_session() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let revoked = app.stranger();
    revoked.log_in("ada@example.org").await;
    let ended = revoked.copy();
    revoked.log_out().await.expect(204);
    redis.flush();
    redis.command("SCRIPT FLUSH").expect("Redis answers");
    app.me().await.expect_problem(401, "session_ended");
    app.refresh().await.expect_problem(401, "session_ended");
    ended.refresh().await.expect_problem(401, "session_ended");
    app.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
    app.log_in("ada@example.org").await;
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn redis_flushed_under_load_fails_nobody() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let ask = |n: usize| {
        let (redis, visitor) = (&redis, app.copy());
        async move {
            if n == 20 {
                redis.flush();
            }
            if n.is_multiple_of(2) { visitor.me().await } else { visitor.refresh().await }
                .status
                .code
        }
    };
    let answers = futures::future::join_all((0..60).map(ask)).await;
    assert!(answers.iter().all(|status| matches!(status, 200 | 401)), "{answers:?}");
}

#[rocket::async_test]
async fn redis_restored_revives_no_refresh_token() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let gone = app.signed_in("gone@example.org", &["user"]).await;
    let off = app.signed_in("off@example.org", &["user"]).await;
    let (thief, left) = (app.copy(), off.copy());
    let before = Copy::of(&redis);
    let body = json!({ "current_password": PASSWORD, "new_password": "a bridge of nougat" });
    app.call(Put, "/api/v1/me/password", body).await.expect(204);
    let sign_off = json!({ "password": PASSWORD });
    gone.copy().call(Delete, "/api/v1/me", sign_off).await.expect(204);
    off.log_out().await.expect(204);
    before.restore(&redis);
    for revived in [&thief, &gone, &left] {
        revived.refresh().await.expect_problem(401, "session_ended");
    }
}

#[rocket::async_test]
async fn redis_that_lost_a_refresh_signs_nobody_out() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let before = Copy::of(&redis);
    app.refresh().await.expect(200);
    before.restore(&redis);
    // A program that shows the access token alone has to refresh; a browser does so on the way.
    let program = app.stranger();
    let token = app.cookie(ACCESS).expect("signed in");
    let bearer = format!("Bearer {token}");
    let asked = program.ask(Get, "/api/v1/me").header("Authorization", &bearer);
    asked.send().await.expect_problem(401, "session_ended");
    app.me().await.expect(200);
    app.refresh().await.expect(200);
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn redis_that_lost_more_raises_no_alarm() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let before = Copy::of(&redis);
    for _ in 0..2 {
        app.later(minutes(11));
        app.refresh().await.expect(200);
    }
    before.restore(&redis);
    app.me().await.expect_problem(401, "session_ended");
    app.refresh().await.expect_problem(401, "session_ended");
    app.log_in("ada@example.org").await;
    let noticed = app.get("/profile").await.expect(200).text();
    assert!(!noticed.contains("from two places"), "{noticed}");
}

#[rocket::async_test]
async fn redis_restored_revives_no_sign_out_whose_first_answer_was_lost() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let left = app.copy();
    let before = Copy::of(&redis);
    // As an attempt leaves it that reached Redis, and whose answer did not come back.
    let me = app.accounts().find("ada@example.org").await.expect("found");
    let sessions = app.get("/api/v1/me/sessions").await.json();
    let id = sessions["items"][0]["id"].as_str().and_then(SessionId::parse).expect("a session");
    let store: &Arc<dyn SessionStore> = app.service();
    assert!(store.end(&me.id, &id).await.expect("ended"));
    app.log_out().await.expect(204);
    before.restore(&redis);
    left.refresh().await.expect_problem(401, "session_ended");
}

#[rocket::async_test]
async fn redis_restored_revives_access_for_one_life_at_most() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let left = app.copy();
    let before = Copy::of(&redis);
    app.log_out().await.expect(204);
    left.me().await.expect(401);
    before.restore(&redis);
    // Requests are judged by Redis alone, and its copy says that the session lives.
    left.me().await.expect(200);
    app.later(minutes(10));
    left.me().await.expect_problem(401, "session_ended");
}
