//! The page for whatever goes wrong, and what every page has in common.

use rocket::http::Method;

use super::form_token;
use crate::app::*;
use crate::support::{redis, wait_until};

async fn booted() -> TestApp {
    TestApp::boot(Backend::SqliteEmbedded).await
}

#[rocket::async_test]
async fn sr_62_people_get_a_page_and_programs_get_problem_details() {
    let app = booted().await;
    for accept in [None, Some("*/*"), Some("text/html,application/xhtml+xml,*/*;q=0.8")] {
        let ask = app.ask(Method::Get, "/nothing");
        let ask = accept.into_iter().fold(ask, |ask, accept| ask.header("Accept", accept));
        let page = ask.send().await.expect(404);
        assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
        page.says("<h1>Not found</h1>").says("There is nothing here.").says("Go to sign-in");
        let id = page.header("X-Request-Id").expect("an identifier").to_owned();
        page.says(&format!("<code>{id}</code>"));
    }
    for accept in
        ["application/json", "application/problem+json", "application/json, text/html;q=0.5"]
    {
        let ask = app.ask(Method::Get, "/nothing").header("Accept", accept);
        ask.send().await.expect_problem(404, "not_found");
        let ask = app.ask(Method::Get, "/profile").header("Accept", accept);
        ask.send().await.expect_problem(401, "not_signed_in");
        let ask = app.ask(Method::Post, "/login").header("Accept", accept);
        ask.form(&[]).send().await.expect_problem(403, "csrf_refused");
    }
    let ada = app.signed_in("ada@example.org", &[]).await;
    let ask = ada.ask(Method::Get, "/admin").header("Accept", "application/json");
    ask.send().await.expect_problem(403, "permission_denied");
}

#[rocket::async_test]
async fn whoever_is_signed_in_finds_back_to_their_profile() {
    let app = booted().await;
    let ada = app.signed_in("ada@example.org", &[]).await;
    for (path, code) in [("/nothing", 404), ("/profile/x.css", 404), ("/admin", 403)] {
        let page = ada.get(path).await.expect(code);
        page.says("href=\"/profile\">Back to your profile</a>").says("Sign out");
    }
}

#[rocket::async_test]
async fn a_path_under_another_method_says_which_ones_there_are() {
    let app = booted().await;
    for (method, path, allow) in [
        (Method::Put, "/login", "GET, HEAD, POST"),
        (Method::Delete, "/profile", "GET, HEAD, POST"),
        (Method::Get, "/profile/password", "POST"),
        (Method::Get, "/profile/sessions/x/revoke", "POST"),
    ] {
        let page = app.ask(method, path).header("Sec-Fetch-Site", "same-origin").send().await;
        let page = page.expect(405);
        assert_eq!(page.header("Allow"), Some(allow), "{method} {path}");
        page.says("That is not possible here");
    }
}

#[rocket::async_test]
async fn what_is_too_long_is_refused() {
    let app = booted().await;
    let long = "a".repeat(9000);
    app.get(&format!("/login?next=/{long}")).await.expect(414).says("That is too large");
    app.get(&format!("/static/{long}")).await.expect(414);
    let ask = app.ask(Method::Get, "/login").header("X-Long", &long.repeat(4));
    ask.send().await.expect(431);
}

#[rocket::async_test]
async fn sr_43_every_page_names_a_nonce_of_its_own() {
    let app = booted().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    let mut nonces = Vec::new();
    for (visitor, path, code) in [
        (&*app, "/login", 200),
        (&*app, "/register", 200),
        (&*app, "/nothing", 404),
        (&*app, "/setup", 403),
        (&root, "/profile", 200),
        (&root, "/profile", 200),
        (&root, "/admin/users", 200),
    ] {
        let page = visitor.get(path).await.expect(code);
        let policy = page.header("Content-Security-Policy").expect("a policy");
        let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
        let nonce = nonce.expect("a nonce").to_owned();
        assert_eq!(nonce.len(), 22, "128 bits in base64url");
        page.says(&format!("<script nonce=\"{nonce}\" src=\"/static/app."));
        let ours = format!("<script nonce=\"{nonce}\" src=\"/static/");
        let scripts = if path.starts_with("/admin") { 2 } else { 1 };
        assert_eq!(page.text().matches(&ours).count(), scripts, "{path}");
        assert_eq!(page.text().matches("<script").count(), scripts, "{path}");
        for inline in ["<style", " style=", " onclick=", "javascript:"] {
            page.never_says(inline);
        }
        assert_eq!(page.header("Cache-Control"), Some("no-store"), "{path}");
        assert_eq!(page.header("X-Frame-Options"), Some("DENY"), "{path}");
        nonces.push(nonce);
    }
    let count = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), count);
}

