//! `/admin/roles`: what roles grant, and what there is to be granted.

use doorward::role::Permission;

use super::{ROOT, add_role};
use crate::app::*;
use crate::on_every_backend;
use crate::page::{expect_only_own_forms, expect_strict_forms, form_token, post};

const ROLES: &str = "/admin/roles";
const NEW: &str = "/admin/roles/new";

fn about(name: &str, action: &str) -> String {
    format!("{ROLES}/{name}{action}")
}

on_every_backend! {
    async fn a_role_is_made_changed_and_deleted_on_its_pages(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let fields = [
            ("name", "support"),
            ("description", "Looks after people"),
            ("permissions", "users:read"),
            ("permissions", "admin:view"),
        ];
        let made = root.submit(NEW, ROLES, &fields).await;
        made.expect_redirect("/admin/roles/support?done=role-created");
        let page = root.get(&about("support", "")).await.expect(200);
        page.says("value=\"users:read\" checked>").says("value=\"users:write\">");
        page.says("0 people").says("Delete role");
        assert_eq!(page.field("description"), "Looks after people");

        let ada = app.signed_in("ada@example.org", &["support"]).await;
        ada.get("/admin/users").await.expect(200);
        root.get(ROLES).await.expect(200).says(">1 person<").says("href=\"/admin/roles/support\"");
        let at = about("support", "");
        let saved = root.submit(&at, &at, &[("permissions", "audit:read")]).await;
        saved.expect_redirect("/admin/roles/support?done=role");
        ada.get("/admin/users").await.expect(403);
        ada.get("/admin/audit").await.expect(200);
        let page = root.get(&format!("{at}?done=role")).await.expect(200);
        page.says("The role is saved.").says("value=\"audit:read\" checked>");

        let ask = about("support", "/delete");
        root.get(&ask).await.expect(200).says("1 person").says("will lose the role");
        ada.get("/admin/audit").await.expect(200);
        root.submit(&ask, &ask, &[]).await.expect_redirect("/admin/roles?done=role-deleted");
        ada.get("/admin/audit").await.expect(403);
        root.get(&at).await.expect(404);
        root.get(&ask).await.expect(404);
        ada.get("/profile").await.expect(200).says("You have no special role.");
    }

    async fn a_permission_is_declared_shown_and_withdrawn(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let fields = [("name", "invoices:pay"), ("description", "Pay invoices")];
        let done = root.submit(ROLES, "/admin/permissions", &fields).await;
        done.expect_redirect("/admin/roles?done=declared");
        root.get(ROLES).await.expect(200).says("Pay invoices").says("Withdraw invoices:pay");
        let page = root.get(NEW).await.expect(200);
        page.says("Permissions in your application").says("value=\"invoices:pay\">");
        let clerk = [("name", "clerk"), ("permissions", "invoices:pay")];
        root.submit(NEW, ROLES, &clerk).await.expect(303);
        let ada = app.signed_in("ada@example.org", &["clerk"]).await;
        ada.get("/profile").await.expect(200).says("Pay invoices");
        root.get(ROLES).await.expect(200).never_says("Withdraw invoices:pay");
        let to = "/admin/permissions/invoices:pay/delete";
        root.submit(ROLES, to, &[]).await.expect(409).says("take it from them first: clerk");
        root.submit(ROLES, &about("clerk", "/delete"), &[]).await.expect(303);
        root.submit(ROLES, to, &[]).await.expect_redirect("/admin/roles?done=withdrawn");
        root.get(ROLES).await.expect(200).never_says("invoices:pay");
        root.submit(ROLES, to, &[]).await.expect(404);
    }

    async fn sr_51_a_box_that_the_viewer_may_not_change_stays_as_it_was(app: TestApp) {
        let editor = ["admin:view", "roles:read", "roles:write", "users:read"];
        add_role(&app, "editor", &editor).await;
        add_role(&app, "auditor", &["audit:read", "users:read"]).await;
        let editor = app.signed_in("editor@example.org", &["editor"]).await;
        let at = about("auditor", "");
        let page = editor.get(&at).await.expect(200);
        page.says("value=\"audit:read\" checked disabled>").says("value=\"users:write\" disabled>");
        page.says("value=\"users:read\" checked>");
        // A locked box is not sent; what it says stays.
        editor.submit(&at, &at, &[]).await.expect(303);
        let page = editor.get(&at).await.expect(200);
        page.says("value=\"audit:read\" checked disabled>").says("value=\"users:read\">");
        let more = [("permissions", "users:write")];
        let refused = editor.submit(&at, &at, &more).await.expect(403);
        refused.says("You do not have the permission users:write.");
        let refused = editor.submit(&at, &about("auditor", "/delete"), &[]).await.expect(403);
        refused.says("You do not have the permission audit:read.");
        let own = about("editor", "");
        let refused = editor.submit(&own, &own, &[]).await.expect(409);
        refused.says("You could not change roles any more after this.");
        editor.get(NEW).await.expect(200);
    }
}

