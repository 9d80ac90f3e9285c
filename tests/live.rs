//! The lists of the dashboard in a real browser: they search as one types, and renew themselves.

use serde_json::{Value, json};

use crate::app::{LIMITS, PASSWORD};
use crate::journey::sees;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::browser::{Browser, Options};

const ROOT: &str = "root@example.org";

/// A server with an administrator and three people, and the administrator's browser.
async fn begin() -> (Server, Browser) {
    let off = LIMITS.map(|(name, _)| (name, "off"));
    let server = Server::start(&off);
    let browser = Browser::open(Options::default()).await;
    let line = server.lines().wait_for("/setup?token=");
    browser.goto(line.rsplit(' ').next().expect("a link")).await;
    browser.fill("email", ROOT).await;
    browser.fill("password", PASSWORD).await;
    browser.press("Create administrator").await;
    sees(&browser, "h1", "Overview").await;
    for (email, name) in [
        ("ada@example.org", "Ada King Lovelace"),
        ("bob@example.org", ""),
        ("eve@example.org", "<b>Eve</b>"),
    ] {
        register(&server, email, name);
    }
    (server, browser)
}

fn register(server: &Server, email: &str, name: &str) {
    let body = json!({ "email": email, "password": PASSWORD, "display_name": name });
    let answer = Person::at(server.port()).call("POST", "/api/v1/auth/register", body);
    assert_eq!(answer.expect("an answer").status, 201);
}

/// The rows of the list as a person reads them, without the moments, which go by.
async fn rows(browser: &Browser) -> Value {
    let script = "return [...document.querySelectorAll('[data-rows] tr')].map((row) => {
        const copy = row.cloneNode(true);
        copy.querySelectorAll('time').forEach((time) => { time.textContent = time.dateTime; });
        return copy.textContent.replace(/\\s+/g, ' ').trim();
    })";
    browser.execute(script).await
}

async fn type_into(browser: &Browser, name: &str, text: &str) {
    let field = browser.find(&format!("[name={name}]")).await;
    field.send_keys(text).await.expect("typed");
}

/// Waits until the address bar has this query.
async fn is_at(browser: &Browser, query: &str) {
    for _ in 0..200 {
        if browser.url().await.query() == Some(query) {
            return;
        }
        rocket::tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the query is {:?}", browser.url().await.query());
}

/// Whether the page is the one that was marked, never loaded again, with the cursor in this field.
async fn is_same_page(browser: &Browser, field: &str) {
    assert_eq!(browser.execute("return window.mark").await, 1);
    assert_eq!(browser.execute("return document.activeElement.name").await, field);
}

/// The rows that the script made are those that the server makes.
async fn reads_as_from_the_server(browser: &Browser) {
    let ours = rows(browser).await;
    let links = "return [...document.querySelectorAll('[data-rows] a, [data-rows] input')].map((node) => \
                 node.getAttribute('href') ?? node.value + node.ariaLabel)";
    let our_links = browser.execute(links).await;
    let url = browser.url().await;
    browser.goto(url.as_str()).await;
    assert_eq!(rows(browser).await, ours, "{url}");
    assert_eq!(browser.execute(links).await, our_links, "{url}");
}

#[rocket::async_test]
async fn lists_search_as_one_types_and_say_what_they_found() {
    let (server, browser) = begin().await;
    browser.goto(&server.url("/admin/users")).await;
    browser.execute("window.mark = 1").await;
    type_into(&browser, "q", "lovel").await;
    sees(&browser, ".pager [role=status]", "1 person on this page").await;
    is_same_page(&browser, "q").await;
    is_at(&browser, "q=lovel").await;
    let found = rows(&browser).await;
    assert!(found[0].as_str().expect("a row").contains("Ada King Lovelace"), "{found}");
    type_into(&browser, "q", "zzz").await;
    sees(&browser, ".pager [role=status]", "Nothing matches").await;
    sees(&browser, ".empty", "Nobody matches").await;
    browser.fill("q", "").await;
    sees(&browser, ".pager [role=status]", "4 people on this page").await;
    assert_eq!(browser.url().await.query(), None);
    // A name from outside is text, whoever writes the row.
    let status = browser.find("select[name=status]").await;
    status.select_by_value("active").await.expect("chosen");
    sees(&browser, "[data-rows]", "<b>Eve</b>").await;
    is_at(&browser, "status=active").await;
    reads_as_from_the_server(&browser).await;

    browser.goto(&server.url("/admin/sessions")).await;
    browser.execute("window.mark = 1").await;
    assert_eq!(
        browser.execute("return document.querySelector('[data-end-all]').hidden").await,
        true
    );
    type_into(&browser, "user", "bob@example.org").await;
    sees(&browser, ".pager [role=status]", "1 session on this page").await;
    is_same_page(&browser, "user").await;
    sees(&browser, "[data-end-all]", "End all that match").await;
    reads_as_from_the_server(&browser).await;
    browser.press("End all that match…").await;
    sees(&browser, "h1", "End 1 session?").await;
    browser.press("End 1 session").await;
    sees(&browser, ".notice", "1 session has ended.").await;

    browser.goto(&server.url("/admin/audit")).await;
    browser.execute("window.mark = 1").await;
    type_into(&browser, "subject", "ada@example.org").await;
    sees(&browser, ".pager [role=status]", "2 events on this page").await;
    is_same_page(&browser, "subject").await;
    let link = "return document.querySelector('[data-follow] a').getAttribute('href')";
    let csv = "/admin/audit/export?subject=ada%40example.org&format=csv";
    assert_eq!(browser.execute(link).await, csv);
    reads_as_from_the_server(&browser).await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}

#[rocket::async_test]
async fn what_is_shown_renews_itself_and_keeps_what_is_ticked() {
    let (server, browser) = begin().await;
    let seen_again = "document.dispatchEvent(new Event('visibilitychange'))";
    sees(&browser, "[data-figure=people]", "1").await;
    browser.execute(seen_again).await;
    sees(&browser, "[data-figure=people]", "4").await;
    sees(&browser, "[data-figure=sessions]", "4").await;

    browser.goto(&server.url("/admin/sessions")).await;
    browser.click("[data-rows] input").await;
    let ticked = "return document.querySelector('[data-rows] :checked')?.value";
    let one = browser.execute(ticked).await;
    register(&server, "late@example.org", "");
    browser.execute(seen_again).await;
    sees(&browser, "[data-rows]", "late@example.org").await;
    assert_eq!(browser.execute(ticked).await, one);
    // Whose session has ended is led to the sign-in page by what they do next, not by the list.
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
}
