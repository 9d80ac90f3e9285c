//! Every page in a real browser: accessible, valid, and wide enough for a phone; and its pictures.
//!
//! With `DW_TEST_SCREENSHOTS` (`tests/screenshots` sets it) every page is looked at in all views, and
//! its pictures are saved in `target/screenshots`.

mod album;
mod judge;
mod keyboard;
mod sight;
mod stage;

use std::collections::BTreeSet;
use std::time::Duration;

use rocket::http::Method;
use serde_json::{Value, json};

use crate::app::{PASSWORD, minutes};
use crate::support::browser::{Browser, Options};
use crate::support::{node, redis};
use album::Album;
use judge::View;
use sight::{Act, Sight, Walk};
use stage::{Page, Stage};

/// What answers GET with something else than a page.
const NO_PAGE: [&str; 13] = [
    "/",
    "/.doorward/host",
    "/admin/audit/export",
    "/static/<name>",
    "/livez",
    "/readyz",
    "/.well-known/jwks.json",
    "/.well-known/change-password",
    "/.well-known/security.txt",
    "/favicon.ico",
    "/apple-touch-icon.png",
    "/apple-touch-icon-precomposed.png",
    "/robots.txt",
];

#[rocket::async_test]
async fn every_page_is_good_to_see_to_hear_and_to_use() {
    let album = Album::open();
    let (mut complaints, pages) = look_at_everything(&album).await;
    let (reports, pages): (Vec<_>, Vec<_>) =
        pages.into_iter().partition(|page| page.path == "/csp-report");
    complaints.extend(judge::html(&pages));
    complaints.extend(reports.iter().map(|_| "a report of the policy".to_owned()));
    album.close();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    every_page_was_there(&pages).await;
    every_form_was_refused_once(&pages);
}

/// Every page in every state, on a server where much has happened, one that is new and then loses its
/// store, and one that refuses.
async fn look_at_everything(album: &Album) -> (Vec<String>, Vec<Page>) {
    let store = redis::RedisServer::start(redis::Options::default());
    let new = [("DOORWARD_STORE_URL", &*store.url())];
    let limits = [("DOORWARD_LIMITS_OTHER_PER_ADDRESS", "1/24h")];
    let patience = [("DOORWARD_LIMITS_ACCOUNT_FAILURES", "5")];
    let (lively, new, busy) =
        tokio::join!(Stage::open(&patience), Stage::open(&new), Stage::open(&limits));
    let token = new.app.setup_token().await;
    lively.live().await;
    tokio::join!(lively.listen(), new.listen(), busy.listen());

    let mut walks = sight::lively(&lively).await;
    let rest = walks.split_off(walks.len() / 2);
    let one = async {
        let mut complaints = Vec::new();
        for walk in walks {
            complaints.extend(go(&enter(&lively).await, &lively, walk, album).await);
        }
        complaints
    };
    let other = async {
        let mut complaints = Vec::new();
        for walk in rest {
            complaints.extend(go(&enter(&lively).await, &lively, walk, album).await);
        }
        let browser = enter(&new).await;
        complaints.extend(go(&browser, &new, sight::empty(&token), album).await);
        new.app.later(minutes(16));
        complaints.extend(go(&browser, &new, sight::later(), album).await);
        store.kill();
        complaints.extend(go(&browser, &new, sight::away(), album).await);
        let browser = enter(&busy).await;
        browser.goto(&busy.url("/login")).await;
        complaints.extend(go(&browser, &busy, sight::busy(), album).await);
        complaints
    };
    let (one, other) = tokio::join!(one, other);
    let pages = [&lively, &new, &busy].map(Stage::pages).concat();
    ([one, other].concat(), pages)
}

/// A browser that has what the judges need, and for which it is as late as for the server.
async fn enter(stage: &Stage) -> Browser {
    let browser = Browser::open(Options::default()).await;
    browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    let now = stage.app.now().as_millis();
    for script in [node::axe(), format!("Date.now = () => {now};")] {
        let script = json!({ "source": script });
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", script).await;
    }
    browser
}

async fn go(browser: &Browser, stage: &Stage, walk: Walk, album: &Album) -> Vec<String> {
    if let Some(who) = walk.who {
        browser.goto(&stage.url("/login")).await;
        send(browser, "/login", &[("email", who), ("password", PASSWORD)]).await;
        let path = browser.path().await;
        assert!(["/profile", "/profile/new-password"].contains(&&*path), "{who} is signed in");
    }
    let mut complaints = Vec::new();
    for sight in walk.sights {
        browser.set_size((1280, 800)).await;
        browser.goto(&stage.url(&sight.path)).await;
        complaints.extend(look(browser, &sight, album).await);
    }
    complaints
}

async fn look(browser: &Browser, sight: &Sight, album: &Album) -> Vec<String> {
    match sight.act {
        Act::Nothing => {}
        Act::Unfold => {
            let unfold = "for (const one of document.querySelectorAll('details')) one.open = true";
            browser.execute(unfold).await;
        }
        Act::Send(to, fields) => send(browser, to, fields).await,
    }
    let mut complaints = Vec::new();
    for &view in album.views() {
        view.apply(browser).await;
        album.keep(browser, sight.name, view).await;
        let found = judge::axe(browser).await;
        complaints.extend(found.iter().map(|one| format!("{} {}: {one}", sight.name, view.name())));
    }
    let found = judge::ours(browser).await;
    complaints.extend(found.iter().map(|one| format!("{}: {one}", sight.name)));
    complaints
}

