//! The keys that sign tokens: which one does, which come next, which did.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use crate::audit::{self, Audit};
use crate::guard::form::Form;
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, KeysRead, KeysWrite};
use crate::page::error::Refusal;
use crate::page::part::{Faults, Moment};
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::role::{Permission, require};
use crate::session::store::Live;
use crate::token::key::{Algorithm, KeyState, KeyView, Keys, Start};

/// Lists the keys and replaces them (`GET /admin/keys`, `POST /admin/keys/rotate`).
#[derive(Debug, Default, Serialize)]
pub struct KeysPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The keys, the latest first.
    pub keys: Vec<KeyRow>,
    /// Whether the viewer may have the next one made.
    pub can_write: bool,
    /// Whether the next key is there already.
    pub under_way: bool,
}

impl Page for KeysPage {
    const TEMPLATE: &'static str = "admin/key.html.tera";

    fn title(&self) -> String {
        "Keys".into()
    }
}

/// A key.
#[derive(Debug, Serialize)]
pub struct KeyRow {
    /// Its `kid`.
    pub id: String,
    /// How it signs.
    pub algorithm: String,
    /// Where it is in its life: `current`.
    pub state: String,
    /// What that means.
    pub meaning: &'static str,
    /// When it was made or first seen.
    pub created_at: Moment,
    /// From when on it signs.
    pub signs_from: Moment,
    /// When it stops, if that is known.
    pub stops_at: Option<Moment>,
    /// Until when access tokens of it are good.
    pub access_until: Option<Moment>,
    /// Until when refresh tokens of it are good.
    pub refresh_until: Option<Moment>,
}

impl From<&KeyView> for KeyRow {
    fn from(key: &KeyView) -> Self {
        let meaning = match key.state {
            KeyState::Next => "Published, and signs soon",
            KeyState::Current => "Signs all tokens",
            KeyState::Retiring => "Its last access tokens are running out",
            KeyState::Retired => "Good for refresh tokens alone",
            KeyState::Withdrawn => "Taken out of use at once",
            KeyState::Erased => "Its private half is gone",
        };
        Self {
            id: key.id.clone(),
            algorithm: key.algorithm.to_string(),
            state: key.state.as_str().to_owned(),
            meaning,
            created_at: key.created_at.into(),
            signs_from: key.signs_from.into(),
            stops_at: key.stops_at.map(Moment::from),
            access_until: key.access_until.map(Moment::from),
            refresh_until: key.refresh_until.map(Moment::from),
        }
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, rotate]
}

fn page(viewer: &Live, keys: &Keys) -> KeysPage {
    let views = keys.list();
    KeysPage {
        faults: Faults::default(),
        under_way: views.iter().any(|key| key.state == KeyState::Next),
        keys: views.iter().rev().map(KeyRow::from).collect(),
        can_write: require(&viewer.account.permissions, Permission::KEYS_WRITE).is_ok(),
    }
}

/// The keys, the latest first.
#[get("/admin/keys")]
fn show(viewer: Allowed<KeysRead>, keys: &State<Arc<Keys>>) -> Shown<KeysPage> {
    Shown::good(page(&viewer.0, keys))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotateForm {
    #[serde(default)]
    algorithm: String,
    /// Whether the other keys are not to be trusted any more.
    #[serde(default)]
    now: Option<String>,
}

/// Has the next key made.
#[post("/admin/keys/rotate", data = "<form>")]
async fn rotate(
    viewer: Fresh<Allowed<KeysWrite>>,
    form: Form<RotateForm>,
    keys: &State<Arc<Keys>>,
    audit: &State<Arc<Audit>>,
) -> Result<FormAnswer<KeysPage>, Refusal> {
    let start = if form.0.now.is_some() { Start::Now } else { Start::AfterLead };
    let word = Some(form.0.algorithm.as_str()).filter(|word| !word.is_empty());
    let rotated = match word.map(Algorithm::chosen).transpose() {
        Ok(algorithm) => audit::key::rotate(keys, audit, algorithm, start).await,
        Err(error) => Err(error),
    };
    match rotated {
        Ok(_) => Ok(Either::This(See::with_notice("/admin/keys", "key"))),
        Err(error) => {
            let faults = Faults::from(&error);
            let page = KeysPage { faults, ..page(&viewer.0, keys) };
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}