#[rocket::async_test]
async fn sr_44_static_files_are_kept_for_ever_under_the_name_of_their_content() {
    let app = booted().await;
    let page = app.get("/login").await.expect(200);
    for (before, after, kind) in [
        ("<link rel=\"stylesheet\" href=\"", "\"", "text/css; charset=utf-8"),
        ("src=\"", "\"", "text/javascript; charset=utf-8"),
        ("<link rel=\"icon\" href=\"", "\"", "image/svg+xml; charset=utf-8"),
    ] {
        let path = page.between(before, after).remove(0);
        let file = app.get(&path).await.expect(200);
        assert_eq!(file.header("Content-Type"), Some(kind));
        let caching = file.header("Cache-Control");
        assert_eq!(caching, Some("public, max-age=31536000, immutable"));
        assert!(!file.body.is_empty());
    }
    for path in ["/static/app.css", "/static/app.0123456789ab.css", "/static/%2e%2e%2fCargo.toml"] {
        let missing = app.get(path).await.expect(404);
        assert_eq!(missing.header("Cache-Control"), Some("no-store"));
    }
}

#[rocket::async_test]
async fn a_notice_says_one_of_our_sentences_or_nothing() {
    let app = booted().await;
    app.get("/login?done=deleted").await.expect(200).says("Your account is deleted.");
    for word in ["evil", "%3Cscript%3E", "", "deleted&done=evil"] {
        let page = app.get(&format!("/login?done={word}")).await.expect(200);
        page.never_says("evil").never_says("<script>");
    }
}

#[rocket::async_test]
async fn a_stranger_who_sent_a_form_is_not_sent_back_to_what_only_takes_forms() {
    let app = booted().await;
    let token = form_token(&app, "/login").await;
    for path in ["/profile", "/profile/password", "/profile/sessions/revoke-others"] {
        super::post(&app, path, Some(&token), &[]).await.expect_redirect("/login");
    }
}

#[rocket::async_test]
async fn head_answers_as_get_does_without_the_page() {
    let app = booted().await;
    let page = app.ask(Method::Head, "/login").send().await.expect(200);
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert!(page.body.is_empty());
    app.ask(Method::Head, "/profile").send().await.expect(303);
    app.ask(Method::Head, "/nothing").send().await.expect(404);
}

#[rocket::async_test]
async fn sr_70_without_the_session_store_nothing_is_pretended() {
    let store = redis::RedisServer::start(redis::Options::default());
    let settings = [("DOORWARD_STORE_URL", &*store.url())];
    let app = TestApp::boot_with(Backend::SqliteRedis, &settings).await;
    let ada = app.signed_in("ada@example.org", &[]).await;
    let token = form_token(&ada, "/profile").await;
    let visitors = form_token(&app, "/login").await;
    store.kill();

    for page in ["/profile", "/profile/sessions", "/", "/admin"] {
        let page = ada.get(page).await.expect(503);
        assert!(page.header("Retry-After").is_some());
        page.says("One moment, please").says("Please try again in");
    }
    let name = [("display_name", "Ada")];
    super::post(&ada, "/profile", Some(&token), &name).await.expect(503);
    let out = super::post(&ada, "/logout", Some(&token), &[]).await.expect(503);
    assert_eq!(out.header("Set-Cookie"), None, "not signed out, so not said to be");
    let fields = [("email", "ada@example.org"), ("password", PASSWORD)];
    let refused = super::post(&app, "/login", Some(&visitors), &fields).await.expect(503);
    assert_eq!(refused.field("email"), "ada@example.org");
    assert_eq!(app.cookie(ACCESS), None);
    for public in ["/login", "/register"] {
        ada.get(public).await.expect(200);
        app.get(public).await.expect(200);
    }
    ada.get("/nothing").await.expect(404);

    // It comes back empty: everybody is signed out, and can sign in again.
    store.restart();
    let back = wait_until(seconds(5), || {
        rocket::tokio::task::block_in_place(|| {
            let handle = rocket::tokio::runtime::Handle::current();
            handle.block_on(ada.get("/profile")).status.code == 303
        })
    });
    assert!(back, "the server finds the store again within 5 s");
    app.submit("/login", "/login", &fields).await.expect(303);
}