#[rocket::async_test]
async fn who_may_only_look_is_offered_nothing() {
    let app = TestApp::light().await;
    add_role(&app, "reader", &["admin:view", "roles:read"]).await;
    let reader = app.signed_in("reader@example.org", &["reader"]).await;
    let page = reader.get(ROLES).await.expect(200);
    page.never_says("New role").never_says("Declare permission");
    let page = reader.get(&about("user", "")).await.expect(200);
    page.never_says("Save role").never_says("Delete role").says("disabled>");
    reader.get(NEW).await.expect(403);
    reader.get(&about("user", "/delete")).await.expect(403);
    let token = form_token(&reader, "/profile").await;
    for to in [ROLES, &about("user", ""), &about("user", "/delete"), "/admin/permissions"] {
        post(&reader, to, Some(&token), &[]).await.expect(403);
    }
}

#[rocket::async_test]
async fn the_role_of_administrators_grants_everything() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let at = about("admin", "");
    let page = root.get(&at).await.expect(200);
    page.says("This role always grants everything").never_says("Delete role");
    assert_eq!(page.text().matches(" checked disabled>").count(), Permission::CATALOGUE.len());
    root.submit(&at, &at, &[("description", "Chief")]).await.expect(303);
    let page = root.get(&at).await.expect(200);
    assert_eq!(page.field("description"), "Chief");
    let refused = root.submit(&at, &about("admin", "/delete"), &[]).await.expect(409);
    refused.says("Doorward itself needs this role.");
    root.get("/admin/users").await.expect(200);
}

#[rocket::async_test]
async fn what_is_wrong_with_a_role_or_a_permission_is_told_and_kept() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let long = "d".repeat(201);
    let fields = [("name", "New Role"), ("description", &*long), ("permissions", "users:read")];
    let refused = root.submit(NEW, ROLES, &fields).await.expect(422);
    assert!(refused.fault("name").is_some() && refused.fault("description").is_some());
    assert_eq!(refused.field("name"), "New Role");
    assert_eq!(refused.field("description"), long);
    refused.says("value=\"users:read\" checked>");
    let taken = root.submit(NEW, ROLES, &[("name", "user")]).await.expect(409);
    taken.says("A role of this name exists already.");
    let at = about("user", "");
    let refused = root.submit(&at, &at, &[("permissions", "no:such")]).await.expect(422);
    assert!(refused.fault("permissions").is_some());
    let fields = [("name", "users:export"), ("description", "Export")];
    let refused = root.submit(ROLES, "/admin/permissions", &fields).await.expect(422);
    assert!(refused.fault("name").is_some());
    assert_eq!(refused.field("name"), "users:export");
    for nobody in ["nobody", "%00", "..%2Fadmin"] {
        root.get(&about(nobody, "")).await.expect(404);
        root.submit(NEW, &about(nobody, ""), &[]).await.expect(404);
        root.submit(NEW, &about(nobody, "/delete"), &[]).await.expect(404);
    }
}

#[rocket::async_test]
async fn sr_41_only_ones_own_form_changes_a_role() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let second = app.signed_in("second@example.org", &["admin"]).await;
    add_role(&app, "support", &["users:read"]).await;
    let foreign = form_token(&second, NEW).await;
    let to = about("support", "");
    for (at, to, fields) in [
        (NEW, ROLES, &[("name", "x")][..]),
        (&*to, &*to, &[("permissions", "users:read")]),
        (ROLES, &about("support", "/delete"), &[]),
        (ROLES, "/admin/permissions", &[("name", "a:b")]),
        (ROLES, "/admin/permissions/a:b/delete", &[]),
    ] {
        expect_only_own_forms(&root, at, to, fields, &foreign).await;
        expect_strict_forms(&root, at, to, fields).await;
    }
    root.get(&to).await.expect(200).says("value=\"users:read\" checked>");
    root.get(&about("x", "")).await.expect(404);
}
