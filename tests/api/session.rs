//! `/api/v1/auth`: registering, signing in, refreshing, signing out.

use std::collections::BTreeSet;

use futures::future::join_all;
use rocket::http::Method::Post;
use serde_json::{Value, json};

use crate::app::*;
use crate::on_every_backend;

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";

/// The `jti` of a token.
fn jti(token: &str) -> String {
    let payload = token.split('.').nth(1).and_then(doorward::id::from_base64url);
    let claims: Value = serde_json::from_slice(&payload.expect("a payload")).expect("claims");
    claims["jti"].as_str().expect("a jti").to_owned()
}

on_every_backend! {
    async fn sr_53_registering_signs_in_and_shows_the_listed_fields_alone(app: TestApp) {
        let body = json!({
            "email": " Ada@EXAMPLE.org ", "password": PASSWORD, "display_name": "Ada Lovelace",
        });
        let answer = app.call(Post, REGISTER, body).await.expect(201);
        assert_eq!(answer.header("Location"), Some("/api/v1/me"));
        let body = answer.json();
        assert_fields(&body, "user session");
        assert_fields(&body["user"], USER);
        assert_fields(&body["session"], SESSION);
        assert_eq!(body["user"]["email"], "Ada@example.org");
        assert_eq!(body["user"]["display_name"], "Ada Lovelace");
        assert_eq!(body["user"]["status"], "active");
        assert_eq!(body["user"]["roles"], json!(["user"]));
        assert_eq!(body["user"]["permissions"], json!([]));
        assert_eq!(body["user"]["created_at"], START.to_string());
        assert_eq!(body["user"]["last_login_at"], START.to_string());
        assert_eq!(body["session"]["current"], true);
        assert_eq!(body["session"]["remember"], false);
        assert_eq!(body["session"]["ip"], "203.0.113.7");
        app.me().await.expect(200);
    }

    async fn signing_in_answers_like_registering(app: TestApp) {
        app.create("ada@example.org", &["user"]).await;
        app.later(minutes(1));
        let login = json!({ "email": "ADA@example.org", "password": PASSWORD, "remember": true });
        let ask = app.ask(Post, LOGIN).header("Sec-Fetch-Site", "same-origin").json(&login);
        let answer = ask.header("User-Agent", "curl/8.5.0").send().await.expect(200).json();
        assert_fields(&answer, "user session");
        assert_fields(&answer["user"], USER);
        assert_fields(&answer["session"], SESSION);
        assert_eq!(answer["user"]["last_login_at"], (START + minutes(1)).to_string());
        assert_eq!(answer["session"]["remember"], true);
        assert_eq!(answer["session"]["user_agent"], "curl/8.5.0");
        assert_eq!(answer["session"]["device"], "curl");
    }

    async fn sr_20_every_refused_sign_in_looks_the_same(app: TestApp) {
        let admin = app.signed_in("root@example.org", &["admin"]).await;
        app.create("ada@example.org", &["user"]).await;
        let gone = app.create("gone@example.org", &["user"]).await;
        let status = json!({ "status": "disabled" });
        admin.call(rocket::http::Method::Patch, &format!("/api/v1/admin/users/{gone}"), status)
            .await.expect(200);
        let long = "x".repeat(2000);
        let mut seen = BTreeSet::new();
        for (email, password) in [
            ("nobody@example.org", PASSWORD),
            ("ada@example.org", "not the password"),
            ("gone@example.org", PASSWORD),
            ("gone@example.org", "not the password"),
            ("ada@example.org", ""),
            ("ada@example.org", &long),
            ("not an address", PASSWORD),
            ("ada@example.org\0", PASSWORD),
        ] {
            let answer = app.stranger().log_in_with(email, password).await;
            let answer = answer.expect_problem(401, "invalid_credentials");
            let id = answer.json()["request_id"].as_str().unwrap().to_owned();
            assert!(answer.all("Set-Cookie").is_empty());
            let mut headers = answer.headers.clone();
            headers.sort();
            let headers = format!("{headers:?}").replace(&id, "");
            seen.insert((headers, answer.text().replace(&id, "")));
        }
        assert_eq!(seen.len(), 1, "{seen:#?}");
    }

    async fn sr_8_fifty_registrations_of_one_address_make_one_account(app: TestApp) {
        let tries = (0..50).map(|n| {
            let visitor = app.stranger();
            async move {
                let email = if n % 2 == 0 { "ada@example.org" } else { "ADA@example.org" };
                let body = json!({ "email": email, "password": PASSWORD });
                visitor.call(Post, REGISTER, body).await.status.code
            }
        });
        let answers = join_all(tries).await;
        assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|status| matches!(status, 201 | 409 | 503)), "{answers:?}");
        assert_eq!(app.accounts().count().await.unwrap(), 1);
        app.stranger().log_in("ada@example.org").await;
    }

    async fn a_taken_address_cannot_be_registered_however_it_is_spelt(app: TestApp) {
        app.create("ada@example.org", &["user"]).await;
        for email in ["ada@example.org", "Ada@Example.ORG", " ada@example.org "] {
            let body = json!({ "email": email, "password": PASSWORD });
            let refused = app.stranger().call(Post, REGISTER, body).await;
            let refused = refused.expect_problem(409, "registration_refused");
            assert!(!refused.text().contains("example"), "{}", refused.text());
            assert!(refused.all("Set-Cookie").is_empty());
        }
    }

    async fn sr_25_a_sign_in_makes_a_new_session_and_ends_the_one_presented(app: TestApp) {
        let first = app.register("ada@example.org").await.json();
        app.create("bob@example.org", &["user"]).await;
        let before = app.copy();
        let second = app.log_in("bob@example.org").await.json();
        assert_ne!(first["session"]["id"], second["session"]["id"]);
        assert_ne!(before.cookie(ACCESS), app.cookie(ACCESS));
        assert_ne!(before.cookie(REFRESH), app.cookie(REFRESH));
        before.me().await.expect_problem(401, "session_ended");
        before.refresh().await.expect_problem(401, "session_ended");
        assert_eq!(app.me().await.expect(200).json()["user"]["email"], "bob@example.org");
        // A sign-in that fails leaves the session that came with it alone.
        app.log_in_with("ada@example.org", "not the password").await.expect(401);
        app.me().await.expect(200);
    }

    async fn a_spent_refresh_token_closes_the_session(app: TestApp) {
        app.register("ada@example.org").await;
        let thief = app.copy();
        app.later(minutes(1));
        app.refresh().await.expect(200);
        app.get("/api/v1/me").await.expect(200);
        app.later(minutes(1));

        thief.refresh().await.expect_problem(401, "refresh_reused");
        app.get("/api/v1/me").await.expect_problem(401, "session_ended");
        app.refresh().await.expect_problem(401, "session_ended");
    }

    async fn refreshing_gives_new_tokens_to_the_same_session(app: TestApp) {
        let signed_in = app.register("ada@example.org").await.json();
        let before = app.copy();
        app.later(minutes(5));
        let refreshed = app.refresh().await.expect(200).json();
        assert_fields(&refreshed, "session");
        assert_fields(&refreshed["session"], SESSION);
        let (old, new) = (&signed_in["session"], &refreshed["session"]);
        assert_eq!(old["id"], new["id"]);
        assert_eq!(old["created_at"], new["created_at"]);
        assert_eq!(new["current"], true);
        assert_eq!(new["refresh_expires_at"], (START + minutes(5) + hours(24)).to_string());
        assert_ne!(before.cookie(ACCESS), app.cookie(ACCESS));
        assert_ne!(before.cookie(REFRESH), app.cookie(REFRESH));
        // The access token before it is no longer current (SR-34).
        before.drop_cookie(REFRESH);
        before.me().await.expect_problem(401, "session_ended");
    }

    async fn sr_36_fifty_parallel_refreshes_end_with_the_same_successor(app: TestApp) {
        app.register("ada@example.org").await;
        app.later(minutes(1));
        let tries = (0..50).map(|_| {
            let tab = app.copy();
            async move {
                tab.refresh().await.expect(200);
                (tab.cookie(ACCESS), tab.cookie(REFRESH))
            }
        });
        let successors: BTreeSet<_> = join_all(tries).await.into_iter().collect();
        assert_eq!(successors.len(), 1);
        let (access, refresh) = successors.into_iter().next().unwrap();
        app.put_cookie(ACCESS, &access.unwrap());
        app.put_cookie(REFRESH, &refresh.unwrap());
        app.me().await.expect(200);
        assert_eq!(app.get("/api/v1/me/sessions").await.json()["items"].as_array().unwrap().len(), 1);
    }

    async fn sr_36_the_predecessor_is_answered_for_ten_seconds(app: TestApp) {
        app.register("ada@example.org").await;
        let tab = app.copy();
        app.refresh().await.expect(200);
        app.me().await.expect(200);
        app.later(seconds(9));
        tab.refresh().await.expect(200);
        assert_eq!(tab.cookie(REFRESH), app.cookie(REFRESH));
        assert_eq!(tab.cookie(ACCESS), app.cookie(ACCESS));
    }

    async fn sr_36_the_predecessor_of_a_used_token_closes_the_session_after_that(app: TestApp) {
        app.register("ada@example.org").await;
        let thief = app.copy();
        app.refresh().await.expect(200);
        app.me().await.expect(200);
        app.later(seconds(12));
        let refused = thief.refresh().await.expect_problem(401, "refresh_reused");
        assert!(refused.all("Set-Cookie").is_empty());
        app.me().await.expect_problem(401, "session_ended");
    }

    async fn sr_36_a_lost_answer_can_be_asked_for_again_while_its_tokens_are_unused(app: TestApp) {
        app.register("ada@example.org").await;
        let lost = app.copy();
        lost.refresh().await.expect(200);
        app.later(minutes(30));
        app.refresh().await.expect(200);
        // The same tokens by name; what had run out meanwhile got a new life.
        let name = |token: Option<String>| jti(&token.expect("a token"));
        assert_eq!(name(app.cookie(REFRESH)), name(lost.cookie(REFRESH)));
        assert_eq!(name(app.cookie(ACCESS)), name(lost.cookie(ACCESS)));
        app.me().await.expect(200);
    }

    async fn sr_36_the_grandparent_is_never_answered(app: TestApp) {
        app.register("ada@example.org").await;
        let thief = app.copy();
        app.refresh().await.expect(200);
        app.refresh().await.expect(200);
        thief.refresh().await.expect_problem(401, "refresh_reused");
        app.refresh().await.expect_problem(401, "session_ended");
    }

    async fn signing_out_counts_from_the_next_request(app: TestApp) {
        app.register("ada@example.org").await;
        let elsewhere = app.copy();
        app.log_out().await.expect(204);
        elsewhere.get("/api/v1/me").await.expect_problem(401, "session_ended");
        elsewhere.refresh().await.expect_problem(401, "session_ended");
        assert_eq!(app.cookie(ACCESS), None);
        assert_eq!(app.cookie(REFRESH), None);
    }

    async fn signing_out_ends_whatever_the_tokens_name(app: TestApp) {
        app.register("ada@example.org").await;
        let (phone, both) = (app.stranger(), app.stranger());
        phone.log_in("ada@example.org").await;
        both.put_cookie(ACCESS, &app.cookie(ACCESS).unwrap());
        both.put_cookie(REFRESH, &phone.cookie(REFRESH).unwrap());
        both.log_out().await.expect(204);
        for visitor in [&*app, &phone] {
            visitor.me().await.expect_problem(401, "session_ended");
        }
    }

    async fn sr_37_tokens_that_ran_out_still_end_their_session(app: TestApp) {
        app.register("ada@example.org").await;
        let elsewhere = app.copy();
        app.later(minutes(11));
        elsewhere.refresh().await.expect(200);
        elsewhere.me().await.expect(200);
        app.later(minutes(1));
        app.log_out().await.expect(204);
        elsewhere.me().await.expect_problem(401, "session_ended");
    }

    async fn signing_in_elsewhere_leaves_other_sessions_alone(app: TestApp) {
        app.register("ada@example.org").await;
        let phone = app.stranger();
        phone.log_in("ada@example.org").await;
        phone.log_out().await.expect(204);
        app.me().await.expect(200);
    }
}

