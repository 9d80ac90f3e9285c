//! `/admin/users/<id>`: one person.

use super::{NEW, PEOPLE, ROOT, about, add_role};
use crate::app::*;
use crate::on_every_backend;
use crate::page::{expect_only_own_forms, expect_strict_forms, form_token, post};
use doorward::role::Permission;

on_every_backend! {
    async fn an_administrator_changes_an_address(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let id = app.create("ada@example.org", &[]).await;
        let (at, to) = (about(&id, ""), about(&id, "/email"));
        let done = root.submit(&at, &to, &[("email", "lovelace@example.org")]).await;
        done.expect_redirect(&format!("{at}?done=email"));
        root.get(&at).await.expect(200).says("lovelace@example.org").never_says("ada@example.org");
        for (typed, status) in [("nonsense", 422), (ROOT, 409)] {
            let again = root.submit(&at, &to, &[("email", typed)]).await.expect(status);
            assert_eq!(again.field("email"), typed);
        }
        let again = root.submit(&at, &to, &[("email", "nonsense")]).await.expect(422);
        again.says("aria-invalid=\"true\"").says("Enter an address like name@example.org.");
        app.stranger().log_in("lovelace@example.org").await;
    }

    async fn roles_count_from_the_next_request_on(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let id = app.create("ada@example.org", &["user"]).await;
        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        ada.get("/admin").await.expect(403);
        let (at, to) = (about(&id, ""), about(&id, "/roles"));
        let page = root.get(&at).await.expect(200);
        page.says("value=\"user\" checked").never_says("value=\"admin\" checked");
        let both = [("roles", "user"), ("roles", "admin")];
        root.submit(&at, &to, &both).await.expect_redirect(&format!("{at}?done=roles"));
        ada.get("/admin").await.expect(200);
        root.submit(&at, &to, &[]).await.expect(303);
        ada.get("/admin").await.expect(403);
        ada.get("/profile").await.expect(200).says("You have no special role.");
        let refused = root.submit(&at, &to, &[("roles", "emperor")]).await.expect(422);
        assert!(refused.fault("roles").is_some());
    }

    async fn sr_51_nobody_grants_or_takes_what_they_do_not_hold(app: TestApp) {
        let all = ["admin:view", "users:read", "users:write"];
        add_role(&app, "support", &all).await;
        add_role(&app, "reader", &all[..2]).await;
        let helper = app.signed_in("helper@example.org", &["support"]).await;
        let id = app.create("ada@example.org", &["admin", "user"]).await;
        let (at, to) = (about(&id, ""), about(&id, "/roles"));
        // Whoever holds more than the viewer is looked at, and nothing else.
        let page = helper.get(&at).await.expect(200);
        page.says("This person holds permissions that you do not");
        page.never_says("Save roles").never_says("Take care").never_says("/delete");
        let token = form_token(&helper, "/profile").await;
        for roles in ["reader", "admin", "user"] {
            post(&helper, &to, Some(&token), &[("roles", roles)]).await.expect(403);
        }

        let bob = app.create("bob@example.org", &["user"]).await;
        let (at, to) = (about(&bob, ""), about(&bob, "/roles"));
        helper.get(&at).await.expect(200).says("value=\"admin\" disabled>");
        helper.submit(&at, &to, &[("roles", "reader"), ("roles", "user")]).await.expect(303);
        helper.get(&at).await.expect(200).says("value=\"reader\" checked>");
        let refused = helper.submit(&at, &to, &[("roles", "admin")]).await.expect(403);
        refused.says("value=\"user\" checked").never_says("value=\"admin\" checked");
        let fields = [("email", "x@example.org"), ("roles", "admin")];
        helper.submit(NEW, PEOPLE, &fields).await.expect(403);
        app.log_in_with("x@example.org", PASSWORD).await.expect(401);

        let reader = app.signed_in("reader@example.org", &["reader"]).await;
        let page = reader.get(&at).await.expect(200);
        page.never_says("Save roles").never_says("Take care").never_says("/delete");
        reader.get(PEOPLE).await.expect(200).never_says(NEW);
        reader.get(NEW).await.expect(403);
        let token = form_token(&reader, "/profile").await;
        post(&reader, &about(&bob, "/disable"), Some(&token), &[]).await.expect(403);
    }

    async fn the_page_offers_what_the_viewer_may_do(app: TestApp) {
        let id = app.create("ada@example.org", &[]).await;
        app.stranger().log_in("ada@example.org").await;
        let sees = ["admin:view", "users:read", "sessions:read"];
        add_role(&app, "writer", &[&sees[..], &["users:write"]].concat()).await;
        add_role(&app, "bouncer", &[&sees[..], &["sessions:revoke"]].concat()).await;

        let writer = app.signed_in("writer@example.org", &["writer"]).await;
        let page = writer.get(&about(&id, "")).await.expect(200);
        page.says("Disable account").says("Delete account");
        page.never_says("/end-sessions").never_says("/revoke");

        let bouncer = app.signed_in("bouncer@example.org", &["bouncer"]).await;
        let page = bouncer.get(&about(&id, "")).await.expect(200);
        page.says("/end-sessions").says("/revoke");
        page.never_says("Disable account").never_says("Delete account");
        let done = bouncer.submit(&about(&id, ""), &about(&id, "/end-sessions"), &[]).await;
        done.expect(303);
    }

    async fn a_disabled_account_is_out_until_it_is_enabled(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let id = app.create("ada@example.org", &[]).await;
        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        let at = about(&id, "");
        let done = root.submit(&at, &about(&id, "/disable"), &[]).await;
        done.expect_redirect(&format!("{at}?done=disabled"));
        ada.get("/profile").await.expect(303);
        app.log_in_with("ada@example.org", PASSWORD).await.expect(401);
        let page = root.get(&at).await.expect(200);
        page.says("Disabled").says("Enable account").says("No live sessions");
        root.submit(&at, &about(&id, "/enable"), &[]).await.expect(303);
        ada.get("/profile").await.expect(303);
        app.log_in("ada@example.org").await;
    }

    async fn sessions_end_all_at_once_or_one_by_one(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let id = app.create("ada@example.org", &[]).await;
        let at = about(&id, "");
        let (one, two) = (app.stranger(), app.stranger());
        one.log_in("ada@example.org").await;
        app.later(minutes(2));
        two.log_in("ada@example.org").await;
        let page = root.get(&at).await.expect(200);
        let revoke = page.between("action=\"", "\"");
        let revoke: Vec<_> = revoke.iter().filter(|path| path.ends_with("/revoke")).collect();
        assert_eq!(revoke.len(), 2);
        // The last seen comes first.
        let done = root.submit(&at, revoke[0], &[]).await;
        done.expect_redirect(&format!("{at}?done=session"));
        two.get("/profile").await.expect(303);
        one.get("/profile").await.expect(200);
        root.submit(&at, revoke[0], &[]).await.expect(404);

        let done = root.submit(&at, &about(&id, "/end-sessions"), &[]).await;
        done.expect_redirect(&format!("{at}?done=ended"));
        one.get("/profile").await.expect(303);
        root.get(&at).await.expect(200).says("No live sessions");
        // A session belongs to one account; under another's address it is not there.
        app.stranger().log_in("ada@example.org").await;
        let page = root.get(&at).await.expect(200);
        let one = page.between("/sessions/", "/revoke\"").remove(0);
        let other = app.create("bob@example.org", &[]).await;
        let path = format!("{PEOPLE}/{other}/sessions/{one}/revoke");
        root.submit(&at, &path, &[]).await.expect(404);
    }

    async fn an_account_is_deleted_after_a_question(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        let id = app.create("ada@example.org", &[]).await;
        let ada = app.stranger();
        ada.log_in("ada@example.org").await;
        let ask = about(&id, "/delete");
        root.get(&ask).await.expect(200).says("Delete this account?").says("ada@example.org");
        ada.get("/profile").await.expect(200);
        root.submit(&ask, &ask, &[]).await.expect_redirect("/admin/users?done=removed");
        ada.get("/profile").await.expect(303);
        app.log_in_with("ada@example.org", PASSWORD).await.expect(401);
        root.get(&about(&id, "")).await.expect(404);
        root.get(&ask).await.expect(404);
    }

    async fn sr_51_nobody_shuts_themselves_out(app: TestApp) {
        app.create("second@example.org", &["admin"]).await;
        let id = app.create(ROOT, &["admin", "user"]).await;
        let root = app.stranger();
        root.log_in(ROOT).await;
        let at = about(&id, "");
        let page = root.get(&at).await.expect(200);
        page.says(">You<").says("Nobody can change their own roles.");
        page.never_says("Save roles").never_says("Take care");
        for action in ["/roles", "/disable", "/delete"] {
            let refused = root.submit("/profile", &about(&id, action), &[]).await.expect(409);
            refused.says("You cannot do this to your own account.");
        }
        root.get("/admin").await.expect(200);
    }

    async fn sr_51_at_least_one_administrator_remains(app: TestApp) {
        // Somebody who may change accounts without being an administrator.
        let all: Vec<&str> = Permission::CATALOGUE.iter().map(|(name, _)| *name).collect();
        add_role(&app, "deputy", &all).await;
        let id = app.create(ROOT, &["admin"]).await;
        let deputy = app.signed_in("deputy@example.org", &["deputy"]).await;
        let at = about(&id, "");
        for action in ["/roles", "/disable", "/delete"] {
            let refused = deputy.submit(&at, &about(&id, action), &[]).await.expect(409);
            refused.says("At least one administrator who can sign in must remain.");
        }
        app.stranger().log_in(ROOT).await;

        let second = app.create("second@example.org", &["admin"]).await;
        deputy.submit(&at, &about(&id, "/disable"), &[]).await.expect(303);
        deputy.submit(&at, &about(&second, "/disable"), &[]).await.expect(409);
    }

    async fn sr_51_of_two_who_demote_each_other_one_remains(app: TestApp) {
        let one = app.create("one@example.org", &["admin"]).await;
        let two = app.create("two@example.org", &["admin"]).await;
        let (first, second) = (app.stranger(), app.stranger());
        first.log_in("one@example.org").await;
        second.log_in("two@example.org").await;
        let token = form_token(&first, "/profile").await;
        let other = form_token(&second, "/profile").await;
        let (to_two, to_one) = (about(&two, "/roles"), about(&one, "/roles"));
        let (a, b) = rocket::tokio::join!(
            post(&first, &to_two, Some(&token), &[]),
            post(&second, &to_one, Some(&other), &[])
        );
        let done = [a.status.code, b.status.code].iter().filter(|code| **code == 303).count();
        assert_eq!(done, 1, "{} {}", a.status, b.status);
    }
}

