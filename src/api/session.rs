//! `/auth`: registering, signing in, refreshing, signing out.

use std::sync::Arc;

use rocket::response::status::{Created, NoContent};
use rocket::serde::json::Json;
use rocket::{Route, State, post, routes};
use serde::Deserialize;

use super::view::{SessionBody, SignedInBody};
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::{LoggedIn, Presented};
use crate::id::SecretString;
use crate::problem::Problem;
use crate::session::{Registration, Sessions};

pub(super) fn routes() -> Vec<Route> {
    routes![register, log_in, refresh, reauthenticate, log_out]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterBody {
    email: String,
    password: SecretString,
    #[serde(default)]
    display_name: Option<String>,
}

/// Makes an account and signs its owner in.
#[post("/auth/register", data = "<body>")]
async fn register(
    body: Body<RegisterBody>,
    client: Client,
    presented: Presented,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<Created<Json<SignedInBody>>, Problem> {
    let RegisterBody { email, password, display_name } = body.0;
    let display_name = display_name.unwrap_or_default();
    let registration = Registration { email: &email, password, display_name: &display_name };
    let issued = sessions.register(registration, client.0, &presented.0).await?;
    cookies.hand_over(&issued);
    Ok(Created::new("/api/v1/me").body(Json(SignedInBody::from(&issued))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogInBody {
    email: String,
    password: SecretString,
    #[serde(default)]
    remember: Option<bool>,
}

/// Signs a person in.
#[post("/auth/login", data = "<body>")]
async fn log_in(
    body: Body<LogInBody>,
    client: Client,
    presented: Presented,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<Json<SignedInBody>, Problem> {
    let LogInBody { email, password, remember } = body.0;
    let remember = remember.unwrap_or(false);
    let issued = sessions.log_in(&email, password, remember, client.0, &presented.0).await?;
    cookies.hand_over(&issued);
    Ok(Json(SignedInBody::from(&issued)))
}

/// Trades the refresh cookie for a new pair of cookies.
#[post("/auth/refresh")]
async fn refresh(
    presented: Presented,
    client: Client,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<Json<SessionBody>, Problem> {
    let token = presented.0.refresh.ok_or(Error::RefreshInvalid)?;
    let issued = sessions.refresh(&token, &client.0).await?;
    cookies.hand_over(&issued);
    Ok(Json(SessionBody::from(&issued)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReauthenticateBody {
    password: SecretString,
}

/// Has whoever is signed in prove again who they are (SR-52). A browser gets new tokens; a program
/// with a Bearer token goes on with the one that it has.
#[post("/auth/reauthenticate", data = "<body>")]
async fn reauthenticate(
    viewer: LoggedIn,
    body: Body<ReauthenticateBody>,
    client: Client,
    presented: Presented,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<Json<SessionBody>, Problem> {
    let password = body.0.password;
    let done = sessions.reauthenticate(&viewer.0, password, &client.0, &presented.0).await?;
    done.issued.iter().for_each(|issued| cookies.hand_over(issued));
    Ok(Json(SessionBody::from(&done.session)))
}

/// Ends the session of the request, if there is one.
#[post("/auth/logout")]
async fn log_out(
    presented: Presented,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<NoContent, Problem> {
    sessions.log_out(&presented.0).await?;
    cookies.take_back();
    Ok(NoContent)
}
