//! Every page with sample values: a template that asks for something that its page does not have, or
//! that forgets to escape, does not get past here.
//!
//! With `DOORWARD_SAMPLES=<folder>` the pages are also written there, to be looked at.

mod dashboard;
mod own;
mod system;

use std::collections::{BTreeMap, BTreeSet};

use super::asset::Assets;
use super::part::{Faults, Moment, SessionRow};
use super::view::{Alert, Chrome, Notice, NoticeKind, Page, Viewer, Views};
use crate::clock::Timestamp;

/// How a sample text is said: as it is, or with an attack behind it.
type Say = fn(&str) -> String;

const ATTACK: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

fn plainly(text: &str) -> String {
    text.to_owned()
}

fn with_attack(text: &str) -> String {
    format!("{text}{ATTACK}")
}

/// A printing room: renders samples one after another.
struct Press {
    views: Views,
    say: Say,
    printed: Vec<(&'static str, String)>,
}

impl Press {
    fn new(say: Say) -> Self {
        let views = Views::new(None, false).expect("the built-in templates have no mistake");
        Self { views, say, printed: Vec::new() }
    }

    fn print<P: Page>(&mut self, name: &'static str, path: &str, signed_in: bool, page: &P) {
        let say = self.say;
        let viewer = || Viewer::new(&say("Ada Lovelace"), &say("ada@example.org"), |_| true);
        let notice = Notice { kind: NoticeKind::Success, text: say("Your changes are saved.") };
        let chrome = Chrome {
            nonce: "bm9uY2U".into(),
            csrf_token: Some(say("token")),
            viewer: signed_in.then(viewer),
            alerts: if name == "profile" { alerts(say) } else { Vec::new() },
            confirm_href: (name == "admin-role").then(|| say("/reauthenticate?next=%2Fadmin")),
            notice: matches!(name, "profile" | "admin-user").then_some(notice),
            path: path.into(),
        };
        let html =
            self.views.render(page, &chrome).unwrap_or_else(|e| panic!("{name}: {}", cause(&e)));
        self.printed.push((name, html));
    }
}

fn cause(error: &crate::error::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

fn moment(minutes: i64) -> Moment {
    Moment::from(Timestamp::from_secs(1_764_000_000 - minutes * 60))
}

fn faults(say: Say, fields: &[(&str, &str)], problem: Option<&str>) -> Faults {
    let whole = problem.map_or_else(Faults::default, |text| Faults::problem(&say(text)));
    fields.iter().fold(whole, |faults, (field, text)| faults.and_field(field, &say(text)))
}

fn alerts(say: Say) -> Vec<Alert> {
    let alert = |text: &str, ip: Option<&str>| Alert {
        text: say(text),
        at: moment(5),
        ip: ip.map(say),
        millis: 1_764_000_000_000,
    };
    let device = "Somebody signed in on a device that is new to us: Firefox on Linux.";
    vec![alert(device, Some("2001:db8::17")), alert("Your password was changed.", None)]
}

fn session(say: Say, current: bool, device: &str, kind: &'static str) -> SessionRow {
    SessionRow {
        id: say("c2Vzc2lvbg"),
        current,
        device: say(device),
        kind,
        ip: say("2001:db8::17"),
        remember: kind == "phone",
        created_at: moment(3000),
        last_seen_at: moment(7),
    }
}

fn sessions(say: Say) -> Vec<SessionRow> {
    vec![
        session(say, true, "Firefox on Linux", "desktop"),
        session(say, false, "Safari on iPhone", "phone"),
        session(say, false, "Chrome on Android", "tablet"),
        session(say, false, "curl", "program"),
    ]
}

fn print_all(say: Say) -> Vec<(&'static str, String)> {
    let mut press = Press::new(say);
    own::print_gate(&mut press);
    own::print_own(&mut press);
    dashboard::print_overview(&mut press);
    dashboard::print_people(&mut press);
    dashboard::print_roles(&mut press);
    dashboard::print_records(&mut press);
    system::print_sessions(&mut press);
    system::print_system(&mut press);
    system::print_reference(&mut press);
    press.printed
}

/// The tags of a page, without the values of their attributes, and the values by themselves.
fn tags(html: &str) -> Vec<(String, Vec<String>)> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (mut tag, mut values, mut quoted, mut end) = (String::new(), Vec::new(), false, 0);
        for (position, c) in rest[start..].char_indices() {
            end = start + position + 1;
            match c {
                '"' if quoted => quoted = false,
                '"' => {
                    quoted = true;
                    values.push(String::new());
                }
                _ if quoted => values.last_mut().expect("an open value").push(c),
                '>' => break,
                '<' => {}
                _ => tag.push(c),
            }
        }
        tags.push((tag, values));
        rest = &rest[end..];
    }
    tags
}

#[test]
fn every_page_is_whole_and_keeps_to_the_content_security_policy() {
    let folder = std::env::var_os("DOORWARD_SAMPLES").map(std::path::PathBuf::from);
    for (name, html) in print_all(plainly) {
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.html")), offline(&html)).expect("written");
        }
        assert!(!html.contains("{{") && !html.contains("{%"), "{name}: unrendered");
        assert_eq!(html.matches("<h1").count(), 1, "{name}: one heading says what the page is");
        let mut ids = BTreeSet::new();
        for (tag, values) in tags(&html) {
            let mut attributes = tag.split_whitespace().skip(1);
            let forbidden =
                attributes.clone().find(|a| a.starts_with("style") || a.starts_with("on"));
            assert_eq!(forbidden, None, "{name}: <{tag}>");
            // The values stand in the order of those attributes that have one.
            let id = attributes.by_ref().filter(|a| a.ends_with('=')).position(|a| a == "id=");
            if let Some(id) = id.and_then(|position| values.get(position)) {
                assert!(ids.insert(id.clone()), "{name}: two elements have the id {id}");
            }
        }
        for form in html.split("<form").skip(1).filter(|form| form.starts_with(" method=\"post\""))
        {
            let form = form.split("</form>").next().expect("the first part");
            let token = "<input type=\"hidden\" name=\"csrf_token\" value=\"token\">";
            assert!(form.contains(token), "{name}: a form without its token");
        }
        assert!(!html.contains("javascript:"), "{name}: a script in a link");
    }
}

#[test]
fn text_from_outside_never_becomes_html() {
    for (name, html) in print_all(with_attack) {
        let scripts: Vec<_> =
            tags(&html).into_iter().filter(|t| t.0.starts_with("script")).collect();
        let ours = if name.starts_with("admin") { 2 } else { 1 };
        assert_eq!(scripts.len(), ours, "{name}: the layout's scripts are the only ones");
        assert!(html.contains("&lt;script&gt;"), "{name}: the attack is shown as text");
        for (tag, _) in tags(&html) {
            assert!(!tag.contains("onerror") && !tag.contains('\''), "{name}: <{tag}>");
        }
    }
}

/// The page with its files beside it, so that a browser shows it without a server.
fn offline(html: &str) -> String {
    ["app.css", "app.js", "list.js", "favicon.svg"].iter().fold(html.to_owned(), |html, name| {
        html.replace(&Assets::url(name).expect("a known name"), name)
    })
}

#[test]
fn no_template_switches_escaping_off() {
    let mut sources = BTreeMap::new();
    super::view::compiled_in_for_tests(&mut sources);
    assert!(sources.len() > 15);
    for (name, text) in sources {
        let code: String = text.split_whitespace().collect();
        assert!(!code.contains("|safe"), "{name} uses the filter `safe`");
        assert!(!text.contains("autoescape"), "{name} changes escaping");
    }
}
