//! Everybody's live sessions: found by person and by address, ended one by one or together.

use std::sync::Arc;

use rocket::{FromForm, Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result as DomainResult};
use crate::guard::form::Form;
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, SessionsRead, SessionsRevoke};
use crate::id::{AccountId, SessionId};
use crate::page::error::Refusal;
use crate::page::part::{Faults, SessionRow, count};
use crate::page::show::{Either, FormAnswer, See, Shown};
use crate::page::view::Page;
use crate::role::{Permission, require};
use crate::session::Sessions;
use crate::session::others::{MAX_AT_ONCE, Selection};
use crate::session::store::Live;

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

/// How many sessions stand on a page.
const PAGE_SIZE: usize = 50;
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
    fn href(&self, path: &str, cursor: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let parts = [("user", self.user.trim()), ("ip", self.ip.trim())];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        query.extend_pairs(parts.chain(cursor.map(|cursor| ("cursor", cursor))));
        format!("{path}?{}", query.finish())
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
#[get("/admin/sessions?<cursor>&<chosen..>")]
async fn show(
    viewer: Allowed<SessionsRead>,
    cursor: Option<&str>,
    chosen: Chosen,
    sessions: &State<Arc<Sessions>>,
) -> Result<Shown<LivePage>, Refusal> {
    let permissions = &viewer.0.account.permissions;
    let can_revoke = require(permissions, Permission::SESSIONS_REVOKE).is_ok();
    let page = LivePage { can_revoke, ..LivePage::default() };
    let filter = match sessions.filter(&chosen.user, &chosen.ip).await {
        Ok(filter) => filter,
        Err(error @ Error::Invalid(_)) => {
            let faults = Faults::from(&error);
            let Chosen { user, ip, .. } = chosen;
            return Ok(Shown::refused(
                LivePage { faults, user, ip, filtered: true, ..page },
                &error,
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let found = sessions.survey(&filter, cursor, PAGE_SIZE).await?;
    let row = |live: &Live| LiveRow::new(live, &viewer.0.session.id);
    let rows: Vec<LiveRow> = found.items.iter().map(row).collect();
    let others = rows.iter().any(|row| !row.session.current);
    let all = (can_revoke && filter.is_narrow() && others)
        .then(|| chosen.href("/admin/sessions/revoke", None));
    Ok(Shown::good(LivePage {
        sessions: rows,
        filtered: filter.is_narrow(),
        first_href: cursor.map(|_| chosen.href("/admin/sessions", None)),
        next_href: found.next_cursor.map(|next| chosen.href("/admin/sessions", Some(&next))),
        end_all_href: all,
        user: chosen.user,
        ip: chosen.ip,
        ..page
    }))
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
    sessions: &State<Arc<Sessions>>,
) -> Result<Shown<EndSessionsPage>, Refusal> {
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
            let list = chosen.href("/admin/sessions", None);
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

const _: () = assert!(PAGE_SIZE <= MAX_AT_ONCE);
