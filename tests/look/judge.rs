//! What is asked of every page.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::stage::Page;
use crate::support::browser::Browser;
use crate::support::{node, scratch_dir};

/// How a page is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub width: u32,
    pub dark: bool,
}

impl View {
    /// On a desk and on a phone, by day and by night.
    pub const ALL: [Self; 4] = [
        Self { width: 1280, dark: false },
        Self { width: 1280, dark: true },
        Self { width: 360, dark: false },
        Self { width: 360, dark: true },
    ];
    /// Every width and every scheme once, where time is short.
    pub const SHORT: [Self; 2] = [Self::ALL[0], Self::ALL[3]];

    /// `360-dark`.
    pub fn name(self) -> String {
        format!("{}-{}", self.width, if self.dark { "dark" } else { "light" })
    }

    /// Shows the page so.
    pub async fn apply(self, browser: &Browser) {
        browser.set_size((self.width, 800)).await;
        browser.set_dark(self.dark).await;
    }
}

/// The narrowest page that nobody has to scroll sideways (WCAG 2.2, 1.4.10).
const NARROWEST: u32 = 320;

/// The rules of axe-core: WCAG 2.2 up to AA, and what its authors hold good practice.
const AXE: &str = r#"
    const done = arguments[0];
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const rules = { "target-size": { enabled: true } };
    axe.run({ runOnly: tags, rules, resultTypes: ["violations"] }).then(
      ({ violations }) => done(violations.map(({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`)),
      (error) => done([`axe-core failed: ${error}`]));
"#;

/// What axe-core does not ask: see `ours.js`.
const OURS: &str = include_str!("ours.js");

/// What is wrong with the page as it is shown now.
pub async fn axe(browser: &Browser) -> Vec<String> {
    texts(browser.execute_async(AXE, Vec::new()).await)
}

/// What else is wrong with the page, in any view.
pub async fn ours(browser: &Browser) -> Vec<String> {
    browser.set_size((NARROWEST, 800)).await;
    let mut complaints = texts(browser.execute(OURS).await);
    let mut errors = browser.console_errors().await;
    // The browser also writes down that something was refused, which is what is looked at.
    errors.retain(|error| !error.contains("the server responded with a status of"));
    complaints.extend(errors.into_iter().map(|error| format!("console: {error}")));
    complaints
}

fn texts(value: Value) -> Vec<String> {
    let all = value.as_array().unwrap_or_else(|| panic!("a list, not {value}"));
    all.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
}

/// What html-validate says of the pages as the server sent them.
pub fn html(pages: &[Page]) -> Vec<String> {
    let folder = scratch_dir("html");
    let file = |number: usize| folder.path().join(format!("{number}.html"));
    let files: Vec<PathBuf> = (0..pages.len()).map(file).collect();
    for (file, page) in files.iter().zip(pages) {
        std::fs::write(file, &page.html).expect("written");
    }
    let judged = node::html_validate(&files);
    let mut complaints = Vec::new();
    for result in judged.as_array().expect("results") {
        let name = Path::new(result["filePath"].as_str().expect("a path")).file_stem();
        let number =
            name.and_then(|name| name.to_str()).and_then(|name| name.parse::<usize>().ok());
        let page = number.and_then(|number| pages.get(number)).expect("one of ours");
        for message in result["messages"].as_array().expect("messages") {
            let place = json!([message["ruleId"], message["message"], message["selector"]]);
            complaints.push(format!("html: {} {}: {place}", page.method, page.path));
        }
    }
    complaints
}
