//! A password that an administrator chose opens nothing but the change of it (SR-52).

use doorward::id::from_base64url;
use rocket::http::Method::{Delete, Get, Patch, Post, Put};
use serde_json::{Value, json};

use crate::app::*;
use crate::on_every_backend;

const OWN: &str = "another tower of nougat";
const PAGE: &str = "/profile/new-password";

/// Has an administrator make an account, and choose its password.
async fn invite(app: &TestApp, roles: &[&str]) {
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD, "roles": roles });
    root.call(Post, "/api/v1/admin/users", body).await.expect(201);
}

on_every_backend! {
    async fn sr_52_a_password_that_an_administrator_chose_opens_nothing_but_its_change(app: TestApp) {
        invite(&app, &["admin"]).await;
        app.log_in("ada@example.org").await;
        let closed = async || {
            for (method, path, body) in [
                (Get, "/api/v1/me", Value::Null),
                (Patch, "/api/v1/me", json!({ "display_name": "Ada" })),
                (Delete, "/api/v1/me", json!({ "password": PASSWORD })),
                (Get, "/api/v1/me/sessions", Value::Null),
                (Delete, "/api/v1/me/sessions", Value::Null),
                (Post, "/api/v1/auth/reauthenticate", json!({ "password": PASSWORD })),
                (Get, "/api/v1/admin/users", Value::Null),
                (Post, "/api/v1/admin/users", json!({ "email": "x@example.org" })),
                (Get, "/api/v1/admin/audit", Value::Null),
            ] {
                app.call(method, path, body).await.expect_problem(403, "password_change_required");
            }
            for page in ["/", "/profile", "/profile/sessions", "/profile/delete", "/reauthenticate",
                "/admin", "/admin/users", "/admin/audit/export?format=csv"] {
                let next: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
                app.get(page).await.expect_redirect(&format!("{PAGE}?next={next}"));
            }
        };
        closed().await;
        app.refresh().await.expect(200);
        closed().await;

        let change = |new: &str| json!({ "current_password": PASSWORD, "new_password": new });
        let same = app.call(Put, "/api/v1/me/password", change(PASSWORD)).await;
        assert_eq!(same.expect_problem(422, "validation_failed").faults(), ["new_password: same_password"]);
        closed().await;
        app.call(Put, "/api/v1/me/password", change(OWN)).await.expect(204);
        app.me().await.expect(200);
        app.get("/api/v1/admin/users").await.expect(200);
        let later = app.stranger();
        later.log_in_with("ada@example.org", OWN).await.expect(200);
        later.me().await.expect(200);
        app.stranger().log_in_with("ada@example.org", PASSWORD).await.expect(401);
    }

    async fn sr_52_who_has_to_change_a_password_can_sign_out_and_nobody_does_it_for_them(app: TestApp) {
        invite(&app, &["user"]).await;
        app.log_in("ada@example.org").await;
        let evil = app.ask(Post, "/logout").header("Sec-Fetch-Site", "cross-site");
        evil.form(&[("csrf_token", "x")]).send().await.expect(403);
        app.get(PAGE).await.expect(200);
        app.submit(PAGE, "/logout", &[]).await.expect_redirect("/login?done=signed-out");
        app.get(PAGE).await.expect_redirect("/login?next=%2Fprofile%2Fnew-password");
        app.log_in("ada@example.org").await;
        app.call(Post, "/api/v1/auth/logout", Value::Null).await.expect(204);
        app.me().await.expect_problem(401, "not_signed_in");
    }

    async fn sr_52_a_token_that_others_verify_carries_no_roles_before_the_change(app: TestApp) {
        invite(&app, &["admin", "user"]).await;
        let roles = |visitor: &Visitor| {
            let token = visitor.cookie(ACCESS).expect("an access token");
            let claims = token.split('.').nth(1).and_then(from_base64url).expect("claims");
            serde_json::from_slice::<Value>(&claims).expect("JSON")["roles"].take()
        };
        app.log_in("ada@example.org").await;
        assert_eq!(roles(&app), json!([]));
        let bearer = format!("Bearer {}", app.cookie(ACCESS).expect("an access token"));
        let program = app.stranger();
        let ask = program.ask(Get, "/api/v1/me").header("Authorization", &bearer);
        ask.send().await.expect_problem(403, "password_change_required");
        app.refresh().await.expect(200);
        assert_eq!(roles(&app), json!([]));
        let own = json!({ "current_password": PASSWORD, "new_password": OWN });
        app.call(Put, "/api/v1/me/password", own).await.expect(204);
        assert_eq!(roles(&app), json!(["admin", "user"]));
    }

    async fn sr_52_the_same_password_typed_otherwise_is_no_change(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        let body = json!({ "email": "ada@example.org", "password": "caf\u{e9} of seven lanterns" });
        root.call(Post, "/api/v1/admin/users", body).await.expect(201);
        let typed = "cafe\u{301} of seven lanterns";
        app.log_in_with("ada@example.org", typed).await.expect(200);
        let change = json!({ "current_password": "caf\u{e9} of seven lanterns", "new_password": typed });
        let same = app.call(Put, "/api/v1/me/password", change).await;
        assert_eq!(same.expect_problem(422, "validation_failed").faults(), ["new_password: same_password"]);
        app.me().await.expect_problem(403, "password_change_required");
    }

    async fn sr_52_an_address_that_an_administrator_changes_opens_nothing_either(app: TestApp) {
        invite(&app, &["user"]).await;
        let root = app.stranger();
        root.log_in("root@example.org").await;
        let id = root.get("/api/v1/admin/users?q=ada").await.expect(200).json()["items"][0]["id"].take();
        let path = format!("/api/v1/admin/users/{}", id.as_str().expect("an identifier"));
        app.log_in("ada@example.org").await;
        for change in [
            json!({ "email": "lovelace@example.org" }),
            json!({ "display_name": "Ada" }),
            json!({ "status": "disabled" }),
            json!({ "status": "active" }),
        ] {
            root.call(Patch, &path, change).await.expect(200);
        }
        root.call(Put, &format!("{path}/roles"), json!({ "roles": ["admin"] })).await.expect(200);
        app.log_in("lovelace@example.org").await;
        app.get("/api/v1/admin/users").await.expect_problem(403, "password_change_required");
    }

    async fn a_person_chooses_a_password_and_comes_to_where_they_wanted_to_go(app: TestApp) {
        invite(&app, &["user"]).await;
        let there = "/profile/sessions";
        let fields = [("email", "ada@example.org"), ("password", PASSWORD), ("next", there)];
        let place = format!("{PAGE}?next=%2Fprofile%2Fsessions");
        app.submit("/login", "/login", &fields).await.expect_redirect(&place);
        app.get(there).await.expect_redirect(&place);
        app.get("/login?next=/profile/sessions").await.expect_redirect(&place);
        app.get("/login").await.expect_redirect(PAGE);
        let page = app.get(&place).await.expect(200);
        page.says("Choose your password");
        assert_eq!(page.field("next"), there);
        for (current, new, status) in [(PASSWORD, PASSWORD, 422), ("wrong", OWN, 403), (PASSWORD, "short", 422)] {
            let fields = [("current_password", current), ("new_password", new), ("next", there)];
            let again = app.submit(&place, PAGE, &fields).await.expect(status);
            assert_eq!(again.field("next"), there);
            again.says("aria-invalid=\"true\"");
        }
        let fields = [("current_password", PASSWORD), ("new_password", OWN), ("next", there)];
        app.submit(&place, PAGE, &fields).await.expect_redirect(there);
        app.get(there).await.expect(200);
        app.get(PAGE).await.expect_redirect("/profile");
    }
}