#[rocket::async_test]
async fn sr_7_nobody_registers_with_what_only_administrators_give() {
    let app = TestApp::light().await;
    for (field, value) in [
        ("role", json!("admin")),
        ("roles", json!(["admin"])),
        ("is_admin", json!(true)),
        ("id", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("status", json!("active")),
        ("email_verified", json!(true)),
        ("permissions", json!(["users:read"])),
        ("session_epoch", json!(9)),
    ] {
        let mut body = json!({ "email": "ada@example.org", "password": PASSWORD });
        body[field] = value;
        let refused = app.call(Post, REGISTER, body).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), [format!("{field}: unknown_field")]);
    }
    assert_eq!(app.accounts().count().await.unwrap(), 0);
}

#[rocket::async_test]
async fn a_registration_is_told_everything_that_is_wrong_with_it_at_once() {
    let app = TestApp::light().await;
    let body = json!({ "email": "ada", "password": "short", "display_name": "x".repeat(101) });
    let refused = app.call(Post, REGISTER, body).await.expect_problem(422, "validation_failed");
    assert_fields(&refused.json(), &format!("{PROBLEM} errors"));
    for error in refused.json()["errors"].as_array().unwrap() {
        assert_fields(error, "field code message");
    }
    let mut faults = refused.faults();
    faults.sort();
    assert_eq!(faults, ["display_name: too_long", "email: invalid_email", "password: too_short"]);
    assert!(refused.all("Set-Cookie").is_empty());
}

