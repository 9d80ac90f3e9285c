//! The three cookies: what they are set with, and which are believed (SR-40).

use rocket::http::Method::{Delete, Get, Post, Put};
use serde_json::{Value, json};

use crate::app::*;

const RULES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

/// The attributes of a `Set-Cookie` value.
fn attributes(set_cookie: Option<&str>) -> String {
    let (pair, attributes) = set_cookie.expect("it is set").split_once("; ").expect("attributes");
    assert!(pair.len() <= 4096, "{pair}");
    attributes.to_owned()
}

#[rocket::async_test]
async fn sr_40_a_session_that_is_not_remembered_ends_with_the_browser() {
    let app = TestApp::light().await;
    let registered = app.register("ada@example.org").await;
    let signed_in = app.log_in("ada@example.org").await;
    let refreshed = app.refresh().await.expect(200);
    app.later(minutes(11));
    let on_the_way = app.me().await.expect(200);
    let body = json!({ "current_password": PASSWORD, "new_password": "a bridge of nougat" });
    let changed = app.call(Put, "/api/v1/me/password", body).await.expect(204);
    for answer in [registered, signed_in, refreshed, on_the_way, changed] {
        assert_eq!(attributes(answer.set_cookie(ACCESS)), RULES);
        assert_eq!(attributes(answer.set_cookie(REFRESH)), RULES);
    }
}

#[rocket::async_test]
async fn sr_40_a_remembered_session_lives_as_long_as_its_tokens() {
    let app = TestApp::light().await;
    app.create("ada@example.org", &["user"]).await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "remember": true });
    let signed_in = app.call(Post, "/api/v1/auth/login", body).await.expect(200);
    let refreshed = app.refresh().await.expect(200);
    app.later(minutes(11));
    let on_the_way = app.me().await.expect(200);
    for answer in [signed_in, refreshed, on_the_way] {
        let refresh = attributes(answer.set_cookie(REFRESH));
        assert_eq!(refresh, format!("{RULES}; Max-Age={}", 14 * 24 * 3600));
        let access = attributes(answer.set_cookie(ACCESS));
        let age = access.strip_prefix(&format!("{RULES}; Max-Age=")).expect("an age");
        assert!((570..=600).contains(&age.parse::<u32>().unwrap()), "{access}");
    }
    // Near the absolute end the cookies end with the session.
    app.later(days(13));
    app.me().await.expect(200);
    app.later(days(13));
    let late = attributes(app.me().await.expect(200).set_cookie(REFRESH));
    let left = days(4).as_secs() - 660;
    assert_eq!(late, format!("{RULES}; Max-Age={left}"));
}

#[rocket::async_test]
async fn sr_40_a_cookie_is_taken_back_with_the_attributes_it_was_set_with() {
    let app = TestApp::light().await;
    let gone = format!("{RULES}; Max-Age=0");
    app.register("ada@example.org").await;
    let signed_out = app.log_out().await;
    app.log_in("ada@example.org").await;
    let ended = app.call(Delete, "/api/v1/me/sessions", Value::Null).await;
    app.log_in("ada@example.org").await;
    let deleted = app.call(Delete, "/api/v1/me", json!({ "password": PASSWORD })).await;
    for answer in [signed_out, ended, deleted] {
        for name in [ACCESS, REFRESH] {
            let set = answer.set_cookie(name).unwrap();
            assert_eq!(set, format!("{name}=; {gone}"));
        }
    }
}

#[rocket::async_test]
async fn sr_40_a_visitors_cookie_is_set_by_the_form_alone() {
    let app = TestApp::light().await;
    let page = app.get("/login").await.expect(200);
    assert_eq!(attributes(page.set_cookie(PRE_LOGIN)), RULES);
    assert_eq!(page.all("Set-Cookie").len(), 1);
    assert!(app.get("/login").await.all("Set-Cookie").is_empty(), "it is kept");
    assert!(app.stranger().get("/livez").await.all("Set-Cookie").is_empty());
    assert!(app.stranger().me().await.all("Set-Cookie").is_empty());
}

