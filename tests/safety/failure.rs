//! Stores that hang, forget everything, or are gone (SR-70 to SR-72).

use std::future::Future;
use std::time::{Duration, Instant};

use rocket::http::Method::{Delete, Get, Post};
use serde_json::{Value, json};

use crate::app::*;
use crate::support::postgres::PostgresServer;
use crate::support::redis::{Options, RedisServer};

/// An application on a Redis of its own.
async fn on_own_redis() -> (RedisServer, TestApp) {
    let redis = RedisServer::start(Options::default());
    let url = redis.url();
    let settings = [("DOORWARD_STORE_URL", url.as_str())];
    let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
    (redis, app)
}

/// The answer, which has to come within `limit`.
async fn within(limit: Duration, what: &str, answer: impl Future<Output = Answer>) -> Answer {
    let begun = Instant::now();
    let answer = answer.await;
    let took = begun.elapsed();
    assert!(took < limit, "{what}: {took:?}");
    answer
}

/// Asks until the answer has this status: the server comes back by itself, within five seconds.
async fn back(visitor: &Visitor, status: u16) {
    let begun = Instant::now();
    loop {
        let answer = visitor.me().await;
        if answer.status.code == status {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "{}", answer.text());
        rocket::tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Fails unless everything that needs the session store is refused with 503, quickly, and no cookie
/// is touched; and unless everything else works.
async fn without_session_store(app: &TestApp) {
    let limit = Duration::from_secs(1);
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let register = json!({ "email": "new@example.org", "password": PASSWORD });
    let rename = json!({ "display_name": "Ada" });
    for (what, method, path, body) in [
        ("me", Get, "/api/v1/me", Value::Null),
        ("login", Post, "/api/v1/auth/login", login),
        ("refresh", Post, "/api/v1/auth/refresh", Value::Null),
        ("logout", Post, "/api/v1/auth/logout", Value::Null),
        ("sessions", Get, "/api/v1/me/sessions", Value::Null),
        ("end sessions", Delete, "/api/v1/me/sessions", Value::Null),
        ("rename", rocket::http::Method::Patch, "/api/v1/me", rename),
    ] {
        let answer = within(limit, what, app.call(method, path, body)).await;
        let answer = answer.expect_problem(503, "store_unavailable");
        assert!(answer.all("Set-Cookie").is_empty(), "{what}");
        assert!(answer.header("Clear-Site-Data").is_none(), "{what}");
        assert_fields(&answer.json(), &format!("{PROBLEM} retry_after"));
        for inside in ["redis", "Redis", "127.0.0.1", "connection", "timed out"] {
            assert!(!answer.text().contains(inside), "{}", answer.text());
        }
    }
    let answer = within(limit, "register", app.call(Post, "/api/v1/auth/register", register)).await;
    answer.expect(503);
    let page = within(limit, "profile", app.get("/profile")).await.expect(503);
    assert!(page.header("Retry-After").is_some() && page.all("Set-Cookie").is_empty());
    app.get("/livez").await.expect(200);
    within(limit, "sign-in page", app.stranger().get("/login")).await.expect(200);
    let ready = within(limit, "readyz", app.get("/readyz")).await.expect(503).json();
    assert_eq!(ready["stores"], json!({ "database": "ok", "session_store": "unavailable" }));
}

#[rocket::async_test]
async fn sr_70_a_redis_that_hangs_is_answered_for_within_a_second() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let jar = (app.cookie(ACCESS), app.cookie(REFRESH));
    redis.pause();
    without_session_store(&app).await;
    redis.resume();
    back(&app, 200).await;
    assert_eq!((app.cookie(ACCESS), app.cookie(REFRESH)), jar);
    app.get("/readyz").await.expect(200);
    app.refresh().await.expect(200);
}

#[rocket::async_test]
async fn sr_70_a_redis_that_is_gone_is_answered_for_and_comes_back_empty() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    redis.kill();
    without_session_store(&app).await;
    redis.restart();
    back(&app, 401).await;
    app.log_in("ada@example.org").await;
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn sr_70_an_expired_access_token_is_no_reason_to_sign_anybody_out() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    app.later(minutes(11));
    redis.pause();
    let answer = app.me().await.expect_problem(503, "store_unavailable");
    assert!(answer.all("Set-Cookie").is_empty());
    redis.resume();
    back(&app, 200).await;
}

#[rocket::async_test]
async fn sr_70_a_redis_that_is_full_refuses_and_recovers() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    redis.command("CONFIG SET maxmemory 1").expect("Redis answers");
    let login = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
    login.expect_problem(503, "store_unavailable");
    redis.command("CONFIG SET maxmemory 0").expect("Redis answers");
    app.stranger().log_in("ada@example.org").await;
}

