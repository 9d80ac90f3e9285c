//! `/api/v1/admin/tokens`: refusing single access tokens.

use doorward::id::sha256;
use rocket::http::Method;
use serde_json::json;

use crate::app::*;
use crate::on_every_backend;

/// The `jti` of the access token in a visitor's jar.
fn jti_of(visitor: &Visitor) -> String {
    let token = visitor.cookie(ACCESS).expect("signed in");
    let payload = token.split('.').nth(1).expect("a payload");
    let payload = doorward::id::from_base64url(payload).expect("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
    claims["jti"].as_str().expect("a jti").to_owned()
}

on_every_backend! {
    async fn a_denied_token_is_refused_from_the_next_request_on(app: TestApp) {
        let admin = app.signed_in("admin@example.org", &["admin"]).await;
        app.register("ada@example.org").await;
        let (path, jti) = ("/api/v1/admin/tokens/revoke", jti_of(&app));
        let body = json!({ "jti": jti, "reason": "found in a log" });
        admin.call(Method::Post, path, body).await.expect(204);

        let bearer = format!("Bearer {}", app.cookie(ACCESS).expect("a token"));
        let program = app.stranger();
        let ask = program.ask(Method::Get, "/api/v1/me").header("Authorization", &bearer);
        ask.send().await.expect_problem(401, "session_ended");
        // The browser's session goes on: it is refreshed on the way.
        app.get("/api/v1/me").await.expect(200);

        let list = admin.get("/api/v1/admin/tokens/revoked").await.expect(200).json();
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(list["items"][0]["reason"], "found in a log");
        assert_eq!(list["items"][0]["digest"], sha256(&jti));
        assert!(!list.to_string().contains(&jti), "the list holds digests alone");
        app.later(minutes(10));
        let list = admin.get("/api/v1/admin/tokens/revoked").await.expect(200).json();
        assert_eq!(list["items"], json!([]));
    }

    async fn the_token_itself_names_itself(app: TestApp) {
        let admin = app.signed_in("admin@example.org", &["admin"]).await;
        app.register("ada@example.org").await;
        let token = app.cookie(ACCESS).expect("a token");
        let path = "/api/v1/admin/tokens/revoke";
        admin.call(Method::Post, path, json!({ "token": token })).await.expect(204);
        app.drop_cookie(REFRESH);
        app.get("/api/v1/me").await.expect_problem(401, "session_ended");
        let page = admin.get("/admin/tokens").await.expect(200).text();
        assert!(page.contains("None given") && !page.contains(&token));
    }
}

#[rocket::async_test]
async fn what_is_no_token_is_refused_with_a_word_about_the_field() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    let admin = app.signed_in("admin@example.org", &["admin"]).await;
    let refresh = admin.cookie(REFRESH).expect("a refresh token");
    let path = "/api/v1/admin/tokens/revoke";
    for (body, field) in [
        (json!({}), "jti"),
        (json!({ "jti": "abcdefghijklmnop", "token": "x" }), "jti"),
        (json!({ "jti": "short" }), "jti"),
        (json!({ "jti": "not a jti at all, is it" }), "jti"),
        (json!({ "token": "garbage" }), "token"),
        (json!({ "token": refresh }), "token"),
        (json!({ "jti": "abcdefghijklmnop", "reason": "x".repeat(201) }), "reason"),
    ] {
        let answer = admin.call(Method::Post, path, body.clone()).await;
        let problem = answer.expect_problem(422, "validation_failed").json();
        assert_eq!(problem["errors"][0]["field"], field, "{body}");
    }
    let body = json!({ "jti": "abcdefghijklmnop", "reason": "ä".repeat(200) });
    admin.call(Method::Post, path, body).await.expect(204);
    let user = app.signed_in("ada@example.org", &["user"]).await;
    let body = json!({ "jti": "abcdefghijklmnop" });
    user.call(Method::Post, path, body.clone()).await.expect_problem(403, "permission_denied");
    app.stranger().call(Method::Post, path, body).await.expect_problem(401, "not_signed_in");
}
