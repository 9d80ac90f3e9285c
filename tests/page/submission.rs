//! Forms that are sent twice: by a double click, by a reload, to one replica or to two.

use rocket::tokio::join;

use super::{form_token, post};
use crate::app::*;
use crate::audit::events;
use crate::on_every_backend;

const ADA: &str = "ada@example.org";
const FIELDS: [(&str, &str); 2] = [("email", ADA), ("password", PASSWORD)];

/// How often something of this kind was recorded.
async fn recorded(app: &TestApp, kind: &str) -> usize {
    events(app).await.iter().filter(|event| event.kind == kind).count()
}

/// How many sessions the owner of these cookies has.
async fn sessions(visitor: &Visitor) -> usize {
    let list = visitor.get("/api/v1/me/sessions").await.expect(200).json();
    list["items"].as_array().or(list.as_array()).expect("a list").len()
}

async fn people(app: &TestApp) -> u64 {
    app.accounts().count().await.expect("the store answers")
}

/// Fails unless both lead to the same place with the same cookies.
#[track_caller]
fn expect_alike(one: &Answer, two: &Answer) {
    let told = |answer: &Answer| {
        let mut cookies: Vec<String> =
            answer.all("Set-Cookie").into_iter().map(str::to_owned).collect();
        cookies.sort();
        let header = |name| answer.header(name).map(str::to_owned);
        (answer.status.code, header("Location"), header("Clear-Site-Data"), cookies)
    };
    assert_eq!(told(one), told(two));
    assert_eq!(one.status.code, 303, "{}", one.text());
}

/// Sends the form of the page `at` twice, the second time as the browser was before the first answer.
async fn twice(visitor: &Visitor, at: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
    let token = form_token(visitor, at).await;
    let before = visitor.copy();
    let first = post(visitor, to, Some(&token), fields).await;
    let second = post(&before, to, Some(&token), fields).await;
    expect_alike(&first, &second);
    second
}