#[rocket::async_test]
async fn sr_40_of_two_cookies_of_one_name_neither_counts() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let (access, refresh) = (app.cookie(ACCESS).unwrap(), app.cookie(REFRESH).unwrap());
    let ask = async |headers: &[String]| {
        let mut ask = app.ask(Get, "/api/v1/me").without_jar();
        for header in headers {
            ask = ask.header("Cookie", header);
        }
        ask.send().await.status.code
    };
    assert_eq!(ask(&[format!("{ACCESS}={access}")]).await, 200);
    assert_eq!(ask(&[format!("{ACCESS}={access}; {ACCESS}={access}")]).await, 401);
    assert_eq!(ask(&[format!("{ACCESS}={access}; {ACCESS}=")]).await, 401);
    assert_eq!(ask(&[format!("{ACCESS}=; {ACCESS}={access}")]).await, 401);
    assert_eq!(ask(&[format!("{ACCESS}=x; other=1; {ACCESS}={access}")]).await, 401);
    assert_eq!(ask(&[format!("{ACCESS}={access}"), format!("{ACCESS}={access}")]).await, 401);
    let twice = format!("{REFRESH}={refresh}; {REFRESH}={refresh}");
    assert_eq!(ask(&[twice]).await, 401);
    // HTTP/2 splits the header: each cookie once is well (RFC 9113 §8.2.3).
    assert_eq!(ask(&["a=b".into(), format!("{ACCESS}={access}")]).await, 200);
    let odd = format!("a; b=c=d;;  \t{ACCESS}={access}  ; =e");
    assert_eq!(ask(&[odd]).await, 200);
}

#[rocket::async_test]
async fn sr_40_look_alikes_are_nothing() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let access = app.cookie(ACCESS).unwrap();
    for name in [
        "dw-at",
        "__Host-dw-at",
        "__Http-dw-at",
        "__Secure-dw-at",
        "__host-http-dw-at",
        "__HOST-HTTP-DW-AT",
        "%5F%5FHost-Http-dw-at",
        "__Host-Http-dw-at2",
        "=__Host-Http-dw-at",
        "$Version=1; $__Host-Http-dw-at",
    ] {
        let ask = app.ask(Get, "/api/v1/me").without_jar();
        let answer = ask.header("Cookie", &format!("{name}={access}")).send().await;
        answer.expect_problem(401, "not_signed_in");
    }
    // Beside the real one they change nothing.
    let both = format!("dw-at=x; {ACCESS}={access}; __Host-dw-at=y");
    let ask = app.ask(Get, "/api/v1/me").without_jar().header("Cookie", &both);
    ask.send().await.expect(200);
}

#[rocket::async_test]
async fn sr_40_over_plain_http_the_cookies_bear_other_names_and_others_are_not_believed() {
    let settings =
        [("DOORWARD_INSECURE_COOKIES", "true"), ("DOORWARD_PUBLIC_URL", "http://id.lan")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let page = app.get("/login").await.expect(200);
    let registered = app.register("ada@example.org").await.expect(201);
    let plain = "Path=/; HttpOnly; SameSite=Lax";
    assert_eq!(attributes(page.set_cookie("dw-pre")), plain);
    for name in ["dw-at", "dw-rt", "dw-dev"] {
        assert!(attributes(registered.set_cookie(name)).starts_with(plain), "{name}");
    }
    assert!(registered.all("Set-Cookie").iter().all(|cookie| !cookie.starts_with("__")));
    app.later(minutes(11));
    assert!(app.me().await.expect(200).set_cookie("dw-at").is_some());
    // Those of a server with https say nothing here.
    let (access, refresh) = (app.cookie("dw-at").unwrap(), app.cookie("dw-rt").unwrap());
    let other = app.stranger();
    other.put_cookie(ACCESS, &access);
    other.put_cookie(REFRESH, &refresh);
    other.me().await.expect(401);
    let out = app.log_out().await.expect(204);
    assert_eq!(attributes(out.set_cookie("dw-at")), format!("{plain}; Max-Age=0"));
    let reference = app.get("/api/v1/openapi.json").await.expect(200).json();
    assert_eq!(reference["components"]["securitySchemes"]["cookie"]["name"], "dw-at");
    // Nothing plain is believed where there is https.
    let safe = TestApp::light().await;
    safe.register("ada@example.org").await.expect(201);
    let plain = safe.stranger();
    plain.put_cookie("dw-at", &safe.cookie(ACCESS).unwrap());
    plain.put_cookie("dw-rt", &safe.cookie(REFRESH).unwrap());
    plain.me().await.expect(401);
}
