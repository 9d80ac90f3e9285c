//! `/api/v1/admin/sessions`: everybody's live sessions.

use rocket::http::Method::Delete;
use serde_json::Value;

use crate::app::*;
use crate::on_every_backend;

const SESSIONS: &str = "/api/v1/admin/sessions";

/// Whose sessions are on a page, and from where.
fn listed(answer: &Answer) -> Vec<(String, String)> {
    let body = answer.json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let items = body["items"].as_array().expect("items").iter();
    items.map(|item| (text(&item["user"]["email"]), text(&item["ip"]))).collect()
}

/// Signs somebody in from an address, a moment later than the one before.
async fn from(app: &TestApp, email: &str, ip: &str) -> Visitor {
    app.later(seconds(1));
    let visitor = app.stranger().at(ip);
    visitor.log_in(email).await;
    visitor
}

/// The name of a visitor's own session.
async fn own(visitor: &Visitor) -> String {
    let list = visitor.get("/api/v1/me/sessions").await.expect(200).json();
    let items = list["items"].as_array().expect("items");
    let own = items.iter().find(|item| item["current"] == true).expect("one's own");
    own["id"].as_str().expect("a text").to_owned()
}

on_every_backend! {
    async fn live_sessions_are_found_by_person_and_by_address(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let ada_id = app.create("ada@example.org", &[]).await;
        app.create("bob@example.org", &[]).await;
        from(&app, "ada@example.org", "203.0.113.9").await;
        from(&app, "bob@example.org", "198.51.100.1").await;
        from(&app, "ada@example.org", "2001:db8::5").await;
        let (ada, bob, me) = ("ada@example.org", "bob@example.org", "root@example.org");
        for (query, expected) in [
            ("", &[(ada, "2001:db8::5"), (bob, "198.51.100.1"), (ada, "203.0.113.9"), (me, "203.0.113.7")][..]),
            ("?user=ada@example.org", &[(ada, "2001:db8::5"), (ada, "203.0.113.9")]),
            ("?user=ADA@example.org&ip=203.0.113.0/24", &[(ada, "203.0.113.9")]),
            (&format!("?user={ada_id}&ip=2001:db8::/32"), &[(ada, "2001:db8::5")]),
            ("?ip=203.0.113.0/24", &[(ada, "203.0.113.9"), (me, "203.0.113.7")]),
            ("?ip=198.51.100.1", &[(bob, "198.51.100.1")]),
            ("?ip=198.51.100.2", &[]),
            ("?user=nobody@example.org", &[]),
            ("?user=&ip=&limit=1", &[(ada, "2001:db8::5")]),
        ] {
            let found = listed(&root.get(&format!("{SESSIONS}{query}")).await.expect(200));
            let found: Vec<_> = found.iter().map(|(email, ip)| (&**email, &**ip)).collect();
            assert_eq!(found, expected, "{query}");
        }
        let body = root.get(SESSIONS).await.json();
        let fields = format!("{SESSION} user");
        assert_fields(&body["items"][0], &fields);
        assert_fields(&body["items"][0]["user"], "id email display_name");
        assert_eq!(body["items"][0]["user"]["id"], *ada_id);
        let current: Vec<_> =
            body["items"].as_array().unwrap().iter().map(|item| item["current"] == true).collect();
        assert_eq!(current, [false, false, false, true]);
    }

    async fn pages_of_sessions_are_complete(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        app.create("ada@example.org", &[]).await;
        for n in 0..12 {
            app.stranger().at(&format!("203.0.113.{n}")).log_in("ada@example.org").await;
        }
        for query in ["", "user=ada@example.org&", "ip=203.0.113.0/24&", "user=ada@example.org&ip=0.0.0.0/0&"] {
            let (mut met, mut cursor) = (Vec::new(), String::new());
            for _ in 0..20 {
                let page = root.get(&format!("{SESSIONS}?{query}limit=5{cursor}")).await.expect(200).json();
                let items = page["items"].as_array().unwrap();
                assert!(items.len() <= 5);
                met.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            let expected = if query.contains("user") { 12 } else { 13 };
            assert_eq!(met.len(), expected, "{query}");
            met.sort();
            met.dedup();
            assert_eq!(met.len(), expected, "{query}");
        }
    }

    async fn anybodys_session_ends_by_its_name(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let ada = app.signed_in("ada@example.org", &[]).await;
        let name = own(&ada).await;
        root.call(Delete, &format!("{SESSIONS}/{name}"), Value::Null).await.expect(204);
        ada.me().await.expect_problem(401, "session_ended");
        ada.refresh().await.expect_problem(401, "session_ended");
        for gone in [name.as_str(), "AAAAAAAAAAAAAAAAAAAAAA", "x"] {
            root.call(Delete, &format!("{SESSIONS}/{gone}"), Value::Null).await
                .expect_problem(404, "not_found");
        }
    }

    async fn what_a_filter_lets_through_ends_together_but_for_ones_own(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        app.create("ada@example.org", &[]).await;
        app.create("bob@example.org", &[]).await;
        let near = from(&app, "ada@example.org", "203.0.113.9").await;
        let far = from(&app, "ada@example.org", "198.51.100.1").await;
        let bob = from(&app, "bob@example.org", "203.0.113.10").await;

        let ended = root.call(Delete, &format!("{SESSIONS}?ip=203.0.113.0/24"), Value::Null).await;
        assert_eq!(ended.expect(200).json()["revoked"], 2);
        near.me().await.expect_problem(401, "session_ended");
        bob.refresh().await.expect_problem(401, "session_ended");
        far.me().await.expect(200);
        root.me().await.expect(200);
        let ended = root.call(Delete, &format!("{SESSIONS}?user=ada@example.org"), Value::Null).await;
        assert_eq!(ended.expect(200).json()["revoked"], 1);
        far.me().await.expect_problem(401, "session_ended");
        let ended = root.call(Delete, &format!("{SESSIONS}?user=root@example.org"), Value::Null).await;
        assert_eq!(ended.expect(200).json()["revoked"], 0);

        // Each is an event about its account.
        app.audit().await;
        let events = root.get("/api/v1/admin/audit?kind=session_ended&actor=root@example.org").await;
        assert_eq!(events.expect(200).json()["items"].as_array().unwrap().len(), 3);
    }
}

#[rocket::async_test]
async fn a_filter_that_says_nothing_ends_nothing() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let ada = app.signed_in("ada@example.org", &[]).await;
    for query in
        ["", "?user=", "?user=%20&ip=", "?ip=203.0.113", "?ip=everywhere", "?ip=1.2.3.4/33"]
    {
        let refused = root.call(Delete, &format!("{SESSIONS}{query}"), Value::Null).await;
        refused.expect_problem(422, "validation_failed");
    }
    for (query, fault) in [
        ("ip=203.0.113", "ip: invalid_address"),
        ("cursor=x", "cursor: invalid_cursor"),
        ("limit=201", "limit: out_of_range"),
    ] {
        let refused = root.get(&format!("{SESSIONS}?{query}")).await;
        assert_eq!(refused.expect_problem(422, "validation_failed").faults(), [fault]);
    }
    ada.me().await.expect(200);
    let gone = root.call(Delete, &format!("{SESSIONS}?user=nobody@example.org"), Value::Null).await;
    assert_eq!(gone.expect(200).json()["revoked"], 0);
}
