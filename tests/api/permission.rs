//! `/api/v1/admin/permissions`: what an application declares, and roles grant.

use rocket::http::Method::{Delete, Post, Put};
use serde_json::{Value, json};

use super::role::{declare, held, listed, make, role};
use crate::app::*;
use crate::on_every_backend;

const PERMISSIONS: &str = "/api/v1/admin/permissions";
const ROOT: &str = "root@example.org";

on_every_backend! {
    async fn a_permission_of_an_application_is_declared_granted_and_withdrawn(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let body = json!({ "name": "invoices:read", "description": "See invoices" });
        let made = root.call(Post, PERMISSIONS, body.clone()).await.expect(201);
        let path = format!("{PERMISSIONS}/invoices:read");
        assert_eq!(made.header("Location"), Some(path.as_str()));
        let expected =
            json!({ "name": "invoices:read", "description": "See invoices", "source": "declared" });
        assert_eq!(made.json(), json!({ "permission": expected }));
        assert_eq!(listed(&root, PERMISSIONS, "invoices:read").await, Some(expected));
        let ours = listed(&root, PERMISSIONS, "users:read").await.expect("it is there");
        assert_eq!(ours["source"], "built_in");
        root.call(Post, PERMISSIONS, body).await.expect_problem(409, "conflict");

        // Administrators hold it at once, so that somebody can grant it.
        assert!(held(&root).await.contains(&"invoices:read".to_owned()));
        make(&root, "clerk", &["invoices:read"]).await;
        let ada = app.signed_in("ada@example.org", &["clerk"]).await;
        assert_eq!(held(&ada).await, ["invoices:read"]);
        let second = app.signed_in("second@example.org", &["admin"]).await;
        assert!(held(&second).await.contains(&"invoices:read".to_owned()));

        let refused = root.call(Delete, &path, Value::Null).await.expect_problem(409, "conflict");
        let detail = refused.json()["detail"].as_str().expect("a sentence").to_owned();
        assert!(detail.contains(": clerk") && !detail.contains("admin"), "{detail}");
        root.call(Put, &role("clerk"), json!({ "permissions": [] })).await.expect(200);
        root.call(Delete, &path, Value::Null).await.expect(204);
        for visitor in [&root, &second, &ada] {
            assert!(!held(visitor).await.contains(&"invoices:read".to_owned()));
        }
        assert_eq!(listed(&root, PERMISSIONS, "invoices:read").await, None);
        root.call(Delete, &path, Value::Null).await.expect_problem(404, "not_found");
        let body = json!({ "permissions": ["invoices:read"] });
        let refused = root.call(Put, &role("clerk"), body).await;
        let refused = refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), ["permissions: unknown_permission"]);
    }

    async fn sr_51_a_race_of_granting_and_withdrawing_leaves_no_undeclared_permission(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let second = app.signed_in("second@example.org", &["admin"]).await;
        make(&root, "clerk", &[]).await;
        let ada = app.signed_in("ada@example.org", &["clerk"]).await;
        let path = format!("{PERMISSIONS}/invoices:read");
        for round in 0..8 {
            declare(&root, "invoices:read").await;
            let clerk = role("clerk");
            let (granted, withdrawn) = rocket::tokio::join!(
                root.call(Put, &clerk, json!({ "permissions": ["invoices:read"] })),
                second.call(Delete, &path, Value::Null),
            );
            let both = (granted.status.code, withdrawn.status.code);
            assert!(matches!(both, (200, 409) | (403 | 422, 204)), "round {round}: {both:?}");
            let holds = held(&ada).await.contains(&"invoices:read".to_owned());
            assert_eq!(holds, both.0 == 200, "round {round}");
            if both.0 == 200 {
                root.call(Put, &clerk, json!({ "permissions": [] })).await.expect(200);
                root.call(Delete, &path, Value::Null).await.expect(204);
            }
        }
    }
}

#[rocket::async_test]
async fn as_many_permissions_as_a_form_can_tick_are_declared() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    for number in 0..80 {
        declare(&root, &format!("resource-{number}:{}", "a".repeat(50))).await;
    }
    let body = json!({ "name": "one:more" });
    root.call(Post, PERMISSIONS, body).await.expect_problem(409, "conflict");
    // The form of a role that grants them all is still taken.
    let all = held(&root).await;
    assert_eq!(all.len(), 80 + doorward::role::Permission::CATALOGUE.len());
    let mut fields = vec![("name", "all"), ("description", "All of them")];
    fields.extend(all.iter().map(|name| ("permissions", name.as_str())));
    root.submit("/admin/roles/new", "/admin/roles", &fields).await.expect(303);
}

#[rocket::async_test]
async fn the_configuration_declares_permissions_at_every_start() {
    let declared = "invoices:read = See invoices, invoices:pay";
    let setting = [("DOORWARD_PERMISSIONS_DECLARED", declared)];
    let app = TestApp::boot_with(Backend::PostgresRedis, &setting).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let read = listed(&root, PERMISSIONS, "invoices:read").await.expect("it is declared");
    assert_eq!(read["description"], "See invoices");
    assert_eq!(read["source"], "configuration");
    assert!(held(&root).await.contains(&"invoices:pay".to_owned()));
    let path = format!("{PERMISSIONS}/invoices:pay");
    root.call(Delete, &path, Value::Null).await.expect_problem(409, "conflict");

    // Somebody who is signed in learns of what a later start declares; what has left the
    // configuration stays until it is withdrawn.
    let next = "invoices:read = Read invoices, reports:read";
    let later = app.command(&[("DOORWARD_PERMISSIONS_DECLARED", next)]).await.expect("it opens");
    assert!(held(&root).await.contains(&"reports:read".to_owned()));
    let all = later.roles.permissions().await.expect("they are there");
    let found = |name: &str| all.iter().find(|one| one.name.as_str() == name).expect("it is there");
    assert_eq!(found("invoices:read").description, "Read invoices");
    assert_eq!(found("invoices:pay").source, doorward::role::Source::Declared);
    assert_eq!(found("reports:read").source, doorward::role::Source::Configuration);
}
