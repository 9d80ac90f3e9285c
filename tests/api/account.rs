//! `/api/v1/me`: one's own account and sessions.

use doorward::account::Status;
use doorward::id::{AccountId, from_base64url, sha256};
use doorward::session::store::{Opened, Opening, Pair};
use rocket::http::Method::{Delete, Get, Patch, Post, Put};
use serde_json::{Value, json};

use crate::app::*;
use crate::on_every_backend;

const ME: &str = "/api/v1/me";
const PASSWORDS: &str = "/api/v1/me/password";
const SESSIONS: &str = "/api/v1/me/sessions";

/// What the token in the cookie `name` says.
fn claims(visitor: &Visitor, name: &str) -> Value {
    let token = visitor.cookie(name).expect("a cookie");
    let payload = token.split('.').nth(1).and_then(from_base64url).expect("a payload");
    serde_json::from_slice(&payload).expect("claims")
}

/// The sessions that a list shows.
fn items(answer: &Answer) -> Vec<Value> {
    answer.json()["items"].as_array().expect("items").clone()
}

on_every_backend! {
    async fn one_sees_and_changes_ones_own_name(app: TestApp) {
        app.register("ada@example.org").await;
        let me = app.me().await.expect(200).json();
        assert_fields(&me, "user");
        assert_fields(&me["user"], USER);
        assert_eq!(me["user"]["display_name"], "");

        let body = json!({ "display_name": "  Ada 🦀 <b>  " });
        let renamed = app.call(Patch, ME, body).await.expect(200).json();
        assert_fields(&renamed, "user");
        assert_fields(&renamed["user"], USER);
        assert_eq!(renamed["user"]["display_name"], "Ada 🦀 <b>");
        assert_eq!(app.me().await.json()["user"]["display_name"], "Ada 🦀 <b>");
    }

    async fn sr_37_a_changed_password_ends_every_other_session(app: TestApp) {
        app.register("ada@example.org").await;
        let phone = app.stranger();
        phone.log_in("ada@example.org").await;
        let before = app.copy();
        let body = json!({ "current_password": PASSWORD, "new_password": "a bridge of nougat" });
        let answer = app.call(Put, PASSWORDS, body).await.expect(204);
        assert!(answer.set_cookie(ACCESS).is_some() && answer.set_cookie(REFRESH).is_some());

        app.me().await.expect(200);
        app.refresh().await.expect(200);
        phone.me().await.expect_problem(401, "session_ended");
        phone.refresh().await.expect_problem(401, "session_ended");
        before.drop_cookie(REFRESH);
        before.me().await.expect_problem(401, "session_ended");
        let visitor = app.stranger();
        visitor.log_in_with("ada@example.org", PASSWORD).await.expect(401);
        visitor.log_in_with("ada@example.org", "a bridge of nougat").await.expect(200);
    }

    async fn a_changed_password_begins_the_lives_of_the_session_anew(app: TestApp) {
        app.register("ada@example.org").await;
        app.later(seconds(30));
        let body = json!({ "current_password": PASSWORD, "new_password": "a bridge of nougat" });
        app.call(Put, PASSWORDS, body).await.expect(204);
        let list = app.get(SESSIONS).await;
        assert!(list.all("Set-Cookie").is_empty(), "the access token is good");
        let renewed = items(&list)[0].clone();
        let other = app.stranger().log_in_with("ada@example.org", "a bridge of nougat").await;
        let fresh = other.expect(200).json()["session"].clone();
        assert_eq!(renewed["created_at"], START.to_string());
        assert_eq!(renewed["last_seen_at"], fresh["last_seen_at"]);
        assert_eq!(renewed["refresh_expires_at"], fresh["refresh_expires_at"]);
        let end = renewed["access_expires_at"].as_str().expect("a moment");
        assert!(end > (app.now() + seconds(570)).to_string().as_str(), "{end}");
        assert_eq!(claims(&app, ACCESS)["iat"], app.now().as_secs());
    }

    async fn sr_9_a_password_is_changed_by_whoever_knows_it(app: TestApp) {
        app.register("ada@example.org").await;
        for wrong in ["not the password", "", &"x".repeat(2000)] {
            let body = json!({ "current_password": wrong, "new_password": "a bridge of nougat" });
            let refused = app.call(Put, PASSWORDS, body).await;
            refused.expect_problem(403, "invalid_credentials");
        }
        let body = json!({ "current_password": PASSWORD, "new_password": "short" });
        let refused = app.call(Put, PASSWORDS, body).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), ["new_password: too_short"]);
        app.me().await.expect(200);
        app.stranger().log_in("ada@example.org").await;
    }

    async fn one_lists_and_ends_ones_sessions(app: TestApp) {
        app.register("ada@example.org").await;
        app.later(minutes(2));
        let phone = app.stranger().at("198.51.100.9");
        let phone_id = phone.log_in("ada@example.org").await.json()["session"]["id"].clone();
        let listed = app.get(SESSIONS).await.expect(200);
        assert_fields(&listed.json(), "items next_cursor");
        assert_eq!(listed.json()["next_cursor"], Value::Null);
        let all = items(&listed);
        all.iter().for_each(|session| assert_fields(session, SESSION));
        assert_eq!(all.iter().filter(|session| session["current"] == true).count(), 1);
        let there = all.iter().find(|session| session["id"] == phone_id).expect("the phone");
        assert_eq!(there["ip"], "198.51.100.9");
        assert_eq!(there["current"], false);

        let path = format!("{SESSIONS}/{}", phone_id.as_str().unwrap());
        app.call(Delete, &path, Value::Null).await.expect(204);
        phone.me().await.expect_problem(401, "session_ended");
        app.call(Delete, &path, Value::Null).await.expect_problem(404, "not_found");
        assert_eq!(items(&app.get(SESSIONS).await).len(), 1);
    }

    async fn the_last_use_of_a_session_is_noted_to_the_minute(app: TestApp) {
        app.register("ada@example.org").await;
        let seen = async || items(&app.get(SESSIONS).await)[0]["last_seen_at"].clone();
        app.later(seconds(30));
        app.me().await.expect(200);
        assert_eq!(seen().await, START.to_string());
        app.later(seconds(60));
        app.me().await.expect(200);
        assert_eq!(seen().await, (START + seconds(90)).to_string());
    }

    async fn a_session_that_ran_out_is_listed_no_more(app: TestApp) {
        app.register("ada@example.org").await;
        app.later(hours(25));
        let phone = app.stranger();
        let id = phone.log_in("ada@example.org").await.json()["session"]["id"].clone();
        let listed = items(&phone.get(SESSIONS).await);
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["id"], id);
    }

    async fn sr_50_somebody_elses_session_is_not_found(app: TestApp) {
        let id = app.register("ada@example.org").await.json()["session"]["id"].clone();
        let mallory = app.signed_in("mallory@example.org", &["user"]).await;
        let id = id.as_str().unwrap();
        for path in [format!("{SESSIONS}/{id}"), format!("{SESSIONS}/nonsense")] {
            let refused = mallory.call(Delete, &path, Value::Null).await;
            refused.expect_problem(404, "not_found");
        }
        app.me().await.expect(200);
    }

    async fn one_ends_all_other_sessions_or_all(app: TestApp) {
        app.register("ada@example.org").await;
        let (phone, tablet) = (app.stranger(), app.stranger());
        phone.log_in("ada@example.org").await;
        tablet.log_in("ada@example.org").await;
        let others = format!("{SESSIONS}?others=true");
        let ended = app.call(Delete, &others, Value::Null).await.expect(200);
        assert_eq!(ended.json(), json!({ "revoked": 2 }));
        assert!(ended.all("Set-Cookie").is_empty());
        phone.me().await.expect_problem(401, "session_ended");
        tablet.refresh().await.expect_problem(401, "session_ended");
        app.me().await.expect(200);

        phone.log_in("ada@example.org").await;
        let elsewhere = app.copy();
        let ended = app.call(Delete, SESSIONS, Value::Null).await.expect(200);
        assert_eq!(ended.json(), json!({ "revoked": 2 }));
        assert_eq!(app.cookie(REFRESH), None);
        elsewhere.me().await.expect_problem(401, "session_ended");
        phone.refresh().await.expect_problem(401, "session_ended");
    }

    async fn a_deleted_account_is_gone_at_once(app: TestApp) {
        app.register("ada@example.org").await;
        let phone = app.stranger();
        phone.log_in("ada@example.org").await;
        let elsewhere = app.copy();
        app.call(Delete, ME, json!({ "password": "not the password" })).await
            .expect_problem(403, "invalid_credentials");
        app.me().await.expect(200);

        app.call(Delete, ME, json!({ "password": PASSWORD })).await.expect(204);
        assert_eq!((app.cookie(ACCESS), app.cookie(REFRESH)), (None, None));
        for left in [&elsewhere, &phone] {
            left.me().await.expect_problem(401, "session_ended");
            left.refresh().await.expect_problem(401, "session_ended");
        }
        app.stranger().log_in_with("ada@example.org", PASSWORD).await.expect(401);
        // The address is free again, for another account.
        app.stranger().register("ada@example.org").await;
        elsewhere.me().await.expect_problem(401, "session_ended");
    }

    async fn sr_51_the_last_administrator_cannot_delete_themselves(app: TestApp) {
        let root = app.signed_in("root@example.org", &["admin"]).await;
        root.call(Delete, ME, json!({ "password": PASSWORD })).await
            .expect_problem(409, "last_admin");
        root.me().await.expect(200);
        // One without a password could not take over.
        let bare = json!({ "email": "bare@example.org", "roles": ["admin"] });
        root.call(Post, "/api/v1/admin/users", bare).await.expect(201);
        root.call(Delete, ME, json!({ "password": PASSWORD })).await
            .expect_problem(409, "last_admin");
        app.create("second@example.org", &["admin"]).await;
        root.call(Delete, ME, json!({ "password": PASSWORD })).await.expect(204);
    }
}

