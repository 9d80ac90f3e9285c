//! What happened, and who did it.

use std::sync::Arc;

use rocket::{FromForm, Route, State, get, routes};
use serde::Serialize;

use crate::account::Accounts;
use crate::audit::export::Format;
use crate::audit::stats::DAY;
use crate::audit::store::EventFilter;
use crate::audit::{Audit, Event, Kind, Outcome};
use crate::clock::Timestamp;
use crate::error::Result as DomainResult;
use crate::guard::download::Download;
use crate::guard::{Allowed, AuditRead};
use crate::page::error::Refusal;
use crate::page::part::Moment;
use crate::page::show::Shown;
use crate::page::view::Page;
use crate::problem::sentence;
use crate::role::{Permission, require};
use crate::session::store::Live;

/// Lists events, the latest first (`GET /admin/audit`).
#[derive(Debug, Default, Serialize)]
pub struct AuditPage {
    /// What this server found wrong with the trail since it started, in a sentence.
    pub alarm: Option<String>,
    /// The actor that is filtered by; empty for all.
    pub actor: String,
    /// The subject that is filtered by; empty for all.
    pub subject: String,
    /// The kind that is filtered by; empty for all.
    pub kind: String,
    /// The first day, `2026-01-31`; empty for all.
    pub from: String,
    /// The last day; empty for all.
    pub to: String,
    /// All kinds, to choose from.
    pub kinds: Vec<String>,
    /// The events on this page.
    pub events: Vec<EventRow>,
    /// Whether anything is filtered by.
    pub filtered: bool,
    /// The first page, unless this is it.
    pub first_href: Option<String>,
    /// The next page, if there is one.
    pub next_href: Option<String>,
    /// Where all that the filter lets through is to be had as a table.
    pub csv_href: String,
    /// Where it is to be had as lines of JSON.
    pub jsonl_href: String,
}

impl Page for AuditPage {
    const TEMPLATE: &'static str = "admin/audit.html.tera";

    fn title(&self) -> String {
        "Audit log".into()
    }
}

/// One event.
#[derive(Debug, Serialize)]
pub struct EventRow {
    /// When it happened.
    pub at: Moment,
    /// What happened: `authn_login_fail`.
    pub kind: String,
    /// How it ended, in a word: `success`, `failure`.
    pub result: String,
    /// Whether it ended well.
    pub success: bool,
    /// Who did it, if known: an account's identifier, `operator`, `server`.
    pub actor: Option<String>,
    /// About whom, if anybody: an account's identifier.
    pub subject: Option<String>,
    /// From which address.
    pub ip: Option<String>,
    /// What else is known; may be empty.
    pub detail: String,
}

/// How many events stand on a page.
const PAGE_SIZE: u32 = 50;

/// Where the list is.
const LIST: &str = "/admin/audit";
/// Where the files are.
const EXPORT: &str = "/admin/audit/export";

pub(super) fn routes() -> Vec<Route> {
    routes![show, export]
}

#[derive(FromForm)]
struct AuditQuery<'r> {
    #[field(default = "")]
    actor: &'r str,
    #[field(default = "")]
    subject: &'r str,
    #[field(default = "")]
    kind: &'r str,
    #[field(default = "")]
    from: &'r str,
    #[field(default = "")]
    to: &'r str,
    cursor: Option<&'r str>,
}

impl AuditQuery<'_> {
    /// An address with this filter and one thing more.
    fn href(&self, path: &str, more: Option<(&str, &str)>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("actor", self.actor),
            ("subject", self.subject),
            ("kind", self.kind),
            ("from", self.from),
            ("to", self.to),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.extend_pairs(more);
        format!("{path}?{}", query.finish())
    }

    /// What is asked for. A filter that means nothing is no filter. Whose an e-mail address is, only
    /// those learn who may see accounts.
    async fn filter(&self, viewer: &Live, accounts: &Accounts) -> DomainResult<EventFilter> {
        let sees_accounts = require(&viewer.account.permissions, Permission::USERS_READ).is_ok();
        let named = async |text: &str| match text.trim() {
            "" => Ok(None),
            text if sees_accounts => accounts.named(text).await.map(Some),
            text => Ok(Some(text.to_owned())),
        };
        Ok(EventFilter {
            actor: named(self.actor).await?,
            subject: named(self.subject).await?,
            kind: Kind::parse(self.kind),
            from: day(self.from),
            // The last day counts whole.
            to: day(self.to).map(|day| day + DAY),
            after: None,
            limit: PAGE_SIZE,
        })
    }
}

/// The events, the latest first. Days are those of UTC.
#[get("/admin/audit?<query..>")]
async fn show(
    viewer: Allowed<AuditRead>,
    query: AuditQuery<'_>,
    audit: &State<Arc<Audit>>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Shown<AuditPage>, Refusal> {
    let filter = query.filter(&viewer.0, accounts).await?;
    let filtered = filter.actor.is_some()
        || filter.subject.is_some()
        || filter.kind.is_some()
        || filter.from.is_some()
        || filter.to.is_some();
    let page = audit.list(filter, query.cursor).await?;
    Ok(Shown::good(AuditPage {
        alarm: audit.alarm().map(|alarm| sentence(&alarm.to_string())),
        actor: query.actor.to_owned(),
        subject: query.subject.to_owned(),
        kind: query.kind.to_owned(),
        from: query.from.to_owned(),
        to: query.to.to_owned(),
        kinds: Kind::ALL.iter().map(ToString::to_string).collect(),
        events: page.items.into_iter().map(EventRow::from).collect(),
        filtered,
        first_href: query.cursor.map(|_| query.href(LIST, None)),
        next_href: page.next_cursor.map(|cursor| query.href(LIST, Some(("cursor", &cursor)))),
        csv_href: query.href(EXPORT, Some(("format", "csv"))),
        jsonl_href: query.href(EXPORT, Some(("format", "jsonl"))),
    }))
}

/// All events that the filter lets through, as a file.
#[get("/admin/audit/export?<format>&<query..>")]
async fn export(
    viewer: Allowed<AuditRead>,
    format: &str,
    query: AuditQuery<'_>,
    audit: &State<Arc<Audit>>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Download, Refusal> {
    let format = Format::parse(format)?;
    let filter = query.filter(&viewer.0, accounts).await?;
    Ok(Download::new("doorward-audit", format, audit.export(filter, format).await))
}

impl From<Event> for EventRow {
    fn from(event: Event) -> Self {
        Self {
            at: event.at.into(),
            success: event.result == Outcome::Success.as_str(),
            kind: event.kind,
            result: event.result,
            actor: event.actor,
            subject: event.subject,
            ip: event.ip,
            detail: event.detail.unwrap_or_default(),
        }
    }
}

/// The beginning of a day that a date field names, `2026-01-31`.
fn day(date: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{date}T00:00:00Z"))
}
