//! A session store that remembers what is over, and apps behind forward-auth: a Redis that is started
//! with an old file, one that was promoted without the last writes, and a database that is away.

use std::collections::BTreeMap;
use std::sync::Arc;

use doorward::id::AccountId;
use doorward::session::store::SessionStore;
use rocket::http::Method::{Delete, Patch, Post, Put};
use rocket::tokio;
use serde_json::json;

use super::*;
use crate::proxy::ask::{SETTINGS, forward, page};
use crate::support::fleet::sentinel;
use crate::support::free_port;
use crate::support::postgres::PostgresServer;

const ROOT: &str = "root@example.org";
const USERS: &str = "/api/v1/admin/users";
/// The ways in which sessions end, but for the end of their time.
const ENDS: [&str; 10] = [
    "signed-out",
    "ended-on-another-device",
    "ended-all",
    "changed-password",
    "deleted-itself",
    "disabled",
    "deleted",
    "ended-by-an-administrator",
    "all-ended-by-an-administrator",
    "copied",
];

/// An application behind proxies, with sessions in the Redis at `url`.
async fn behind_proxies(url: &str) -> TestApp {
    let settings = [SETTINGS[0], SETTINGS[1], ("DOORWARD_STORE_URL", url)];
    TestApp::boot_with(Backend::SqliteRedis, &settings).await
}

/// A person whose session will end, with what their browser sent last.
struct Person {
    id: String,
    session: String,
    browser: Visitor,
    /// The browser before its last refresh.
    before: Visitor,
}

impl Person {
    async fn sign_in(app: &TestApp, name: &str) -> Self {
        let browser = app.signed_in(&format!("{name}@example.org"), &["user"]).await;
        let before = browser.copy();
        browser.refresh().await.expect(200);
        let me = browser.me().await.expect(200).json();
        let sessions = browser.get("/api/v1/me/sessions").await.expect(200).json();
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let (id, session) = (text(&me["user"]["id"]), text(&sessions["items"][0]["id"]));
        Self { id, session, browser, before }
    }
}

async fn everybody(app: &TestApp) -> (Visitor, BTreeMap<&'static str, Person>) {
    let root = app.signed_in(ROOT, &["admin"]).await;
    let mut people = BTreeMap::new();
    for name in ENDS {
        people.insert(name, Person::sign_in(app, name).await);
    }
    (root, people)
}

/// Ends everybody's session, each in its own way. Their browsers keep what they had.
async fn end_all(app: &TestApp, root: &Visitor, people: &BTreeMap<&'static str, Person>) {
    for (how, person) in people {
        let (browser, Person { id, session, .. }) = (person.browser.copy(), person);
        let user = format!("{USERS}/{id}");
        let answer = match *how {
            "signed-out" => browser.log_out().await,
            "ended-on-another-device" => {
                let other = app.stranger();
                other.log_in(&format!("{how}@example.org")).await;
                other.call(Delete, &format!("/api/v1/me/sessions/{session}"), json!(null)).await
            }
            "ended-all" => browser.call(Delete, "/api/v1/me/sessions", json!(null)).await,
            "changed-password" => {
                let body =
                    json!({ "current_password": PASSWORD, "new_password": "a bridge of nougat" });
                browser.call(Put, "/api/v1/me/password", body).await
            }
            "deleted-itself" => {
                browser.call(Delete, "/api/v1/me", json!({ "password": PASSWORD })).await
            }
            "disabled" => root.call(Patch, &user, json!({ "status": "disabled" })).await,
            "deleted" => root.call(Delete, &user, json!(null)).await,
            "ended-by-an-administrator" => {
                root.call(Delete, &format!("/api/v1/admin/sessions/{session}"), json!(null)).await
            }
            "all-ended-by-an-administrator" => {
                root.call(Delete, &format!("{user}/sessions"), json!(null)).await
            }
            _ => {
                app.later(seconds(11));
                person.before.copy().refresh().await.expect_problem(401, "refresh_reused")
            }
        };
        assert!(matches!(answer.status.code, 200 | 204 | 401), "{how}: {}", answer.text());
    }
}

