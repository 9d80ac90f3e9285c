//! A closed network without https, in a real browser: `insecure_cookies` (SR-40).

use crate::app::PASSWORD;
use crate::journey::sees;
use crate::support::binary::Server;
use crate::support::browser::{Browser, Options};
use crate::support::free_port;

const HOST: &str = "dw.lan.test";

/// A server that people reach at a name which is not this machine's.
fn server() -> (Server, String) {
    let port = free_port();
    let url = format!("http://{HOST}:{port}");
    let settings = [("DOORWARD_PUBLIC_URL", &*url), ("DOORWARD_INSECURE_COOKIES", "true")];
    (Server::start_at(port, &settings), url)
}

#[rocket::async_test]
async fn sr_40_people_sign_in_over_plain_http_where_the_operator_permits_it() {
    let (_server, url) = server();
    let browser = Browser::open(Options { host: HOST, ..Options::default() }).await;
    browser.goto(&format!("{url}/register")).await;
    browser.fill("email", "ada@example.org").await;
    browser.fill("password", PASSWORD).await;
    browser.press("Create account").await;
    sees(&browser, "h1", "ada").await;
    assert_eq!(browser.path().await, "/profile");

    let mut names = Vec::new();
    for cookie in browser.cookies().await {
        assert_eq!((cookie.secure(), cookie.http_only()), (Some(false), Some(true)), "{cookie}");
        assert_eq!(cookie.same_site().map(|site| site.to_string()), Some("Lax".to_owned()));
        names.push(cookie.name().to_owned());
    }
    names.sort();
    assert_eq!(names, ["dw-at", "dw-dev", "dw-pre", "dw-rt"]);
    // Also what is no safe origin keeps the pages as they are.
    assert_eq!(browser.execute("return document.cookie").await, "");

    browser.fill("display_name", "Ada").await;
    browser.press("Save").await;
    sees(&browser, ".notice", "Your changes are saved.").await;
    browser.press("Sign out").await;
    sees(&browser, ".notice", "You are signed out.").await;
    let left: Vec<String> =
        browser.cookies().await.iter().map(|cookie| cookie.name().to_owned()).collect();
    assert!(!left.iter().any(|name| matches!(name.as_str(), "dw-at" | "dw-rt")), "{left:?}");
    browser.fill("email", "ada@example.org").await;
    browser.fill("password", PASSWORD).await;
    browser.press("Keep me signed in on this device").await;
    browser.press("Sign in").await;
    sees(&browser, "h1", "Ada").await;
}
