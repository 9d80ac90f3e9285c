//! A Redis that is gone, hangs, or takes no writes.

use rocket::http::Method::{Delete, Get, Patch, Post};
use serde_json::{Value, json};

use super::*;
use crate::proxy::ask::{SETTINGS, forward};

/// Fails unless everything that needs the session store is refused with 503, quickly, and no cookie
/// is touched.
async fn requests_are_refused(app: &TestApp) {
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let register = json!({ "email": "new@example.org", "password": PASSWORD });
    let rename = json!({ "display_name": "Ada" });
    let jar = (app.cookie(ACCESS), app.cookie(REFRESH));
    for (what, method, path, body) in [
        ("me", Get, "/api/v1/me", Value::Null),
        ("login", Post, "/api/v1/auth/login", login),
        ("register", Post, "/api/v1/auth/register", register),
        ("refresh", Post, "/api/v1/auth/refresh", Value::Null),
        ("sign-out", Post, "/api/v1/auth/logout", Value::Null),
        ("sessions", Get, "/api/v1/me/sessions", Value::Null),
        ("end sessions", Delete, "/api/v1/me/sessions", Value::Null),
        ("rename", Patch, "/api/v1/me", rename),
    ] {
        refused_for_now(within(SESSION_LIMIT, what, app.call(method, path, body)).await);
    }
    let page = within(SESSION_LIMIT, "profile", app.get("/profile")).await.expect(503);
    assert!(page.header("Retry-After").is_some() && page.all("Set-Cookie").is_empty());
    assert_eq!((app.cookie(ACCESS), app.cookie(REFRESH)), jar);
}

/// Fails unless everything works that needs no session.
async fn visitors_are_served(app: &TestApp) {
    app.get("/livez").await.expect(200);
    app.get("/.well-known/jwks.json").await.expect(200);
    for page in ["/login", "/register"] {
        within(SESSION_LIMIT, page, app.stranger().get(page)).await.expect(200);
    }
    let ready = within(SESSION_LIMIT, "readyz", app.get("/readyz")).await.expect(503).json();
    assert_eq!(ready["stores"], json!({ "database": "ok", "session_store": "unavailable" }));
}

#[rocket::async_test]
async fn redis_gone_requests_answer_503() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    redis.kill();
    requests_are_refused(&app).await;
    visitors_are_served(&app).await;
}

#[rocket::async_test]
async fn redis_back_needs_no_restart() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    redis.stop();
    refused_for_now(app.me().await);
    redis.restart();
    // It has kept nothing, so everybody signs in again.
    back(401, || app.me()).await;
    app.log_in("ada@example.org").await;
    app.me().await.expect(200);
    app.get("/readyz").await.expect(200);
}

#[rocket::async_test]
async fn redis_paused_requests_answer_503() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    redis.pause();
    requests_are_refused(&app).await;
    visitors_are_served(&app).await;
    redis.resume();
    back(200, || app.me()).await;
    app.get("/readyz").await.expect(200);
    app.refresh().await.expect(200);
}

#[rocket::async_test]
async fn redis_paused_signs_nobody_out() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let before = app.cookie(REFRESH);
    // The access token has run out: the request would refresh on its way.
    app.later(minutes(11));
    redis.pause();
    refused_for_now(app.me().await);
    assert_eq!(app.cookie(REFRESH), before);
    redis.resume();
    back(200, || app.me()).await;
}

#[rocket::async_test]
async fn redis_paused_sign_out_says_that_it_failed() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let token = app.get("/profile").await.hidden("csrf_token");
    redis.pause();
    refused_for_now(within(SESSION_LIMIT, "sign-out", app.log_out()).await);
    let form = app.ask(Post, "/logout").header("Sec-Fetch-Site", "same-origin");
    let page = within(SESSION_LIMIT, "sign-out", form.form(&[("csrf_token", &token)]).send()).await;
    let page = page.expect(503);
    assert!(page.text().contains("One moment, please"), "{}", page.text());
    assert!(page.all("Set-Cookie").is_empty());
    redis.resume();
    back(200, || app.me()).await;
    app.log_out().await.expect(204);
    app.me().await.expect(401);
}

