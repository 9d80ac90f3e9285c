//! Whose address counts (SR-24).

use doorward::audit::store::EventFilter;
use rocket::http::Method::Post;
use serde_json::json;

use crate::app::*;

/// Signs in with these headers, and says which address the session began from.
async fn seen(app: &TestApp, peer: &str, headers: &[(&str, &str)]) -> String {
    let visitor = app.stranger().at(peer);
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let ask = visitor.ask(Post, "/api/v1/auth/login").json(&login);
    let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
    let answer = ask.send().await.expect(200).json();
    answer["session"]["ip"].as_str().expect("an address").to_owned()
}

#[rocket::async_test]
async fn sr_24_nobody_is_believed_about_their_address_unless_trusted() {
    let app = TestApp::light().await;
    app.create("ada@example.org", &["user"]).await;
    for name in [
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "True-Client-IP",
        "CF-Connecting-IP",
        "Client-IP",
    ] {
        for value in ["198.51.100.1", "for=198.51.100.1", "127.0.0.1"] {
            assert_eq!(seen(&app, "203.0.113.9", &[(name, value)]).await, "203.0.113.9", "{name}");
        }
    }
}

#[rocket::async_test]
async fn sr_24_a_trusted_proxy_is_believed_about_the_last_hop_alone() {
    let settings = [("DOORWARD_PROXIES_TRUSTED", "10.0.0.0/8")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    app.create("ada@example.org", &["user"]).await;
    let forwarded = |value: &'static str| [("X-Forwarded-For", value)];
    let proxy = "10.0.0.1";
    assert_eq!(seen(&app, proxy, &forwarded("198.51.100.1")).await, "198.51.100.1");
    assert_eq!(seen(&app, proxy, &forwarded("6.6.6.6, 198.51.100.1")).await, "198.51.100.1");
    assert_eq!(seen(&app, proxy, &forwarded("198.51.100.1, 10.9.9.9")).await, "198.51.100.1");
    assert_eq!(seen(&app, proxy, &forwarded("nonsense")).await, proxy);
    assert_eq!(seen(&app, proxy, &[("X-Real-IP", "198.51.100.1")]).await, proxy);
    assert_eq!(seen(&app, "203.0.113.9", &forwarded("198.51.100.1")).await, "203.0.113.9");
}

/// What a wrong sign-in is called that comes from `peer` with these headers: in the header, in the
/// problem and in the audit trail, which agree.
async fn called(app: &TestApp, peer: &str, headers: &[(&str, &str)]) -> String {
    let visitor = app.stranger().at(peer);
    let login = json!({ "email": "ada@example.org", "password": "not the password at all" });
    let ask = visitor.ask(Post, "/api/v1/auth/login").json(&login);
    let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
    let answer = ask.send().await.expect(401);
    let name = answer.header("X-Request-Id").expect("a name").to_owned();
    assert_eq!(answer.all("X-Request-Id").len(), 1);
    assert_eq!(answer.json()["request_id"], name.as_str());
    let filter = EventFilter { limit: 1, ..EventFilter::default() };
    let last = app.audit().await.list(filter, None).await.expect("events").items;
    assert_eq!(last.first().and_then(|event| event.request_id.as_deref()), Some(&*name));
    name
}

#[rocket::async_test]
async fn sr_80_a_trusted_proxy_names_the_request_and_nobody_else_does() {
    let settings = [("DOORWARD_PROXIES_TRUSTED", "10.0.0.0/8")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let (proxy, name) = ("10.0.0.1", "f47ac10b-58cc-4372-a567-0e02b2c3d479");
    assert_eq!(called(&app, proxy, &[("X-Request-Id", name)]).await, name);
    // Behind the proxy it is still the proxy that names it.
    let forwarded = [("X-Forwarded-For", "198.51.100.1"), ("X-Request-Id", name)];
    assert_eq!(called(&app, proxy, &forwarded).await, name);

    let ours = |name: &str| assert!(name.len() == 16 && !name.contains("made-up"), "{name}");
    ours(&called(&app, "203.0.113.9", &[("X-Request-Id", name)]).await);
    let forwarded = [("X-Forwarded-For", "10.0.0.1"), ("X-Request-Id", name)];
    ours(&called(&app, "203.0.113.9", &forwarded).await);
    ours(&called(&app, proxy, &[]).await);
    ours(&called(&app, proxy, &[("X-Request-Id", name), ("X-Request-Id", "made-up")]).await);
    let long = "made-up-".repeat(17);
    for hostile in ["", "made-up\" and more", "made-up, too", "=made-up", "<made-up>", "é", &long]
    {
        ours(&called(&app, proxy, &[("X-Request-Id", hostile)]).await);
    }
    // Where no proxy is trusted, none names anything.
    let alone = TestApp::light().await;
    ours(&called(&alone, proxy, &[("X-Request-Id", name)]).await);
}
