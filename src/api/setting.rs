//! `/admin/settings`: what is in force, and where it comes from.

use rocket::serde::json::Json;
use rocket::{Route, State, get, routes};

use super::view::ListBody;
use crate::guard::setting::{Setting, Settings};
use crate::guard::{Allowed, SettingsRead};

pub(super) fn routes() -> Vec<Route> {
    routes![settings]
}

/// Every setting in force, secrets hidden.
#[get("/admin/settings")]
fn settings(_viewer: Allowed<SettingsRead>, settings: &State<Settings>) -> Json<ListBody<Setting>> {
    Json(ListBody::whole(settings.0.clone()))
}
