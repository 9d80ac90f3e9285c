//! Nobody changes an account that holds more than they do, whichever way leads to it (SR-51).

use rocket::http::Method::{self, Delete, Get, Patch, Post, Put};
use serde_json::{Value, json};

use super::route::{DECLARED, Needs};
use crate::app::*;
use crate::on_every_backend;

/// All that somebody may hold who looks after people.
const CARES: [&str; 7] = [
    "admin:view",
    "users:read",
    "users:write",
    "roles:read",
    "sessions:read",
    "sessions:revoke",
    "tokens:revoke",
];

/// What is sent to change somebody, by the end of the address.
fn sent(method: Method, path: &str) -> Vec<Value> {
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        (Patch, _) => vec![
            json!({ "display_name": "Renamed" }),
            json!({ "status": "active" }),
            json!({ "status": "disabled" }),
            json!({ "email": "renamed@example.org" }),
        ],
        (Put, "roles") => vec![json!({ "roles": [] }), json!({ "roles": ["admin", "user"] })],
        (Delete, _) => vec![Value::Null],
        other => panic!("say what is sent to change somebody by {other:?}"),
    }
}

/// The address of what a pattern names about this account and this session of it.
fn address(pattern: &str, id: &str, session: &str) -> String {
    let is_session = pattern.starts_with("/api/v1/admin/sessions/");
    pattern.replace("<id>", if is_session { session } else { id }).replace("<session>", session)
}

/// The routes that change somebody's account.
fn changes() -> impl Iterator<Item = (Method, &'static str)> {
    let about = |path: &str| {
        ["/admin/users/<id>", "/admin/sessions/<id>"].iter().any(|part| path.contains(part))
    };
    let changes = DECLARED.iter().filter(move |(method, path, needs)| {
        *method != Get && about(path) && matches!(needs, Needs::Fresh(_))
    });
    changes.map(|(method, path, _)| (*method, *path))
}

async fn session_of(visitor: &Visitor) -> String {
    let list = visitor.get("/api/v1/me/sessions").await.expect(200).json();
    list["items"][0]["id"].as_str().expect("an identifier").to_owned()
}

on_every_backend! {
    async fn sr_51_nobody_changes_an_account_that_holds_more_than_they_do(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let care = json!({ "name": "care", "permissions": CARES });
        root.call(Post, "/api/v1/admin/roles", care).await.expect(201);
        let more = json!({ "name": "more", "permissions": ["audit:read"] });
        root.call(Post, "/api/v1/admin/roles", more).await.expect(201);
        let carer = app.signed_in("carer@example.org", &["care"]).await;
        let strong = app.create("strong@example.org", &["more", "user"]).await;
        let owner = app.stranger();
        owner.log_in("strong@example.org").await;
        let session = session_of(&owner).await;
        let before = root.get(&format!("/api/v1/admin/users/{strong}")).await.json();

        let mut asked = 0;
        for (method, pattern) in changes() {
            let path = address(pattern, &strong, &session);
            if path.starts_with("/api/") {
                for body in sent(method, pattern) {
                    let refused = carer.call(method, &path, body).await;
                    refused.expect_problem(403, "permission_denied");
                    asked += 1;
                }
            } else {
                let form = carer.get("/admin/users").await.hidden("csrf_token");
                let mut fields = vec![("csrf_token", &*form)];
                if path.ends_with("/email") {
                    fields.push(("email", "renamed@example.org"));
                }
                let refused = carer.ask(method, &path).form(&fields).send().await;
                refused.expect(403);
                asked += 1;
            }
        }
        assert!(asked >= 12, "{asked}");
        let by_person = "/api/v1/admin/sessions?user=strong@example.org";
        carer.call(Delete, by_person, Value::Null).await.expect_problem(403, "permission_denied");
        carer.get(&format!("/admin/users/{strong}/delete")).await.expect(403);
        owner.me().await.expect(200);
        let after = root.get(&format!("/api/v1/admin/users/{strong}")).await.json();
        assert_eq!(after["user"], before["user"]);
        // Each is an event.
        app.audit().await;
        let tried = root.get("/api/v1/admin/audit?kind=authz_fail&actor=carer@example.org").await;
        assert!(tried.json()["items"].as_array().map_or(0, Vec::len) > asked);
    }

    async fn sr_51_whoever_holds_as_much_may_be_changed(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let care = json!({ "name": "care", "permissions": CARES });
        root.call(Post, "/api/v1/admin/roles", care).await.expect(201);
        let carer = app.signed_in("carer@example.org", &["care"]).await;
        for (number, (method, pattern)) in
            changes().filter(|(_, pattern)| pattern.starts_with("/api/")).enumerate()
        {
            let email = format!("equal{number}@example.org");
            let equal = app.create(&email, &["care"]).await;
            let owner = app.stranger();
            owner.log_in(&email).await;
            let path = address(pattern, &equal, &session_of(&owner).await);
            let body = sent(method, pattern).swap_remove(0);
            let done = carer.call(method, &path, body).await;
            assert!(matches!(done.status.code, 200 | 204), "{method} {path}: {}", done.text());
        }
    }

    async fn sr_51_sessions_of_those_who_hold_more_go_on_when_many_end(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let care = json!({ "name": "care", "permissions": CARES });
        root.call(Post, "/api/v1/admin/roles", care).await.expect(201);
        let carer = app.signed_in("carer@example.org", &["care"]).await;
        let ada = app.signed_in("ada@example.org", &[]).await;

        let ask = carer.get("/admin/sessions/revoke?ip=0.0.0.0/0").await.expect(200);
        let told = ask.text();
        assert!(told.contains("End 1 session?"), "{told}");
        assert!(told.contains("1 session of people who hold more permissions"), "{told}");
        let all = "/api/v1/admin/sessions?ip=0.0.0.0/0";
        let ended = carer.call(Delete, all, Value::Null).await.expect(200).json();
        assert_eq!(ended, json!({ "revoked": 1 }));
        ada.me().await.expect_problem(401, "session_ended");
        root.me().await.expect(200);
        carer.me().await.expect(200);
    }
}
