//! `/auth`: registering, signing in, refreshing, signing out.

use std::sync::Arc;

use rocket::response::status::{Created, NoContent};
use rocket::{State, post};
use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{DisplayName, NewPassword, Password};
use super::view::{SessionBody, SignedInBody};
use crate::account::email::Email;
use crate::error::Error;
use crate::guard::body::Body;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::json::Json;
use crate::guard::{LoggedIn, Presented};
use crate::id::SecretString;
use crate::openapi::{Asker, Calls, call};
use crate::problem::Problem;
use crate::session::{Registration, Sessions};

pub(super) fn calls() -> Calls {
    Calls {
        tag: "Signing in",
        about: "Sessions begin, go on and end here.",
        calls: vec![
            call!(register, "register", "Register")
                .more(
                    "An account is made, and its owner is signed in. A session whose cookies \
                     came along ends.",
                )
                .or(Error::RegistrationRefused)
                .or(Error::RegistrationClosed)
                .hashing(),
            call!(log_in, "logIn", "Sign in")
                .more("A session whose cookies came along ends.")
                .or(Error::InvalidCredentials)
                .hashing(),
            call!(refresh, "refresh", "Refresh the tokens")
                .more(
                    "Trades the refresh cookie for a new pair of cookies. The old refresh token \
                     is good once: whoever uses it again ends the session.",
                )
                .by(Asker::Refresh)
                .or(Error::RefreshInvalid)
                .or(Error::SessionEnded)
                .or(Error::TokenReused),
            call!(reauthenticate, "reauthenticate", "Prove again who you are")
                .more("Cookies with new tokens come back, but none with a Bearer token.")
                .or(Error::WrongPassword)
                .hashing(),
            call!(log_out, "logOut", "Sign out")
                .more("Ends the session of the request, if there is one.")
                .by(Asker::Perhaps),
        ],
    }
}

/// Who registers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RegisterBody {
    #[schemars(with = "Email")]
    email: String,
    #[schemars(with = "NewPassword")]
    password: SecretString,
    #[serde(default)]
    #[schemars(with = "Option<DisplayName>")]
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

/// Who signs in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogInBody {
    /// The e-mail address of the account.
    #[schemars(extend("examples" = ["ada@example.org"]))]
    email: String,
    #[schemars(with = "Password")]
    password: SecretString,
    /// Whether the session outlives the browser's window.
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

/// The password, once more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReauthenticateBody {
    #[schemars(with = "Password")]
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
