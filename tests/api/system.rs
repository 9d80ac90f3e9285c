//! `/api/v1/admin/keys` and `/api/v1/admin/settings`: the server itself.

use rocket::http::Method::Post;
use serde_json::{Value, json};

use crate::app::*;
use crate::on_every_backend;

const KEYS: &str = "/api/v1/admin/keys";
const ROTATE: &str = "/api/v1/admin/keys/rotate";
const KEY: &str = "kid algorithm state created_at signs_from stops_at access_until refresh_until";

fn states(keys: &Value) -> Vec<&str> {
    keys["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|key| key["state"].as_str().unwrap())
        .collect()
}

on_every_backend! {
    async fn the_next_key_is_made_and_seen(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let keys = root.get(KEYS).await.expect(200).json();
        assert_eq!(states(&keys), ["current"]);
        assert_fields(&keys["items"][0], KEY);

        let made = root.call(Post, ROTATE, json!({ "algorithm": "es256" })).await.expect(200).json();
        assert_fields(&made["key"], KEY);
        assert_eq!((&made["key"]["state"], &made["key"]["algorithm"]), (&"next".into(), &"ES256".into()));
        let keys = root.get(KEYS).await.expect(200).json();
        assert_eq!(states(&keys), ["current", "next"]);
        assert_eq!(keys["items"][1], made["key"]);
        root.call(Post, ROTATE, json!({})).await.expect_problem(409, "conflict");

        root.call(Post, ROTATE, json!({ "now": true })).await.expect(200);
        let keys = root.get(KEYS).await.expect(200).json();
        assert_eq!(states(&keys), ["withdrawn", "withdrawn", "current"]);
        app.audit().await;
        let events = root.get("/api/v1/admin/audit?kind=sys_key_rotated").await.expect(200).json();
        assert_eq!(events["items"].as_array().unwrap().len(), 2);
        assert_eq!(events["items"][0]["actor"], root.me().await.json()["user"]["id"]);
    }

    async fn settings_are_shown_with_their_origin_and_without_secrets(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        for page in ["/api/v1/admin/settings", "/admin/settings"] {
            let text = root.get(page).await.expect(200).text();
            assert!(!text.contains(&app.secret), "{page}");
            assert!(!text.contains(&app.signing_key().expose()[40..60]), "{page}");
            assert!(text.contains("tokens.access_ttl") && text.contains("DOORWARD_PUBLIC_URL"));
        }
        let settings = root.get("/api/v1/admin/settings").await.json();
        let items = settings["items"].as_array().expect("items");
        assert!(items.len() > 40);
        let find = |key: &str| items.iter().find(|one| one["key"] == key).expect("there");
        let expected = json!({
            "key": "keys.secret", "value": "(set)", "source": "environment DOORWARD_KEYS_SECRET",
        });
        assert_eq!(find("keys.secret"), &expected);
        assert_eq!(find("tokens.reuse_grace")["source"], "default");
    }
}

#[rocket::async_test]
async fn an_algorithm_that_nobody_knows_makes_no_key() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let refused = root.call(Post, ROTATE, json!({ "algorithm": "none" })).await;
    assert_eq!(
        refused.expect_problem(422, "validation_failed").faults(),
        ["algorithm: unknown_algorithm"]
    );
    root.call(Post, ROTATE, json!({ "at": "once" })).await.expect_problem(422, "validation_failed");
    assert_eq!(states(&root.get(KEYS).await.json()), ["current"]);
}

#[rocket::async_test]
async fn the_numbers_of_the_moment_stand_beside_those_of_the_hours() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    app.signed_in("ada@example.org", &[]).await;
    let stats = root.get("/api/v1/admin/stats").await.expect(200).json();
    assert_eq!((&stats["people"], &stats["sessions"]), (&2.into(), &2.into()));
}
