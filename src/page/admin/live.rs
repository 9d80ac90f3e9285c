//! Everybody's live sessions: found by person and by address, ended one by one or together.

use std::sync::Arc;

use rocket::http::uri::Origin;
use rocket::{FromForm, Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::{href, require_known};
use crate::cursor;
use crate::error::{Error, Result as DomainResult};
use crate::guard::form::Form;
use crate::guard::fresh::Fresh;
use crate::guard::query;
use crate::guard::{Allowed, SessionsRead, SessionsRevoke};
use crate::id::{AccountId, SessionId};
use crate::page::error::Refusal;
use crate::page::part::{Faults, SessionRow, count};
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::role::{Permission, require};
use crate::session::Sessions;
use crate::session::others::Selection;
use crate::session::store::Live;
use crate::session::survey::SessionPage;

/// Lists live sessions (`GET /admin/sessions`).
#[derive(Debug, Default, Serialize)]
pub struct LivePage {
    /// What was wrong with the filter.
    #[serde(flatten)]
    pub faults: Faults,
    /// Whose sessions are shown, as it was typed; empty for everybody's.
    pub user: String,
    /// From where, as it was typed; empty for anywhere.
    pub ip: String,
    /// The sessions on this page.
    pub sessions: Vec<LiveRow>,
    /// Whether anything is filtered by.
    pub filtered: bool,
    /// The first page, unless this is it.
    pub first_href: Option<String>,
    /// The next page, if there is one.
    pub next_href: Option<String>,
    /// Where all that the filter lets through can be ended; nothing without a filter.
    pub end_all_href: Option<String>,
    /// Whether the viewer may end sessions.
    pub can_revoke: bool,
}

impl Page for LivePage {
    const TEMPLATE: &'static str = "admin/live.html.tera";

    fn title(&self) -> String {
        "Sessions".into()
    }
}

/// Asks once more before sessions are ended (`GET`, `POST /admin/sessions/revoke`).
#[derive(Debug, Default, Serialize)]
pub struct EndSessionsPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// How many sessions will end: `12 sessions`.
    pub how_many: String,
    /// Whether there is any.
    pub any: bool,
    /// Whether there are more than end at once.
    pub more: bool,
    /// How many go on because their owners hold more than the viewer, if there are any.
    pub spared: Option<String>,
    /// Whose sessions end, if a filter chooses them.
    pub user: String,
    /// From where, if a filter chooses them.
    pub ip: String,
    /// The names of the sessions, if they were ticked.
    pub ticked: Vec<String>,
    /// Some of them, to look at.
    pub sessions: Vec<LiveRow>,
}

impl Page for EndSessionsPage {
    const TEMPLATE: &'static str = "admin/end_sessions.html.tera";

    fn title(&self) -> String {
        "End sessions".into()
    }
}

/// A session in the list of all.
#[derive(Clone, Debug, Serialize)]
pub struct LiveRow {
    /// Names the session and its account, for a box to tick.
    pub name: String,
    /// The session.
    #[serde(flatten)]
    pub session: SessionRow,
    /// Whose account it is.
    pub user_id: String,
    /// Its e-mail address.
    pub email: String,
    /// Its name; may be empty.
    pub display_name: String,
}

impl LiveRow {
    fn new(live: &Live, asking: &SessionId) -> Self {
        let account = &live.account;
        Self {
            name: format!("{}.{}", account.id, live.session.id),
            session: SessionRow::new(&live.session, asking),
            user_id: account.id.to_string(),
            email: account.email.to_string(),
            display_name: account.display_name.clone(),
        }
    }
}

/// What can be filtered by.
const FIELDS: [&str; 2] = ["user", "ip"];
/// How many of those that are to end are shown.
const EXAMPLES: usize = 20;

pub(super) fn routes() -> Vec<Route> {
    routes![show, ask, end]
}

/// Which sessions are meant; in a query and, the same words, in a form.
#[derive(Debug, Default, Deserialize, FromForm)]
#[serde(deny_unknown_fields)]
struct Chosen {
    #[field(default = "")]
    #[serde(default)]
    user: String,
    #[field(default = "")]
    #[serde(default)]
    ip: String,
    #[serde(default)]
    session: Vec<String>,
}

impl Chosen {
    /// An address below the list, with the filter and this cursor.
    fn href(&self, path: &str, limit: Option<&str>, cursor: Option<&str>) -> String {
        let filters = [("user", self.user.trim()), ("ip", self.ip.trim())];
        href(path, &filters, limit, cursor.map(|cursor| ("cursor", cursor)))
    }

    /// What is to end: the ticked sessions, or, if none is ticked, what the filter lets through.
    async fn select(&self, sessions: &Sessions, viewer: &Live) -> DomainResult<Selection> {
        if !self.session.is_empty() {
            let names: Option<Vec<_>> = self.session.iter().map(|name| read(name)).collect();
            return sessions.select_named(names.ok_or(Error::NotFound)?, viewer).await;
        }
        let filter = sessions.filter(&self.user, &self.ip).await?;
        if filter.is_narrow() {
            sessions.select(&filter, viewer).await
        } else {
            // An empty form must not end everybody's sessions.
            Ok(Selection::default())
        }
    }
}

