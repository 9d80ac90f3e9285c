//! The dashboard's first page: how many, how well.

use std::sync::Arc;
use std::time::Duration;

use rocket::{Route, State, get, routes};
use serde::Serialize;

use super::chart::Chart;
use crate::account::Accounts;
use crate::account::store::AccountStore;
use crate::audit::Audit;
use crate::audit::stats::{self, Numbers};
use crate::clock::{Clock, Timestamp};
use crate::guard::{AdminView, Allowed};
use crate::openapi::Reference;
use crate::page::error::Refusal;
use crate::page::part::number;
use crate::page::show::Shown;
use crate::page::view::Page;
use crate::session::Sessions;
use crate::session::store::SessionStore;

/// The numbers of the moment, sign-ins per hour, and the health of the stores (`GET /admin`).
#[derive(Debug, Default, Serialize)]
pub struct OverviewPage {
    /// The numbers, the most telling first.
    pub figures: Vec<Figure>,
    /// Sign-ins over time; nothing if the audit trail cannot be read.
    pub chart: Option<Chart>,
    /// Each store and whether it answers.
    pub stores: Vec<StoreHealth>,
    /// Whether this server shows the reference of the JSON interface.
    pub has_reference: bool,
}

impl Page for OverviewPage {
    const TEMPLATE: &'static str = "admin/overview.html.tera";

    fn title(&self) -> String {
        "Overview".into()
    }
}

/// One number.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// What the script knows it by: the fields of `/api/v1/admin/stats`.
    pub name: &'static str,
    /// What is counted: `People`.
    pub label: String,
    /// How many: `12,840`.
    pub value: String,
    /// A second fact about it: `+12 today`; may be empty.
    pub note: String,
}

/// Whether a store answers.
#[derive(Debug, Serialize)]
pub struct StoreHealth {
    /// What is kept there: `Accounts`.
    pub name: String,
    /// Which backend keeps it, and how fast it answered: `PostgreSQL, 2 ms`.
    pub detail: String,
    /// Whether it answers.
    pub healthy: bool,
}

pub(super) fn routes() -> Vec<Route> {
    routes![show]
}

/// The numbers of the moment, the last 24 hours, and the health of the stores.
#[allow(clippy::too_many_arguments, reason = "it looks at everything")]
#[get("/admin")]
async fn show(
    _viewer: Allowed<AdminView>,
    accounts: &State<Arc<Accounts>>,
    database: &State<Arc<dyn AccountStore>>,
    store: &State<Arc<dyn SessionStore>>,
    sessions: &State<Arc<Sessions>>,
    audit: &State<Arc<Audit>>,
    reference: &State<Reference>,
    clock: &State<Arc<dyn Clock>>,
) -> Result<Shown<OverviewPage>, Refusal> {
    let now = clock.now();
    let from = stats::begin_of(now, stats::HOUR) - stats::HOUR * 23;
    let (people, live, database, store, hours) = tokio::join!(
        accounts.count(),
        sessions.count(),
        database.ping(),
        store.ping(),
        stats::numbers(audit, from, now + Duration::from_millis(1), stats::HOUR),
    );
    let mut figures = vec![
        Figure::new("people", "People", people.ok(), "with an account"),
        Figure::new("sessions", "Live sessions", live.ok(), "at the last count"),
    ];
    let hours = hours.ok();
    for (name, label, pick) in DAILY {
        let sum = hours.as_ref().map(|hours| hours.iter().map(pick).sum());
        figures.push(Figure::new(name, label, sum, "in the last 24 hours"));
    }
    let health = |name: &str, detail: &str, healthy| StoreHealth {
        name: name.to_owned(),
        detail: detail.to_owned(),
        healthy,
    };
    let stores = vec![
        health("Database", "accounts, roles and the audit log", database.is_ok()),
        health("Session store", "live sessions", store.is_ok()),
    ];
    let chart = hours.as_deref().and_then(draw);
    let has_reference = reference.is_shown();
    Ok(Shown::good(OverviewPage { figures, chart, stores, has_reference }))
}

/// One of the numbers of an hour.
type Pick = fn(&Numbers) -> u64;

/// What is counted over a day.
const DAILY: [(&str, &str, Pick); 4] = [
    ("login_success", "Sign-ins", |hour| hour.login_success),
    ("login_fail", "Refused sign-ins", |hour| hour.login_fail),
    ("throttled", "Throttled", |hour| hour.throttled),
    ("token_reuse", "Reused tokens", |hour| hour.token_reuse),
];

impl Figure {
    fn new(name: &'static str, label: &str, value: Option<u64>, note: &str) -> Self {
        let value = value.map_or_else(|| "?".to_owned(), number);
        Self { name, label: label.to_owned(), value, note: note.to_owned() }
    }
}

fn draw(hours: &[Numbers]) -> Option<Chart> {
    let label = |at: Timestamp| at.to_string().get(11..16).unwrap_or_default().to_owned();
    let bars: Vec<_> = hours
        .iter()
        .map(|hour| (label(hour.begins_at), hour.login_success, hour.login_fail))
        .collect();
    Chart::draw("Sign-ins by the hour, the last 24 hours (UTC)", &bars)
}
