//! `doorward explain …`: why a request would pass or not, and why a person cannot sign in.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use doorward::address::ClientAddress;
use doorward::clock::{Manual, Timestamp};
use doorward::id::Os;
use doorward::limit::{AccountDelay, Backoff, Gauge, LimitPolicy, Limits};
use doorward::store::embedded::EmbeddedLimits;
use doorward::token::key::MasterSecret;
use serde_json::{Value, json};

use super::{ADA, create, json as parsed, server_on_redis};
use crate::app::PASSWORD;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::wait_until;

const RULES: &str = r#"[
    {"host": "localhost:3000", "path": "/open", "allow": "public"},
    {"host": "localhost:3000", "path": "/admin", "allow": "users:read"},
    {"host": "localhost:3000", "allow": "signed_in"}
]"#;

#[track_caller]
fn request(server: &Server, path: &str, email: Option<&str>) -> Value {
    let mut command =
        vec!["explain", "request", "--host", "localhost:3000", "--path", path, "--json"];
    command.extend(email.iter().flat_map(|email| ["--email", email]));
    parsed(&server.run(&command, "").done())
}

#[test]
fn a_request_is_explained_by_rule_permission_and_session() {
    let server = Server::start(&[("DOORWARD_ACCESS_RULES", RULES)]);
    create(&server, ADA, &[]).done();
    let open = request(&server, "/open/page", None);
    assert_eq!((&open["passes"], &open["rules"][0]["number"]), (&true.into(), &1.into()), "{open}");

    let stranger = request(&server, "/wiki", None);
    assert_eq!(stranger["answer"], "has to sign in first", "{stranger}");
    assert!(stranger["reason"].as_str().is_some_and(|why| why.contains("signed_in")), "{stranger}");

    let forbidden = request(&server, "/admin/users", Some(ADA));
    assert_eq!(forbidden["answer"], "is forbidden", "{forbidden}");
    let why = forbidden["reason"].as_str().expect("a reason");
    assert!(
        why.contains("lacks users:read, which is granted by") && why.contains("admin"),
        "{why}"
    );
    assert_eq!(forbidden["rules"][0]["rule"], "localhost:3000/admin: users:read", "{forbidden}");

    let outside = request(&server, "/wiki", Some(ADA));
    assert_eq!(outside["passes"], false, "{outside}");
    assert!(outside["reason"].as_str().is_some_and(|why| why.contains("no session")), "{outside}");
    let _ada = Person::signed_in(server.port(), ADA);
    let inside = request(&server, "/wiki", Some(ADA));
    assert_eq!(
        (&inside["passes"], &inside["account"]["sessions"]),
        (&true.into(), &1.into()),
        "{inside}"
    );

    let temporary = ["user", "create", "--email", "bob@example.org", "--temporary"];
    server.run(&temporary, PASSWORD).done();
    let chosen = request(&server, "/wiki", Some("bob@example.org"));
    assert_eq!(chosen["answer"], "has to change the password first", "{chosen}");
    assert_eq!(chosen["passes"], false, "{chosen}");

    let nobody = request(&server, "/wiki", Some("nobody@example.org"));
    assert_eq!(nobody["reason"], "there is no account with this address", "{nobody}");
    server.run(&["user", "disable", ADA], "").done();
    let disabled = request(&server, "/wiki", Some(ADA));
    assert!(disabled["reason"].as_str().is_some_and(|why| why.contains("disabled")), "{disabled}");

    let other =
        server.run(&["explain", "request", "--host", "other.example.org", "--path", "/"], "");
    let text = other.done();
    assert!(
        text.contains("is refused, whoever makes it: no access rule names this address."),
        "{text}"
    );
    assert!(text.contains("none of the 3 rules is about it"), "{text}");
}

#[track_caller]
fn sign_in(server: &Server, email: &str) -> Value {
    parsed(&server.run(&["explain", "sign-in", "--email", email, "--json"], "").done())
}

#[test]
fn a_sign_in_is_explained_by_account_failures_and_events() {
    let server = server_on_redis();
    create(&server, ADA, &[]).done();
    assert_eq!(sign_in(&server, ADA)["can_sign_in"], true);
    let body = json!({ "email": ADA, "password": "not the password", "remember": false });
    for _ in 0..3 {
        let answer = Person::at(server.port()).call("POST", "/api/v1/auth/login", body.clone());
        assert_eq!(answer.expect("an answer").status, 401);
    }
    // Events are written in the background.
    let told =
        || sign_in(&server, ADA)["events"].to_string().matches("wrong password").count() == 3;
    assert!(wait_until(Duration::from_secs(30), told), "{}", sign_in(&server, ADA));
    // However often it is asked, nothing is counted by it.
    let said = sign_in(&server, ADA);
    assert!(said["notes"].to_string().contains("3 wrong passwords in a row"), "{said}");
    assert_eq!(said["can_sign_in"], true, "{said}");

    server.run(&["user", "disable", ADA], "").done();
    let disabled = sign_in(&server, ADA);
    assert_eq!(disabled["can_sign_in"], false, "{disabled}");
    assert!(disabled["reasons"].to_string().contains("disabled"), "{disabled}");
    let nobody = sign_in(&server, "nobody@example.org");
    assert_eq!(nobody["reasons"][0], "there is no account with this address", "{nobody}");
}

#[tokio::test]
async fn the_delay_after_wrong_passwords_is_told_and_nothing_stays_counted() {
    let policy =
        LimitPolicy { account_failures: Some(Backoff { free: 2 }), ..LimitPolicy::default() };
    let clock = Arc::new(Manual::at(Timestamp::from_millis(1_800_000_000_000)));
    let store = Arc::new(EmbeddedLimits::default());
    let limits = Limits::new(store, policy, &MasterSecret::generate(&Os), clock);
    let here = ClientAddress::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    for failures in 0..2 {
        for _ in 0..5 {
            let found = limits.account_delay(ADA).await.expect("an answer");
            assert_eq!(found, AccountDelay::None { failures });
        }
        // Dropped without success, it is a failure.
        let _ = limits.login(ADA, None, here, &Gauge::default()).await.expect("it is let through");
    }
    let _ = limits.login(ADA, None, here, &Gauge::default()).await;
    let found = limits.account_delay(ADA).await.expect("an answer");
    assert!(matches!(found, AccountDelay::For(wait) if wait > Duration::ZERO), "{found:?}");
}
