//! `/api/v1/admin/roles` and `/admin/permissions`: what roles grant, and who may decide it.

use rocket::http::Method::{Delete, Post, Put};
use serde_json::{Value, json};

use crate::app::*;
use crate::on_every_backend;

const ROLES: &str = "/api/v1/admin/roles";
pub const PERMISSIONS: &str = "/api/v1/admin/permissions";
pub const ROOT: &str = "root@example.org";

pub fn role(name: &str) -> String {
    format!("{ROLES}/{name}")
}

pub fn roles_of(id: &str) -> String {
    format!("/api/v1/admin/users/{id}/roles")
}

/// What a caller holds, as they are told.
pub async fn held(visitor: &Visitor) -> Vec<String> {
    let me = visitor.me().await.expect(200).json();
    let all = me["user"]["permissions"].as_array().expect("a list");
    all.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

/// The item of this name in a list.
pub async fn listed(visitor: &Visitor, list: &str, name: &str) -> Option<Value> {
    let body = visitor.get(list).await.expect(200).json();
    let items = body["items"].as_array().expect("items").clone();
    items.into_iter().find(|item| item["name"] == name)
}

pub async fn declare(root: &Visitor, name: &str) {
    root.call(Post, PERMISSIONS, json!({ "name": name })).await.expect(201);
}

pub async fn make(root: &Visitor, name: &str, permissions: &[&str]) {
    let body = json!({ "name": name, "permissions": permissions });
    root.call(Post, ROLES, body).await.expect(201);
}

on_every_backend! {
    async fn a_role_is_made_changed_and_deleted(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let body = json!({
            "name": "support", "description": "Looks after people", "permissions": ["users:read"],
        });
        let made = root.call(Post, ROLES, body.clone()).await.expect(201);
        assert_eq!(made.header("Location"), Some(role("support").as_str()));
        assert_fields(&made.json(), "role");
        let expected = json!({
            "name": "support", "description": "Looks after people", "permissions": ["users:read"],
            "built_in": false, "accounts": 0,
        });
        assert_eq!(made.json()["role"], expected);
        assert_eq!(listed(&root, ROLES, "support").await, Some(expected));
        root.call(Post, ROLES, body).await.expect_problem(409, "conflict");

        app.create("ada@example.org", &["support"]).await;
        let body = json!({ "permissions": ["audit:read", "users:read", "audit:read"] });
        let changed = root.call(Put, &role("support"), body).await.expect(200).json();
        assert_eq!(changed["role"]["permissions"], json!(["audit:read", "users:read"]));
        assert_eq!(changed["role"]["description"], "Looks after people");
        assert_eq!(changed["role"]["accounts"], 1);
        let body = json!({ "name": "support", "description": "", "permissions": [] });
        let changed = root.call(Put, &role("support"), body).await.expect(200).json();
        assert_eq!(changed["role"]["description"], "");

        root.call(Delete, &role("support"), Value::Null).await.expect(204);
        assert_eq!(listed(&root, ROLES, "support").await, None);
        for (method, body) in [(Delete, Value::Null), (Put, json!({ "permissions": [] }))] {
            root.call(method, &role("support"), body).await.expect_problem(404, "not_found");
        }
    }

    async fn sr_35_what_a_role_grants_counts_from_the_next_request_on_every_replica(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        make(&root, "support", &["users:read"]).await;
        let ada = app.signed_in("ada@example.org", &["support", "user"]).await;
        let bob = app.signed_in("bob@example.org", &["user"]).await;
        let users = "/api/v1/admin/users";
        ada.get(users).await.expect(200);
        ada.get("/api/v1/admin/audit").await.expect_problem(403, "permission_denied");

        let body = json!({ "permissions": ["audit:read"] });
        root.call(Put, &role("support"), body).await.expect(200);
        ada.get(users).await.expect_problem(403, "permission_denied");
        ada.get("/api/v1/admin/audit").await.expect(200);
        assert_eq!(held(&ada).await, ["audit:read"]);
        assert!(held(&bob).await.is_empty());

        // The role that everybody has.
        root.call(Put, &role("user"), json!({ "permissions": ["users:read"] })).await.expect(200);
        bob.get(users).await.expect(200);
        root.call(Delete, &role("support"), Value::Null).await.expect(204);
        assert_eq!(held(&ada).await, ["users:read"]);
        assert_eq!(ada.me().await.json()["user"]["roles"], json!(["user"]));
        root.call(Put, &role("user"), json!({ "permissions": [] })).await.expect(200);
        bob.get(users).await.expect_problem(403, "permission_denied");
        // What is refreshed from SQL says the same.
        for visitor in [&ada, &bob] {
            visitor.refresh().await.expect(200);
            assert!(held(visitor).await.is_empty());
        }
    }

    async fn sr_51_a_race_of_granting_a_role_and_changing_it_leaves_nobody_behind(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let second = app.signed_in("second@example.org", &["admin"]).await;
        make(&root, "support", &["users:read"]).await;
        let id = app.create("ada@example.org", &["user"]).await;
        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        for round in 0..12 {
            let (roles, permissions) = match round % 2 {
                0 => (json!(["support"]), json!(["audit:read"])),
                _ => (json!(["support", "user"]), json!(["users:read"])),
            };
            let (path, support) = (roles_of(&id), role("support"));
            root.call(Put, &path, json!({ "roles": [] })).await.expect(200);
            let (granted, changed) = rocket::tokio::join!(
                root.call(Put, &path, json!({ "roles": roles })),
                second.call(Put, &support, json!({ "permissions": permissions })),
            );
            granted.expect(200);
            changed.expect(200);
            let expected: Vec<String> = serde_json::from_value(permissions).expect("names");
            assert_eq!(held(&ada).await, expected, "round {round}");
        }
    }

    async fn sr_51_two_who_change_one_role_at_once_both_decide_about_what_is_there(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        make(&root, "editor", &["roles:read", "roles:write", "users:read"]).await;
        make(&root, "target", &[]).await;
        let editor = app.signed_in("editor@example.org", &["editor"]).await;
        let path = role("target");
        for round in 0..8 {
            // The administrator grants what the editor does not hold; whatever the order, the editor
            // does not take that away.
            let (_, edited) = rocket::tokio::join!(
                root.call(Put, &path, json!({ "permissions": ["audit:read"] })),
                editor.call(Put, &path, json!({ "permissions": ["users:read"] })),
            );
            let target = listed(&root, ROLES, "target").await.expect("it is there");
            assert_eq!(target["permissions"], json!(["audit:read"]), "round {round}");
            assert!(matches!(edited.status.code, 200 | 403), "round {round}: {}", edited.status);
            root.call(Put, &path, json!({ "permissions": [] })).await.expect(200);
        }
    }
}

#[rocket::async_test]
async fn sr_35_a_replica_shows_what_a_role_grants_at_its_next_request() {
    let app = TestApp::boot(Backend::PostgresRedis).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    make(&root, "support", &["users:read"]).await;
    let other = app.replica().await;
    other.create("ada@example.org", &["support"]).await;
    let ada = other.stranger();
    ada.log_in("ada@example.org").await;
    ada.get("/api/v1/admin/users").await.expect(200);
    root.call(Put, &role("support"), json!({ "permissions": [] })).await.expect(200);
    ada.get("/api/v1/admin/users").await.expect_problem(403, "permission_denied");
}

#[rocket::async_test]
async fn a_role_of_many_reaches_them_all() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    make(&root, "crowd", &["users:read"]).await;
    let mut people = Vec::new();
    // More than two batches, and in no order.
    for number in 0..230 {
        let email = format!("p{number}@example.org");
        app.create(&email, &["crowd"]).await;
        if number % 23 == 0 {
            let visitor = app.stranger();
            visitor.log_in(&email).await;
            people.push(visitor);
        }
    }
    let body = json!({ "permissions": ["audit:read"] });
    let changed = root.call(Put, &role("crowd"), body).await.expect(200).json();
    assert_eq!(changed["role"]["accounts"], 230);
    for person in &people {
        assert_eq!(held(person).await, ["audit:read"]);
    }
    root.call(Delete, &role("crowd"), Value::Null).await.expect(204);
    for person in &people {
        assert!(held(person).await.is_empty());
    }
}

