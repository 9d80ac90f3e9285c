//! `/login` and `/logout`.

use rocket::http::Method;

use super::{expect_only_own_forms, expect_strict_forms, form_token, post};
use crate::app::*;
use crate::on_every_backend;

const ADA: [(&str, &str); 2] = [("email", "ada@example.org"), ("password", PASSWORD)];

on_every_backend! {
    async fn signing_in_leads_to_the_profile_and_ends_with_the_window(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let welcome = app.submit("/login", "/login", &ADA).await.expect_redirect("/profile");
        for cookie in [ACCESS, REFRESH] {
            let cookie = welcome.set_cookie(cookie).expect("it is set");
            assert!(!cookie.contains("Max-Age"), "{cookie}");
            assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{cookie}");
        }
        app.get("/profile").await.expect(200).says("ada@example.org");
        app.later(hours(23));
        app.get("/profile").await.expect(200);
        app.later(hours(25));
        app.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
    }

    async fn keep_me_signed_in_outlives_the_window(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let fields = [ADA[0], ADA[1], ("remember", "true")];
        let welcome = app.submit("/login", "/login", &fields).await.expect_redirect("/profile");
        let cookies = welcome.all("Set-Cookie");
        let refresh = cookies.iter().find(|cookie| cookie.starts_with(REFRESH)).expect("a cookie");
        assert!(refresh.contains("; Max-Age=1209600"), "{refresh}");
        for _ in 0..2 {
            app.later(hours(13 * 24));
            app.get("/profile").await.expect(200);
        }
        app.later(hours(5 * 24));
        app.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
    }

    async fn a_stranger_comes_to_where_they_wanted_to_go(app: TestApp) {
        app.create("ada@example.org", &["admin"]).await;
        let asked = app.get("/admin/users?q=a%26b&role=user").await.expect(303);
        let to_login = asked.header("Location").expect("a place").to_owned();
        assert_eq!(to_login, "/login?next=%2Fadmin%2Fusers%3Fq%3Da%2526b%26role%3Duser");
        let page = app.get(&to_login).await.expect(200);
        let (token, next) = (page.hidden("csrf_token"), page.field("next"));
        let fields = [ADA[0], ("password", "wrong"), ("next", &*next)];
        let again = post(&app, "/login", Some(&token), &fields).await.expect(401);
        let (token, next) = (again.hidden("csrf_token"), again.field("next"));
        let fields = [ADA[0], ADA[1], ("next", &*next)];
        let there = post(&app, "/login", Some(&token), &fields).await;
        there.expect_redirect("/admin/users?q=a%26b&role=user");
    }

    async fn sr_20_every_refusal_looks_the_same(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let id = app.create("bob@example.org", &[]).await;
        let admin = app.signed_in("root@example.org", &["admin"]).await;
        let page = format!("/admin/users/{id}");
        admin.submit(&page, &format!("{page}/disable"), &[]).await.expect(303);

        let mut answers = Vec::new();
        for (email, password) in [
            ("ada@example.org", "the wrong password"),
            ("bob@example.org", PASSWORD),
            ("bob@example.org", "the wrong password"),
            ("nobody@example.org", "the wrong password"),
            ("no address", "the wrong password"),
            ("ada@example.org", &*"long".repeat(2000)),
        ] {
            let fields = [("email", email), ("password", password), ("remember", "true")];
            let refused = app.submit("/login", "/login", &fields).await.expect(401);
            refused.says("The e-mail address or the password is not right.").never_says(password);
            assert_eq!(refused.field("email"), email);
            assert!(refused.text().contains("name=\"remember\" value=\"true\" checked"));
            assert_eq!(app.cookie(ACCESS), None);
            let nonce = refused.between("nonce=\"", "\"").remove(0);
            let text = refused.reading().replace(&refused.hidden("csrf_token"), "");
            let mut names: Vec<_> = refused.headers.into_iter().map(|(name, _)| name).collect();
            names.sort();
            answers.push((text.replace(&nonce, "").replace(email, ""), names));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:#?}");
    }

    async fn sr_25_signing_in_ends_the_session_that_came_along(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        app.submit("/login", "/login", &ADA).await.expect(303);
        let before = app.copy();
        let visitor = app.cookie(PRE_LOGIN).expect("a visitor's cookie");
        app.stranger().get("/login").await.expect(200);
        // Signed in already, so the form comes from a window that was open before.
        let other = app.stranger();
        let page = other.get("/login").await.expect(200);
        let id = other.cookie(PRE_LOGIN).expect("a visitor's cookie");
        assert_ne!(id, visitor);
        app.put_cookie(PRE_LOGIN, &id);
        post(&app, "/login", Some(&page.hidden("csrf_token")), &ADA).await.expect(303);
        assert_ne!(app.cookie(ACCESS), before.cookie(ACCESS));
        app.get("/profile").await.expect(200);
        before.get("/profile").await.expect(303);
    }

    async fn signing_out_ends_the_session_and_takes_the_cookies_back(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        app.submit("/login", "/login", &ADA).await.expect(303);
        let before = app.copy();
        let out = app.submit("/profile", "/logout", &[]).await;
        let out = out.expect_redirect("/login?done=signed-out");
        assert_eq!(out.header("Clear-Site-Data"), Some("\"storage\""));
        assert_eq!((app.cookie(ACCESS), app.cookie(REFRESH)), (None, None));
        app.get("/login?done=signed-out").await.expect(200).says("You are signed out.");
        before.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
        before.refresh().await.expect_problem(401, "session_ended");
    }

    async fn signing_out_works_although_the_session_has_ended(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        app.submit("/login", "/login", &ADA).await.expect(303);
        let elsewhere = app.copy();
        let token = form_token(&app, "/profile").await;
        elsewhere.submit("/profile", "/logout", &[]).await.expect(303);
        let out = post(&app, "/logout", Some(&token), &[]).await;
        out.expect_redirect("/login?done=signed-out");
        assert_eq!(app.cookie(ACCESS), None);

        app.submit("/login", "/login", &ADA).await.expect(303);
        let token = form_token(&app, "/profile").await;
        app.later(hours(8 * 24));
        let out = post(&app, "/logout", Some(&token), &[]).await;
        out.expect_redirect("/login?done=signed-out");
        assert_eq!(app.cookie(REFRESH), None);
    }

    async fn a_form_outlives_its_access_token(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        app.submit("/login", "/login", &ADA).await.expect(303);
        let token = form_token(&app, "/profile").await;
        app.later(hours(2));
        let fields = [("display_name", "Ada")];
        let saved = post(&app, "/profile", Some(&token), &fields).await;
        saved.expect_redirect("/profile?done=saved");
        app.get("/profile").await.expect(200).says("<h1><bdi>Ada</bdi></h1>");
    }

    async fn sr_41_only_our_own_form_signs_in_or_out(app: TestApp) {
        app.create("ada@example.org", &[]).await;
        let foreign = form_token(&app.stranger(), "/login").await;
        expect_only_own_forms(&app, "/login", "/login", &ADA, &foreign).await;
        assert_eq!(app.cookie(ACCESS), None);

        app.submit("/login", "/login", &ADA).await.expect(303);
        let other = app.stranger();
        other.log_in("ada@example.org").await;
        let foreign = form_token(&other, "/profile").await;
        expect_only_own_forms(&app, "/profile", "/logout", &[], &foreign).await;
        app.get("/profile").await.expect(200);
    }
}

async fn booted() -> TestApp {
    TestApp::boot(Backend::SqliteEmbedded).await
}

#[rocket::async_test]
async fn the_form_token_or_our_origin_is_enough_where_browsers_say_less() {
    let app = booted().await;
    app.create("ada@example.org", &[]).await;
    let token = form_token(&app, "/login").await;
    let fields = [ADA[0], ADA[1], ("csrf_token", &*token)];
    for headers in [&[][..], &[("Origin", ORIGIN)], &[("Sec-Fetch-Site", "none")]] {
        let browser = app.copy();
        let ask = browser.ask(Method::Post, "/login").form(&fields);
        let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, value));
        ask.send().await.expect_redirect("/profile");
    }
}

