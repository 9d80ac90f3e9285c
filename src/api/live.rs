//! `/admin/sessions`: everybody's live sessions.

use std::sync::Arc;

use rocket::response::status::NoContent;
use rocket::{FromForm, State, delete, get};
use schemars::JsonSchema;

use super::shape::{Cursor, Limit, Network};
use super::view::{ListBody, RevokedBody, SomebodysSessionView};
use crate::account::Actor;
use crate::cursor;
use crate::error::Error;
use crate::guard::fresh::Fresh;
use crate::guard::json::Json;
use crate::guard::{Allowed, SessionsRead, SessionsRevoke};
use crate::id::SessionId;
use crate::openapi::{Calls, Part, Signature, call};
use crate::problem::Problem;
use crate::session::Sessions;

pub(super) fn calls() -> Calls {
    Calls {
        tag: "Sessions",
        about: "Everybody's live sessions.",
        calls: vec![
            call!(sessions, "listSessions", "List sessions").more(
                "The latest first; those of a network by address. A page can be short, or \
                 even empty, and still have a `next_cursor`.",
            ),
            call!(end, "endSession", "End a session"),
            call!(end_all, "endSessions", "End many sessions").more(
                "Those that the filter lets through: a thousand at most, never the one that \
                 asks, and none of an account that holds more than it. Give a `user`, an `ip`, or \
                 both.",
            ),
        ],
    }
}

#[derive(FromForm, JsonSchema)]
struct SessionQuery<'r> {
    /// The `id` or the e-mail address of an account.
    user: Option<&'r str>,
    #[schemars(with = "Option<Network>")]
    ip: Option<&'r str>,
    #[schemars(with = "Option<Limit>")]
    limit: Option<&'r str>,
    #[schemars(with = "Option<Cursor>")]
    cursor: Option<&'r str>,
}

impl Part for SessionQuery<'_> {
    fn tell(signature: &mut Signature) {
        signature.query::<Self>();
    }
}

/// A page of live sessions, the latest first; those of a network by address.
#[get("/admin/sessions?<query..>")]
async fn sessions(
    viewer: Allowed<SessionsRead>,
    query: SessionQuery<'_>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Json<ListBody<SomebodysSessionView>>, Problem> {
    let limit = cursor::limit(query.limit)? as usize;
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
    viewer: Fresh<Allowed<SessionsRevoke>>,
    id: &str,
    sessions: &State<Arc<Sessions>>,
) -> Result<NoContent, Problem> {
    let session = SessionId::parse(id).ok_or(Error::NotFound)?;
    sessions.end_anybodys(Actor::Account(&viewer.0.account), &session).await?;
    Ok(NoContent)
}

#[derive(FromForm, JsonSchema)]
struct EndQuery<'r> {
    /// The `id` or the e-mail address of an account.
    user: Option<&'r str>,
    #[schemars(with = "Option<Network>")]
    ip: Option<&'r str>,
}

impl Part for EndQuery<'_> {
    fn tell(signature: &mut Signature) {
        signature.query::<Self>();
    }
}

/// Ends what a filter lets through, a thousand at most, but for the session that asks. Nothing to
/// filter by is refused: everybody's sessions do not end because a variable of a script was empty.
#[delete("/admin/sessions?<query..>")]
async fn end_all(
    viewer: Fresh<Allowed<SessionsRevoke>>,
    query: EndQuery<'_>,
    sessions: &State<Arc<Sessions>>,
) -> Result<Json<RevokedBody>, Problem> {
    let (user, ip) = (query.user.unwrap_or_default(), query.ip.unwrap_or_default());
    let filter = sessions.filter(user, ip).await?;
    if !filter.is_narrow() {
        let message = "Give a user, an ip, or both.";
        return Err(Error::field("user", "required", message).into());
    }
    let selection = sessions.select(&filter, &viewer.0).await?;
    let revoked = sessions.end_all(&selection).await?;
    Ok(Json(RevokedBody { revoked }))
}