#[rocket::async_test]
async fn sr_51_nobody_decides_about_what_they_do_not_hold() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    make(&root, "editor", &["roles:read", "roles:write", "users:read"]).await;
    make(&root, "auditor", &["audit:read", "users:read"]).await;
    make(&root, "reader", &["users:read"]).await;
    let editor = app.signed_in("editor@example.org", &["editor"]).await;
    let put = async |name: &str, permissions: Value| {
        editor.call(Put, &role(name), json!({ "permissions": permissions })).await
    };
    // Neither given, nor taken away; what stays is nobody's business.
    put("reader", json!(["users:read", "users:write"]))
        .await
        .expect_problem(403, "permission_denied");
    put("auditor", json!(["users:read"])).await.expect_problem(403, "permission_denied");
    put("auditor", json!(["audit:read"])).await.expect(200);
    put("reader", json!([])).await.expect(200);
    let body = json!({ "name": "own", "permissions": ["sessions:revoke"] });
    editor.call(Post, ROLES, body).await.expect_problem(403, "permission_denied");
    editor
        .call(Delete, &role("auditor"), Value::Null)
        .await
        .expect_problem(403, "permission_denied");
    editor.call(Delete, &role("reader"), Value::Null).await.expect(204);

    // Who declares a permission does not hold it by that.
    declare(&editor, "invoices:read").await;
    let body = json!({ "name": "clerk", "permissions": ["invoices:read"] });
    editor.call(Post, ROLES, body.clone()).await.expect_problem(403, "permission_denied");
    let path = format!("{PERMISSIONS}/invoices:read");
    editor.call(Delete, &path, Value::Null).await.expect_problem(403, "permission_denied");
    root.call(Post, ROLES, body).await.expect(201);
    let auditor = listed(&root, ROLES, "auditor").await.expect("it is there");
    assert_eq!(auditor["permissions"], json!(["audit:read"]));
}