#[rocket::async_test]
async fn sr_26_nothing_leads_to_another_site() {
    let app = booted().await;
    app.create("ada@example.org", &[]).await;
    for evil in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example",
        "\\\\evil.example",
        "/.//evil.example",
        "evil.example",
        "/%0d%0aSet-Cookie:x\r\nX: y",
    ] {
        let asked: String = url::form_urlencoded::byte_serialize(evil.as_bytes()).collect();
        for page in ["/login", "/register"] {
            let page = app.stranger().get(&format!("{page}?next={asked}")).await.expect(200);
            page.never_says("evil").never_says("javascript:").never_says("name=\"next\"");
        }
        let fields = [ADA[0], ADA[1], ("next", evil)];
        let browser = app.stranger();
        browser.submit("/login", "/login", &fields).await.expect_redirect("/");
        browser.get(&format!("/login?next={asked}")).await.expect_redirect("/");
        browser.get(&format!("/register?next={asked}")).await.expect_redirect("/");
    }
}

#[rocket::async_test]
async fn next_leads_to_no_address_of_ours_that_shows_no_page() {
    let app = booted().await;
    app.create("ada@example.org", &[]).await;
    for (asked, opens) in [
        ("/logout", false),
        ("/%6Cogout", false),
        ("/logout?done=saved#top", false),
        ("/profile/password", false),
        ("/profile/notices/dismiss", false),
        ("/api/v1/me", false),
        ("/api/v1/nothing", false),
        ("/api/v1/admin/users/some", false),
        ("/api/authz/forward-auth", false),
        ("/api/authz/ext-authz/page", false),
        ("/admin/audit/export?format=csv", false),
        ("/livez", false),
        ("/csp-report", false),
        ("/static/app.css", false),
        ("/.well-known/jwks.json", false),
        ("/profile/sessions", true),
        ("/admin/users?q=a%26b", true),
        ("/admin/roles/new", true),
        ("/api/docs", true),
        // Nothing of ours: an app's, behind the same proxy.
        ("/notes", true),
        ("/api/notes", true),
        ("/app/logout", true),
    ] {
        let query: String = url::form_urlencoded::byte_serialize(asked.as_bytes()).collect();
        let there = if opens { asked } else { "/profile" };
        for page in ["/login", "/register"] {
            let page = app.stranger().get(&format!("{page}?next={query}")).await.expect(200);
            assert_eq!(page.text().contains("name=\"next\""), opens, "{asked}");
        }
        let browser = app.stranger();
        let fields = [ADA[0], ADA[1], ("next", asked)];
        browser.submit("/login", "/login", &fields).await.expect_redirect(there);
        browser.get(&format!("/login?next={query}")).await.expect_redirect(there);
        browser.get(&format!("/reauthenticate?next={query}")).await.expect_redirect(there);
    }
}