#[rocket::async_test]
async fn sr_1_passwords_are_counted_in_code_points_and_never_cut() {
    let app = TestApp::light().await;
    let register = |email: &'static str, password: String| {
        let app = &app;
        async move {
            let body = json!({ "email": email, "password": password });
            app.stranger().call(Post, REGISTER, body).await.status.code
        }
    };
    assert_eq!(register("a@example.org", "ünïcödé wörd".chars().take(11).collect()).await, 422);
    assert_eq!(register("b@example.org", "ünïcödé wörd".into()).await, 201);
    let long: String = (0..6).map(|n| doorward::id::sha256(n.to_string())).collect();
    let long = long[..256].to_owned();
    assert_eq!(register("c@example.org", format!("{long}x")).await, 422);
    assert_eq!(register("d@example.org", long.clone()).await, 201);
    let other = format!("{}!", &long[..255]);
    assert_eq!(app.stranger().log_in_with("d@example.org", &other).await.status.code, 401);
    assert_eq!(app.stranger().log_in_with("d@example.org", &long).await.status.code, 200);
    assert_eq!(register("e@example.org", "a tower\0of marzipan".into()).await, 201);
    for cut in ["a tower", "a tower\0of nougat", "a tower of marzipan"] {
        assert_eq!(app.stranger().log_in_with("e@example.org", cut).await.status.code, 401);
    }
}

