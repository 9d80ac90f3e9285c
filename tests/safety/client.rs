//! Whose address counts (SR-24).

use doorward::audit::store::EventFilter;
use rocket::http::Method::Post;
use serde_json::json;

use crate::app::*;
use crate::support::binary::Server;
use crate::support::http;

/// Signs in with these headers, and says which address the session began from.
async fn seen(app: &TestApp, peer: &str, headers: &[(&str, &str)]) -> String {
    let visitor = app.stranger().at(peer);
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let ask = visitor.ask(Post, "/api/v1/auth/login").json(&login);
    let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
    let answer = ask.send().await.expect(200).json();
    let ip = &answer["session"]["ip"];
    assert!(ip.is_string() || ip.is_null(), "{ip}");
    ip.as_str().unwrap_or("unknown").to_owned()
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
    for (value, expected) in [
        ("198.51.100.1,", "198.51.100.1"),
        (", 198.51.100.1, ,", "198.51.100.1"),
        ("\"198.51.100.1\"", "198.51.100.1"),
        ("6.6.6.6, \"[2001:db8::7]:443\"", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1"),
        ("\"6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("nonsense", "unknown"),
        ("198.51.100.1, unknown", "unknown"),
        ("_hidden", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(seen(&app, proxy, &forwarded(value)).await, expected, "{value}");
    }
    let named = [("Forwarded", "for=6.6.6.6, for=\"198.51.100.1:80\";by=\"a,b\"")];
    assert_eq!(seen(&app, proxy, &named).await, "198.51.100.1");
    assert_eq!(seen(&app, proxy, &[("X-Real-IP", "198.51.100.1")]).await, proxy);
    assert_eq!(seen(&app, "203.0.113.9", &forwarded("198.51.100.1")).await, "203.0.113.9");
}

/// Behind `proxy`, which names no address that can be read.
fn behind<'v>(visitor: &'v Visitor, path: &str) -> Ask<'v> {
    visitor.ask(Post, path).header("X-Forwarded-For", "198.51.100.1, unknown")
}

#[rocket::async_test]
async fn sr_24_an_address_that_cannot_be_read_is_unknown_wherever_it_is_shown() {
    let settings = [("DOORWARD_PROXIES_TRUSTED", "10.0.0.0/8")];
    let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
    app.create("ada@example.org", &["user"]).await;
    let ada = app.stranger().at("10.0.0.1");
    let login = json!({ "email": "ada@example.org", "password": PASSWORD });
    let answer = behind(&ada, "/api/v1/auth/login").json(&login).send().await.expect(200);
    assert_eq!(answer.json()["session"]["ip"], json!(null));
    let page = ada.get("/profile/sessions").await.expect(200).text();
    assert!(page.contains("<span>unknown address</span>"), "{page}");

    let filter = EventFilter { limit: 20, ..EventFilter::default() };
    let events = app.audit().await.list(filter, None).await.expect("events").items;
    let login = events.iter().find(|event| event.kind == "authn_login_success").expect("one");
    assert_eq!(login.ip, None);

    let admin = app.signed_in("admin@example.org", &["admin"]).await;
    let of = async |ip: &str| {
        let list = admin.get(&format!("/api/v1/admin/sessions?ip={ip}")).await.expect(200).json();
        list["items"].as_array().expect("a list").len()
    };
    assert_eq!((of("unknown").await, of("10.0.0.1").await, of("198.51.100.1").await), (1, 0, 0));
    let page = admin.get("/admin/sessions?ip=unknown").await.expect(200).text();
    assert!(page.contains("unknown address"), "{page}");
}

#[rocket::async_test]
async fn sr_24_unknown_addresses_share_a_limit_with_one_another_and_not_with_the_proxy() {
    let settings =
        [("DOORWARD_PROXIES_TRUSTED", "10.0.0.0/8"), ("DOORWARD_LIMITS_LOGIN_PER_ADDRESS", "6/1h")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let login = json!({ "email": "nobody@example.org", "password": "not the password at all" });
    let log_in = async |peer: &str, hop: Option<&str>| {
        let visitor = app.stranger().at(peer);
        let ask = visitor.ask(Post, "/api/v1/auth/login").json(&login);
        let ask = hop.into_iter().fold(ask, |ask, hop| ask.header("X-Forwarded-For", hop));
        ask.send().await.status.code
    };
    for hop in ["unknown", "_a", "_b"] {
        assert_eq!(log_in("10.0.0.1", Some(hop)).await, 401, "{hop}");
    }
    for (peer, hop) in [("10.0.0.1", "unknown"), ("10.0.0.2", "_c"), ("10.0.0.1", "0.0.0.0")] {
        assert_eq!(log_in(peer, Some(hop)).await, 429, "{hop}");
    }
    assert_eq!(log_in("10.0.0.1", None).await, 401, "the proxy itself");
    assert_eq!(log_in("10.0.0.1", Some("198.51.100.1")).await, 401, "the client that is named");
}

#[test]
fn sr_24_an_address_that_cannot_be_read_is_logged_once_a_minute() {
    let server = Server::start(&[("DOORWARD_PROXIES_TRUSTED", "127.0.0.1")]);
    for number in 0..20 {
        let hop = format!("unix:{number}.sock");
        let headers = [
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
            ("X-Forwarded-For", &*hop),
        ];
        let login = br#"{"email":"ada@example.org","password":"not the password at all"}"#;
        let path = "/api/v1/auth/login";
        http::request(server.port(), "POST", path, &headers, login).expect("an answer");
    }
    server.stop();
    let lines = server.lines().all();
    let told: Vec<&String> =
        lines.iter().filter(|line| line.contains("failed to read the client's address")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("unix:") && told[0].contains("127.0.0.1"), "{told:?}");
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
