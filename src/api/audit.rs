//! `/admin/audit` and `/admin/stats`: what happened, and how often.

use std::sync::Arc;
use std::time::Duration;

use rocket::form::{self, FromFormField, ValueField};
use rocket::{FromForm, State, get};
use schemars::JsonSchema;
use serde::Serialize;

use super::shape::{Cursor, Limit, When};
use super::view::ListBody;
use crate::account::Accounts;
use crate::audit::asked::{self, AskedEvents};
use crate::audit::export::Format;
use crate::audit::store::EventFilter;
use crate::audit::{Audit, Event, Kind, stats};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result as DomainResult};
use crate::guard::download::Download;
use crate::guard::json::Json;
use crate::guard::{AdminView, Allowed, AuditRead};
use crate::openapi::{Calls, Part, Signature, call, subschema};
use crate::problem::Problem;
use crate::role::{Permission, require};
use crate::session::Sessions;
use crate::session::store::Live;

pub(super) fn calls() -> Calls {
    const WHOSE: &str =
        "`actor` and `subject` take an e-mail address too, from those who may see accounts.";
    Calls {
        tag: "Audit",
        about: "What happened, and how often.",
        calls: vec![
            call!(events, "listEvents", "List events").more(WHOSE),
            call!(export, "exportEvents", "Export events").more(WHOSE),
            call!(numbers, "getStats", "Count events").more(
                "Sign-ins and alarms, by hour or by day (UTC). Without `from` and `to`: the \
                 last 24 hours, or the last 30 days. `people` and `sessions` are `null` \
                 while their store does not answer.",
            ),
        ],
    }
}

#[derive(FromForm, JsonSchema)]
struct EventQuery<'r> {
    /// Who did it: the `id` of an account, `operator` or `server`.
    actor: Option<&'r str>,
    /// The `id` of the account that it was done to.
    subject: Option<&'r str>,
    /// What happened.
    #[schemars(with = "Option<Kind>")]
    kind: Option<&'r str>,
    /// From this moment on, or from the beginning of this day (UTC).
    #[schemars(with = "Option<When>")]
    from: Option<&'r str>,
    /// Before this moment, or until the end of this day (UTC).
    #[schemars(with = "Option<When>")]
    to: Option<&'r str>,
    #[schemars(with = "Option<Limit>")]
    limit: Option<&'r str>,
    #[schemars(with = "Option<Cursor>")]
    cursor: Option<&'r str>,
}

impl Part for EventQuery<'_> {
    fn tell(signature: &mut Signature) {
        signature.query::<Self>();
    }
}

impl EventQuery<'_> {
    /// What is asked for. Whose an e-mail address is, only those learn who may see accounts.
    async fn filter(&self, viewer: &Live, accounts: &Accounts) -> DomainResult<EventFilter> {
        let sees_accounts = require(&viewer.account.permissions, Permission::USERS_READ).is_ok();
        let named = async |text: Option<&str>| match text {
            Some(text) if sees_accounts => accounts.named(text).await.map(Some),
            other => Ok(other.map(str::to_owned)),
        };
        let EventQuery { kind, from, to, limit, .. } = *self;
        Ok(EventFilter {
            actor: named(self.actor).await?,
            subject: named(self.subject).await?,
            ..EventFilter::read(AskedEvents { kind, from, to, limit })?
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

/// The name of a format, which [`Format::parse`] reads.
struct FormatName<'r>(&'r str);

impl<'r> FromFormField<'r> for FormatName<'r> {
    fn from_value(field: ValueField<'r>) -> form::Result<'r, Self> {
        Ok(Self(field.value))
    }
}

impl Part for FormatName<'_> {
    fn tell(signature: &mut Signature) {
        signature.words.push(("format", "How events are written.", subschema::<Format>));
    }
}

/// All events that a filter lets through, as a file.
#[get("/admin/audit/export?<format>&<query..>")]
async fn export(
    viewer: Allowed<AuditRead>,
    format: FormatName<'_>,
    query: EventQuery<'_>,
    audit: &State<Arc<Audit>>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Download, Problem> {
    let format = Format::parse(format.0)?;
    let filter = query.filter(&viewer.0, accounts).await?;
    Ok(Download::new("doorward-audit", format, audit.export(filter, format).await))
}

#[derive(FromForm, JsonSchema)]
struct StatsQuery<'r> {
    /// From this moment on, or from the beginning of this day (UTC).
    #[schemars(with = "Option<When>")]
    from: Option<&'r str>,
    /// Before this moment, or until the end of this day (UTC).
    #[schemars(with = "Option<When>")]
    to: Option<&'r str>,
    /// How long each span is; an hour if it is not given.
    #[schemars(with = "Option<Bucket>")]
    bucket: Option<&'r str>,
}

impl Part for StatsQuery<'_> {
    fn tell(signature: &mut Signature) {
        signature.query::<Self>();
    }
}

/// How long a span is.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Bucket {
    Hour,
    Day,
}

/// The numbers behind the overview's chart.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Stats")]
struct StatsBody {
    /// How long each span is.
    bucket: Bucket,
    /// From when it is counted.
    #[schemars(with = "Timestamp")]
    from: String,
    /// Until when.
    #[schemars(with = "Timestamp")]
    to: String,
    /// How many accounts there are.
    people: Option<u64>,
    /// How many live sessions there are.
    sessions: Option<u64>,
    /// The spans, in their order.
    items: Vec<NumbersView>,
    /// Always `null`: all spans are there.
    next_cursor: Option<String>,
}

/// What happened in one span of time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Numbers")]
struct NumbersView {
    /// When the span begins.
    #[schemars(with = "Timestamp")]
    at: String,
    /// Sign-ins.
    login_success: u64,
    /// Sign-ins that were refused.
    login_fail: u64,
    /// Requests beyond a limit.
    throttled: u64,
    /// Refresh tokens that were used again.
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
        None | Some("hour") => (Bucket::Hour, stats::HOUR, 24),
        Some("day") => (Bucket::Day, stats::DAY, 30),
        Some(_) => {
            let fault = Error::field("bucket", "unknown_bucket", "This must be hour or day.");
            return Err(fault.into());
        }
    };
    let to = asked::end("to", query.to)?.unwrap_or_else(|| clock.now() + Duration::from_millis(1));
    let from = match asked::begin("from", query.from)? {
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