#[rocket::async_test]
async fn a_closed_registration_says_so() {
    let settings = [("DOORWARD_REGISTRATION_OPEN", "false")];
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let body = json!({ "email": "ada@example.org", "password": PASSWORD });
    app.call(Post, REGISTER, body).await.expect_problem(403, "registration_refused");
}

#[rocket::async_test]
async fn refreshing_without_a_refresh_token_is_refused() {
    let app = TestApp::light().await;
    app.refresh().await.expect_problem(401, "refresh_invalid");
    app.register("ada@example.org").await;
    let access = app.cookie(ACCESS).unwrap();
    app.drop_cookie(REFRESH);
    app.refresh().await.expect_problem(401, "refresh_invalid");
    // A program cannot refresh with the token it shows as Bearer either.
    let bearer = app.bearer(Post, "/api/v1/auth/refresh", &access).send().await;
    bearer.expect_problem(401, "refresh_invalid");
}

#[rocket::async_test]
async fn signing_out_works_for_whoever_is_signed_out_already() {
    let app = TestApp::light().await;
    app.log_out().await.expect(204);
    app.put_cookie(ACCESS, "garbage");
    app.put_cookie(REFRESH, "garbage");
    app.log_out().await.expect(204);
    assert_eq!(app.cookie(REFRESH), None);
}

#[rocket::async_test]
async fn sr_44_signing_out_clears_what_the_browser_kept_of_the_pages() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let answer = app.log_out().await.expect(204);
    assert_eq!(answer.header("Clear-Site-Data"), Some(r#""storage""#));
    assert_eq!(app.me().await.header("Clear-Site-Data"), None);
}

#[rocket::async_test]
async fn a_bearer_token_signs_its_own_session_out() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let program = app.stranger();
    program.log_in("ada@example.org").await;
    let token = program.cookie(ACCESS).unwrap();
    app.bearer(Post, "/api/v1/auth/logout", &token).send().await.expect(204);
    program.me().await.expect_problem(401, "session_ended");
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn no_field_of_an_answer_holds_a_token() {
    let app = TestApp::light().await;
    let registered = app.register("ada@example.org").await.text();
    let refreshed = app.refresh().await.text();
    let listed = app.get("/api/v1/me/sessions").await.text();
    for text in [registered, refreshed, listed] {
        assert!(!text.contains("eyJ"), "{text}");
        assert!(!text.contains("argon2"), "{text}");
    }
    let page = app.get("/profile/sessions").await.expect(200).text();
    assert!(!page.contains("eyJ"));
    let _: Value = app.me().await.json();
}
