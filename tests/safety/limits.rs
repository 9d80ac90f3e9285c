//! Requests that are too large, too deep, or nothing that can be read (SR-7, SR-60, SR-62).

use proptest::prelude::*;
use rocket::http::Method::{Delete, Get, Post};
use serde_json::{Value, json};

use crate::app::*;

const LOGIN: &str = "/api/v1/auth/login";

async fn send(visitor: &Visitor, body: impl Into<Vec<u8>>) -> Answer {
    let ask = visitor.ask(Post, LOGIN).header("Sec-Fetch-Site", "same-origin");
    ask.body("application/json", body).send().await
}

/// A sign-in whose body is `size` bytes long.
fn padded(size: usize) -> String {
    let body = json!({ "email": "ada@example.org", "password": "x" }).to_string();
    format!("{body}{}", " ".repeat(size - body.len()))
}

#[rocket::async_test]
async fn sr_60_a_json_body_is_at_most_64_kib() {
    let app = TestApp::light().await;
    send(&app, padded(64 * 1024)).await.expect_problem(401, "invalid_credentials");
    send(&app, padded(64 * 1024 + 1)).await.expect_problem(413, "payload_too_large");
    send(&app, padded(1024 * 1024)).await.expect_problem(413, "payload_too_large");
}

#[rocket::async_test]
async fn sr_60_a_form_is_at_most_16_kib_and_100_fields() {
    let app = TestApp::light().await;
    let token = app.get("/login").await.expect(200).hidden("csrf_token");
    let post = async |fields: &[(&str, &str)]| {
        let mut fields = fields.to_vec();
        fields.push(("csrf_token", &token));
        let ask = app.ask(Post, "/login").header("Sec-Fetch-Site", "same-origin");
        ask.form(&fields).send().await.status.code
    };
    let long = "x".repeat(16 * 1024);
    assert_eq!(post(&[("email", &long), ("password", "x")]).await, 413);
    let fits = "x".repeat(15 * 1024);
    assert_eq!(post(&[("email", &fits), ("password", "x")]).await, 401);
    assert_eq!(post(&[("email", "x"); 100]).await, 400);
    assert_eq!(post(&[("email", "x"); 99]).await, 422);
    assert_eq!(post(&[("email", "ada@example.org"), ("password", "x"), ("admin", "1")]).await, 422);
    let twice = [("email", "a@example.org"), ("email", "b@example.org"), ("password", "x")];
    assert_eq!(post(&twice).await, 422);
    assert_eq!(post(&[("email", "ada@example.org"), ("password", "x\0")]).await, 401);
}

#[rocket::async_test]
async fn sr_60_an_address_is_at_most_8_kib() {
    let app = TestApp::light().await;
    let query = |size: usize| format!("/api/v1/me?{}", "x".repeat(size - "/api/v1/me?".len()));
    app.get(&query(8 * 1024)).await.expect_problem(401, "not_signed_in");
    app.get(&query(8 * 1024 + 1)).await.expect_problem(414, "payload_too_large");
    let path = format!("/api/v1/me/sessions/{}", "x".repeat(9000));
    app.call(rocket::http::Method::Delete, &path, Value::Null)
        .await
        .expect_problem(414, "payload_too_large");
    app.get(&format!("/login?next=/{}", "x".repeat(9000))).await.expect(414);
}

#[rocket::async_test]
async fn sr_60_a_header_block_is_at_most_32_kib() {
    let app = TestApp::light().await;
    let long = "x".repeat(33 * 1024);
    for path in ["/api/v1/me", "/livez", "/login"] {
        app.ask(Get, path).header("X-Long", &long).send().await.expect(431);
        let mut ask = app.ask(Get, path);
        for n in 0..40 {
            ask = ask.header(&format!("X-Long-{n}"), &long[..1024]);
        }
        ask.send().await.expect(431);
    }
    // A line is its name, a colon, a space, its value and its end.
    let others = "Host: localhost:8000\r\n".len() + "X-Long: \r\n".len();
    let value = 32 * 1024 - others;
    app.ask(Get, "/livez").header("X-Long", &long[..value]).send().await.expect(200);
    app.ask(Get, "/livez").header("X-Long", &long[..=value]).send().await.expect(431);
    let ask = app.ask(Get, "/api/v1/me").header("X-Long", &long).send().await;
    ask.expect_problem(431, "payload_too_large");
}