#[rocket::async_test]
async fn sr_51_nobody_takes_the_changing_of_roles_from_themselves() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    make(&root, "editor", &["roles:read", "roles:write"]).await;
    make(&root, "spare", &["roles:write"]).await;
    let id = app.create("editor@example.org", &["editor"]).await;
    let editor = app.stranger();
    editor.log_in("editor@example.org").await;
    let less = json!({ "permissions": ["roles:read"] });
    editor.call(Put, &role("editor"), less.clone()).await.expect_problem(409, "conflict");
    editor.call(Delete, &role("editor"), Value::Null).await.expect_problem(409, "conflict");
    editor.call(Delete, &role("spare"), Value::Null).await.expect(204);
    make(&root, "spare", &["roles:write"]).await;
    let both = json!({ "roles": ["editor", "spare"] });
    root.call(Put, &roles_of(&id), both).await.expect(200);
    // They can do without, now.
    editor.call(Put, &role("editor"), less).await.expect(200);
    editor.call(Delete, &role("spare"), Value::Null).await.expect_problem(409, "conflict");
    root.call(Delete, &role("spare"), Value::Null).await.expect(204);
    editor.call(Post, ROLES, json!({ "name": "x" })).await.expect_problem(403, "permission_denied");
}

#[rocket::async_test]
async fn the_built_in_roles_stay() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    for name in ["admin", "user"] {
        root.call(Delete, &role(name), Value::Null).await.expect_problem(409, "conflict");
    }
    let less = json!({ "permissions": ["admin:view"] });
    root.call(Put, &role("admin"), less).await.expect_problem(409, "conflict");
    let admin = listed(&root, ROLES, "admin").await.expect("it is there");
    let same = json!({ "description": "Everything", "permissions": admin["permissions"] });
    let changed = root.call(Put, &role("admin"), same).await.expect(200).json();
    assert_eq!(changed["role"]["description"], "Everything");
    for name in ["users:read", "roles:write"] {
        root.call(Post, PERMISSIONS, json!({ "name": name })).await.expect_problem(409, "conflict");
        let path = format!("{PERMISSIONS}/{name}");
        root.call(Delete, &path, Value::Null).await.expect_problem(409, "conflict");
    }
}

