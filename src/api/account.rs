//! `/me`: one's own account and sessions.

use std::sync::Arc;

use rocket::response::status::NoContent;
use rocket::{FromForm, State, delete, get, patch, put};
use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{DisplayName, NewPassword, Password};
use super::user::UserBody;
use super::view::{ListBody, RevokedBody, SessionView};
use crate::account::Accounts;
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::json::Json;
use crate::guard::{LoggedIn, PasswordOwner};
use crate::id::{SecretString, SessionId};
use crate::openapi::{Calls, Part, Signature, call};
use crate::problem::Problem;
use crate::session::Sessions;

pub(super) fn calls() -> Calls {
    Calls {
        tag: "Your account",
        about: "The account and the sessions of whoever asks.",
        calls: vec![
            call!(me, "getMe", "Show who is signed in"),
            call!(rename, "updateMe", "Change your name"),
            call!(delete_me, "deleteMe", "Delete your account")
                .or(Error::WrongPassword)
                .or(Error::LastAdmin)
                .hashing(),
            call!(change_password, "changePassword", "Change your password")
                .more("This session goes on with new cookies; all others end.")
                .or(Error::WrongPassword)
                .hashing(),
            call!(sessions, "listMySessions", "List your sessions")
                .more("Those that live, the last seen first."),
            call!(end_session, "endMySession", "End one of your sessions"),
            call!(end_sessions, "endMySessions", "End your sessions")
                .more("The others, or all of them. If this one ends too, its cookies are deleted."),
        ],
    }
}

/// Who one is. One look at the session store; no SQL.
#[get("/me")]
fn me(viewer: LoggedIn) -> Json<UserBody> {
    Json(UserBody::from(Arc::clone(&viewer.account)))
}

/// What one can change of oneself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProfileBody {
    #[schemars(with = "DisplayName")]
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
    Ok(Json(UserBody::from(account)))
}

/// The password, to confirm what cannot be undone.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    #[schemars(with = "Password")]
    password: SecretString,
}

/// Deletes one's account.
#[delete("/me", data = "<body>")]
async fn delete_me(
    viewer: LoggedIn,
    body: Body<PasswordBody>,
    client: Client,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<NoContent, Problem> {
    sessions.delete_account(&viewer.0, body.0.password, &client.0).await?;
    cookies.take_back();
    Ok(NoContent)
}

/// The password as it is and as it is to be.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPasswordBody {
    #[schemars(with = "Password")]
    current_password: SecretString,
    #[schemars(with = "NewPassword")]
    new_password: SecretString,
}

/// Changes one's password; every other session ends.
#[put("/me/password", data = "<body>")]
async fn change_password(
    viewer: PasswordOwner,
    body: Body<NewPasswordBody>,
    client: Client,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<NoContent, Problem> {
    let NewPasswordBody { current_password, new_password } = body.0;
    let issued =
        sessions.change_password(&viewer.0, current_password, new_password, &client.0).await?;
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

#[derive(FromForm, JsonSchema)]
struct EndQuery<'r> {
    /// Whether this session goes on.
    #[schemars(with = "Option<bool>")]
    others: Option<&'r str>,
}

impl Part for EndQuery<'_> {
    fn tell(signature: &mut Signature) {
        signature.query::<Self>();
    }
}

/// Ends one's other sessions, or all of them.
#[delete("/me/sessions?<query..>")]
async fn end_sessions(
    viewer: LoggedIn,
    query: EndQuery<'_>,
    sessions: &State<Arc<Sessions>>,
    accounts: &State<Arc<Accounts>>,
    cookies: Cookies<'_>,
) -> Result<Json<RevokedBody>, Problem> {
    let account = &viewer.0.account.id;
    let revoked = match query.others {
        Some("true") => sessions.end_others(account, &viewer.0.session.id).await?,
        None | Some("false") => {
            let revoked = accounts.end_own_sessions(account).await?;
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