#[rocket::async_test]
async fn sr_7_the_fields_of_a_body_are_exactly_those_that_are_listed() {
    let app = TestApp::light().await;
    app.create("ada@example.org", &["user"]).await;
    let secret = "SENTINEL-hunter2";
    let email = r#""email":"ada@example.org""#;
    for (body, fault) in [
        (format!(r#"{{{email}}}"#), "password: required"),
        (format!(r#"{{"password":"{secret}"}}"#), "email: required"),
        (format!(r#"{{{email},"password":["{secret}"]}}"#), "password: wrong_type"),
        (format!(r#"{{{email},"password":{{"a":"{secret}"}}}}"#), "password: wrong_type"),
        (format!(r#"{{{email},"password":null}}"#), "password: wrong_type"),
        (format!(r#"{{{email},"password":123456789}}"#), "password: wrong_type"),
        (format!(r#"{{{email},"password":"x","remember":"{secret}"}}"#), "remember: wrong_type"),
        (
            format!(r#"{{{email},"password":"x","remember":"a, expected {secret}"}}"#),
            "remember: wrong_type",
        ),
        (format!(r#"{{{email},"password":"x","remember":"`{secret}`"}}"#), "remember: wrong_type"),
        (format!(r#"{{{email},"password":"x","extra":"{secret}"}}"#), "extra: unknown_field"),
        (format!(r#"{{{email},"Password":"{secret}"}}"#), "Password: unknown_field"),
        (
            format!(r#"{{{email},"password":"x","password":"{secret}"}}"#),
            "password: duplicate_field",
        ),
    ] {
        let refused = send(&app, body.clone()).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), [fault], "{body}");
        assert!(!refused.text().contains("SENTINEL"), "{}", refused.text());
        for inside in ["serde", "struct", "line ", "column"] {
            assert!(!refused.text().contains(inside), "{}", refused.text());
        }
    }
}

#[rocket::async_test]
async fn sr_7_a_parameter_comes_once() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let other = app.stranger();
    other.log_in("root@example.org").await;
    for path in [
        "/api/v1/me/sessions?others=true&others=true",
        "/api/v1/me/sessions?others=false&%6fthers=true",
        "/api/v1/me/sessions?others=true&others[a]=true",
        "/api/v1/admin/sessions?user=root@example.org&ip=192.0.2.1&ip=192.0.2.1",
    ] {
        let answer = root.call(Delete, path, Value::Null).await;
        let answer = answer.expect_problem(422, "validation_failed");
        assert!(answer.faults()[0].ends_with(": duplicate_field"), "{path}");
    }
    root.get("/api/v1/admin/users?limit=1&limit=2").await.expect(422);
    root.me().await.expect(200);
    other.me().await.expect(200);
}

#[rocket::async_test]
async fn sr_7_only_an_object_is_read() {
    let app = TestApp::light().await;
    app.create("ada@example.org", &["user"]).await;
    let array = json!(["ada@example.org", PASSWORD, false]).to_string();
    for body in [array.as_str(), "[]", "null", "true", "1", "\"x\"", " [\"a\", \"b\"]"] {
        let answer = send(&app, body).await.expect_problem(422, "validation_failed");
        assert!(answer.set_cookie(ACCESS).is_none());
        assert!(!answer.text().contains("marzipan"));
    }
}

#[rocket::async_test]
async fn sr_60_what_is_no_json_is_a_bad_request() {
    let app = TestApp::light().await;
    let deep = "[".repeat(30_000);
    for body in [
        &b""[..],
        b"{",
        b"{\"email\":\"a\",\"password\":\"b\"} x",
        b"{\"email\":\"a\",\"password\":\"b\"}{}",
        b"{'email':'a'}",
        b"{\"email\":\"a\",}",
        b"email=a&password=b",
        b"\xff\xfe",
        b"{\"email\":\"\xff\xfe\",\"password\":\"b\"}",
        b"{\"email\":\"\xc0\xaf\",\"password\":\"b\"}",
        b"{\"email\":\"a\nb\",\"password\":\"b\"}",
        b"{\"email\":\"\\ud800\",\"password\":\"b\"}",
        b"\0",
        b"\xef\xbb\xbf{}",
        b"{\"email\":NaN}",
        deep.as_bytes(),
    ] {
        send(&app, body).await.expect_problem(400, "validation_failed");
    }
}

#[rocket::async_test]
async fn sr_7_nothing_deep_is_followed_down() {
    let app = TestApp::light().await;
    let fields = r#"{"email":"a","password":"b","remember":"#;
    for body in [
        r#"{"email":"#.repeat(6_000),
        format!("{fields}{}", "[".repeat(30_000)),
        format!("{fields}{}{}}}", "[".repeat(100), "]".repeat(100)),
    ] {
        send(&app, body).await.expect_problem(422, "validation_failed");
    }
}

#[rocket::async_test]
async fn sr_5_an_address_that_breaks_lines_or_looks_alike_is_refused() {
    let app = TestApp::light().await;
    for email in [
        "ada@example.org\r\nBcc: x@example.org",
        "ada\0@example.org",
        "ada\u{ff20}example.org",
        "ad\u{131}@example.org",
        "ada@example.org.",
        "",
        " ",
    ] {
        let body = json!({ "email": email, "password": PASSWORD });
        let refused = app.call(Post, "/api/v1/auth/register", body).await;
        let refused = refused.expect_problem(422, "validation_failed");
        assert!(refused.faults()[0].starts_with("email: "), "{:?}", refused.faults());
    }
}

#[test]
fn sr_62_no_body_makes_the_server_fail_or_talk() {
    let runtime = rocket::tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let app = runtime.block_on(TestApp::light());
    let config =
        ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let text = "[ -~]{0,30}|\\PC{0,20}";
    let bodies = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        (text, text).prop_map(|(email, password)| {
            json!({ "email": email, "password": password }).to_string().into_bytes()
        }),
        (text, text).prop_map(|(name, value)| json!({ name: value }).to_string().into_bytes()),
    ];
    let outcome = proptest::test_runner::TestRunner::new(config).run(&bodies, |body| {
        runtime.block_on(async {
            let answer = send(&app, body).await;
            prop_assert!(matches!(answer.status.code, 400 | 401 | 422), "{}", answer.status);
            prop_assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    runtime.block_on(async { drop(app) });
}

#[rocket::get("/panic")]
fn panics() -> &'static str {
    panic!("SENTINEL at src/secret.rs")
}

#[rocket::async_test]
async fn sr_62_a_panic_is_a_500_that_tells_nothing_and_the_server_runs_on() {
    let app = TestApp::boot_changed(Backend::SqliteEmbedded, &[], |rocket| {
        rocket
            .mount("/api/v1/test", rocket::routes![panics])
            .mount("/test", rocket::routes![panics])
    })
    .await;
    app.register("ada@example.org").await;
    for _ in 0..3 {
        let answer = app.get("/api/v1/test/panic").await.expect_problem(500, "internal");
        assert!(!answer.text().contains("SENTINEL"));
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"));
        let page = app.get("/test/panic").await.expect(500);
        assert!(!page.text().contains("SENTINEL") && page.text().contains("<html"));
    }
    app.me().await.expect(200);
}
