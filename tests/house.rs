//! What holds for the whole source: who may name whom, and that nothing is open by accident.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rocket::http::Method;
use serde_json::Value;

use crate::app::*;

/// All files with this ending below a folder of the package.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

/// The text of a file.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("it is text")
}

/// The path of a module below `src`, as `store::sql::pool`.
fn module(path: &Path) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let path = path.strip_prefix(source).expect("below src").with_extension("");
    let path = path.to_string_lossy().replace('/', "::");
    path.strip_suffix("::mod").unwrap_or(&path).to_owned()
}

/// A source file without its comments and without what is compiled for tests alone.
fn shipped(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let code = line.split("//").next().unwrap_or_default();
        if code.trim() == "#[cfg(test)]" {
            // What follows is one item: it ends with a `;` or with the brace at its indentation.
            let indent = line.len() - line.trim_start().len();
            for line in lines.by_ref() {
                let depth = line.len() - line.trim_start().len();
                if depth == indent && (line.trim_end().ends_with(';') || line.trim() == "}") {
                    break;
                }
            }
        } else {
            kept.push_str(code);
            kept.push('\n');
        }
    }
    kept
}

/// Every module of this crate that a text names after `crate::`: also within braces.
fn named(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        let word = |text: &str| -> String {
            text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        match rest.strip_prefix('{') {
            None => {
                found.insert(word(rest));
            }
            Some(group) => {
                let (mut depth, mut start) = (0, 0);
                for (position, sign) in group.char_indices() {
                    match sign {
                        '{' => depth += 1,
                        '}' if depth == 0 => {
                            found.insert(word(&group[start..position]));
                            break;
                        }
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            found.insert(word(&group[start..position]));
                            start = position + 1;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found.remove("");
    found
}

const WORDS: &[&str] = &[
    "error",
    "clock",
    "id",
    "address",
    "private_file",
    "reloadable",
    "text",
    "cursor",
    "metric",
    "trace",
];
/// Each may name those to its left.
const DOMAIN: &[&str] =
    &["role", "access", "token", "limit", "submission", "audit", "mail", "account", "session"];
/// Each may name those to its left; but `page` never `api`.
const EDGE: &[&str] = &["problem", "guard", "openapi", "api", "page"];
const ROOF: &[&str] = &["config", "app", "cli", "main", "lib"];

/// Whether the room `from` may name the room `to`.
fn may_name(from: &str, to: &str) -> bool {
    let place = |floor: &[&str], room: &str| floor.iter().position(|name| *name == room);
    if from == to || ROOF.contains(&from) || WORDS.contains(&to) {
        return true;
    }
    if let Some(here) = place(DOMAIN, from) {
        return place(DOMAIN, to).is_some_and(|there| there < here);
    }
    if let Some(here) = place(EDGE, from) {
        let below = place(EDGE, to).is_some_and(|there| there < here);
        return DOMAIN.contains(&to) || (below && (from, to) != ("page", "api"));
    }
    from == "store" && DOMAIN.contains(&to)
}

#[test]
fn every_room_names_only_the_rooms_below_it() {
    let rooms: BTreeSet<&str> =
        [WORDS, DOMAIN, EDGE, ROOF, &["store"]].into_iter().flatten().copied().collect();
    let mut wrong = BTreeSet::new();
    for path in files("src", ".rs") {
        let module = module(&path);
        if module.split("::").any(|part| matches!(part, "tests" | "sample")) {
            continue;
        }
        let room = module.split("::").next().unwrap_or_default();
        assert!(rooms.contains(room), "{room} has no floor");
        for named in named(&shipped(&read(&path))) {
            if rooms.contains(named.as_str()) && !may_name(room, &named) {
                wrong.insert(format!("{module} names {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reader_of_names_finds_them_all() {
    let text = "use crate::id::{A, B};\nuse crate::{clock::Clock, role::{C, D}, api};\n\
                fn f() { crate::page::g() }\n// crate::mail\n\
                #[cfg(test)]\nmod tests {\n    use crate::limit;\n}\nuse crate::token;\n";
    let expected = ["api", "clock", "id", "page", "role", "token"];
    assert_eq!(named(&shipped(text)), expected.map(str::to_owned).into());
    for (from, to) in [
        ("page", "api"),
        ("account", "session"),
        ("token", "guard"),
        ("id", "role"),
        ("store", "guard"),
        ("guard", "app"),
        ("guard", "store"),
        ("problem", "guard"),
    ] {
        assert!(!may_name(from, to), "{from} {to}");
    }
}

#[test]
fn the_domain_has_not_heard_of_http_redis_or_sql() {
    let mut wrong = BTreeSet::new();
    for path in files("src", ".rs") {
        let module = module(&path);
        let room = module.split("::").next().unwrap_or_default();
        let text = shipped(&read(&path));
        if WORDS.contains(&room) || DOMAIN.contains(&room) {
            for outside in ["rocket::", "redis::", "sqlx::", "tera::"] {
                if text.contains(outside) {
                    wrong.insert(format!("{module} names {outside}"));
                }
            }
        }
        if room != "clock" && text.contains("SystemTime::now") {
            wrong.insert(format!("{module} asks the system for the time"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn sr_46_no_template_switches_escaping_off() {
    for path in files("templates", "") {
        let text = read(&path);
        let name = path.display();
        assert!(name.to_string().ends_with(".html.tera"), "{name} would not be escaped");
        for tag in text.split("{{").skip(1).chain(text.split("{%").skip(1)) {
            let tag = tag.split("}}").next().unwrap_or_default();
            let tag = tag.split("%}").next().unwrap_or_default();
            let words: Vec<&str> =
                tag.split(|c: char| !c.is_alphanumeric() && c != '|' && c != '_').collect();
            let safe = tag.replace(' ', "").contains("|safe");
            assert!(!safe && !words.contains(&"autoescape"), "{name}: {tag}");
        }
    }
}

/// The numbers of the security requirements.
fn is_requirement(number: u32) -> bool {
    matches!(
        number,
        1..=12 | 20..=26 | 30..=39 | 40..=47 | 50..=54 | 60..=64 | 70..=77 | 80..=83
    )
}

#[test]
fn every_requirement_that_a_test_cites_exists() {
    let mut cited = BTreeMap::new();
    for path in files("src", ".rs").into_iter().chain(files("tests", ".rs")) {
        for rest in read(&path).split("fn sr_").skip(1) {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if digits.is_empty() {
                continue;
            }
            let name: String = rest.chars().take_while(|c| *c != '(').collect();
            cited.insert(name, digits.parse::<u32>().expect("a number"));
        }
    }
    assert!(cited.len() > 50);
    let unknown: Vec<_> = cited.iter().filter(|(_, number)| !is_requirement(**number)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Every mounted route, as method, pattern and an address that fits it.
fn mounted(app: &TestApp) -> Vec<(Method, String, String)> {
    let routes = app.client.rocket().routes().map(|route| {
        let pattern = route.uri.path().to_owned();
        let parts: Vec<&str> = pattern
            .split('/')
            .map(|part| if part.starts_with('<') { "AAAAAAAAAAAAAAAAAAAAAA" } else { part })
            .collect();
        (route.method, parts.join("/"), pattern.clone())
    });
    routes.map(|(method, path, pattern)| (method, pattern, path)).collect()
}

fn ask<'v>(visitor: &'v Visitor, method: Method, path: &str) -> Ask<'v> {
    let ask = visitor.ask(method, path);
    match method {
        Method::Get | Method::Head => ask,
        _ if path.starts_with("/api/") => ask.json(&serde_json::json!({})),
        _ => ask.form(&[]),
    }
}

#[rocket::async_test]
async fn sr_41_every_route_that_changes_something_refuses_other_sites() {
    let app = TestApp::light().await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    for (method, pattern, path) in mounted(&app) {
        if matches!(method, Method::Get | Method::Head | Method::Options) {
            continue;
        }
        for visitor in [&root, &app.stranger()] {
            for headers in [
                ("Sec-Fetch-Site", "cross-site"),
                ("Sec-Fetch-Site", "same-site"),
                ("Origin", "null"),
            ] {
                let answer = ask(visitor, method, &path).header(headers.0, headers.1).send().await;
                assert_eq!(answer.status.code, 403, "{method} {pattern}: {headers:?}");
                assert!(answer.all("Set-Cookie").iter().all(|set| !set.starts_with(ACCESS)));
            }
        }
    }
    let me: Value = root.me().await.expect(200).json();
    assert_eq!(me["user"]["status"], "active");
}