#[rocket::async_test]
async fn a_display_name_that_cannot_stand_on_a_page_is_refused() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    for (name, code) in [
        ("x".repeat(101), "too_long"),
        ("Ada\0".into(), "invalid_characters"),
        ("Ada\r\nBcc: x".into(), "invalid_characters"),
        ("Ada\u{7f}".into(), "invalid_characters"),
        ("ad\u{202e}ada".into(), "invalid_characters"),
        ("\u{200b}".into(), "invalid_characters"),
        ("\u{feff}Ada".into(), "invalid_characters"),
        ("Ada\u{fffd}".into(), "invalid_characters"),
        (format!("a{}", "\u{301}".repeat(30)), "invalid_characters"),
    ] {
        let refused = app.call(Patch, ME, json!({ "display_name": name })).await;
        let refused = refused.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), [format!("display_name: {code}")]);
    }
    for name in [
        "\u{e9}".repeat(100),
        "\u{1f600}".repeat(100),
        "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}".into(),
        "\u{639}\u{644}\u{6cc}\u{200c}\u{631}\u{636}\u{627}".into(),
        "<b>\"'".into(),
        "=1+1".into(),
    ] {
        let changed = app.call(Patch, ME, json!({ "display_name": name })).await.expect(200);
        assert_eq!(changed.json()["user"]["display_name"], json!(name));
    }
    let body =
        json!({ "email": "eve@example.org", "password": PASSWORD, "display_name": "\u{202e}" });
    let refused = app.stranger().call(Post, "/api/v1/auth/register", body).await;
    let refused = refused.expect_problem(422, "validation_failed");
    assert_eq!(refused.faults(), ["display_name: invalid_characters"]);
}

