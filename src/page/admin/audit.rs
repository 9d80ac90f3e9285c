//! What happened, and who did it.

use std::sync::Arc;

use rocket::http::uri::Origin;
use rocket::{FromForm, Route, State, get, routes};
use serde::Serialize;

use super::{given, href, require_known};
use crate::account::Accounts;
use crate::audit::asked::AskedEvents;
use crate::audit::export::Format;
use crate::audit::store::EventFilter;
use crate::audit::{Audit, Event, EventPage, Kind, Outcome};
use crate::error::{Error, Result as DomainResult};
use crate::guard::download::Download;
use crate::guard::{Allowed, AuditRead};
use crate::page::error::Refusal;
use crate::page::part::{Choice, Faults, Moment};
use crate::page::show::Shown;
use crate::page::view::Page;
use crate::problem::sentence;
use crate::role::{Permission, require};
use crate::session::store::Live;

/// Lists events, the latest first (`GET /admin/audit`).
#[derive(Debug, Default, Serialize)]
pub struct AuditPage {
    /// What was wrong with the filter.
    #[serde(flatten)]
    pub faults: Faults,
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
    pub kind_choices: Vec<Choice>,
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

/// Where the list is.
const LIST: &str = "/admin/audit";
/// Where the files are.
const EXPORT: &str = "/admin/audit/export";

pub(super) fn routes() -> Vec<Route> {
    routes![show]
}

/// What is no page, but a file.
pub(super) fn downloads() -> Vec<Route> {
    routes![export]
}

/// What can be filtered by.
const FIELDS: [&str; 5] = ["actor", "subject", "kind", "from", "to"];

#[derive(Clone, Copy, FromForm)]
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
    limit: Option<&'r str>,
    cursor: Option<&'r str>,
}

impl AuditQuery<'_> {
    fn filters(&self) -> [(&'static str, &str); 5] {
        let values = [self.actor, self.subject, self.kind, self.from, self.to];
        let mut values = values.into_iter();
        FIELDS.map(|field| (field, values.next().unwrap_or_default()))
    }

    /// An address with this filter and one thing more.
    fn href(&self, path: &str, more: Option<(&str, &str)>) -> String {
        href(path, &self.filters(), self.limit, more)
    }

    /// What is asked for. Whose an e-mail address is, only those learn who may see accounts.
    async fn filter(&self, viewer: &Live, accounts: &Accounts) -> DomainResult<EventFilter> {
        let sees_accounts = require(&viewer.account.permissions, Permission::USERS_READ).is_ok();
        let named = async |text: &str| match text.trim() {
            "" => Ok(None),
            text if sees_accounts => accounts.named(text).await.map(Some),
            text => Ok(Some(text.to_owned())),
        };
        let asked = AskedEvents {
            kind: given(self.kind),
            from: given(self.from),
            to: given(self.to),
            limit: self.limit,
        };
        Ok(EventFilter {
            actor: named(self.actor).await?,
            subject: named(self.subject).await?,
            ..EventFilter::read(asked)?
        })
    }
}

/// The events, the latest first. Days are those of UTC.
#[get("/admin/audit?<query..>")]
async fn show(
    viewer: Allowed<AuditRead>,
    query: AuditQuery<'_>,
    address: &Origin<'_>,
    audit: &State<Arc<Audit>>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Shown<AuditPage>, Refusal> {
    let page = AuditPage {
        alarm: audit.alarm().map(|alarm| sentence(&alarm.to_string())),
        actor: query.actor.to_owned(),
        subject: query.subject.to_owned(),
        kind: query.kind.to_owned(),
        from: query.from.to_owned(),
        to: query.to.to_owned(),
        kind_choices: Kind::ALL.iter().map(Choice::plain).collect(),
        filtered: query.filters().iter().any(|(_, value)| !value.trim().is_empty()),
        csv_href: query.href(EXPORT, Some(("format", "csv"))),
        jsonl_href: query.href(EXPORT, Some(("format", "jsonl"))),
        ..AuditPage::default()
    };
    match find(query, address, &viewer.0, audit, accounts).await {
        Ok(found) => Ok(Shown::good(AuditPage {
            events: found.items.into_iter().map(EventRow::from).collect(),
            first_href: query.cursor.map(|_| query.href(LIST, None)),
            next_href: found.next_cursor.map(|cursor| query.href(LIST, Some(("cursor", &cursor)))),
            ..page
        })),
        Err(error @ Error::Invalid(_)) => {
            let faults = Faults::of_filter(&error, &FIELDS);
            Ok(Shown::refused(AuditPage { faults, ..page }, &error))
        }
        Err(error) => Err(error.into()),
    }
}

async fn find(
    query: AuditQuery<'_>,
    address: &Origin<'_>,
    viewer: &Live,
    audit: &Audit,
    accounts: &Accounts,
) -> DomainResult<EventPage> {
    require_known(address, &FIELDS)?;
    let filter = query.filter(viewer, accounts).await?;
    audit.list(filter, query.cursor).await
}

/// All events that the filter lets through, as a file.
#[get("/admin/audit/export?<format>&<query..>")]
async fn export(
    viewer: Allowed<AuditRead>,
    format: &str,
    query: AuditQuery<'_>,
    address: &Origin<'_>,
    audit: &State<Arc<Audit>>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Download, Refusal> {
    require_known(address, &[&FIELDS[..], &["format"]].concat())?;
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
