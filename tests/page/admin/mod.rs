//! `/admin`: everybody's accounts, for those who may see and change them.

mod live;
mod role;
mod system;
mod user;
mod users;

use doorward::role::Permission;

use super::{form_token, post};
use crate::app::*;
use crate::on_every_backend;
use crate::store::database::connect;

const ROOT: &str = "root@example.org";
const PEOPLE: &str = "/admin/users";
const NEW: &str = "/admin/users/new";

/// Gives the application one more role.
async fn add_role(app: &TestApp, name: &str, permissions: &[&str]) {
    let mut db = connect(&app.database).await;
    let sql = format!("INSERT INTO role (name, description, created_at) VALUES ('{name}', '', 0)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut db).await.expect("insert");
    for permission in permissions {
        let sql = format!("INSERT INTO role_permission VALUES ('{name}', '{permission}')");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut db).await.expect("insert");
    }
}

fn about(id: &str, action: &str) -> String {
    format!("{PEOPLE}/{id}{action}")
}

on_every_backend! {
    async fn who_may_not_enter_is_told_so(app: TestApp) {
        let id = app.create("bob@example.org", &[]).await;
        let ada = app.signed_in("ada@example.org", &[]).await;
        let pages = ["/admin", PEOPLE, NEW, &about(&id, ""), &about(&id, "/delete"), "/admin/roles"];
        for page in pages {
            let next: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
            app.get(page).await.expect_redirect(&format!("/login?next={next}"));
            let refused = ada.get(page).await.expect(403);
            refused.says("You cannot do this").says("Back to your profile");
            refused.never_says("bob@example.org");
        }
        let token = form_token(&ada, "/profile").await;
        for action in ["/email", "/roles", "/disable", "/enable", "/end-sessions", "/delete"] {
            post(&ada, &about(&id, action), Some(&token), &[]).await.expect(403);
            post(&app, &about(&id, action), None, &[]).await.expect_redirect("/login");
        }
        post(&ada, PEOPLE, Some(&token), &[("email", "x@example.org")]).await.expect(403);
        app.stranger().log_in("bob@example.org").await;
    }

    async fn the_overview_counts_people_and_asks_the_stores(app: TestApp) {
        let root = app.signed_in(ROOT, &["admin"]).await;
        app.create("ada@example.org", &[]).await;
        let page = root.get("/admin").await.expect(200);
        page.says("data-figure=\"people\">2</dd>").says("data-figure=\"sessions\">1</dd>").never_says("Not answering");
        assert_eq!(page.text().matches("Healthy").count(), 2);
    }
}

#[rocket::async_test]
async fn roles_and_what_they_grant_are_a_table() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let root = app.signed_in(ROOT, &["admin"]).await;
    let page = root.get("/admin/roles").await.expect(200);
    page.says(">admin</a>").says(">user</a>").says("users:write");
    assert_eq!(page.text().matches(">Granted<").count(), Permission::CATALOGUE.len());
    assert_eq!(page.text().matches(">Not granted<").count(), Permission::CATALOGUE.len());
}
