//! A database that is gone, hangs, is locked or full.

use std::time::Instant;

use rocket::http::Method::{Post, Put};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection};

use super::*;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::postgres::PostgresServer;

async fn on_own_postgres() -> (PostgresServer, TestApp) {
    let postgres = PostgresServer::start();
    let url = postgres.create_database().await;
    let settings = [("DOORWARD_DATABASE_URL", url.as_str())];
    let app = TestApp::boot_with(Backend::PostgresRedis, &settings).await;
    app.register("ada@example.org").await;
    (postgres, app)
}

/// Fails unless whoever is signed in stays so, and whatever needs the database is refused in time.
async fn only_the_database_is_missed(app: &TestApp) {
    within(SESSION_LIMIT, "me", app.me()).await.expect(200);
    let (visitor, other) = (app.stranger(), app.stranger());
    let body = json!({ "email": "new@example.org", "password": PASSWORD });
    let (login, register, refresh, ready) = rocket::tokio::join!(
        within(DATABASE_LIMIT, "login", visitor.log_in_with("ada@example.org", PASSWORD)),
        within(DATABASE_LIMIT, "register", other.call(Post, "/api/v1/auth/register", body)),
        within(DATABASE_LIMIT, "refresh", app.refresh()),
        within(DATABASE_LIMIT, "readyz", app.get("/readyz")),
    );
    for answer in [login, register, refresh] {
        refused_for_now(answer);
    }
    let stores = json!({ "database": "unavailable", "session_store": "ok" });
    assert_eq!(ready.expect(503).json()["stores"], stores);
    within(SESSION_LIMIT, "me", app.me()).await.expect(200);
    app.get("/livez").await.expect(200);
    app.stranger().get("/login").await.expect(200);
}

#[rocket::async_test]
async fn role_change_that_breaks_off_is_finished() {
    let (_postgres, app) = on_own_postgres().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let role = json!({ "name": "support", "permissions": ["users:read"] });
    root.call(Post, "/api/v1/admin/roles", role).await.expect(201);
    let grace = app.signed_in("grace@example.org", &["support"]).await;
    let users = "/api/v1/admin/users";
    grace.get(users).await.expect(200);
    let mut other = PgConnection::connect(&app.database).await.expect("it connects");
    // The role can be changed, the accounts that have it cannot.
    other.execute("BEGIN; LOCK TABLE account IN EXCLUSIVE MODE").await.expect("locked");
    let body = json!({ "permissions": [] });
    let change = root.call(Put, "/api/v1/admin/roles/support", body);
    refused_for_now(within(DATABASE_LIMIT, "change", change).await);
    other.execute("ROLLBACK").await.expect("unlocked");
    grace.get(users).await.expect(200);
    // Whatever became of the server that was asked, another one finishes it.
    let _other = app.replica().await;
    back(403, || grace.get(users)).await;
}

#[rocket::async_test]
async fn postgresql_gone_signed_in_stay_so() {
    let (postgres, app) = on_own_postgres().await;
    postgres.stop();
    only_the_database_is_missed(&app).await;
    // Signing out is Redis's business, and done.
    within(DATABASE_LIMIT, "sign-out", app.log_out()).await.expect(204);
    app.me().await.expect(401);
}

#[rocket::async_test]
async fn postgresql_back_needs_no_restart() {
    let (postgres, app) = on_own_postgres().await;
    postgres.stop();
    refused_for_now(app.refresh().await);
    postgres.restart();
    let visitor = app.stranger();
    back(200, || visitor.log_in_with("ada@example.org", PASSWORD)).await;
    app.refresh().await.expect(200);
    app.get("/readyz").await.expect(200);
}

#[rocket::async_test]
async fn postgresql_paused_signed_in_stay_so() {
    let (postgres, app) = on_own_postgres().await;
    postgres.pause();
    only_the_database_is_missed(&app).await;
    postgres.resume();
    back(200, || app.refresh()).await;
    app.stranger().register("new@example.org").await;
}

#[rocket::async_test]
async fn sqlite_locked_changes_answer_503() {
    let app = TestApp::boot(Backend::SqliteRedis).await;
    app.register("ada@example.org").await;
    let mut other = app.database().await;
    other.execute("BEGIN IMMEDIATE").await.expect("the lock");
    app.me().await.expect(200);
    let visitor = app.stranger();
    let login = visitor.log_in_with("ada@example.org", PASSWORD);
    refused_for_now(within(DATABASE_LIMIT, "login", login).await);
    other.execute("ROLLBACK").await.expect("the lock is given back");
    back(200, || visitor.log_in_with("ada@example.org", PASSWORD)).await;
}

#[rocket::async_test]
async fn sqlite_crowded_answers_everybody() {
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

#[test]
fn disk_full_refuses_changes_and_reads_on() {
    let server = Server::start(&LIMITS.map(|(name, _)| (name, "off")));
    let mut ada = Person::at(server.port());
    let register = |person: &mut Person, email: &str| {
        let body = json!({ "email": email, "password": PASSWORD });
        person.call("POST", "/api/v1/auth/register", body).expect("an answer").status
    };
    assert_eq!(register(&mut ada, "ada@example.org"), 201);
    server.fill_disk(true);
    let jar = ada.jar.clone();
    let mut bob = Person::at(server.port());
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(register(&mut bob, "bob@example.org"), 503);
        assert!(begun.elapsed() < DATABASE_LIMIT, "{:?}", begun.elapsed());
    }
    for path in ["/api/v1/auth/refresh", "/api/v1/auth/logout"] {
        let answer = ada.call("POST", path, Value::Null).expect("an answer");
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{path}");
    }
    assert_eq!(ada.jar, jar);
    for page in ["/profile", "/profile/sessions", "/api/v1/me", "/livez"] {
        assert_eq!(ada.get(page).status, 200, "{page}");
    }
    server.fill_disk(false);
    // Nothing was left half done: the same account can be made now.
    assert_eq!(register(&mut bob, "bob@example.org"), 201, "{:#?}", server.lines().all());
    assert!(bob.is_signed_in() && ada.is_signed_in());
    let refreshed = ada.call("POST", "/api/v1/auth/refresh", Value::Null).expect("an answer");
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
}