/// Fails if an app is told that this is somebody: a script's request, a form and a page.
async fn refused_by_apps(how: &str, browser: &Visitor) {
    for _ in 0..2 {
        let script = forward(browser, "GET", "/app").send().await;
        let form = page(forward(browser, "POST", "/app")).send().await;
        let opened = page(forward(browser, "GET", "/app")).send().await;
        let public = forward(browser, "GET", "/public").send().await;
        let answers = [&script, &form, &opened, &public].map(|answer| answer.status.code);
        assert_eq!(answers, [401, 303, 302, 200], "{how}");
        for answer in [script, form, opened, public] {
            for name in ["Remote-User", "Remote-Email", "X-Doorward-Identity"] {
                assert!(answer.header(name).unwrap_or_default().is_empty(), "{how}: {name}");
            }
        }
    }
}

/// How many sessions the session store itself would let go on.
async fn alive(app: &TestApp, person: &Person) -> usize {
    let store: &Arc<dyn SessionStore> = app.service();
    let id = AccountId::parse(&person.id).expect("an id");
    store.list(&id, app.now()).await.expect("the store answers").len()
}

#[rocket::async_test]
async fn redis_restored_lets_no_ended_session_through_forward_auth() {
    for look_first in [false, true] {
        let redis = RedisServer::start(Options::default());
        let app = behind_proxies(&redis.url()).await;
        let (root, people) = everybody(&app).await;
        let lives = Person::sign_in(&app, "lives").await;
        let dump = redis.dump();
        end_all(&app, &root, &people).await;
        redis.restore(&dump);
        back(200, || root.me()).await;
        app.later(minutes(10));
        for (how, person) in &people {
            assert_eq!(alive(&app, person).await, 1, "{how}: the old copy says that it lives");
            if look_first {
                let look = person.browser.copy().get("/profile").await;
                look.expect_redirect("/login?next=%2Fprofile");
            }
            refused_by_apps(how, &person.browser).await;
            assert_eq!(alive(&app, person).await, 0, "{how}: the store has learnt it");
        }
        let told = forward(&lives.browser, "POST", "/app").send().await.expect(200);
        assert_eq!(told.header("Remote-User"), Some("lives@example.org"));
    }
}

#[rocket::async_test]
async fn redis_restored_grants_no_role_of_before_to_forward_auth() {
    let redis = RedisServer::start(Options::default());
    let app = behind_proxies(&redis.url()).await;
    app.add_role("reader", &["users:read"]).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let id = app.create("ada@example.org", &["user", "reader"]).await;
    let ada = app.stranger();
    ada.log_in("ada@example.org").await;
    forward(&ada, "GET", "/admin").send().await.expect(200);
    let dump = redis.dump();
    root.call(Put, &format!("{USERS}/{id}/roles"), json!({ "roles": ["user"] })).await.expect(200);
    redis.restore(&dump);
    back(200, || root.me()).await;
    app.later(minutes(10));
    let refused = forward(&ada, "GET", "/admin").send().await;
    refused.expect_problem(403, "permission_denied");
    for _ in 0..2 {
        let told = forward(&ada, "GET", "/app").send().await.expect(200);
        assert_eq!(told.header("Remote-Groups"), Some("user"));
    }
}

#[rocket::async_test]
async fn redis_restored_accepts_no_password_in_an_ended_session() {
    let redis = RedisServer::start(Options::default());
    let app = behind_proxies(&redis.url()).await;
    let (root, people) = everybody(&app).await;
    let dump = redis.dump();
    end_all(&app, &root, &people).await;
    redis.restore(&dump);
    back(200, || root.me()).await;
    // The access token has not run out, and whoever shows it knows the password of before.
    for (how, person) in &people {
        let token = person.browser.cookie(ACCESS).expect("a token");
        let confirm = json!({ "password": PASSWORD });
        let change = json!({ "current_password": PASSWORD, "new_password": "a bridge of fudge" });
        for (method, path, body) in [
            (Post, "/api/v1/auth/reauthenticate", confirm.clone()),
            (Put, "/api/v1/me/password", change),
            (Delete, "/api/v1/me", confirm),
        ] {
            let ask = person.browser.bearer(method, path, &token).json(&body);
            let code = ask.send().await.expect(401).json()["code"].clone();
            assert_eq!(code, "session_ended", "{how}: {path}");
        }
        assert_eq!(alive(&app, person).await, 0, "{how}");
    }
}

