//! What is recorded of roles, permissions and a password that was given again (SR-80).

use rocket::http::Method::{Delete, Post, Put};
use serde_json::{Value, json};

use super::{events, events_since};
use crate::app::*;
use crate::on_every_backend;

/// What was recorded since there were `before` events, as kind and detail, with who did it.
async fn said(app: &TestApp, before: usize) -> Vec<(String, String, Option<String>)> {
    let events = events_since(app, before).await;
    events.into_iter().map(|e| (e.kind, e.detail.unwrap_or_default(), e.actor)).collect()
}

on_every_backend! {
    async fn sr_80_what_roles_grant_is_recorded_with_what_changed(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let me = root.me().await.json()["user"]["id"].as_str().expect("an identifier").to_owned();
        let (roles, permissions) = ("/api/v1/admin/roles", "/api/v1/admin/permissions");
        let role = "/api/v1/admin/roles/clerk";
        let declared = json!({ "name": "invoices:read", "description": "not recorded" });
        let made = json!({ "name": "clerk", "permissions": ["invoices:read"] });
        let changed = json!({ "permissions": ["audit:read"] });
        let same = json!({ "permissions": ["audit:read"] });
        let permission = "/api/v1/admin/permissions/invoices:read";
        for (method, path, body, expected) in [
            (Post, permissions, declared, Some("permission invoices:read declared")),
            (Post, roles, made, Some("role clerk created; grants: invoices:read")),
            (Put, role, changed, Some("role clerk; added: audit:read; removed: invoices:read")),
            (Put, role, same, None),
            (Delete, permission, Value::Null, Some("permission invoices:read withdrawn")),
            (Delete, role, Value::Null, Some("role clerk deleted; granted: audit:read; taken from 0 accounts")),
        ] {
            let before = events(&app).await.len();
            let answer = root.call(method, path, body).await;
            assert!(answer.status.code < 300, "{method} {path}: {}", answer.text());
            let event = |detail: &str| ("authz_change".to_owned(), detail.to_owned(), Some(me.clone()));
            let expected: Vec<_> = expected.map(event).into_iter().collect();
            assert_eq!(said(&app, before).await, expected, "{method} {path}");
        }
    }

    async fn sr_80_a_password_that_was_given_again_is_recorded(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let path = "/api/v1/auth/reauthenticate";
        for (password, status, kind) in [
            ("another tower of nougat", 403, "authn_reauth_fail"),
            (PASSWORD, 200, "authn_reauth_success"),
        ] {
            let before = events(&app).await.len();
            root.call(Post, path, json!({ "password": password })).await.expect(status);
            let said = said(&app, before).await;
            assert_eq!(said.len(), 1, "{said:?}");
            assert_eq!(said[0].0, kind);
            assert!(said[0].2.is_some());
        }
    }
}
