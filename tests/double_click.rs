//! Double clicks in a real browser that runs no scripts. Where scripts run, ours sends a form once; that
//! helps nobody whose first answer gets lost, and everybody else needs the server.

use std::time::Duration;

use fantoccini::actions::{InputSource as _, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};

use crate::app::PASSWORD;
use crate::journey::sees;
use crate::support::binary::Server;
use crate::support::browser::{Browser, Options};
use crate::support::wait_until;

/// How often a double click is made until both clicks have sent the form.
const ATTEMPTS: usize = 10;

/// Fills in the form and clicks on its button twice, the second time while the first answer is awaited.
async fn send_twice(browser: &Browser, email: &str) {
    browser.fill("email", email).await;
    browser.fill("password", PASSWORD).await;
    let element = browser.find("main form [type=submit]").await;
    let down = PointerAction::Down { button: MOUSE_BUTTON_LEFT };
    let up = PointerAction::Up { button: MOUSE_BUTTON_LEFT };
    let over = PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 };
    let wait = PointerAction::Pause { duration: Duration::from_millis(20) };
    let clicks = MouseActions::new("mouse".to_owned())
        .then(over)
        .then(down.clone())
        .then(up.clone())
        .then(wait)
        .then(down)
        .then(up);
    browser.client().perform_actions(clicks).await.expect("two clicks");
}

/// How many forms were sent to `path` so far.
fn sent(server: &Server, path: &str) -> usize {
    let start = format!("POST {path} ");
    server.lines().all().iter().filter(|line| line.contains(&start)).count()
}

/// Sends the form at `path` by double clicks until one has sent it twice; says who used it last, and how
/// often it was used.
async fn until_sent_twice(server: &Server, browser: &Browser, path: &str) -> (String, usize) {
    for attempt in 1..=ATTEMPTS {
        let email = match path {
            "/register" => format!("ada{attempt}@example.org"),
            _ => "ada1@example.org".to_owned(),
        };
        let before = sent(server, path);
        browser.goto(&server.url(path)).await;
        send_twice(browser, &email).await;
        let (name, _) = email.split_once('@').expect("an address");
        sees(browser, "h1", name).await;
        assert_eq!(browser.path().await, "/profile");
        let both = wait_until(Duration::from_secs(2), || sent(server, path) == before + 2);
        browser.press("Sign out").await;
        sees(browser, ".notice", "You are signed out.").await;
        if both {
            return (email, attempt);
        }
    }
    panic!("no double click sent the form twice: {:#?}", server.lines().all());
}

#[rocket::async_test]
async fn a_double_click_makes_one_account_and_begins_one_session() {
    let server = Server::start(&[]);
    let browser = Browser::open(Options { javascript: false, ..Options::default() }).await;
    let (_, accounts) = until_sent_twice(&server, &browser, "/register").await;
    let (_, sign_ins) = until_sent_twice(&server, &browser, "/login").await;
    let audit = server.run(&["--json", "audit", "list", "--limit", "500"], "").stdout;
    let count = |kind: &str| audit.matches(&format!("\"{kind}\"")).count();
    assert_eq!(count("user_created"), accounts, "{audit}");
    assert_eq!(count("authn_login_success"), sign_ins, "{audit}");
    assert_eq!(count("session_created"), accounts + sign_ins, "{audit}");
}
