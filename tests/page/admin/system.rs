//! `/admin/keys`, `/admin/settings` and the files of `/admin/audit`.

use super::ROOT;
use crate::app::*;
use crate::on_every_backend;

on_every_backend! {
    async fn keys_are_seen_and_replaced_by_a_button(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let page = root.get("/admin/keys").await.expect(200);
        page.says("EdDSA").says(">Current</span>").never_says(">Next</span>");
        let rotate = "/admin/keys/rotate";
        let done = root.submit("/admin/keys", rotate, &[("algorithm", "ES256")]).await.expect(303);
        let page = root.get(done.header("Location").expect("a place")).await.expect(200);
        page.says("The next key is made and published.").says(">Next</span>").says("ES256");
        let again = root.submit("/admin/keys", rotate, &[("algorithm", "")]).await.expect(409);
        again.says("A rotation is under way already.");
        let odd = root.submit("/admin/keys", rotate, &[("algorithm", "RS256")]).await.expect(422);
        odd.says("This must be EdDSA or ES256.");
        root.submit("/admin/keys", rotate, &[("now", "yes")]).await.expect(303);
        let page = root.get("/admin/keys").await.expect(200);
        assert_eq!(page.text().matches(">Withdrawn</span>").count(), 2);
        // Whoever is signed in stays so.
        root.me().await.expect(200);
    }
}

#[rocket::async_test]
async fn who_may_only_see_keys_gets_no_button() {
    let app = TestApp::light().await;
    app.add_role("watcher", &["keys:read", "settings:read"]).await;
    let eve = app.signed_in("eve@example.org", &["watcher"]).await;
    eve.get("/admin/keys").await.expect(200).never_says("Make the next key");
    let settings = eve.get("/admin/settings").await.expect(200);
    settings.says("<h2 id=\"t-1\"").says("(set)").says("environment DOORWARD_PUBLIC_URL");
    let token = super::form_token(&eve, "/admin/keys").await;
    super::post(&eve, "/admin/keys/rotate", Some(&token), &[]).await.expect(403);
}

#[rocket::async_test]
async fn the_links_to_the_files_take_the_filter_along() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let ada = app.create("ada@example.org", &[]).await;
    app.audit().await;
    let page = root.get("/admin/audit?subject=ada@example.org&kind=user_created").await.expect(200);
    let links = page.between("href=\"/admin/audit/export?", "\"");
    assert_eq!(
        links,
        [
            "subject=ada%40example.org&kind=user_created&format=csv",
            "subject=ada%40example.org&kind=user_created&format=jsonl"
        ]
    );
    let file = root.get(&format!("/admin/audit/export?{}", links[0])).await.expect(200);
    assert!(file.header("Content-Disposition").is_some_and(|how| how.starts_with("attachment")));
    let text = file.text();
    assert_eq!(text.lines().count(), 2);
    assert!(text.contains(&ada));
    // A filter that is not understood would take everything along.
    for wrong in [
        "format=jsonl&kind=nonsense",
        "format=jsonl&from=then",
        "format=jsonl&form=2026-01-01",
        "format=jsonl&kind=user_created&kind=user_deleted",
        "format=xls",
    ] {
        root.get(&format!("/admin/audit/export?{wrong}")).await.expect(422);
    }
}

#[rocket::async_test]
async fn a_filter_of_the_audit_log_that_is_not_understood_shows_nothing() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    app.audit().await;
    root.get("/admin/audit").await.expect(200).says("authn_login_success</code>");
    for (query, fields) in [
        ("from=yesterday", &["from"][..]),
        ("to=31.12.2026", &["to"]),
        ("from=2026-02-30&kind=nope", &["kind", "from"]),
        ("kind=Authn_login_success", &["kind"]),
        ("from=2026-01-31T00:00:00%2001:00", &["from"]),
        ("from=2026-01-31T00:00:00+01:00", &["from"]),
        ("kind=user_created&kind=user_deleted", &["kind"]),
        ("limit=abc", &[]),
        ("limit=201", &[]),
        ("cursor=x", &[]),
        ("form=2026-01-01", &[]),
    ] {
        let page = root.get(&format!("/admin/audit?{query}")).await.expect(422);
        page.says("Correct the filter").never_says("authn_login_success</code>");
        for field in ["kind", "from", "to"] {
            assert_eq!(page.fault(field).is_some(), fields.contains(&field), "{query}: {field}");
        }
        for field in fields {
            assert!(page.text().contains("aria-invalid=\"true\""), "{query}: {field}");
        }
    }
    let page = root.get("/admin/audit?from=yesterday").await.expect(422);
    assert_eq!(page.field("from"), "yesterday");
    // Days count whole, and a moment is taken too.
    for query in ["from=2027-01-15&to=2027-01-15", "from=2027-01-15T00:00:00%2B00:00&limit=200"] {
        let page = root.get(&format!("/admin/audit?{query}")).await.expect(200);
        page.says("authn_login_success</code>");
    }
    root.get("/admin/audit?from=2027-01-16").await.expect(200).says("No event matches");
}

#[rocket::async_test]
async fn a_filter_of_sessions_that_is_not_understood_shows_and_ends_nothing() {
    let app = TestApp::light().await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let ada = app.signed_in("ada@example.org", &[]).await;
    for query in ["ip=nowhere", "cursor=x", "limit=abc", "usr=ada@example.org", "user=a&user=b"] {
        let page = root.get(&format!("/admin/sessions?{query}")).await.expect(422);
        page.never_says("sessions on this page").never_says("Sign out</button></td>");
        page.says("Nothing to show");
    }
    for query in ["ip=0.0.0.0/0&usr=bob", "ip=0.0.0.0/0&ip=10.0.0.0/8", "ip=nowhere"] {
        root.get(&format!("/admin/sessions/revoke?{query}")).await.expect(422);
    }
    root.get("/admin/sessions?limit=1").await.expect(200).says("1 session on this page");
    ada.me().await.expect(200);
}

#[rocket::async_test]
async fn a_persons_page_shows_what_happened_to_them_to_those_who_may_know() {
    let app = TestApp::light().await;
    app.add_role("support", &["users:read"]).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let eve = app.signed_in("eve@example.org", &["support"]).await;
    let ada = app.create("ada@example.org", &[]).await;
    app.stranger().log_in_with("ada@example.org", "wrong wrong wrong").await.expect(401);
    app.audit().await;
    let place = format!("/admin/users/{ada}");
    let page = root.get(&place).await.expect(200);
    page.says("Recent events").says("authn_login_fail").says("user_created").says("203.0.113.7");
    page.says(&format!("/admin/audit?subject={ada}")).says("No live sessions");
    let page = eve.get(&place).await.expect(200);
    page.never_says("Recent events").never_says("authn_login_fail").never_says("No live sessions");
}
