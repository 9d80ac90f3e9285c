//! The table of the ASVS, and every test that a guide cites as its proof.

use std::collections::{BTreeMap, BTreeSet};

use super::{guide, none, quoted};
use crate::house::{files, read};

/// The name that comes next.
fn name(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    Some(text.get(..end)?.to_owned())
}

/// The names of all tests: in `tests/`, where macros make some, of all functions and modules.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files("src", ".rs") {
        let text = read(&path);
        let after = text.split("test]").skip(1).filter_map(|rest| rest.split("fn ").nth(1));
        names.extend(after.filter_map(name));
    }
    for path in files("tests", ".rs") {
        let text = read(&path);
        names.extend(text.split("fn ").skip(1).chain(text.split("mod ").skip(1)).filter_map(name));
    }
    names
}

#[test]
fn every_test_that_is_cited_exists() {
    let tests = tests();
    let (mut unknown, mut cited) = (Vec::new(), 0);
    for name in ["docs/asvs.md", "docs/threat-model.md"] {
        for row in guide(name).rows() {
            let last = row.last().map(|cell| quoted(cell)).unwrap_or_default();
            for test in last.into_iter().filter(|word| word.contains('_')) {
                cited += 1;
                if !tests.contains(test) {
                    unknown.push(format!("{name}: {}: {test}", row[0]));
                }
            }
        }
    }
    none(&unknown);
    assert!(cited > 200, "{cited}");
}

const VERDICTS: [&str; 5] = ["met", "in part", "not met", "operator", "does not apply"];

#[test]
fn the_table_of_the_asvs_is_whole_and_counts_right() {
    let table = guide("docs/asvs.md");
    let mut seen = BTreeSet::new();
    let mut counts = BTreeMap::<(String, &str), u32>::new();
    for row in table.rows().into_iter().filter(|row| row.len() == 6 && row[0].contains('.')) {
        assert!(seen.insert(row[0].clone()), "{} stands there twice", row[0]);
        let (said, more) =
            row[3].strip_prefix("**").and_then(|rest| rest.split_once("**")).expect("a verdict");
        let verdict = VERDICTS.into_iter().find(|verdict| *verdict == said).expect("one of ours");
        assert!(verdict != "met" || !quoted(&row[4]).is_empty(), "{}: where?", row[0]);
        assert!(["met", "operator"].contains(&verdict) || !more.is_empty(), "{}: why?", row[0]);
        for level in [row[1].as_str(), "all"] {
            *counts.entry((level.to_owned(), verdict)).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 345);
    for level in ["1", "2", "3", "all"] {
        let count = |verdict| counts.get(&(level.to_owned(), verdict)).copied().unwrap_or_default();
        let counted = VERDICTS.map(count);
        let cells = counted.map(|n| n.to_string()).join(" | ");
        let line = format!("| {level} | {} | {cells} |", counted.iter().sum::<u32>());
        assert!(table.text.contains(&line), "it should say {line}");
    }
}
