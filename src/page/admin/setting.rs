//! The settings in force, and where each comes from.

use rocket::{Route, State, get, routes};
use serde::Serialize;

use crate::guard::setting::{Setting, Settings};
use crate::guard::{Allowed, SettingsRead};
use crate::page::show::Shown;
use crate::page::view::Page;
use crate::reloadable::Reloadable;

/// Shows what `doorward check-config` prints (`GET /admin/settings`).
#[derive(Debug, Default, Serialize)]
pub struct SettingsPage {
    /// The settings, in groups by their section.
    pub sections: Vec<Section>,
}

impl Page for SettingsPage {
    const TEMPLATE: &'static str = "admin/setting.html.tera";

    fn title(&self) -> String {
        "Settings".into()
    }
}

/// The settings whose names begin with one word.
#[derive(Debug, Serialize)]
pub struct Section {
    /// That word: `tokens`; `general` for names of one word.
    pub name: String,
    /// The settings.
    pub settings: Vec<SettingRow>,
}

/// One setting.
#[derive(Debug, Serialize)]
pub struct SettingRow {
    /// Its name in `Rocket.toml`.
    pub key: String,
    /// Its value, or whether there is one if it is secret.
    pub value: String,
    /// Where it comes from.
    pub source: String,
    /// Whether somebody decided it.
    pub given: bool,
}

impl Section {
    /// Settings in groups, in their order.
    fn all(settings: &[Setting]) -> Vec<Self> {
        let mut sections: Vec<Self> = Vec::new();
        for one in settings {
            let name = one.key.split_once('.').map_or("general", |(section, _)| section);
            let row = SettingRow {
                key: one.key.to_owned(),
                value: one.value.clone(),
                source: one.source.clone(),
                given: one.source != "default",
            };
            match sections.iter_mut().find(|section| section.name == name) {
                Some(section) => section.settings.push(row),
                None => sections.push(Self { name: name.to_owned(), settings: vec![row] }),
            }
        }
        sections
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show]
}

/// The settings.
#[get("/admin/settings")]
fn show(
    _viewer: Allowed<SettingsRead>,
    settings: &State<Reloadable<Settings>>,
) -> Shown<SettingsPage> {
    Shown::good(SettingsPage { sections: Section::all(&settings.get().0) })
}
