//! The dashboard's first page: how many, how well.

use std::sync::Arc;

use rocket::{Route, State, get, routes};
use serde::Serialize;

use crate::account::Accounts;
use crate::account::store::AccountStore;
use crate::guard::{AdminView, Allowed};
use crate::page::error::Refusal;
use crate::page::part::number;
use crate::page::show::Shown;
use crate::page::view::Page;
use crate::session::store::SessionStore;

/// The numbers of the moment, sign-ins per hour, and the health of the stores (`GET /admin`).
#[derive(Debug, Default, Serialize)]
pub struct OverviewPage {
    /// The numbers, the most telling first.
    pub figures: Vec<Figure>,
    /// Each store and whether it answers.
    pub stores: Vec<StoreHealth>,
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

/// The numbers of the moment and the health of the stores.
#[get("/admin")]
async fn show(
    _viewer: Allowed<AdminView>,
    accounts: &State<Arc<Accounts>>,
    database: &State<Arc<dyn AccountStore>>,
    store: &State<Arc<dyn SessionStore>>,
) -> Result<Shown<OverviewPage>, Refusal> {
    let (people, database, store) = tokio::join!(accounts.count(), database.ping(), store.ping());
    let people = people.map_or_else(|_| "?".to_owned(), number);
    let health = |name: &str, detail: &str, healthy| StoreHealth {
        name: name.to_owned(),
        detail: detail.to_owned(),
        healthy,
    };
    Ok(Shown::good(OverviewPage {
        figures: vec![Figure {
            label: "People".to_owned(),
            value: people,
            note: "with an account".to_owned(),
        }],
        stores: vec![
            health("Database", "accounts and roles", database.is_ok()),
            health("Session store", "live sessions", store.is_ok()),
        ],
    }))
}
