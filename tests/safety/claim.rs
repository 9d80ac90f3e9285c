//! Tokens with a good signature and wrong claims (SR-32, SR-34).

use rocket::http::Method::Get;
use serde_json::{Value, json};

use super::token::{Forge, forge, refused};
use crate::app::*;

#[rocket::async_test]
async fn sr_32_every_claim_is_required_with_its_type() {
    let (app, forge) = forge().await;
    for name in ["iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"] {
        refused(&app, &forge.without_claim(name)).await;
        for value in [json!(null), json!([]), json!({}), json!(true), json!(1.5)] {
            refused(&app, &forge.with_claim(name, value)).await;
        }
    }
    for name in ["iss", "aud", "sub", "sid", "iat", "nbf", "exp"] {
        refused(&app, &forge.with_claim(name, json!("1800000600"))).await;
    }
    refused(&app, &forge.with_claim("aud", json!([ORIGIN]))).await;
    refused(&app, &forge.with_claim("roles", json!("admin"))).await;
    for claims in ["[]", "null", "{}", "", "{", "\"x\"", "\u{feff}{}"] {
        refused(&app, &forge.sign_text(&forge.header.to_string(), claims)).await;
    }
    let twice = forge.claims.to_string().replacen('{', r#"{"exp":9999999999,"#, 1);
    refused(&app, &forge.sign_text(&forge.header.to_string(), &twice)).await;
    let list = ["iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp", "roles"];
    let list: Vec<&Value> = list.iter().map(|name| &forge.claims[name]).collect();
    refused(&app, &forge.sign_text(&forge.header.to_string(), &json!(list).to_string())).await;
}

#[rocket::async_test]
async fn sr_32_a_token_of_another_issuer_or_for_another_audience_is_refused() {
    let (app, forge) = forge().await;
    for other in ["http://localhost:8001", "http://localhost:8000/", "HTTP://localhost:8000", ""] {
        refused(&app, &forge.with_claim("iss", json!(other))).await;
        refused(&app, &forge.with_claim("aud", json!(other))).await;
    }
}

#[rocket::async_test]
async fn sr_32_a_token_of_another_issuer_or_audience_signs_nobody_out() {
    let (app, forge) = forge().await;
    for name in ["iss", "aud"] {
        let visitor = app.stranger();
        visitor.put_cookie(ACCESS, &forge.with_claim(name, json!("http://localhost:8001")));
        visitor.log_out().await.expect(204);
        app.me().await.expect(200);
    }
}

#[rocket::async_test]
async fn sr_32_a_token_from_the_future_is_refused_beyond_thirty_seconds() {
    let (app, forge) = forge().await;
    let now = app.now().as_secs();
    for name in ["iat", "nbf"] {
        let ahead = forge.with_claim(name, json!(now + 30));
        app.bearer(Get, "/api/v1/me", &ahead).send().await.expect(200);
        refused(&app, &forge.with_claim(name, json!(now + 31))).await;
        refused(&app, &forge.with_claim(name, json!(i64::MAX))).await;
        refused(&app, &forge.with_claim(name, json!(1e300))).await;
    }
}

#[rocket::async_test]
async fn an_expired_token_is_refused_to_the_second_and_however_it_says_it() {
    let (app, forge) = forge().await;
    let now = app.now().as_secs();
    for exp in [now, now - 1, 0, -1, i64::MIN] {
        let token = forge.with_claim("exp", json!(exp));
        let answer = app.bearer(Get, "/api/v1/me", &token).send().await;
        answer.expect_problem(401, "token_expired");
    }
    // A longer life in the token is no longer life in the store.
    let eternal = forge.with_claim("exp", json!(i64::MAX));
    app.bearer(Get, "/api/v1/me", &eternal).send().await.expect(200);
    app.later(minutes(11));
    let answer = app.bearer(Get, "/api/v1/me", &eternal).send().await;
    answer.expect_problem(401, "session_ended");
}

#[rocket::async_test]
async fn sr_34_a_good_signature_is_not_enough() {
    let (app, forge) = forge().await;
    let bob = app.signed_in("bob@example.org", &["user"]).await;
    let theirs = Forge::of(&app, &bob.cookie(ACCESS).unwrap());
    for (name, value) in [
        ("jti", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("jti", json!("")),
        ("sid", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("sid", theirs.claims["sid"].clone()),
        ("sub", theirs.claims["sub"].clone()),
        ("sub", json!("AAAAAAAAAAAAAAAAAAAAAA")),
    ] {
        let token = forge.with_claim(name, value);
        let answer = app.bearer(Get, "/api/v1/me", &token).send().await;
        answer.expect_problem(401, "session_ended");
    }
    for (name, value) in [("sid", "short"), ("sub", "a:b{c}d*e?f[g]h\\i\"jklmn"), ("sid", "")] {
        refused(&app, &forge.with_claim(name, json!(value))).await;
    }
    // The roles in a token are for others: ours come from the store (SR-35).
    let token = forge.with_claim("roles", json!(["admin"]));
    let answer = app.bearer(Get, "/api/v1/admin/users", &token).send().await;
    answer.expect_problem(403, "permission_denied");
}

#[rocket::async_test]
async fn sr_32_no_type_stands_in_for_another() {
    let (app, forge) = forge().await;
    for typ in ["JWT", "jwt", "at+JWT", "application/at+jwt", "rt+jwt", "csrf", ""] {
        let answer = app.bearer(Get, "/api/v1/me", &forge.with_header("typ", json!(typ))).send();
        answer.await.expect_problem(401, "not_signed_in");
    }
    let refresh = Forge::of(&app, &app.cookie(REFRESH).unwrap());
    for typ in ["JWT", "at+jwt", "RT+JWT", ""] {
        let visitor = app.stranger();
        visitor.put_cookie(REFRESH, &refresh.with_header("typ", json!(typ)));
        visitor.refresh().await.expect_problem(401, "refresh_invalid");
    }
    // An access token dressed up as a refresh token opens nothing: the store knows its own.
    let visitor = app.stranger();
    visitor.put_cookie(REFRESH, &forge.with_header("typ", json!("rt+jwt")));
    assert_eq!(visitor.refresh().await.status.code, 401);
}