#[rocket::async_test]
async fn redis_full_refuses_new_sessions() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    redis.command("CONFIG SET maxmemory-policy noeviction").expect("Redis answers");
    redis.command("CONFIG SET maxmemory 1").expect("Redis answers");
    refused_for_now(app.stranger().log_in_with("ada@example.org", PASSWORD).await);
    redis.command("CONFIG SET maxmemory 0").expect("Redis answers");
    back(200, || app.me()).await;
    app.stranger().log_in("ada@example.org").await;
}

#[rocket::async_test]
async fn redis_read_only_refuses_changes() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    for (broken, mended) in [
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        redis.command(broken).expect("Redis answers");
        refused_for_now(app.stranger().log_in_with("ada@example.org", PASSWORD).await);
        refused_for_now(app.refresh().await);
        refused_for_now(app.log_out().await);
        let me = app.me().await.status.code;
        assert!(matches!(me, 200 | 503), "{broken}: {me}");
        redis.command(mended).expect("Redis answers");
        back(200, || app.me()).await;
    }
    app.refresh().await.expect(200);
}

#[rocket::async_test]
async fn redis_full_keeps_who_is_signed_in() {
    let redis = RedisServer::start(Options::default());
    let url = redis.url();
    let settings = [SETTINGS[0], SETTINGS[1], ("DOORWARD_STORE_URL", &url)];
    let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
    // Nothing was asked yet with these tokens: Redis has not noted that they are in use.
    let (fresh, idle) = (app.stranger(), app.stranger());
    for (visitor, email) in [(&fresh, "ada@example.org"), (&idle, "bob@example.org")] {
        visitor.register(email).await;
    }
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let eve = app.create("eve@example.org", &["user"]).await;
    app.stranger().log_in("eve@example.org").await;
    redis.command("CONFIG SET maxmemory-policy noeviction").expect("Redis answers");
    redis.command("CONFIG SET maxmemory 1").expect("Redis answers");
    fresh.me().await.expect(200);
    fresh.get("/profile").await.expect(200);
    fresh.get("/api/v1/me/sessions").await.expect(200);
    forward(&fresh, "POST", "/app").send().await.expect(200);
    refused_for_now(app.stranger().log_in_with("ada@example.org", PASSWORD).await);
    // What ends sessions needs no room.
    fresh.log_out().await.expect(204);
    forward(&fresh, "POST", "/app").send().await.expect(401);
    let disable = json!({ "status": "disabled" });
    root.call(Patch, &format!("/api/v1/admin/users/{eve}"), disable).await.expect(200);
    root.call(Delete, "/api/v1/me/sessions", Value::Null).await.expect(200);
    root.me().await.expect(401);
    app.later(minutes(10));
    // By the refresh token, which is asked about and not traded in.
    forward(&idle, "POST", "/app").send().await.expect(200);
    refused_for_now(idle.refresh().await);
    redis.command("CONFIG SET maxmemory 0").expect("Redis answers");
    back(200, || idle.refresh()).await;
}

/// A connection of the operator's own, which no refusal concerns.
struct Operator(::redis::Connection);

impl Operator {
    fn connect(redis: &RedisServer) -> Self {
        redis.command("ACL SETUSER ops on >ops ~* &* +@all").expect("Redis answers");
        let client = ::redis::Client::open(format!("redis://ops:ops@127.0.0.1:{}", redis.port()));
        Self(client.expect("an address").get_connection().expect("Redis answers"))
    }

    fn order(&mut self, line: &str) {
        let mut words = line.split(' ').map(|word| word.trim_matches('"'));
        let mut command = ::redis::cmd(words.next().expect("a command"));
        words.for_each(|word| {
            command.arg(word);
        });
        let () = command.query(&mut self.0).expect("Redis obeys");
    }
}

