//! The way to the sign-in page and back in a real browser, which holds forms to the page's policy.

use super::stack::{Proxy, stack};
use crate::app::PASSWORD;
use crate::support::browser::{Browser, Options};

#[rocket::async_test]
async fn a_browser_goes_to_sign_in_and_comes_back() {
    let stack = rocket::tokio::task::spawn_blocking(|| stack(Proxy::Nginx)).await.expect("a stack");
    rocket::tokio::task::spawn_blocking(|| stack.registered("browser@example.org"))
        .await
        .expect("an account");
    let browser = Browser::open(Options::default()).await;
    browser.goto(&stack.url("/wiki?page=1")).await;
    assert_eq!(browser.text("h1").await, "Sign in");
    browser.fill("email", "browser@example.org").await;
    browser.fill("password", PASSWORD).await;
    browser.press("Sign in").await;
    // The app's answer, once the way there is done.
    let told = browser.text("pre").await;
    assert!(told.contains("browser@example.org"), "{told}");
    assert_eq!(browser.path().await, "/wiki");
    let script = "return fetch('/data').then(answer => answer.status)";
    assert_eq!(browser.execute(script).await, 200);
}
