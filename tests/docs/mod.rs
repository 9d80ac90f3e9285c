//! The guides tell the truth: links lead somewhere, what they name exists, commands are taken, and
//! blocks behind `<!-- run -->` do what they show.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use doorward::config::{Config, reference, reloaded};

use crate::house::{files, read};

mod asvs;
mod call;
mod command;
mod dependency;
mod metric;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A page of the documentation.
struct Guide {
    /// Below the package, as `docs/api.md`.
    name: String,
    text: String,
}

/// A block of code in a guide.
struct Block {
    language: String,
    /// Whether a test runs it.
    runs: bool,
    text: String,
}

fn guides() -> Vec<Guide> {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".github/SECURITY.md"]
        .map(|name| Path::new(ROOT).join(name));
    let guide = |path: PathBuf| {
        let name = path.strip_prefix(ROOT).expect("below the package").display().to_string();
        Guide { name, text: read(&path) }
    };
    top.into_iter().chain(files("docs", ".md")).map(guide).collect()
}

fn guide(name: &str) -> Guide {
    guides().into_iter().find(|guide| guide.name == name).expect("it is there")
}

impl Guide {
    /// Where it lies.
    fn folder(&self) -> PathBuf {
        Path::new(ROOT).join(&self.name).parent().expect("a folder").to_owned()
    }

    /// Its text without blocks of code, and those blocks.
    fn parts(&self) -> (String, Vec<Block>) {
        let (mut prose, mut blocks, mut open) = (String::new(), Vec::new(), None::<Block>);
        let mut before = "";
        for line in self.text.lines() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(language), None) => {
                    let language = language.split(',').next().unwrap_or_default().to_owned();
                    let runs = before.trim() == "<!-- run -->";
                    open = Some(Block { language, runs, text: String::new() });
                }
                (Some(_), Some(block)) => blocks.push(block),
                (None, Some(mut block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {
                    prose.push_str(line);
                    prose.push('\n');
                }
            }
            before = line;
        }
        assert!(open.is_none(), "{}: a block is left open", self.name);
        (prose, blocks)
    }

    fn blocks(&self) -> Vec<Block> {
        self.parts().1
    }

    /// What stands between backticks, and the rest.
    fn spans(&self) -> (Vec<String>, String) {
        let (mut spans, mut rest) = (Vec::new(), String::new());
        for paragraph in self.parts().0.split("\n\n") {
            let pieces: Vec<&str> = paragraph.split('`').collect();
            assert!(pieces.len() % 2 == 1, "{}: a lonely backtick: {paragraph}", self.name);
            for (place, piece) in pieces.into_iter().enumerate() {
                match place % 2 {
                    0 => rest.push_str(piece),
                    _ => spans.push(piece.split_whitespace().collect::<Vec<_>>().join(" ")),
                }
            }
            rest.push_str("\n\n");
        }
        (spans, rest)
    }

    fn links(&self) -> Vec<String> {
        let (_, rest) = self.spans();
        let links = rest.split("](").skip(1);
        links.filter_map(|link| link.split_once(')')).map(|(to, _)| to.to_owned()).collect()
    }

    /// The anchors of its headings, as forges make them.
    fn anchors(&self) -> BTreeSet<String> {
        let (mut anchors, mut seen) = (BTreeSet::new(), BTreeMap::<String, u32>::new());
        for line in self.parts().0.lines().filter(|line| line.starts_with('#')) {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept =
                title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let times = seen.entry(anchor.clone()).or_default();
            anchors.insert(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
            *times += 1;
        }
        anchors
    }

    /// The cells of the rows of its tables.
    fn rows(&self) -> Vec<Vec<String>> {
        let (prose, _) = self.parts();
        let rows = prose.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
        rows.map(|row| row.split(" | ").map(str::to_owned).collect()).collect()
    }
}

/// What stands between backticks in a cell of a table.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let guides: BTreeMap<PathBuf, Guide> =
        guides().into_iter().map(|guide| (Path::new(ROOT).join(&guide.name), guide)).collect();
    let (mut dead, mut followed) = (Vec::new(), 0);
    for (path, guide) in &guides {
        for link in guide.links().iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to = if file.is_empty() {
                Ok(path.clone())
            } else {
                guide.folder().join(file).canonicalize()
            };
            let leads = to.is_ok_and(|to| {
                anchor.is_empty() || guides.get(&to).is_some_and(|to| to.anchors().contains(anchor))
            });
            if !leads {
                dead.push(format!("{}: {link}", guide.name));
            }
            followed += 1;
        }
    }
    none(&dead);
    assert!(followed > 50, "{followed}");
}

