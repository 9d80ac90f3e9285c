//! Whose address counts (SR-24).

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
