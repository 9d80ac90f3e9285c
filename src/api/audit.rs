//! `/admin/audit` and `/admin/stats`: what happened, and how often.

use std::sync::Arc;
use std::time::Duration;

use rocket::serde::json::Json;
use rocket::{FromForm, Route, State, get, routes};
use serde::Serialize;

use super::list;
use super::view::{EventView, ListBody};
use crate::audit::store::EventFilter;
use crate::audit::{Audit, Kind, stats};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result as DomainResult};
use crate::guard::{AdminView, Allowed, AuditRead};
use crate::problem::Problem;

pub(super) fn routes() -> Vec<Route> {
    routes![events, numbers]
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

/// A page of events, the latest first.
#[get("/admin/audit?<query..>")]
async fn events(
    _viewer: Allowed<AuditRead>,
    query: EventQuery<'_>,
    audit: &State<Arc<Audit>>,
) -> Result<Json<ListBody<EventView>>, Problem> {
    let filter = EventFilter {
        actor: query.actor.map(str::to_owned),
        subject: query.subject.map(str::to_owned),
        kind: query.kind.map(kind).transpose()?,
        from: moment("from", query.from)?,
        to: moment("to", query.to)?,
        limit: list::limit(query.limit)?,
        after: None,
    };
    let page = audit.list(filter, query.cursor).await?;
    let items = page.items.into_iter().map(EventView::from).collect();
    Ok(Json(ListBody { items, next_cursor: page.next_cursor }))
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
    let spans = stats::numbers(audit, from, to, span).await?;
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
    Ok(Json(StatsBody { bucket, from, to, items, next_cursor: None }))
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