on_every_backend! {
    async fn two_clicks_on_create_account_make_one(app: TestApp) {
        let token = form_token(&app, "/register").await;
        let (one, two) = (app.copy(), app.copy());
        let (first, second) = join!(
            post(&one, "/register", Some(&token), &FIELDS),
            post(&two, "/register", Some(&token), &FIELDS)
        );
        expect_alike(&first, &second);
        // Also when all is done, and whichever answer the browser kept.
        let three = app.copy();
        expect_alike(&first, &post(&three, "/register", Some(&token), &FIELDS).await);
        for browser in [&one, &two, &three] {
            browser.get("/profile").await.expect(200);
            assert_eq!(sessions(browser).await, 1);
        }
        assert_eq!(people(&app).await, 1);
        assert_eq!(recorded(&app, "user_created").await, 1);
        assert_eq!(recorded(&app, "session_created").await, 1);
    }

    async fn two_clicks_on_sign_in_begin_one_session(app: TestApp) {
        app.create(ADA, &[]).await;
        let token = form_token(&app, "/login").await;
        let (one, two) = (app.copy(), app.copy());
        let (first, second) = join!(
            post(&one, "/login", Some(&token), &FIELDS),
            post(&two, "/login", Some(&token), &FIELDS)
        );
        expect_alike(&first, &second);
        assert_eq!((sessions(&one).await, sessions(&two).await), (1, 1));
        assert_eq!(recorded(&app, "authn_login_success").await, 1);
    }

    async fn two_clicks_on_the_set_up_page_make_one_administrator(app: TestApp) {
        let link = app.setup_token().await;
        let at = format!("/setup?token={link}");
        let fields = [("token", &*link), FIELDS[0], FIELDS[1]];
        twice(&app, &at, "/setup", &fields).await.expect_redirect("/admin");
        assert_eq!(people(&app).await, 1);
    }

    async fn every_form_that_changes_something_is_answered_alike_twice(app: TestApp) {
        let id = app.create("bob@example.org", &["user"]).await;
        let root = app.signed_in("root@example.org", &["admin"]).await;
        app.create("second@example.org", &["admin"]).await;
        let bob = format!("/admin/users/{id}");
        let to = |what: &str| format!("{bob}/{what}");
        let name = [("display_name", "Grace")];
        let clerk = [("name", "clerk"), ("description", "Writes")];
        let invited = [("email", "eve@example.org"), ("password", PASSWORD), ("roles", "user")];
        twice(&root, "/profile", "/profile", &name).await;
        twice(&root, "/admin/roles/new", "/admin/roles", &clerk).await;
        twice(&root, "/admin/roles/clerk/delete", "/admin/roles/clerk/delete", &[]).await;
        twice(&root, "/admin/users/new", "/admin/users", &invited).await;
        twice(&root, &bob, &to("email"), &[("email", "robert@example.org")]).await;
        twice(&root, &bob, &to("roles"), &[("roles", "user")]).await;
        twice(&root, &bob, &to("end-sessions"), &[]).await;
        twice(&root, &bob, &to("disable"), &[]).await;
        twice(&root, &bob, &to("enable"), &[]).await;
        twice(&root, &to("delete"), &to("delete"), &[]).await;
        twice(&root, "/admin/keys", "/admin/keys/rotate", &[("algorithm", "ES256")]).await;
        let again = [("current_password", PASSWORD), ("new_password", "a castle of nougat")];
        twice(&root, "/profile", "/profile/password", &again).await;
        root.get("/profile").await.expect(200);
        app.later(minutes(16));
        let confirmed = [("password", "a castle of nougat"), ("next", "/admin")];
        let at = "/reauthenticate?next=%2Fadmin";
        twice(&root, at, "/reauthenticate", &confirmed).await.expect_redirect("/admin");
        let gone = [("password", "a castle of nougat")];
        let out = twice(&root, "/profile/delete", "/profile/delete", &gone).await;
        out.expect_redirect("/login?done=deleted");
        for (kind, times) in [
            ("user_disabled", 1),
            ("user_enabled", 1),
            ("user_deleted", 2),
            ("authn_password_change", 1),
            ("authn_reauth_success", 1),
            ("sys_key_rotated", 1),
        ] {
            assert_eq!(recorded(&app, kind).await, times, "{kind}");
        }
    }

    async fn two_clicks_on_sign_out_sign_out(app: TestApp) {
        let ada = app.signed_in(ADA, &[]).await;
        let out = twice(&ada, "/profile", "/logout", &[]).await;
        out.expect_redirect("/login?done=signed-out");
        assert_eq!(recorded(&app, "session_ended").await, 1);
    }

    async fn a_browser_that_lost_the_first_answer_goes_on_with_the_second(app: TestApp) {
        let ada = app.signed_in(ADA, &[]).await;
        let token = form_token(&ada, "/profile").await;
        let cancelled = ada.copy();
        let fields = [("current_password", PASSWORD), ("new_password", "a castle of nougat")];
        post(&cancelled, "/profile/password", Some(&token), &fields).await.expect(303);
        post(&ada, "/profile/password", Some(&token), &fields).await.expect(303);
        ada.get("/profile").await.expect(200);
        assert_eq!(sessions(&ada).await, 1);
    }

    async fn a_form_with_other_fields_is_another_submission(app: TestApp) {
        let ada = app.signed_in(ADA, &[]).await;
        let token = form_token(&ada, "/profile").await;
        for name in ["Ada", "Grace", "Ada"] {
            post(&ada, "/profile", Some(&token), &[("display_name", name)]).await.expect(303);
            ada.get("/profile").await.expect(200).says(&format!("<bdi>{name}</bdi>"));
        }
        // Beyond what can be looked at before the guards ask, too.
        let long = |last: char| "\u{1f469}".repeat(60) + &last.to_string();
        for name in [long('a'), long('b'), long('a')] {
            let fields = [("display_name", &*name)];
            let (one, two) = join!(
                post(&ada, "/profile", Some(&token), &fields),
                post(&ada, "/profile", Some(&token), &fields)
            );
            expect_alike(&one, &two);
            ada.get("/profile").await.expect(200).says(&format!("<bdi>{name}</bdi>"));
        }
        let saved = recorded(&app, "user_updated").await;
        assert_eq!(saved, 6, "of nine that were sent, three were sent twice");
    }

    async fn what_is_refused_is_judged_and_counted_each_time(app: TestApp) {
        app.create(ADA, &[]).await;
        let token = form_token(&app, "/login").await;
        let wrong = [("email", ADA), ("password", "not the password")];
        let (one, two) = (app.copy(), app.copy());
        let (first, second) = join!(
            post(&one, "/login", Some(&token), &wrong),
            post(&two, "/login", Some(&token), &wrong)
        );
        assert_eq!((first.status.code, second.status.code), (401, 401));
        assert_eq!(recorded(&app, "authn_login_fail").await, 2);
        // The form that came back is another one, and so is what is corrected.
        let again = first.hidden("csrf_token");
        assert_ne!(again, token);
        post(&app, "/login", Some(&again), &FIELDS).await.expect(303);
    }

    async fn a_result_is_for_the_visitor_who_got_it(app: TestApp) {
        let token = form_token(&app, "/register").await;
        let first = post(&app, "/register", Some(&token), &FIELDS).await.expect(303);
        let thief = app.stranger();
        form_token(&thief, "/register").await;
        let refused = post(&thief, "/register", Some(&token), &FIELDS).await.expect(403);
        assert_eq!(refused.all("Set-Cookie"), [""; 0]);
        let bare = app.stranger();
        post(&bare, "/register", Some(&token), &FIELDS).await.expect(403);
        assert_eq!((thief.cookie(ACCESS), bare.cookie(ACCESS)), (None, None));
        assert!(first.set_cookie(ACCESS).is_some());
    }

    async fn a_result_is_kept_for_a_minute(app: TestApp) {
        let token = form_token(&app, "/register").await;
        let before = app.copy();
        post(&app, "/register", Some(&token), &FIELDS).await.expect(303);
        app.later(seconds(59));
        post(&before.copy(), "/register", Some(&token), &FIELDS).await.expect(303);
        app.later(seconds(2));
        post(&before, "/register", Some(&token), &FIELDS).await.expect(409);
        assert_eq!(people(&app).await, 1);
    }

    async fn a_result_of_before_revives_no_session_that_has_ended(app: TestApp) {
        app.create(ADA, &[]).await;
        let token = form_token(&app, "/login").await;
        let before = app.copy();
        post(&app, "/login", Some(&token), &FIELDS).await.expect(303);
        app.log_out().await.expect(204);
        let again = post(&before, "/login", Some(&token), &FIELDS).await;
        assert_eq!((again.set_cookie(ACCESS), again.set_cookie(REFRESH)), (None, None));
        again.expect_redirect("/profile");
        before.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
        assert_eq!(recorded(&app, "authn_login_success").await, 1);
    }

    async fn a_result_gives_no_token_back_that_was_traded_in(app: TestApp) {
        app.create(ADA, &[]).await;
        let token = form_token(&app, "/login").await;
        let before = app.copy();
        post(&app, "/login", Some(&token), &FIELDS).await.expect(303);
        app.refresh().await.expect(200);
        app.me().await.expect(200);
        let again = post(&before, "/login", Some(&token), &FIELDS).await;
        assert_eq!((again.set_cookie(ACCESS), again.set_cookie(REFRESH)), (None, None));
        again.expect_redirect("/profile");
        // The browser, with what it has by then, is signed in long after.
        app.later(minutes(30));
        app.get("/profile").await.expect(200);
        assert_eq!(recorded(&app, "authn_token_reuse").await, 0);
    }
}