#[rocket::async_test]
async fn a_name_from_before_stays_and_its_owner_goes_on() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let ada = app.create("ada@example.org", &[]).await;
    let odd = "ad\u{202e}a";
    let mut database = app.database().await;
    let write = sqlx::query("UPDATE account SET display_name = ? WHERE id = ?");
    write.bind(odd).bind(&ada).execute(&mut database).await.expect("it is written");
    app.log_in("ada@example.org").await;
    assert_eq!(app.me().await.json()["user"]["display_name"], odd);
    app.get("/profile").await.expect(200);
    // Sent back as it came, it is no change.
    app.call(Patch, ME, json!({ "display_name": odd })).await.expect(200);
    let path = format!("/api/v1/admin/users/{ada}");
    let both = json!({ "display_name": odd, "status": "active" });
    root.call(Patch, &path, both).await.expect(200);
    app.call(Patch, ME, json!({ "display_name": "\u{202e}b" })).await.expect(422);
    // Its page keeps it apart from what stands around it.
    let page = root.get(&format!("/admin/users/{ada}")).await.expect(200).text();
    assert!(page.contains(&format!("<h1><bdi>{odd}</bdi></h1>")), "{page}");
}

#[rocket::async_test]
async fn sr_7_nobody_changes_more_of_themselves_than_their_name() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    for field in ["roles", "status", "email", "id", "permissions"] {
        let mut body = json!({ "display_name": "Ada" });
        body[field] = json!("admin");
        let refused = app.call(Patch, ME, body).await.expect_problem(422, "validation_failed");
        assert_eq!(refused.faults(), [format!("{field}: unknown_field")]);
    }
    let refused = app.call(Patch, ME, json!({})).await.expect_problem(422, "validation_failed");
    assert_eq!(refused.faults(), ["display_name: required"]);
    assert_eq!(app.me().await.json()["user"]["display_name"], "");
}

