//! The review of dependencies is of those that there are.

use std::collections::BTreeSet;

use super::{guide, quoted};
use crate::house::read;

/// The names of the dependencies in `Cargo.toml`.
fn named() -> BTreeSet<String> {
    let manifest = read(&std::path::Path::new(super::ROOT).join("Cargo.toml"));
    let mut names = BTreeSet::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && let Some((name, _)) = line.split_once(" = ")
            && !name.starts_with('#')
        {
            names.insert(name.to_owned());
        }
    }
    names
}

/// What is the same in all versions that can take each other's place.
fn line_of(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) {
        ("0", minor) => format!("0.{minor}"),
        (major, _) => major.to_owned(),
    }
}

/// All crates of `Cargo.lock`, each with the line of its version.
fn used() -> BTreeSet<(String, String)> {
    let lock = read(&std::path::Path::new(super::ROOT).join("Cargo.lock"));
    let crates = lock.split("[[package]]\nname = \"").skip(1);
    let parts = crates.filter_map(|one| one.split_once("\"\nversion = \""));
    let parts = parts.filter_map(|(name, rest)| Some((name, rest.split_once('"')?.0)));
    parts.map(|(name, version)| (name.to_owned(), line_of(version))).collect()
}

#[test]
fn every_dependency_is_reviewed_in_the_version_that_is_used() {
    let review = guide("docs/dependencies.md");
    let (used, mut reviewed, mut stale) = (used(), BTreeSet::new(), Vec::new());
    for row in review.rows().into_iter().filter(|row| row.len() >= 4) {
        // One row for crates that go together: `serde`, `serde_json`.
        for (name, released) in quoted(&row[0]).into_iter().zip(row[3].split("; ")) {
            let version = released.split(',').next().unwrap_or_default();
            if !used.contains(&(name.to_owned(), line_of(version))) {
                stale.push(format!(
                    "{name} {version} is not what is used any more: look at it again"
                ));
            }
            reviewed.insert(name.to_owned());
        }
    }
    assert_eq!(reviewed, named());
    super::none(&stale);
}
