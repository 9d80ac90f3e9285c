//! The sign-in page.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::next::{Places, foreign_origin};
use super::part::Faults;
use super::password;
use super::show::{Either, FormAnswer, See, Shown};
use super::view::Page;
use crate::account::{Account, Accounts};
use crate::error::Error;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::form::{Form, Offered, VisitorForm};
use crate::guard::{AnySession, Presented};
use crate::id::SecretString;
use crate::problem::Problem;
use crate::session::Sessions;

/// Asks for an e-mail address and a password (`GET`, `POST /login`).
#[derive(Debug, Default, Serialize)]
pub struct LoginPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The e-mail address, as it was typed.
    pub email: String,
    /// Whether "keep me signed in" is ticked.
    pub remember: bool,
    /// Where to go afterwards, already checked (SR-26).
    pub next: Option<String>,
    /// Whether the page leads to registration.
    pub registration_open: bool,
}

impl Page for LoginPage {
    const TEMPLATE: &'static str = "login.html.tera";
    const FOR_VISITORS: bool = true;

    fn title(&self) -> String {
        "Sign in".into()
    }

    fn form_target(&self) -> Option<String> {
        foreign_origin(self.next.as_deref())
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, log_in, log_out]
}

/// The form; those who are signed in are sent on.
#[get("/login?<next>")]
fn show(
    session: AnySession,
    next: Option<&str>,
    accounts: &State<Arc<Accounts>>,
    places: Places<'_>,
) -> FormAnswer<LoginPage> {
    if let Some(live) = session.0 {
        return Either::This(See(after_sign_in(&live.account, next, &places)));
    }
    let next = next.and_then(|next| places.place(next));
    let registration_open = accounts.registration_open();
    Either::That(Shown::good(LoginPage { next, registration_open, ..LoginPage::default() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginForm {
    email: String,
    password: SecretString,
    #[serde(default)]
    remember: Option<String>,
    #[serde(default)]
    next: Option<String>,
}

/// Signs a person in.
#[post("/login", data = "<form>")]
async fn log_in(
    form: Offered<VisitorForm<LoginForm>>,
    client: Client,
    presented: Presented,
    sessions: &State<Arc<Sessions>>,
    accounts: &State<Arc<Accounts>>,
    places: Places<'_>,
    cookies: Cookies<'_>,
) -> FormAnswer<LoginPage> {
    let (LoginForm { email, password, remember, next }, proof) = form.open();
    let remember = remember.is_some();
    let work = sessions.log_in(&email, password, remember, client.0, &presented.0);
    match proof.then(work).await {
        Ok(issued) => {
            cookies.hand_over(&issued);
            Either::This(See(after_sign_in(&issued.account, next.as_deref(), &places)))
        }
        Err(error) => {
            let page = LoginPage {
                faults: Faults::from(&error),
                email,
                remember,
                next: next.as_deref().and_then(|next| places.place(next)),
                registration_open: accounts.registration_open(),
            };
            Either::That(Shown::refused(page, &error))
        }
    }
}

/// Where a person goes who is signed in. An application's page that everybody may see would not say that
/// the password has to be changed first.
fn after_sign_in(account: &Account, next: Option<&str>, places: &Places<'_>) -> String {
    if account.must_change_password {
        return password::href(next.and_then(|next| places.place(next)).as_deref());
    }
    places.place_to_go(next)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogoutForm {}

/// Ends this session. Whoever has none left is signed out already.
#[post("/logout", data = "<form>")]
async fn log_out(
    form: Result<Form<LogoutForm>, Problem>,
    session: AnySession,
    presented: Presented,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Result<See, Refusal> {
    if let (Err(problem), Some(_)) = (form, session.0) {
        return Err(problem.into());
    }
    sessions.log_out(&presented.0).await.map_err(|error: Error| Refusal::from(error))?;
    cookies.take_back();
    Ok(See::with_notice("/login", "signed-out"))
}
