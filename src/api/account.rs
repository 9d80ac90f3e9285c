//! `/me`: one's own account and sessions.

use std::sync::Arc;

use rocket::response::status::NoContent;
use rocket::serde::json::Json;
use rocket::{Route, State, delete, get, patch, put, routes};
use serde::Deserialize;

use super::view::{ListBody, RevokedBody, SessionView, UserBody};
use crate::account::Accounts;
use crate::error::Error;
use crate::guard::LoggedIn;
use crate::guard::body::Body;
use crate::guard::cookie::Cookies;
use crate::id::{SecretString, SessionId};
use crate::problem::Problem;
use crate::session::Sessions;

pub(super) fn routes() -> Vec<Route> {
    routes![me, rename, delete_me, change_password, sessions, end_session, end_sessions]
}

/// Who one is. One look at the session store; no SQL.
#[get("/me")]
fn me(viewer: LoggedIn) -> Json<UserBody> {
    Json(UserBody::from(&*viewer.0.account))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileBody {
    display_name: String,
}

/// Changes the name one shows.
#[patch("/me", data = "<body>")]
async fn rename(
    viewer: LoggedIn,
    body: Body<ProfileBody>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Json<UserBody>, Problem> {
    let account = accounts.rename(&viewer.0.account.id, &body.0.display_name).await?;
    Ok(Json(UserBody::from(&account)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    password: SecretString,
}

/// Deletes one's account.
#[delete("/me", data = "<body>")]
async fn delete_me(
    viewer: LoggedIn,
    body: Body<PasswordBody>,
    accounts: &State<Arc<Accounts>>,
    cookies: Cookies<'_>,
) -> Result<NoContent, Problem> {
    let session = &viewer.0.session.id;
    accounts.delete_own(&viewer.0.account.id, session, body.0.password).await?;
    cookies.take_back();
    Ok(NoContent)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPasswordBody {
    current_password: SecretString,
    new_password: SecretString,
}

/// Changes one's password; every other session ends.
#[put("/me/password", data = "<body>")]
async fn change_password(
    viewer: LoggedIn,
    body: Body<NewPasswordBody>,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<NoContent, Problem> {
    let NewPasswordBody { current_password, new_password } = body.0;
    let issued = sessions.change_password(&viewer.0, current_password, new_password).await?;
    cookies.hand_over(&issued);
    Ok(NoContent)
}

/// One's live sessions, the last seen first.
#[get("/me/sessions")]
async fn sessions(
    viewer: LoggedIn,
    sessions: &State<Arc<Sessions>>,
) -> Result<Json<ListBody<SessionView>>, Problem> {
    let live = sessions.list(&viewer.0.account.id).await?;
    let view = |session| SessionView::new(session, Some(&viewer.0.session.id));
    Ok(Json(ListBody::whole(live.iter().map(view).collect())))
}

/// Ends one of one's sessions. Somebody else's is not found (SR-50).
#[delete("/me/sessions/<id>")]
async fn end_session(
    viewer: LoggedIn,
    id: &str,
    sessions: &State<Arc<Sessions>>,
) -> Result<NoContent, Problem> {
    let id = SessionId::parse(id).ok_or(Error::NotFound)?;
    sessions.end(&viewer.0.account.id, &id).await?;
    Ok(NoContent)
}

/// Ends one's other sessions, or all of them.
#[delete("/me/sessions?<others>")]
async fn end_sessions(
    viewer: LoggedIn,
    others: Option<&str>,
    sessions: &State<Arc<Sessions>>,
    accounts: &State<Arc<Accounts>>,
    cookies: Cookies<'_>,
) -> Result<Json<RevokedBody>, Problem> {
    let account = &viewer.0.account.id;
    let revoked = match others {
        Some("true") => sessions.end_others(account, &viewer.0.session.id).await?,
        None | Some("false") => {
            let revoked = accounts.end_sessions(account).await?;
            cookies.take_back();
            revoked
        }
        Some(_) => {
            let fault = Error::field("others", "wrong_type", "This must be true or false.");
            return Err(fault.into());
        }
    };
    Ok(Json(RevokedBody { revoked }))
}
