//! The page of one's devices.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::nothing;
use super::part::SessionRow;
use super::show::{See, Shown};
use super::view::Page;
use crate::guard::LoggedIn;
use crate::guard::form::Form;
use crate::id::SessionId;
use crate::session::Sessions;

/// Lists one's sessions, this one first (`GET /profile/sessions`).
#[derive(Debug, Default, Serialize)]
pub struct SessionsPage {
    /// The sessions; each but the current one can be ended.
    pub sessions: Vec<SessionRow>,
    /// How many there are besides the current one.
    pub others: usize,
}

impl Page for SessionsPage {
    const TEMPLATE: &'static str = "session.html.tera";

    fn title(&self) -> String {
        "Your devices".into()
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, revoke, revoke_others]
}

/// One's devices, this one first.
#[get("/profile/sessions")]
async fn show(
    viewer: LoggedIn,
    sessions: &State<Arc<Sessions>>,
) -> Result<Shown<SessionsPage>, Refusal> {
    let live = sessions.list(&viewer.0.account.id).await?;
    let rows = SessionRow::all(&live, &viewer.0.session.id);
    let others = rows.iter().filter(|row| !row.current).count();
    Ok(Shown::good(SessionsPage { sessions: rows, others }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeForm {}

/// Signs one device out.
#[post("/profile/sessions/<id>/revoke", data = "<_form>")]
async fn revoke(
    viewer: LoggedIn,
    id: &str,
    _form: Form<RevokeForm>,
    sessions: &State<Arc<Sessions>>,
) -> Result<See, Refusal> {
    let id = SessionId::parse(id).ok_or_else(nothing)?;
    sessions.end(&viewer.0.account.id, &id).await?;
    Ok(See::with_notice("/profile/sessions", "device"))
}

/// Signs every other device out.
#[post("/profile/sessions/revoke-others", data = "<_form>")]
async fn revoke_others(
    viewer: LoggedIn,
    _form: Form<RevokeForm>,
    sessions: &State<Arc<Sessions>>,
) -> Result<See, Refusal> {
    sessions.end_others(&viewer.0.account.id, &viewer.0.session.id).await?;
    Ok(See::with_notice("/profile/sessions", "others"))
}
