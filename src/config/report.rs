//! The report: every value in force and where it came from, with no secret in it.

use std::fmt;

use rocket::figment::Figment;
use rocket::figment::value::Value;
use serde::Serialize;

use super::key::{KEYS, Key, Kind};
use super::source::FILE;
use super::value;
use crate::access::Rule;

/// One setting in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name in `Rocket.toml`.
    pub key: &'static str,
    /// Its value; `(set)` for a secret, `(generated)` for one that is made at the first start, else `(none)` if
    /// nothing is set.
    pub value: String,
    /// Where it comes from: `default`, `Rocket.toml [release]`, `environment DOORWARD_PUBLIC_URL`, `file /run/secrets/x`.
    pub source: String,
}

/// All settings in force. It prints as a table, and serializes as a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    settings: Vec<Setting>,
}

impl Report {
    /// The settings, in the order of the guide; the profile comes first.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// This report with the rows of `new`, but for those which `keeps` says stay as they are.
    pub(super) fn merged(&self, new: &Self, keeps: impl Fn(&Setting) -> bool) -> Self {
        let rows = self.settings.iter().zip(&new.settings);
        let merge = |(old, new): (&Setting, &Setting)| if keeps(old) { old } else { new }.clone();
        Self { settings: rows.map(merge).collect() }
    }

    /// Describes our settings by `ours`, and Rocket's by `rockets`.
    pub(super) fn new(profile: Setting, ours: &Figment, rockets: &Figment) -> Self {
        let rows = KEYS.iter().map(|key| row(key, if key.is_rockets() { rockets } else { ours }));
        Self { settings: std::iter::once(profile).chain(rows).collect() }
    }
}

fn row(key: &'static Key, figment: &Figment) -> Setting {
    let value = figment.find_value(key.name).ok();
    let source = figment.find_metadata(key.name).map(|metadata| metadata.name.to_string());
    // Rocket's own provider stands for the defaults that we give to Rocket.
    let source = source.filter(|name| !name.starts_with("rocket::"));
    Setting {
        key: key.name,
        value: shown(key, value.as_ref()),
        source: printable(&source.unwrap_or_else(|| "default".to_owned())),
    }
}

fn shown(key: &Key, value: Option<&Value>) -> String {
    let Some(value) = value else {
        let generated = key.default.starts_with("=generated");
        return if generated { "(generated)" } else { "(none)" }.to_owned();
    };
    if matches!(key.kind, Kind::Secret) || key.name == "tls.key" || value.find_ref(FILE).is_some() {
        return "(set)".to_owned();
    }
    let text = match value {
        _ if matches!(key.kind, Kind::Rules) => Some(rules(value)),
        Value::Array(..) => value::list(value).map(|list| list.join(", ")),
        Value::Empty(..) => None,
        single => value::text(single),
    };
    let text = text.filter(|text| !text.is_empty()).unwrap_or_else(|| "(none)".to_owned());
    match key.kind {
        Kind::SecretUrl => printable(&value::without_password(&text)),
        _ => printable(&text),
    }
}

/// The rules in one line, as they were read.
fn rules(value: &Value) -> String {
    let specs = value::rules(value).unwrap_or_default();
    let rules = specs.iter().filter_map(|spec| Rule::read(spec, "https").ok());
    rules.map(|rule| rule.to_string()).collect::<Vec<_>>().join("; ")
}

/// The text without control characters, which could move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |text: fn(&Setting) -> &str| {
            self.settings.iter().map(|setting| text(setting).chars().count()).max().unwrap_or(0)
        };
        let (keys, values) = (width(|setting| setting.key), width(|setting| &setting.value));
        for setting in &self.settings {
            let Setting { key, value, source } = setting;
            writeln!(f, "{key:keys$}  {value:values$}  {source}")?;
        }
        Ok(())
    }
}