#[rocket::async_test]
async fn redis_that_refuses_our_user_answers_503() {
    for (refused, mended) in [
        ("CONFIG SET requirepass secret", "CONFIG SET requirepass \"\""),
        ("ACL SETUSER default off", "ACL SETUSER default on"),
        ("ACL SETUSER default -@all +ping", "ACL SETUSER default +@all"),
        ("ACL SETUSER default -evalsha", "ACL SETUSER default +@all"),
        ("ACL SETUSER default -hget -hset -hdel -set", "ACL SETUSER default +@all"),
        ("ACL SETUSER default resetkeys ~other:*", "ACL SETUSER default ~*"),
        ("CONFIG SET maxclients 1", "CONFIG SET maxclients 100"),
        ("ACL SETUSER doorward resetpass >another", "ACL SETUSER doorward resetpass >secret"),
    ] {
        let redis = RedisServer::start(Options::default());
        let mut operator = Operator::connect(&redis);
        operator.order("ACL SETUSER doorward on >secret ~* &* +@all");
        let named = refused.contains("doorward");
        let user = if named { "doorward:secret@" } else { "" };
        let app = on_redis_at(&format!("redis://{user}127.0.0.1:{}", redis.port())).await;
        app.register("ada@example.org").await;
        operator.order(refused);
        operator.order(&format!("CLIENT KILL USER {}", if named { "doorward" } else { "default" }));
        for (what, method, path) in [
            ("me", Get, "/api/v1/me"),
            ("refresh", Post, "/api/v1/auth/refresh"),
            ("sign-out", Post, "/api/v1/auth/logout"),
        ] {
            let answer = within(SESSION_LIMIT, what, app.call(method, path, Value::Null)).await;
            assert_eq!(answer.status.code, 503, "{refused}: {what}: {}", answer.text());
            refused_for_now(answer);
        }
        let login = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
        assert_eq!(login.status.code, 503, "{refused}: {}", login.text());
        operator.order(mended);
        back(200, || app.me()).await;
        app.refresh().await.expect(200);
    }
}

#[rocket::async_test]
async fn redis_gone_tells_no_good_password_from_a_bad_one_and_makes_no_account() {
    for limits in [&[][..], &LIMITS[..]] {
        let redis = RedisServer::start(Options::default());
        let url = redis.url();
        let settings: Vec<_> =
            limits.iter().copied().chain([("DOORWARD_STORE_URL", url.as_str())]).collect();
        let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
        app.register("ada@example.org").await;
        app.create("off@example.org", &[]).await;
        let setup = app.setup_token().await;
        let off = app.accounts().find("off@example.org").await.expect("found").id;
        let disabled = doorward::account::Status::Disabled;
        let operator = doorward::account::Actor::Operator;
        app.accounts().set_status(operator, &off, disabled).await.expect("disabled");
        redis.kill();
        let (known, wrong) = (app.copy(), "not the password at all");
        for (visitor, email, password) in [
            (&app.stranger(), "ada@example.org", PASSWORD),
            (&app.stranger(), "ada@example.org", wrong),
            (&known, "ada@example.org", PASSWORD),
            (&known, "ada@example.org", wrong),
            (&app.stranger(), "off@example.org", PASSWORD),
            (&app.stranger(), "nobody@example.org", wrong),
            (&app.stranger(), "no address", ""),
        ] {
            let answer = within(SESSION_LIMIT, email, visitor.log_in_with(email, password)).await;
            assert_eq!(answer.status.code, 503, "{email} {password}: {}", answer.text());
            refused_for_now(answer);
        }
        let register = json!({ "email": "new@example.org", "password": PASSWORD });
        refused_for_now(app.stranger().call(Post, "/api/v1/auth/register", register).await);
        let first = [("token", &*setup), ("email", "root@example.org"), ("password", PASSWORD)];
        let at = format!("/setup?token={setup}");
        app.stranger().submit(&at, "/setup", &first).await.expect(503);
        assert_eq!(app.accounts().count().await.expect("counted"), 2);
        redis.restart();
        let visitor = app.stranger();
        let register = json!({ "email": "new@example.org", "password": PASSWORD });
        back(201, || visitor.call(Post, "/api/v1/auth/register", register.clone())).await;
        app.stranger().submit(&at, "/setup", &first).await.expect_redirect("/admin");
    }
}