fn read(name: &str) -> Option<(AccountId, SessionId)> {
    let (account, session) = name.split_once('.')?;
    Some((AccountId::parse(account)?, SessionId::parse(session)?))
}

/// The list, the latest first; that of a network by address.
#[get("/admin/sessions?<limit>&<cursor>&<chosen..>")]
async fn show(
    viewer: Allowed<SessionsRead>,
    limit: Option<&str>,
    cursor: Option<&str>,
    chosen: Chosen,
    address: &Origin<'_>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Shown<LivePage>, Refusal> {
    let permissions = &viewer.0.account.permissions;
    let can_revoke = require(permissions, Permission::SESSIONS_REVOKE).is_ok();
    let page = LivePage { can_revoke, ..LivePage::default() };
    let (found, is_narrow) = match find(&chosen, limit, cursor, address, sessions).await {
        Ok(found) => found,
        Err(error @ Error::Invalid(_)) => {
            let faults = Faults::of_filter(&error, &FIELDS);
            let Chosen { user, ip, .. } = chosen;
            return Ok(Shown::refused(
                LivePage { faults, user, ip, filtered: true, ..page },
                &error,
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let row = |live: &Live| LiveRow::new(live, &viewer.0.session.id);
    let rows: Vec<LiveRow> = found.items.iter().map(row).collect();
    let others = rows.iter().any(|row| !row.session.current);
    let all = (can_revoke && is_narrow && others)
        .then(|| chosen.href("/admin/sessions/revoke", None, None));
    let list = |cursor: Option<&str>| chosen.href("/admin/sessions", limit, cursor);
    Ok(Shown::good(LivePage {
        sessions: rows,
        filtered: is_narrow,
        first_href: cursor.map(|_| list(None)),
        next_href: found.next_cursor.map(|next| list(Some(&next))),
        end_all_href: all,
        user: chosen.user.clone(),
        ip: chosen.ip.clone(),
        ..page
    }))
}

/// A page of the list, and whether anything is filtered by.
async fn find(
    chosen: &Chosen,
    limit: Option<&str>,
    cursor: Option<&str>,
    address: &Origin<'_>,
    sessions: &Sessions,
) -> DomainResult<(SessionPage, bool)> {
    require_known(address, &FIELDS)?;
    let limit = cursor::limit(limit)? as usize;
    let filter = sessions.filter(&chosen.user, &chosen.ip).await?;
    Ok((sessions.survey(&filter, cursor, limit).await?, filter.is_narrow()))
}

fn asked(selection: &Selection, chosen: Chosen, asking: &SessionId) -> EndSessionsPage {
    let examples = selection.chosen.iter().take(EXAMPLES);
    EndSessionsPage {
        how_many: count(selection.chosen.len() as u64, "session", "sessions"),
        any: !selection.chosen.is_empty(),
        more: selection.more,
        spared: (selection.spared > 0)
            .then(|| count(selection.spared as u64, "session", "sessions")),
        user: chosen.user,
        ip: chosen.ip,
        ticked: chosen.session,
        sessions: examples.map(|live| LiveRow::new(live, asking)).collect(),
        ..EndSessionsPage::default()
    }
}

/// Says how many sessions would end, and asks once more.
#[get("/admin/sessions/revoke?<chosen..>")]
async fn ask(
    viewer: Allowed<SessionsRevoke>,
    chosen: Chosen,
    address: &Origin<'_>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Shown<EndSessionsPage>, Refusal> {
    query::require(address, &FIELDS, &["session"])?;
    let selection = chosen.select(sessions, &viewer.0).await?;
    let asking = &viewer.0.session.id;
    Ok(Shown::good(asked(&selection, chosen, asking)))
}

/// Ends them: those that are there now, never the one that asks.
#[post("/admin/sessions/revoke", data = "<form>")]
async fn end(
    viewer: Fresh<Allowed<SessionsRevoke>>,
    form: Form<Chosen>,
    sessions: &State<Arc<Sessions>>,
) -> Result<FormAnswer<EndSessionsPage>, Refusal> {
    let (chosen, asking) = (form.0, &viewer.0.session.id);
    let selection = chosen.select(sessions, &viewer.0).await?;
    match sessions.end_all(&selection).await {
        Ok(ended) => {
            let list = chosen.href("/admin/sessions", None, None);
            Ok(Either::This(See(format!("{list}&done=sessions&n={ended}"))))
        }
        Err(error) => {
            let left = chosen.select(sessions, &viewer.0).await?;
            let page = asked(&left, chosen, asking);
            let faults = Faults::from(&error);
            Ok(Either::That(Shown::refused(EndSessionsPage { faults, ..page }, &error)))
        }
    }
}