#[rocket::async_test]
async fn limits_count_a_double_click_once() {
    let settings = [("DOORWARD_LIMITS_REGISTER_PER_ADDRESS", "1/1h")];
    let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
    let token = form_token(&app, "/register").await;
    let before = app.copy();
    post(&app, "/register", Some(&token), &FIELDS).await.expect(303);
    post(&before, "/register", Some(&token), &FIELDS).await.expect(303);
    let other = [("email", "eve@example.org"), ("password", PASSWORD)];
    app.stranger().submit("/register", "/register", &other).await.expect(429);
}

#[rocket::async_test]
async fn the_second_click_may_meet_another_replica() {
    for backend in [Backend::SqliteRedis, Backend::PostgresRedis] {
        let app = TestApp::boot(backend).await;
        let replica = app.replica().await;
        let token = form_token(&app, "/register").await;
        let (one, two) = (app.copy(), replica.stranger());
        two.put_cookie(PRE_LOGIN, &app.cookie(PRE_LOGIN).expect("a visitor"));
        let (first, second) = join!(
            post(&one, "/register", Some(&token), &FIELDS),
            post(&two, "/register", Some(&token), &FIELDS)
        );
        expect_alike(&first, &second);
        assert_eq!(people(&app).await, 1);
        two.get("/profile").await.expect(200);
        assert_eq!((sessions(&one).await, sessions(&two).await), (1, 1));
    }
}

#[rocket::async_test]
async fn a_store_holds_no_token_and_no_password_of_a_result() {
    let app = TestApp::boot(Backend::SqliteRedis).await;
    let token = form_token(&app, "/register").await;
    post(&app, "/register", Some(&token), &FIELDS).await.expect(303);
    let client = ::redis::Client::open(app.store.as_str()).expect("an address");
    let mut link = client.get_connection().expect("Redis answers");
    let keys: Vec<String> =
        ::redis::cmd("KEYS").arg("*submission*").query(&mut link).expect("keys");
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    let kept: Vec<String> = ::redis::cmd("HGETALL").arg(key).query(&mut link).expect("a hash");
    let text = format!("{key} {}", kept.join(" "));
    let secrets = [ACCESS, REFRESH, PRE_LOGIN].map(|name| app.cookie(name).expect("a cookie"));
    for secret in secrets.iter().map(String::as_str).chain([&*token, PASSWORD, ADA, "/profile"]) {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let life: i64 = ::redis::cmd("PTTL").arg(key).query(&mut link).expect("a life");
    assert!((1..=60_000).contains(&life), "{life}");
}