#[rocket::async_test]
async fn a_role_and_a_permission_are_read_strictly() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    make(&root, "support", &[]).await;
    let long = "d".repeat(201);
    for (method, path, body, faults) in [
        (Post, ROLES, json!({}), &["name: required"][..]),
        (Post, ROLES, json!({ "name": "Support" }), &["name: invalid_role_name"]),
        (Post, ROLES, json!({ "name": "new" }), &["name: reserved_name"]),
        (Post, ROLES, json!({ "name": "server" }), &["name: reserved_name"]),
        (Post, ROLES, json!({ "name": "operator" }), &["name: reserved_name"]),
        (Post, ROLES, json!({ "name": "Operator" }), &["name: invalid_role_name"]),
        (Post, ROLES, json!({ "name": "public" }), &["name: reserved_name"]),
        (Post, ROLES, json!({ "name": "signed_in" }), &["name: reserved_name"]),
        (Post, ROLES, json!({ "name": "doorward" }), &["name: reserved_name"]),
        (Post, ROLES, json!({ "name": "x", "extra": 1 }), &["extra: unknown_field"]),
        (
            Post,
            ROLES,
            json!({ "name": "", "description": long, "permissions": ["nothing:known"] }),
            &[
                "name: invalid_role_name",
                "description: too_long",
                "permissions: unknown_permission",
            ],
        ),
        (
            Post,
            ROLES,
            json!({ "name": "x", "permissions": ["*"] }),
            &["permissions: unknown_permission"],
        ),
        (Put, "support", json!({}), &["permissions: required"]),
        (Put, "support", json!({ "name": "other", "permissions": [] }), &["name: immutable"]),
        (Put, "support", json!({ "permissions": "users:read" }), &["permissions: wrong_type"]),
        (
            Put,
            "support",
            json!({ "permissions": ["users:*"] }),
            &["permissions: unknown_permission"],
        ),
        (
            Put,
            "support",
            json!({ "description": "a\nb", "permissions": [] }),
            &["description: invalid_characters"],
        ),
        (
            Put,
            "support",
            json!({ "description": "\u{202e}odd", "permissions": [] }),
            &["description: invalid_characters"],
        ),
        (
            Post,
            PERMISSIONS,
            json!({ "name": "a:b", "description": "\u{200b}" }),
            &["description: invalid_characters"],
        ),
        (Post, PERMISSIONS, json!({}), &["name: required"]),
        (Post, PERMISSIONS, json!({ "name": "Invoices:read" }), &["name: invalid_permission"]),
        (Post, PERMISSIONS, json!({ "name": "invoices" }), &["name: invalid_permission"]),
        (Post, PERMISSIONS, json!({ "name": "users:export" }), &["name: reserved_name"]),
        (
            Post,
            PERMISSIONS,
            json!({ "name": "a:b", "description": long }),
            &["description: too_long"],
        ),
    ] {
        let path = if path == "support" { role(path) } else { path.to_owned() };
        let refused = root.call(method, &path, body.clone()).await;
        let refused = refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), faults, "{method} {path} {body}");
    }
    for nobody in ["nobody", "%00", "..%2Fadmin", "Admin"] {
        let body = json!({ "permissions": [] });
        root.call(Put, &role(nobody), body).await.expect_problem(404, "not_found");
        root.call(Delete, &role(nobody), Value::Null).await.expect_problem(404, "not_found");
    }
    for nothing in ["nothing:here", "nothing", "%00"] {
        let path = format!("{PERMISSIONS}/{nothing}");
        root.call(Delete, &path, Value::Null).await.expect_problem(404, "not_found");
    }
}

#[rocket::async_test]
async fn a_role_that_has_a_reserved_name_from_before_goes_on() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    app.add_role("operator", &["users:read"]).await;
    let ada = app.signed_in("ada@example.org", &["operator"]).await;
    ada.get("/api/v1/admin/users").await.expect(200);
    let body = json!({ "description": "Runs machines", "permissions": ["audit:read"] });
    root.call(Put, &role("operator"), body).await.expect(200);
    assert_eq!(held(&ada).await, ["audit:read"]);
    root.call(Delete, &role("operator"), Value::Null).await.expect(204);
    let body = json!({ "name": "operator" });
    root.call(Post, ROLES, body).await.expect_problem(422, "validation_failed");
}

#[rocket::async_test]
async fn sr_54_there_are_no_more_roles_than_a_list_shows() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    for number in 0..198 {
        app.add_role(&format!("r{number}"), &[]).await;
    }
    root.call(Post, ROLES, json!({ "name": "more" })).await.expect_problem(409, "conflict");
    root.call(Delete, &role("r0"), Value::Null).await.expect(204);
    make(&root, "more", &[]).await;
    let body = root.get(ROLES).await.expect(200).json();
    assert_eq!(body["items"].as_array().map(Vec::len), Some(200));
}