/// Fills in a form and sends it, past the browser's own checks; waits for what comes back.
async fn send(browser: &Browser, to: &str, fields: &[(&str, &str)]) {
    const SEND: &str = r#"
        const [to, fields] = arguments;
        const form = document.querySelector(`form[action$="${to}"]`);
        for (const [name, value] of fields) {
          const field = form.querySelector(`[name="${name}"]`);
          field.value = value;
          if (field.type === "checkbox") field.checked = true;
        }
        document.documentElement.dataset.left = "true";
        form.submit();
    "#;
    const THERE: &str =
        "document.readyState === 'complete' && !document.documentElement.dataset.left";
    let arguments = vec![json!(to), json!(fields)];
    browser.client().execute(SEND, arguments).await.unwrap_or_else(|e| panic!("{to}: {e}"));
    until(browser, THERE).await;
}

/// Waits until something is true on the page.
async fn until(browser: &Browser, truth: &str) {
    let script = format!("return {truth}");
    for _ in 0..500 {
        // A page that goes away while it is asked answers with an error.
        if matches!(browser.client().execute(&script, Vec::new()).await, Ok(Value::Bool(true))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never, at {}: {truth}", browser.url().await);
}

/// A new page is looked at, or is listed as none.
async fn every_page_was_there(pages: &[Page]) {
    let app = crate::app::TestApp::light().await;
    let routes = app.client.rocket().routes().filter(|route| route.method == Method::Get);
    let patterns: BTreeSet<String> = routes
        .map(|route| route.uri.path().to_owned())
        .filter(|pattern| !pattern.starts_with("/api/") || pattern == "/api/docs")
        .collect();
    let seen: BTreeSet<&str> = pages
        .iter()
        .filter(|page| page.status == 200)
        .filter_map(|page| page.route.as_ref())
        .filter_map(|(method, pattern)| (*method == Method::Get).then_some(pattern.as_str()))
        .collect();
    for pattern in &patterns {
        let listed = NO_PAGE.contains(&pattern.as_str());
        let fault = "nobody looks at it: add it to tests/look/sight.rs, or to NO_PAGE";
        assert!(listed != seen.contains(pattern.as_str()), "GET {pattern}: {fault}");
    }
    for pattern in NO_PAGE {
        assert!(patterns.contains(pattern), "GET {pattern} is listed and does not exist");
    }
}

/// A form with something to fill in is also looked at as it comes back.
fn every_form_was_refused_once(pages: &[Page]) {
    let refused: BTreeSet<&str> = pages
        .iter()
        .filter(|page| page.method == Method::Post && page.status >= 400)
        .filter_map(|page| page.route.as_ref().map(|(_, pattern)| pattern.as_str()))
        .collect();
    let mut forms = 0;
    for page in pages {
        for form in page.html.split("<form method=\"post\" action=\"").skip(1) {
            let (to, rest) = form.split_once('"').expect("the end of the address");
            let inside = rest.split("</form>").next().unwrap_or_default();
            if !inside.replace("<input type=\"hidden\"", "").contains("<input") {
                continue;
            }
            forms += 1;
            let seen = refused.iter().any(|pattern| fits(pattern, to));
            assert!(seen, "the form to {to} on {} is never seen refused", page.path);
        }
    }
    assert!(forms > 10, "{forms}");
}

/// Whether a path is one of those that a route answers.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), path.split('/').collect());
    let fits = |(part, piece): (&&str, &&str)| part.starts_with('<') || part == piece;
    pattern.len() == path.len() && pattern.iter().zip(&path).all(fits)
}

#[rocket::async_test]
async fn the_judges_see_what_is_wrong() {
    let stage = Stage::open(&[]).await;
    let browser = enter(&stage).await;
    let bad = "<!doctype html><title>Bad</title><p style='width:500px;color:%23ccc'>wide and pale\
               <form method=post><input id=f-password name=password aria-invalid=true></form>\
               <svg></svg><a href='%23nowhere'>there</a><script>missing()</script>";
    browser.goto(&format!("data:text/html,{bad}")).await;
    View::ALL[0].apply(&browser).await;
    let found = judge::axe(&browser).await.join("\n");
    for rule in ["color-contrast", "html-has-lang", "label", "region"] {
        assert!(found.contains(rule), "{rule}: {found}");
    }
    let found = judge::ours(&browser).await.join("\n");
    for complaint in [
        "wide on a page of 320",
        "not the first stop",
        "says nothing to autofill",
        "is not known as a password",
        "does not name its error",
        "is not in the list of errors",
        "leads nowhere",
        "has no text",
        "missing is not defined",
    ] {
        assert!(found.contains(complaint), "{complaint}: {found}");
    }
    let page =
        Page { route: None, method: Method::Get, path: "/".into(), status: 200, html: bad.into() };
    let found = judge::html(&[page]).join("\n");
    for rule in ["no-inline-style", "no-implicit-close", "input-missing-label"] {
        assert!(found.contains(rule), "{rule}: {found}");
    }
}