/// The names of all settings, and of the variables that set them.
fn settings() -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut keys, mut variables) = (BTreeSet::new(), BTreeSet::new());
    let table = reference();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let key = quoted(cells[0])[0].to_owned();
        let variable = quoted(cells[1])[0].split('=').next().unwrap_or_default().to_owned();
        if cells[0].contains("_file") {
            keys.insert(format!("{key}_file"));
            variables.insert(format!("{variable}_FILE"));
        }
        keys.insert(key);
        variables.insert(variable);
    }
    assert!(keys.len() > 50, "{keys:?}");
    (keys, variables)
}

/// Variables that set nothing in Doorward's table: Rocket's own two, two that Kubernetes makes, one that
/// a guide misspells on purpose, and those of tests.
const OTHER_VARIABLES: [&str; 7] = [
    "ROCKET_CONFIG",
    "ROCKET_PROFILE",
    "DOORWARD_SERVICE_HOST",
    "DOORWARD_PORT",
    "DOORWARD_REGISTRATION_OPNE",
    "DOORWARD_SAMPLES",
    "DOORWARD_MUTANTS",
];

#[test]
fn the_settings_that_a_running_server_takes_over_are_listed() {
    let text = guide("docs/configuration.md").text;
    let (_, list) = text.split_once("<!-- reloaded -->").expect("the list");
    let list = list.split("\n\n").next().unwrap_or_default();
    let listed: Vec<&str> =
        list.lines().filter_map(|row| row.strip_prefix("| `")?.strip_suffix("` |")).collect();
    assert_eq!(listed, reloaded().collect::<Vec<_>>());
}

#[test]
fn every_setting_that_is_named_exists() {
    let (keys, variables) = settings();
    let sections: BTreeSet<&str> =
        keys.iter().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let mut unknown = Vec::new();
    for guide in guides() {
        let names = guide.text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named =
            names.filter(|name| name.starts_with("DOORWARD_") || name.starts_with("ROCKET_"));
        // `DOORWARD_<SECTION>_<KEY>` is the pattern and no name.
        for name in named.filter(|name| !name.ends_with('_')) {
            if !variables.contains(name) && !OTHER_VARIABLES.contains(&name) {
                unknown.push(format!("{}: {name}", guide.name));
            }
        }
        for span in guide.spans().0 {
            let name = span.split([' ', '=']).next().unwrap_or_default();
            let Some((section, rest)) = name.split_once('.') else { continue };
            let plain = rest.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.'));
            let file = ["md", "rs", "lua", "sql", "toml"].contains(&rest);
            if plain && !file && sections.contains(section) && !keys.contains(name) {
                unknown.push(format!("{}: {span}", guide.name));
            }
        }
    }
    none(&unknown);
}

#[test]
fn every_configuration_that_is_shown_is_taken() {
    let (mut refused, mut taken) = (Vec::new(), 0);
    for guide in guides() {
        for block in guide.blocks().iter().filter(|block| block.language == "toml") {
            let first = block.text.lines().next().unwrap_or_default();
            if first.starts_with('#') && first != "# Rocket.toml" {
                continue;
            }
            let public = ("DOORWARD_PUBLIC_URL", "https://login.example.com");
            let env = (!block.text.contains("public_url")).then_some(public);
            match Config::from_sources(&block.text, "release", env) {
                Ok(_) => taken += 1,
                Err(error) => refused.push(format!("{}: {error}", guide.name)),
            }
        }
    }
    none(&refused);
    assert!(taken > 0);
}

/// Folders of the package that guides name files in.
const FOLDERS: [&str; 12] = [
    "src/",
    "tests/",
    "docs/",
    "templates/",
    "static/",
    "migrations/",
    "benches/",
    "fuzz/",
    "examples/",
    "deploy/",
    ".ci/",
    ".github/",
];

/// What is not there: files that somebody would make, and what fuzzing leaves behind.
const IMAGINED: [&str; 3] = ["src/page/notes.rs", "templates/notes.html.tera", "fuzz/corpus"];

#[test]
fn every_file_that_is_named_exists() {
    let (mut missing, mut found) = (Vec::new(), 0);
    for guide in guides() {
        for span in guide.spans().0 {
            let path = span.split(' ').next().unwrap_or_default();
            let source =
                [".rs", ".lua", ".sql", ".tera"].iter().any(|ending| path.ends_with(ending));
            let ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
            let pattern = path.contains(['<', '*', '…']) || path.starts_with('/');
            if pattern || !(ours || (source && path.contains('/'))) || IMAGINED.contains(&path) {
                continue;
            }
            let root = Path::new(ROOT);
            let places =
                [root.join(path), root.join("src").join(path), root.join("tests").join(path)];
            match places.iter().any(|place| place.exists()) {
                true => found += 1,
                false => missing.push(format!("{}: {path}", guide.name)),
            }
        }
    }
    none(&missing);
    assert!(found > 100, "{found}");
}
