//! `/admin/settings`: what is in force, and where it comes from.

use rocket::{State, get};

use super::view::ListBody;
use crate::guard::json::Json;
use crate::guard::setting::{Setting, Settings};
use crate::guard::{Allowed, SettingsRead};
use crate::openapi::{Calls, call};
use crate::reloadable::Reloadable;

pub(super) fn calls() -> Calls {
    let calls = vec![
        call!(settings, "listSettings", "List settings")
            .more("All that are in force, secrets hidden."),
    ];
    Calls { tag: "Settings", about: "What is in force, and where it comes from.", calls }
}

/// Every setting in force, secrets hidden.
#[get("/admin/settings")]
fn settings(
    _viewer: Allowed<SettingsRead>,
    settings: &State<Reloadable<Settings>>,
) -> Json<ListBody<Setting>> {
    Json(ListBody::whole(settings.get().0.clone()))
}
