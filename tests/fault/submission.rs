//! A form that is sent twice, while a part of the whole goes away in between.

use std::thread;

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};

use super::*;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::http::Response;

const FIELDS: [(&str, &str); 2] = [("email", "ada@example.org"), ("password", PASSWORD)];

/// Sends a form that was opened before.
async fn send(visitor: &Visitor, to: &str, token: &str) -> Answer {
    let [email, password] = FIELDS;
    let fields = [email, password, ("csrf_token", token)];
    let ask = visitor.ask(rocket::http::Method::Post, to).header("Sec-Fetch-Site", "same-origin");
    ask.form(&fields).send().await
}

#[rocket::async_test]
async fn redis_flushed_between_two_clicks_makes_nothing_twice() {
    let (redis, app) = on_own_redis().await;
    let token = app.get("/register").await.expect(200).hidden("csrf_token");
    let before = app.copy();
    send(&app, "/register", &token).await.expect(303);
    redis.flush();
    redis.command("SCRIPT FLUSH").expect("Redis answers");
    // Nothing is known of the first: the second is judged by what there is.
    send(&before, "/register", &token).await.expect(409);
    assert_eq!(app.accounts().count().await.expect("the database answers"), 1);
    let token = before.get("/login").await.expect(200).hidden("csrf_token");
    send(&before, "/login", &token).await.expect(303);
}

#[rocket::async_test]
async fn redis_paused_between_two_clicks_answers_in_time() {
    let (redis, app) = on_own_redis().await;
    let token = app.get("/register").await.expect(200).hidden("csrf_token");
    let before = app.copy();
    send(&app, "/register", &token).await.expect(303);
    redis.pause();
    let second = send(&before, "/register", &token);
    let away = within(SESSION_LIMIT, "the second click", second).await;
    assert_eq!((away.status.code, away.all("Set-Cookie")), (503, Vec::new()));
    redis.resume();
    back(303, || send(&before, "/register", &token)).await;
    before.get("/profile").await.expect(200);
    assert_eq!(app.accounts().count().await.expect("the database answers"), 1);
}

#[rocket::async_test]
async fn redis_full_takes_forms_that_need_no_room() {
    let (redis, app) = on_own_redis().await;
    app.register("ada@example.org").await;
    let token = app.get("/profile").await.expect(200).hidden("csrf_token");
    redis.command("CONFIG SET maxmemory-policy noeviction").expect("Redis answers");
    redis.command("CONFIG SET maxmemory 1").expect("Redis answers");
    let ask =
        app.ask(rocket::http::Method::Post, "/logout").header("Sec-Fetch-Site", "same-origin");
    let out = ask.form(&[("csrf_token", &token)]).send().await;
    out.expect_redirect("/login?done=signed-out");
    app.me().await.expect(401);
}

#[test]
fn killed_server_leaves_its_forms_to_the_next_click() {
    let redis = RedisServer::start(Options::default());
    let signing = SigningKey::generate_pem().expect("a key");
    let secret = MasterSecret::generate_base64(&Os);
    let server = Server::start(&[
        ("DOORWARD_STORE_URL", &*redis.url()),
        ("DOORWARD_KEYS_SIGNING", signing.expose()),
        ("DOORWARD_KEYS_SECRET", secret.expose()),
    ]);
    let mut link = ::redis::Client::open(redis.url())
        .and_then(|client| client.get_connection())
        .expect("Redis answers");
    // The server is killed while it works on the form; now and then it is quicker than that.
    for attempt in 0..20 {
        let email = format!("ada{attempt}@example.org");
        let mut ada = Person::at(server.port());
        let form = Form::open(&mut ada, &email);
        let (first, clicking) = (form.clone(), ada.clone());
        let first = thread::spawn(move || first.send(&mut clicking.clone()));
        while under_way(&mut link).is_none() && !first.is_finished() {
            thread::yield_now();
        }
        server.kill();
        let lost = first.join().expect("the click was made").is_err();
        let still_under_way = under_way(&mut link) == Some(true);
        server.restart();
        let second = form.send(&mut ada).expect("the server answers");
        if lost && still_under_way {
            // It had made the account, or it had not; it is answered, and not with a dead end.
            assert!(matches!(second.status, 303 | 409), "{}", second.text());
            let at = if second.status == 303 { 200 } else { ada.log_in(&email, PASSWORD) };
            assert_eq!(at, 200);
            assert!(ada.is_signed_in());
            return;
        }
        let _: () = ::redis::cmd("FLUSHALL").query(&mut link).expect("flushed");
    }
    panic!("the server was quicker each time");
}

/// Whether the submission that Redis knows is worked on; nothing if it knows none.
fn under_way(link: &mut ::redis::Connection) -> Option<bool> {
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*submission*").query(link).ok()?;
    let key = keys.first()?;
    let done: bool = ::redis::cmd("HEXISTS").arg(key).arg("a").query(link).ok()?;
    Some(!done)
}

/// A registration form as it is filled in.
#[derive(Clone)]
struct Form(String);

impl Form {
    fn open(person: &mut Person, email: &str) -> Self {
        let page = person.get("/register").text();
        let token = page.split("name=\"csrf_token\" value=\"").nth(1).expect("a form");
        let token = token.split('"').next().unwrap_or_default();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf_token", token);
        form.append_pair("email", email).append_pair("password", PASSWORD);
        Self(form.finish())
    }

    fn send(&self, person: &mut Person) -> std::io::Result<Response> {
        person.send("POST", "/register", "application/x-www-form-urlencoded", &self.0)
    }
}
