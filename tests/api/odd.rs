//! Parameters that mean nothing, and names as people have them.

use rocket::http::Method;
use serde_json::json;

use crate::app::*;
use crate::on_every_backend;

const LISTS: [&str; 9] = [
    "/api/v1/me/sessions",
    "/api/v1/admin/users",
    "/api/v1/admin/sessions",
    "/api/v1/admin/roles",
    "/api/v1/admin/audit",
    "/api/v1/admin/tokens/revoked",
    "/admin/users",
    "/admin/sessions",
    "/admin/audit",
];

const QUERIES: [&str; 20] = [
    "limit=0",
    "limit=-1",
    "limit=18446744073709551616",
    "limit=1e3",
    "limit=",
    "cursor=",
    "cursor=x",
    "cursor=%00",
    "cursor=eyJhIjoxfQ",
    "from=9999-12-31T23:59:60Z",
    "from=-271821-04-20T00:00:00Z",
    "from=0000-00-00",
    "to=294277-01-09T04:00:54.775Z",
    "to=+",
    "q=%00",
    "q=%25%5f%5c%27%22%3b--",
    "q=%f0%9f%91%a9%e2%80%8d%f0%9f%91%a9",
    "role=%00",
    "status=%f0%9f%92%a9",
    "limit=5&limit=6",
];

on_every_backend! {
    async fn no_parameter_of_a_list_is_a_failure_of_the_server(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        for list in LISTS {
            for query in QUERIES {
                let answer = root.get(&format!("{list}?{query}")).await;
                assert!(answer.status.code < 500, "{list}?{query}: {}", answer.text());
            }
        }
    }

    async fn a_name_is_kept_and_shown_as_it_is(app: TestApp) {
        app.register("ada@example.org").await;
        for name in [
            "\u{1f600}".repeat(100),
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}".to_owned(),
            "<script>alert(1)</script> & \"Co\"".to_owned(),
            "{{ 7 * 7 }} {% raw %} ${x}".to_owned(),
            "=1+1".to_owned(),
            "'; DROP TABLE account; --".to_owned(),
        ] {
            app.call(Method::Patch, "/api/v1/me", json!({ "display_name": name })).await.expect(200);
            assert_eq!(app.get("/api/v1/me").await.json()["user"]["display_name"], json!(name));
            let page = app.get("/profile").await.expect(200).text();
            assert!(!page.contains("<script>alert"), "{page}");
        }
    }
}
