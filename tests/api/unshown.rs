//! Changes of roles that were made, and not shown to everybody who has the role: what becomes of them.

use std::sync::Arc;

use doorward::account::Roles;
use doorward::role::store::RoleChange;
use doorward::role::{Permission, Role, RoleStore};
use rocket::http::Method::{Delete, Put};
use serde_json::{Value, json};

use super::role::{PERMISSIONS, ROOT, declare, held, make, role};
use crate::app::*;
use crate::on_every_backend;

on_every_backend! {
    async fn sr_35_a_change_that_nobody_went_on_to_show_is_made_up_for(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        make(&root, "support", &["users:read"]).await;
        let ada = app.signed_in("ada@example.org", &["support"]).await;
        let (store, roles) = (app.service::<Arc<dyn RoleStore>>(), app.service::<Arc<Roles>>());
        // The server that changes it stops right after the commit.
        let change = async |permissions: &[&str]| {
            let before = roles.get("support").await.expect("it is there");
            let permissions = permissions.iter().map(|name| Permission::stored(name)).collect();
            let after = Role { permissions, ..before.clone() };
            assert_eq!(store.change_role(&before, &after).await.expect("SQL"), RoleChange::Done);
            store.unshown().await.expect("SQL")
        };
        let first = change(&["audit:read"]).await;
        let second = change(&[]).await;
        assert_eq!((&first[0].role, first.len(), second.len()), (&second[0].role, 1, 1));
        store.shown(&first[0]).await.expect("SQL");
        ada.refresh().await.expect(200);
        assert_eq!(held(&ada).await, ["users:read"], "not even a refresh shows it");

        // What is new may be shown by somebody at this moment.
        assert_eq!(roles.make_up(Some(&first)).await.expect("the stores"), second);
        assert_eq!(held(&ada).await, ["users:read"]);
        roles.make_up(Some(&second)).await.expect("the stores");
        assert!(held(&ada).await.is_empty());
        assert_eq!(store.unshown().await.expect("SQL"), []);

        change(&["users:read"]).await;
        roles.make_up(None).await.expect("the stores");
        assert_eq!(held(&ada).await, ["users:read"]);
    }

    async fn what_is_changed_in_order_leaves_nothing_to_make_up_for(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        declare(&root, "invoices:read").await;
        make(&root, "support", &["invoices:read"]).await;
        app.create("ada@example.org", &["support"]).await;
        root.call(Put, &role("support"), json!({ "permissions": [] })).await.expect(200);
        let path = format!("{PERMISSIONS}/invoices:read");
        root.call(Delete, &path, Value::Null).await.expect(204);
        let store = app.service::<Arc<dyn RoleStore>>();
        assert_eq!(store.unshown().await.expect("SQL"), []);
    }
}