#[rocket::async_test]
async fn sr_71_a_flushed_redis_ends_sessions_and_revives_none() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let revoked = app.stranger();
    revoked.log_in("ada@example.org").await;
    let ended = revoked.copy();
    revoked.log_out().await.expect(204);
    redis.flush();
    app.me().await.expect_problem(401, "session_ended");
    app.refresh().await.expect_problem(401, "session_ended");
    ended.refresh().await.expect_problem(401, "session_ended");
    app.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
    app.log_in("ada@example.org").await;
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn sr_72_without_postgresql_those_who_are_signed_in_stay_so() {
    let postgres = PostgresServer::start();
    let url = postgres.create_database().await;
    let settings = [("DOORWARD_DATABASE_URL", url.as_str())];
    let app = TestApp::boot_with(Backend::PostgresRedis, &settings).await;
    app.register("ada@example.org").await;
    postgres.stop();
    let limit = Duration::from_secs(5);
    let visitor = app.stranger();
    let login = visitor.log_in_with("ada@example.org", PASSWORD);
    let answer = within(limit, "login", login).await.expect_problem(503, "store_unavailable");
    for inside in ["postgres", "Postgres", "127.0.0.1", "sqlx", "pool"] {
        assert!(!answer.text().contains(inside), "{}", answer.text());
    }
    app.me().await.expect(200);
    let refresh = within(limit, "refresh", app.refresh()).await;
    let refresh = refresh.expect_problem(503, "store_unavailable");
    assert!(refresh.all("Set-Cookie").is_empty());
    app.get("/livez").await.expect(200);
    let ready = within(limit, "readyz", app.get("/readyz")).await.expect(503).json();
    assert_eq!(ready["stores"], json!({ "database": "unavailable", "session_store": "ok" }));
    app.log_out().await.expect(204);

    postgres.restart();
    let begun = Instant::now();
    while app.stranger().log_in_with("ada@example.org", PASSWORD).await.status.code != 200 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        rocket::tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[rocket::async_test]
async fn sr_72_a_hundred_registrations_at_once_are_all_answered() {
    let app = TestApp::light().await;
    let tries = (0..100).map(|n| {
        let visitor = app.stranger();
        async move {
            let body = json!({ "email": format!("user{n}@example.org"), "password": PASSWORD });
            visitor.call(Post, "/api/v1/auth/register", body).await.status.code
        }
    });
    let answers = futures::future::join_all(tries).await;
    assert!(answers.iter().all(|status| matches!(status, 201 | 429 | 503)), "{answers:?}");
    let made = answers.iter().filter(|status| **status == 201).count();
    assert_eq!(app.accounts().count().await.unwrap(), made as u64);
    assert!(made >= 50, "{made}");
}

/// Everything that a Redis holds at a moment.
struct Snapshot(Vec<(Vec<u8>, Vec<u8>)>);

impl Snapshot {
    fn of(redis: &RedisServer) -> Self {
        let mut link = link(redis);
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut link).expect("keys");
        let mut dump = |key: Vec<u8>| {
            let value: Vec<u8> = redis::cmd("DUMP").arg(&key).query(&mut link).expect("a value");
            (key, value)
        };
        Self(keys.into_iter().map(&mut dump).collect())
    }

    fn restore(&self, redis: &RedisServer) {
        let mut link = link(redis);
        redis.flush();
        for (key, value) in &self.0 {
            let restore = &mut redis::cmd("RESTORE");
            let restore = restore.arg(key).arg(0).arg(value).arg("REPLACE");
            let () = restore.query(&mut link).expect("it is restored");
        }
    }
}

fn link(redis: &RedisServer) -> redis::Connection {
    redis::Client::open(redis.url()).expect("an address").get_connection().expect("Redis answers")
}

#[rocket::async_test]
async fn sr_38_a_redis_restored_from_an_old_copy_revives_nothing() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let gone = app.signed_in("gone@example.org", &["user"]).await;
    let thief = app.copy();
    let before = Snapshot::of(&redis);
    let body = json!({ "current_password": PASSWORD, "new_password": "a bridge of nougat" });
    app.call(rocket::http::Method::Put, "/api/v1/me/password", body).await.expect(204);
    let sign_off = json!({ "password": PASSWORD });
    gone.copy().call(Delete, "/api/v1/me", sign_off).await.expect(204);
    before.restore(&redis);
    app.later(minutes(11));
    for revived in [&thief, &gone] {
        revived.me().await.expect_problem(401, "session_ended");
        revived.refresh().await.expect_problem(401, "session_ended");
    }
}

#[rocket::async_test]
async fn sr_70_a_redis_that_takes_no_writes_is_no_reason_to_fail_or_to_let_in() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    for (broken, mended) in [
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        redis.command(broken).expect("Redis answers");
        let login = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
        login.expect_problem(503, "store_unavailable");
        for refused in [app.refresh().await, app.log_out().await] {
            let refused = refused.expect_problem(503, "store_unavailable");
            assert!(refused.all("Set-Cookie").is_empty());
        }
        let me = app.me().await.status.code;
        assert!(matches!(me, 200 | 503), "{broken}: {me}");
        redis.command(mended).expect("Redis answers");
        back(&app, 200).await;
    }
    app.refresh().await.expect(200);
}

#[rocket::async_test]
async fn sr_72_a_locked_sqlite_is_answered_for_and_reads_go_on() {
    use sqlx::Executor as _;
    let app = TestApp::boot(Backend::SqliteRedis).await;
    app.register("ada@example.org").await;
    let mut other = app.database().await;
    other.execute("BEGIN IMMEDIATE").await.expect("the lock");
    app.me().await.expect(200);
    let visitor = app.stranger();
    let login = visitor.log_in_with("ada@example.org", PASSWORD);
    let answer = within(Duration::from_secs(6), "login", login).await;
    answer.expect_problem(503, "store_unavailable");
    other.execute("ROLLBACK").await.expect("the lock is given back");
    app.stranger().log_in("ada@example.org").await;
}
