//! Cookies for a whole domain.

use rocket::http::Method::{Get, Post};
use serde_json::json;

use crate::app::*;

const WIDE_ACCESS: &str = "__Secure-dw-at";
const WIDE_REFRESH: &str = "__Secure-dw-rt";

async fn on_domain() -> TestApp {
    let rules = r#"[{"host": "wiki.example.org", "allow": "signed_in"}]"#;
    let settings = [
        ("DOORWARD_PUBLIC_URL", "https://login.example.org"),
        ("DOORWARD_COOKIES_DOMAIN", "example.org"),
        ("DOORWARD_ACCESS_RULES", rules),
        ("DOORWARD_PROXIES_TRUSTED", "203.0.113.0/24"),
    ];
    TestApp::boot_with(Backend::SqliteEmbedded, &settings).await
}

fn ask_for_wiki(visitor: &Visitor) -> Ask<'_> {
    visitor
        .ask(Get, "/api/authz/forward-auth")
        .header("X-Forwarded-Method", "GET")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "wiki.example.org")
        .header("X-Forwarded-Uri", "/page")
}

#[rocket::async_test]
async fn sr_40_the_sessions_cookies_reach_the_domain_and_no_others_do() {
    let app = on_domain().await;
    let answer = app.register("ada@example.org").await;
    for name in [WIDE_ACCESS, WIDE_REFRESH] {
        let set = answer.set_cookie(name).expect("it is set");
        let (_, attributes) = set.split_once("; ").expect("attributes");
        assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax; Domain=example.org");
    }
    assert_eq!(answer.set_cookie(ACCESS), None);
    assert_eq!(answer.set_cookie(REFRESH), None);
    // A known device and a visitor's forms are nobody else's business.
    assert!(!answer.set_cookie(DEVICE).expect("a device").contains("Domain"));
    let page = app.stranger().get("/login").await.expect(200);
    assert!(!page.set_cookie(PRE_LOGIN).expect("a visitor").contains("Domain"));
    ask_for_wiki(&app).send().await.expect(200);
    app.me().await.expect(200);
    app.later(minutes(11));
    let refreshed = app.me().await.expect(200);
    assert!(refreshed.set_cookie(WIDE_REFRESH).expect("a new one").contains("Domain=example.org"));
    let gone = app.log_out().await.expect(204);
    let gone = gone.set_cookie(WIDE_REFRESH).expect("taken back").to_owned();
    assert!(gone.contains("Max-Age=0") && gone.contains("Domain=example.org"), "{gone}");
    ask_for_wiki(&app).send().await.expect(401);
}

#[rocket::async_test]
async fn sr_40_a_cookie_that_a_sibling_tosses_in_signs_nobody_in_or_out_of_another_session() {
    let app = on_domain().await;
    app.register("ada@example.org").await;
    let mallory = app.stranger();
    mallory.register("mallory@example.org").await;
    let tossed = mallory.cookie(WIDE_ACCESS).expect("a cookie");
    let ask = ask_for_wiki(&app).header("Cookie", &format!("{WIDE_ACCESS}={tossed}"));
    let answer = ask.send().await;
    assert_ne!(answer.header("Remote-User"), Some("mallory@example.org"));
    // Those of a host alone are no cookies of this server any more.
    let other = app.stranger();
    other.put_cookie(ACCESS, &app.cookie(WIDE_ACCESS).expect("a cookie"));
    ask_for_wiki(&other).send().await.expect(401);
    other.me().await.expect_problem(401, "not_signed_in");
}

#[rocket::async_test]
async fn sr_41_a_sibling_host_changes_nothing() {
    let app = on_domain().await;
    app.register("ada@example.org").await;
    let ask = app.ask(Post, "/api/v1/auth/logout").header("Sec-Fetch-Site", "same-site");
    ask.send().await.expect_problem(403, "csrf_refused");
    let ask = app.ask(Post, "/api/v1/auth/logout").header("Origin", "https://wiki.example.org");
    ask.send().await.expect_problem(403, "csrf_refused");
    // Without either, the cookies alone are no proof.
    let ask = app.ask(Post, "/api/v1/auth/logout").json(&json!({}));
    ask.send().await.expect_problem(403, "csrf_refused");
    app.me().await.expect(200);
}

#[rocket::async_test]
async fn signing_in_leads_back_to_the_app() {
    let app = on_domain().await;
    app.register("ada@example.org").await;
    app.log_out().await.expect(204);
    let login = "/login?next=https%3A%2F%2Fwiki.example.org%2Fpage";
    let page = app.get(login).await.expect(200);
    let policy = page.header("Content-Security-Policy").expect("a policy");
    assert!(policy.contains("form-action 'self' https://wiki.example.org;"), "{policy}");
    let next = page.hidden("next");
    let next = next.replace("&#x2F;", "/").replace("&amp;", "&");
    assert_eq!(next, "https://wiki.example.org/page");
    let wrong = [("email", "ada@example.org"), ("password", "not this one"), ("next", &next)];
    let again = app.submit(login, "/login", &wrong).await.expect(401);
    let policy = again.header("Content-Security-Policy").expect("a policy");
    assert!(policy.contains("https://wiki.example.org;"), "{policy}");
    let right = [("email", "ada@example.org"), ("password", PASSWORD), ("next", &next)];
    app.submit(login, "/login", &right).await.expect_redirect("https://wiki.example.org/page");
    app.get(login).await.expect_redirect("https://wiki.example.org/page");
    let stranger = app.stranger();
    let fields = [("email", "bob@example.org"), ("password", PASSWORD), ("next", &next)];
    let made = stranger.submit(&login.replace("login", "register"), "/register", &fields).await;
    made.expect_redirect("https://wiki.example.org/page");
}
