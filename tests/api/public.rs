//! What programs find without signing in: keys, signs of life, and how a wrong address looks.

use rocket::http::Method::{Delete, Get, Head, Options, Patch, Post, Put, Trace};
use serde_json::json;

use crate::app::*;
use crate::on_every_backend;

on_every_backend! {
    async fn a_ready_server_says_so_of_each_store(app: TestApp) {
        assert_eq!(app.get("/livez").await.expect(200).json(), json!({ "status": "ok" }));
        let ready = app.get("/readyz").await.expect(200);
        assert_eq!(ready.header("Content-Type"), Some("application/json"));
        let stores = json!({ "database": "ok", "session_store": "ok" });
        assert_eq!(ready.json(), json!({ "status": "ok", "stores": stores }));
    }
}

#[rocket::async_test]
async fn sr_39_the_key_set_shows_the_public_half_alone() {
    let app = TestApp::light().await;
    let answer = app.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(answer.header("Content-Type"), Some("application/jwk-set+json"));
    let keys = answer.json();
    assert_fields(&keys, "keys");
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    let key = &keys["keys"][0];
    assert_fields(key, "kty crv x use alg kid");
    assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert_eq!((&key["alg"], &key["use"]), (&json!("EdDSA"), &json!("sig")));
    app.register("ada@example.org").await;
    let access = app.cookie(ACCESS).unwrap();
    let header = jsonwebtoken::decode_header(&access).unwrap();
    assert_eq!(header.kid.as_deref(), key["kid"].as_str());
    // Another service verifies our access token with what is published.
    let x = key["x"].as_str().unwrap();
    let public = jsonwebtoken::DecodingKey::from_ed_components(x).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    rules.set_audience(&[ORIGIN]);
    rules.set_issuer(&[ORIGIN]);
    let token = jsonwebtoken::decode::<serde_json::Value>(&access, &public, &rules).unwrap();
    assert_fields(&token.claims, "iss aud sub sid jti iat nbf exp roles");
    assert_eq!(token.claims["roles"], json!(["user"]));
    assert_eq!(token.header.typ.as_deref(), Some("at+jwt"));
}

#[rocket::async_test]
async fn sr_32_no_token_holds_personal_data_and_no_identifier_repeats() {
    let app = TestApp::light().await;
    app.create("ada@example.org", &["user"]).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let visitor = app.stranger();
        visitor.log_in("ada@example.org").await;
        for name in [ACCESS, REFRESH] {
            let token = visitor.cookie(name).unwrap();
            let payload = doorward::id::from_base64url(token.split('.').nth(1).unwrap()).unwrap();
            let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert!(!claims.to_string().contains("ada"), "{claims}");
            let jti = claims["jti"].as_str().unwrap();
            assert!(jti.len() >= 22 && claims["sid"].as_str().unwrap().len() >= 22);
            assert!(seen.insert(jti.to_owned()));
            let fields = "iss aud sub sid jti iat nbf exp";
            let own = if name == ACCESS { " roles" } else { " epoch" };
            assert_fields(&claims, &format!("{fields}{own}"));
        }
    }
}

#[rocket::async_test]
async fn an_unknown_address_is_not_found_for_programs_and_people() {
    let app = TestApp::light().await;
    for path in ["/api/v1/nothing", "/api/v1", "/api/v2/me", "/api/", "/api/v1/me/x.css"] {
        let answer = app.get(path).await.expect_problem(404, "not_found");
        assert_fields(&answer.json(), PROBLEM);
    }
    for path in ["/nothing", "/profile/x.css", "/static/app.css", "/.env", "/.git/config"] {
        let answer = app.get(path).await.expect(404);
        assert_eq!(answer.header("Content-Type"), Some("text/html; charset=utf-8"), "{path}");
    }
    let program = app.ask(Get, "/nothing").header("Accept", "application/json").send().await;
    program.expect_problem(404, "not_found");
}

#[rocket::async_test]
async fn sr_60_a_wrong_method_is_told_the_right_ones() {
    let app = TestApp::light().await;
    for (method, path, allow) in [
        (Get, "/api/v1/auth/login", "POST"),
        (Head, "/api/v1/auth/login", "POST"),
        (Put, "/api/v1/me", "DELETE, GET, HEAD, PATCH"),
        (Options, "/api/v1/me", "DELETE, GET, HEAD, PATCH"),
        (Post, "/api/v1/me", "DELETE, GET, HEAD, PATCH"),
        (Patch, "/api/v1/me/password", "PUT"),
        (Post, "/api/v1/admin/users/AAAAAAAAAAAAAAAAAAAAAA", "DELETE, GET, HEAD, PATCH"),
        (Delete, "/livez", "GET, HEAD"),
        (Trace, "/api/v1/me", "DELETE, GET, HEAD, PATCH"),
        (Get, "/csp-report", "POST"),
    ] {
        let answer = app.call(method, path, json!(null)).await.expect(405);
        assert_eq!(answer.header("Allow"), Some(allow), "{method} {path}");
    }
    let answer = app.get("/api/v1/auth/login").await;
    answer.expect_problem(405, "method_not_allowed");
}

#[rocket::async_test]
async fn head_answers_as_get_without_the_body() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    for path in ["/api/v1/me", "/livez", "/.well-known/jwks.json", "/login", "/profile"] {
        let full = app.get(path).await;
        let head = app.ask(Head, path).send().await;
        assert_eq!(full.status, head.status, "{path}");
        assert_eq!(full.header("Content-Type"), head.header("Content-Type"), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
    app.stranger().ask(Head, "/api/v1/me").send().await.expect(401);
}

#[rocket::async_test]
async fn icons_are_where_browsers_look_and_search_engines_are_kept_out() {
    let app = TestApp::light().await;
    let png: &[u8] = b"\x89PNG\r\n";
    for (path, content_type, begins) in [
        ("/favicon.ico", "image/x-icon", &[0, 0, 1, 0][..]),
        ("/apple-touch-icon.png", "image/png", png),
        ("/apple-touch-icon-precomposed.png", "image/png", png),
        ("/robots.txt", "text/plain; charset=utf-8", b"User-agent: *\nDisallow: /\n"),
    ] {
        let answer = app.get(path).await.expect(200);
        assert_eq!(answer.header("Content-Type"), Some(content_type), "{path}");
        assert_eq!(answer.header("Cache-Control"), Some("public, max-age=86400"), "{path}");
        assert!(answer.body.starts_with(begins), "{path}");
    }
}

#[rocket::async_test]
async fn sr_47_browsers_and_finders_of_weaknesses_know_where_to_go() {
    let app = TestApp::light().await;
    app.get("/.well-known/change-password").await.expect_redirect("/profile");
    app.get("/.well-known/security.txt").await.expect(404);
    let contact = [("DOORWARD_SECURITY_CONTACT", "mailto:security@example.org")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &contact).await;
    let answer = app.get("/.well-known/security.txt").await.expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    let text = answer.text();
    assert!(text.contains("Contact: mailto:security@example.org\n"), "{text}");
    assert!(text.contains("Expires: 2027-07-14T08:00:00.000Z\n"), "{text}");
}
