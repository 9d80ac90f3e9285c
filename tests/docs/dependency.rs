//! The review of dependencies is of those that there are.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

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

/// What Cargo says of the packages that this one is built from on this machine.
fn metadata() -> Value {
    let host = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let host = String::from_utf8(host.stdout).expect("UTF-8");
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("a platform");
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform"])
        .arg(host)
        .current_dir(super::ROOT)
        .output()
        .expect("cargo runs");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    serde_json::from_slice(&cargo.stdout).expect("JSON")
}

/// A row of the table of what crates switch on by themselves.
fn is_about_features(row: &[String]) -> bool {
    row.len() == 4 && matches!(row[2].as_str(), "kept" | "off")
}

#[test]
fn what_dependencies_switch_on_by_themselves_is_known_and_http_2_is_not_in_the_program() {
    let metadata = metadata();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let root = metadata["resolve"]["root"].as_str().expect("a root");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let node = |id: &str| nodes.iter().find(|node| node["id"] == *id).expect("a node");
    let used: Vec<&Value> = node(root)["dependencies"]
        .as_array()
        .expect("dependencies")
        .iter()
        .filter_map(|id| packages.iter().find(|package| package["id"] == *id))
        .collect();
    let ours = packages.iter().find(|package| package["id"] == root).expect("this package");

    let review = guide("docs/dependencies.md");
    let rows: Vec<Vec<String>> =
        review.rows().into_iter().filter(|r| is_about_features(r)).collect();
    let listed: BTreeSet<String> =
        rows.iter().flat_map(|row| quoted(&row[0]).into_iter().map(str::to_owned)).collect();
    assert_eq!(listed, named());
    let mut wrong = Vec::new();
    for asked in ours["dependencies"].as_array().expect("dependencies") {
        let name = text(&asked["name"]);
        let row = rows.iter().find(|row| quoted(&row[0]) == [&*name]).expect("a row");
        let kept = asked["uses_default_features"] == true;
        if kept != (row[2] == "kept") {
            wrong.push(format!("{name} is not {}", row[2]));
        }
        // What is only used with a feature of ours is not here to be asked.
        let Some(package) = used.iter().find(|package| package["name"] == *name) else { continue };
        let defaults = package["features"]["default"].as_array().cloned().unwrap_or_default();
        let mut defaults: Vec<String> = defaults.iter().map(text).collect();
        defaults.sort();
        if quoted(&row[1]) != defaults {
            wrong.push(format!("{name} has on by itself: {defaults:?}"));
        }
    }
    super::none(&wrong);

    let rocket = used.iter().find(|package| package["name"] == "rocket").expect("Rocket");
    let features = node(rocket["id"].as_str().expect("an id"))["features"].clone();
    assert_eq!(features, json!(["json", "serde_json"]));
    assert!(packages.iter().all(|package| package["name"] != "h2"), "it is in the program");
}

#[test]
fn every_dependency_is_reviewed_in_the_version_that_is_used() {
    let review = guide("docs/dependencies.md");
    let (used, mut reviewed, mut stale) = (used(), BTreeSet::new(), Vec::new());
    for row in review.rows().into_iter().filter(|row| row.len() >= 4 && !is_about_features(row)) {
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