#[rocket::async_test]
async fn next_is_never_markup() {
    let app = booted().await;
    let page = app.get("/login?next=/%22%3E%3Cscript%3Ealert(1)%3C/script%3E").await.expect(200);
    assert!(!page.text().contains("<script>"));
    assert_eq!(page.field("next"), "/%22%3E%3Cscript%3Ealert(1)%3C/script%3E");
}

#[rocket::async_test]
async fn whoever_is_signed_in_is_sent_on() {
    let app = booted().await;
    let ada = app.signed_in("ada@example.org", &[]).await;
    ada.get("/").await.expect_redirect("/profile");
    ada.get("/login").await.expect_redirect("/profile");
    ada.get("/register").await.expect_redirect("/profile");
    ada.get("/login?next=/profile/sessions").await.expect_redirect("/profile/sessions");
    app.get("/").await.expect_redirect("/login");
}

#[rocket::async_test]
async fn what_is_no_form_of_ours_is_refused() {
    let app = booted().await;
    app.create("ada@example.org", &[]).await;
    expect_strict_forms(&app, "/login", "/login", &ADA).await;
    let token = form_token(&app, "/login").await;
    for fields in [&[ADA[0]][..], &[ADA[1]], &[ADA[0], ADA[0], ADA[1]]] {
        post(&app, "/login", Some(&token), fields).await.expect(422);
    }
    assert_eq!(app.cookie(ACCESS), None);
    post(&app, "/login", Some(&token), &ADA).await.expect(303);
}

#[rocket::async_test]
async fn nobody_signs_out_by_following_a_link() {
    let app = booted().await;
    let ada = app.signed_in("ada@example.org", &[]).await;
    let refused = ada.get("/logout").await.expect(405);
    assert_eq!(refused.header("Allow"), Some("POST"));
    ada.get("/profile").await.expect(200);
    let nobody = app.stranger();
    nobody.ask(Method::Post, "/logout").form(&[]).send().await.expect(303);
}

#[rocket::async_test]
async fn a_refresh_token_that_was_used_before_cannot_sign_anybody_in() {
    let app = booted().await;
    app.register("ada@example.org").await;
    let thief = app.copy();
    app.later(minutes(20));
    app.get("/profile").await.expect(200);
    app.get("/profile").await.expect(200);
    app.later(minutes(1));
    thief.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
    app.get("/profile").await.expect_redirect("/login?next=%2Fprofile");
    app.get("/login?next=%2Fprofile").await.expect(200);
}
