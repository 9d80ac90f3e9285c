//! `/admin/audit` and `/admin/stats`: what happened, and how often.

use std::sync::Arc;
use std::time::Duration;

use rocket::serde::json::Json;
use rocket::{FromForm, Route, State, get, routes};
use serde::Serialize;

use super::list;
use super::view::ListBody;
use crate::account::Accounts;
use crate::audit::export::Format;
use crate::audit::store::EventFilter;
use crate::audit::{Audit, Event, Kind, stats};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result as DomainResult};
use crate::guard::download::Download;
use crate::guard::{AdminView, Allowed, AuditRead};
use crate::problem::Problem;
use crate::role::{Permission, require};
use crate::session::Sessions;
use crate::session::store::Live;

pub(super) fn routes() -> Vec<Route> {
    routes![events, export, numbers]
}

#[derive(FromForm)]
struct EventQuery<'r> {
    actor: Option<&'r str>,
    subject: Option<&'r str>,
    kind: Option<&'r str>,
    from: Option<&'r str>,
    to: Option<&'r str>,
    limit: Option<&'r str>,
    cursor: Option<&'r str>,
}

impl EventQuery<'_> {
    /// What is asked for. Whose an e-mail address is, only those learn who may see accounts.
    async fn filter(&self, viewer: &Live, accounts: &Accounts) -> DomainResult<EventFilter> {
        let sees_accounts = require(&viewer.account.permissions, Permission::USERS_READ).is_ok();
        let named = async |text: Option<&str>| match text {
            Some(text) if sees_accounts => accounts.named(text).await.map(Some),
            other => Ok(other.map(str::to_owned)),
        };
        Ok(EventFilter {
            actor: named(self.actor).await?,
            subject: named(self.subject).await?,
            kind: self.kind.map(kind).transpose()?,
            from: moment("from", self.from)?,
            to: moment("to", self.to)?,
            limit: list::limit(self.limit)?,
            after: None,
        })
    }
}

/// A page of events, the latest first.
#[get("/admin/audit?<query..>")]
async fn events(
    viewer: Allowed<AuditRead>,
    query: EventQuery<'_>,
    audit: &State<Arc<Audit>>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<ListBody<Event>>, Problem> {
    let filter = query.filter(&viewer.0, accounts).await?;
    let page = audit.list(filter, query.cursor).await?;
    Ok(Json(ListBody { items: page.items, next_cursor: page.next_cursor }))
}

/// All events that a filter lets through, as a file.
#[get("/admin/audit/export?<format>&<query..>")]
async fn export(
    viewer: Allowed<AuditRead>,
    format: &str,
    query: EventQuery<'_>,
    audit: &State<Arc<Audit>>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Download, Problem> {
    let format = Format::parse(format)?;
    let filter = query.filter(&viewer.0, accounts).await?;
    Ok(Download::new("doorward-audit", format, audit.export(filter, format).await))
}

#[derive(FromForm)]
struct StatsQuery<'r> {
    from: Option<&'r str>,
    to: Option<&'r str>,
    bucket: Option<&'r str>,
}

/// The numbers behind the overview's chart.
#[derive(Serialize)]
struct StatsBody {
    bucket: &'static str,
    from: String,
    to: String,
    people: Option<u64>,
    sessions: Option<u64>,
    items: Vec<NumbersView>,
    next_cursor: Option<String>,
}

/// What happened in one span of time.
#[derive(Serialize)]
struct NumbersView {
    at: String,
    login_success: u64,
    login_fail: u64,
    throttled: u64,
    token_reuse: u64,
}

/// Sign-ins good and bad, throttled requests and reused tokens, by hour or by day (UTC). Without
/// `from` and `to`: the last 24 hours, or the last 30 days.
#[get("/admin/stats?<query..>")]
async fn numbers(
    _viewer: Allowed<AdminView>,
    query: StatsQuery<'_>,
    audit: &State<Arc<Audit>>,
    accounts: &State<Arc<Accounts>>,
    sessions: &State<Arc<Sessions>>,
    clock: &State<Arc<dyn Clock>>,
) -> Result<Json<StatsBody>, Problem> {
    let (bucket, span, usual) = match query.bucket {
        None | Some("hour") => ("hour", stats::HOUR, 24),
        Some("day") => ("day", stats::DAY, 30),
        Some(_) => {
            let fault = Error::field("bucket", "unknown_bucket", "This must be hour or day.");
            return Err(fault.into());
        }
    };
    let to = moment("to", query.to)?.unwrap_or_else(|| clock.now() + Duration::from_millis(1));
    let from = match moment("from", query.from)? {
        Some(from) => from,
        // The span of `to` itself is one of them.
        None => stats::begin_of(to - Duration::from_millis(1), span) - span * (usual - 1),
    };
    let (spans, people, sessions) =
        tokio::join!(stats::numbers(audit, from, to, span), accounts.count(), sessions.count());
    let (spans, people, sessions) = (spans?, people.ok(), sessions.ok());
    let items = spans
        .into_iter()
        .map(|one| NumbersView {
            at: one.begins_at.to_string(),
            login_success: one.login_success,
            login_fail: one.login_fail,
            throttled: one.throttled,
            token_reuse: one.token_reuse,
        })
        .collect();
    let (from, to) = (from.to_string(), to.to_string());
    Ok(Json(StatsBody { bucket, from, to, people, sessions, items, next_cursor: None }))
}

fn kind(text: &str) -> DomainResult<Kind> {
    Kind::parse(text)
        .ok_or_else(|| Error::field("kind", "unknown_kind", "There is no such kind of event."))
}

/// Reads a moment in RFC 3339.
fn moment(field: &'static str, text: Option<&str>) -> DomainResult<Option<Timestamp>> {
    let wrong = || Error::field(field, "invalid_time", "This must be a time in RFC 3339.");
    text.map(|text| Timestamp::parse(text).ok_or_else(wrong)).transpose()
}