#[rocket::async_test]
async fn which_sessions_to_end_is_never_guessed() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    for others in ["maybe", "", "1", "True", "yes"] {
        let path = format!("{SESSIONS}?others={others}");
        let refused = app.call(Delete, &path, Value::Null).await;
        refused.expect_problem(422, "validation_failed");
    }
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn a_stranger_has_nothing_here() {
    let app = TestApp::light().await;
    for (method, path, body) in [
        (Get, ME, Value::Null),
        (Patch, ME, json!({ "display_name": "x" })),
        (Delete, ME, json!({ "password": PASSWORD })),
        (Put, PASSWORDS, json!({ "current_password": "x", "new_password": "y" })),
        (Get, SESSIONS, Value::Null),
        (Delete, SESSIONS, Value::Null),
        (Delete, "/api/v1/me/sessions?others=true", Value::Null),
        (Delete, "/api/v1/me/sessions/AAAAAAAAAAAAAAAAAAAAAA", Value::Null),
    ] {
        let refused = app.call(method, path, body).await.expect_problem(401, "not_signed_in");
        assert_eq!(refused.header("WWW-Authenticate"), Some(r#"Bearer realm="doorward""#));
        assert_fields(&refused.json(), PROBLEM);
    }
}

#[rocket::async_test]
async fn sr_37_a_disabled_account_opens_nothing_though_its_session_still_stands() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let id = AccountId::parse(app.me().await.json()["user"]["id"].as_str().unwrap()).unwrap();
    let services = app.command(&[]).await.unwrap();
    let mut account = services.accounts.get(&id).await.unwrap();
    for (status, answer) in [(Status::Disabled, 401), (Status::Active, 200)] {
        account.version += 10;
        account.status = status;
        services.session_store.publish(&account, app.now()).await.unwrap();
        app.ask(Get, ME)
            .header("Cookie", &format!("{ACCESS}={}", app.cookie(ACCESS).unwrap()))
            .without_jar()
            .send()
            .await
            .expect(answer);
    }
}

/// The session store has heard of a change of the account that the sign-in has not read.
#[rocket::async_test]
async fn sr_38_a_sign_in_that_is_overtaken_by_a_change_looks_at_the_account_again() {
    let app = TestApp::light().await;
    let id = AccountId::parse(&app.create("ada@example.org", &[]).await).unwrap();
    let services = app.command(&[]).await.unwrap();
    let mut account = services.accounts.get(&id).await.unwrap();
    account.version += 10;
    services.session_store.publish(&account, app.now()).await.unwrap();
    // SQL is behind for good: it was restored.
    let refused = app.log_in_with("ada@example.org", PASSWORD).await;
    refused.expect_problem(503, "store_unavailable");

    // The password is changed once it was found good.
    let change = "CREATE TRIGGER change AFTER INSERT ON account_device BEGIN \
                  UPDATE account SET session_epoch = session_epoch + 1, version = version + 1; END";
    let mut database = app.database().await;
    let forget = sqlx::query("DELETE FROM account_device");
    forget.execute(&mut database).await.expect("no device is known");
    sqlx::query(change).execute(&mut database).await.expect("a trigger");
    let refused = app.log_in_with("ada@example.org", PASSWORD).await;
    refused.expect_problem(401, "invalid_credentials");
}

#[rocket::async_test]
async fn sr_38_a_session_store_that_is_restored_brings_no_ended_session_back() {
    let app = TestApp::light().await;
    app.register("ada@example.org").await;
    let id = AccountId::parse(app.me().await.json()["user"]["id"].as_str().unwrap()).unwrap();
    let services = app.command(&[]).await.unwrap();
    let account = services.accounts.get(&id).await.unwrap();
    let session = services.sessions.list(&id).await.unwrap().remove(0);
    let digest = |name| json!(sha256(claims(&app, name)["jti"].as_str().unwrap()));
    let pair = Pair {
        access: serde_json::from_value(digest(ACCESS)).unwrap(),
        refresh: serde_json::from_value(digest(REFRESH)).unwrap(),
    };
    let stolen = app.copy();
    app.log_out().await.expect(204);
    // The end of another session sweeps up what need not be remembered any more.
    let other = app.stranger();
    other.log_in("ada@example.org").await;
    other.log_out().await.expect(204);
    let account = services.accounts.get(&account.id).await.unwrap();
    let open = services.session_store.open(&session, &pair, &account, Opening::New, app.now());
    assert_eq!(open.await.unwrap(), Opened::Done);
    // For the life of an access token, the store alone is asked.
    stolen.me().await.expect(200);
    app.later(hours(1));
    stolen.refresh().await.expect_problem(401, "session_ended");
    stolen.me().await.expect_problem(401, "session_ended");
}