#[rocket::async_test]
async fn who_is_not_there_is_not_found() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    for id in ["AAAAAAAAAAAAAAAAAAAAAA", "x", "..%2f", "%00", "new%2f"] {
        root.get(&about(id, "")).await.expect(404);
        root.get(&about(id, "/delete")).await.expect(404);
        for action in ["/roles", "/disable", "/enable", "/end-sessions", "/delete"] {
            root.submit(NEW, &about(id, action), &[]).await.expect(404);
        }
    }
    root.get("/admin/nothing").await.expect(404);
}

#[rocket::async_test]
async fn sr_41_only_ones_own_form_changes_anything() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let second = app.signed_in("second@example.org", &["admin"]).await;
    let id = app.create("ada@example.org", &[]).await;
    let ada = app.stranger();
    ada.log_in("ada@example.org").await;
    let foreign = form_token(&second, NEW).await;
    let at = about(&id, "");
    for action in ["/roles", "/disable", "/enable", "/end-sessions", "/delete"] {
        expect_only_own_forms(&root, &at, &about(&id, action), &[], &foreign).await;
        expect_strict_forms(&root, &at, &about(&id, action), &[]).await;
    }
    let made = [("email", "x@example.org"), ("password", PASSWORD)];
    expect_only_own_forms(&root, NEW, PEOPLE, &made, &foreign).await;
    expect_strict_forms(&root, NEW, PEOPLE, &made).await;
    let status = [("email", "x@example.org"), ("status", "active")];
    root.submit(NEW, PEOPLE, &status).await.expect(422);
    ada.get("/profile").await.expect(200).says(">user<");
    assert_eq!(app.accounts().count().await.expect("the store answers"), 3);
}
