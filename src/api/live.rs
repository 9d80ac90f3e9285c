//! `/admin/sessions`: everybody's live sessions.

use std::sync::Arc;

use rocket::response::status::NoContent;
use rocket::serde::json::Json;
use rocket::{FromForm, Route, State, delete, get, routes};

use super::list;
use super::view::{ListBody, RevokedBody, SomebodysSessionView};
use crate::error::Error;
use crate::guard::fresh::Fresh;
use crate::guard::{Allowed, SessionsRead, SessionsRevoke};
use crate::id::SessionId;
use crate::problem::Problem;
use crate::session::Sessions;

pub(super) fn routes() -> Vec<Route> {
    routes![sessions, end, end_all]
}

#[derive(FromForm)]
struct SessionQuery<'r> {
    user: Option<&'r str>,
    ip: Option<&'r str>,
    limit: Option<&'r str>,
    cursor: Option<&'r str>,
}

/// A page of live sessions, the latest first; those of a network by address.
#[get("/admin/sessions?<query..>")]
async fn sessions(
    viewer: Allowed<SessionsRead>,
    query: SessionQuery<'_>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Json<ListBody<SomebodysSessionView>>, Problem> {
    let limit = list::limit(query.limit)? as usize;
    let (user, ip) = (query.user.unwrap_or_default(), query.ip.unwrap_or_default());
    let filter = sessions.filter(user, ip).await?;
    let page = sessions.survey(&filter, query.cursor, limit).await?;
    let view = |live| SomebodysSessionView::new(live, &viewer.0.session.id);
    let items = page.items.iter().map(view).collect();
    Ok(Json(ListBody { items, next_cursor: page.next_cursor }))
}

/// Ends a session, whosever it is.
#[delete("/admin/sessions/<id>")]
async fn end(
    _viewer: Fresh<Allowed<SessionsRevoke>>,
    id: &str,
    sessions: &State<Arc<Sessions>>,
) -> Result<NoContent, Problem> {
    sessions.end_anybodys(&SessionId::parse(id).ok_or(Error::NotFound)?).await?;
    Ok(NoContent)
}

/// Ends what a filter lets through, a thousand at most, but for the session that asks. Nothing to
/// filter by is refused: everybody's sessions do not end because a variable of a script was empty.
#[delete("/admin/sessions?<user>&<ip>")]
async fn end_all(
    viewer: Fresh<Allowed<SessionsRevoke>>,
    user: Option<&str>,
    ip: Option<&str>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Json<RevokedBody>, Problem> {
    let filter = sessions.filter(user.unwrap_or_default(), ip.unwrap_or_default()).await?;
    if !filter.is_narrow() {
        let message = "Give a user, an ip, or both.";
        return Err(Error::field("user", "required", message).into());
    }
    let selection = sessions.select(&filter, &viewer.0.session.id).await?;
    let revoked = sessions.end_all(&selection).await?;
    Ok(Json(RevokedBody { revoked }))
}
