//! The guide to the figures has every name that there is, and no other; so have those who use it.

use std::collections::BTreeSet;

use doorward::metric::family::{ALL, Kind};

use super::guide;
use crate::house::read;

/// Every word of a text that is the name of a figure, or would be one.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named = |word: &&str| word.starts_with("doorward_") || word.starts_with("process_");
    words.filter(named).map(str::to_owned).collect()
}

fn known() -> BTreeSet<String> {
    ALL.iter().map(|family| family.name.to_owned()).collect()
}

#[test]
fn every_figure_is_explained_and_every_one_that_is_explained_is_shown() {
    let (quoted, _) = guide("docs/metrics.md").spans();
    assert_eq!(names(&quoted.join(" ")), known());
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    for family in ALL {
        let name = family.name;
        assert_eq!(family.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        let seconds = name.ends_with("_seconds");
        assert!(family.kind != Kind::Histogram || seconds, "{name}");
        assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{name}");
    }
}

#[test]
fn dashboard_and_alarms_ask_for_figures_that_there_are() {
    let mut suffixed = known();
    for family in ALL.iter().filter(|family| family.kind == Kind::Histogram) {
        suffixed.extend(["_bucket", "_sum", "_count"].map(|part| format!("{}{part}", family.name)));
    }
    for file in ["deploy/grafana/doorward.json", "deploy/prometheus/doorward.rules.yml"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let asked = names(&read(&path));
        assert!(!asked.is_empty());
        let unknown: Vec<_> = asked.difference(&suffixed).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}