#[rocket::async_test]
async fn redis_restored_forgets_denied_tokens_for_one_life_at_most() {
    let redis = RedisServer::start(Options::default());
    let app = behind_proxies(&redis.url()).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let ada = app.signed_in("ada@example.org", &["user"]).await;
    let token = ada.cookie(ACCESS).expect("a token");
    let me = || ada.bearer(rocket::http::Method::Get, "/api/v1/me", &token).send();
    let dump = redis.dump();
    root.call(Post, "/api/v1/admin/tokens/revoke", json!({ "token": token })).await.expect(204);
    me().await.expect_problem(401, "session_ended");
    redis.restore(&dump);
    back(200, me).await;
    app.later(minutes(10));
    me().await.expect(401);
    forward(&ada, "GET", "/app").send().await.expect(200);
}

#[rocket::async_test]
async fn redis_failover_that_lost_the_last_writes_lets_no_ended_session_through_forward_auth() {
    let primary = RedisServer::start(Options::default());
    let port = primary.port().to_string();
    let words = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
    let arguments = words.map(str::to_owned).to_vec();
    let replica = RedisServer::start(Options { arguments, ..Options::default() });
    let port = free_port();
    let settings = ["down-after-milliseconds sessions 500", "failover-timeout sessions 3000"];
    let (_sentinel, directory) = sentinel(port, primary.port(), 1, &settings.map(str::to_owned));

    let app = behind_proxies(&format!("redis+sentinel://127.0.0.1:{port}/sessions")).await;
    let (root, people) = everybody(&app).await;
    let lives = Person::sign_in(&app, "lives").await;
    let known = || {
        let config = std::fs::read_to_string(directory.path().join("sentinel.conf"));
        config.is_ok_and(|text| text.contains(&format!("127.0.0.1 {}", replica.port())))
    };
    // The replica has all that the primary has, and the sentinel knows of it.
    let ready = || primary.command("WAIT 1 500").is_ok_and(|copies| copies == ":1") && known();
    let begun = Instant::now();
    while !ready() {
        assert!(begun.elapsed() < seconds(90), "no replica");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The primary acknowledges what never reaches its replica.
    primary.command("ACL SETUSER default -psync -sync -replconf").expect("Redis answers");
    primary.command("CLIENT KILL TYPE replica").expect("Redis answers");
    end_all(&app, &root, &people).await;
    primary.kill();
    let begun = Instant::now();
    while root.me().await.status.code != 200 {
        assert!(begun.elapsed() < seconds(90), "no failover");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    app.later(minutes(10));
    for (how, person) in &people {
        assert_eq!(alive(&app, person).await, 1, "{how}: the replica has not heard of it");
        refused_by_apps(how, &person.browser).await;
        assert_eq!(alive(&app, person).await, 0, "{how}");
    }
    forward(&lives.browser, "POST", "/app").send().await.expect(200);
}

#[rocket::async_test]
async fn postgresql_gone_forward_auth_lets_nobody_through_unchecked() {
    let postgres = PostgresServer::start();
    let url = postgres.create_database().await;
    let settings = [SETTINGS[0], SETTINGS[1], ("DOORWARD_DATABASE_URL", url.as_str())];
    let app = TestApp::boot_with(Backend::PostgresRedis, &settings).await;
    let checked = app.signed_in("checked@example.org", &["user"]).await;
    let unchecked = app.signed_in("unchecked@example.org", &["user"]).await;
    app.later(minutes(11));
    let fresh = app.signed_in("fresh@example.org", &["user"]).await;
    let ask = |visitor: &Visitor| {
        let visitor = visitor.copy();
        async move { forward(&visitor, "POST", "/app").send().await }
    };
    ask(&checked).await.expect(200);
    postgres.stop();
    // The access token is good, or the database has agreed a moment ago.
    within(SESSION_LIMIT, "fresh", ask(&fresh)).await.expect(200);
    for _ in 0..20 {
        within(SESSION_LIMIT, "checked", ask(&checked)).await.expect(200);
    }
    refused_for_now(within(DATABASE_LIMIT, "unchecked", ask(&unchecked)).await);
    // What ends in the session store has ended, whatever the database said before.
    checked.copy().log_out().await.expect(204);
    ask(&checked).await.expect_problem(401, "session_ended");
    // Once per life of an access token.
    app.later(minutes(10));
    refused_for_now(within(DATABASE_LIMIT, "fresh", ask(&fresh)).await);
    postgres.restart();
    back(200, || ask(&unchecked)).await;
    ask(&fresh).await.expect(200);
}
