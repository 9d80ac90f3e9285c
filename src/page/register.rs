//! The registration page.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::next::{Places, foreign_origin};
use super::part::Faults;
use super::show::{Either, FormAnswer, See, Shown};
use super::view::Page;
use crate::account::Accounts;
use crate::error::Error;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::form::{Offered, VisitorForm};
use crate::guard::{Presented, Visitor};
use crate::id::SecretString;
use crate::session::{Registration, Sessions};

/// Makes an account of one's own (`GET`, `POST /register`).
#[derive(Debug, Default, Serialize)]
pub struct RegisterPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The e-mail address, as it was typed.
    pub email: String,
    /// The name, as it was typed.
    pub display_name: String,
    /// Where to go afterwards, already checked (SR-26).
    pub next: Option<String>,
    /// The least number of characters of a password.
    pub min_length: usize,
}

impl Page for RegisterPage {
    const TEMPLATE: &'static str = "register.html.tera";
    const FOR_VISITORS: bool = true;

    fn title(&self) -> String {
        "Create your account".into()
    }

    fn form_target(&self) -> Option<String> {
        foreign_origin(self.next.as_deref())
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, register]
}

/// The form; those who are signed in are sent on.
#[get("/register?<next>")]
fn show(
    visitor: Visitor,
    next: Option<&str>,
    accounts: &State<Arc<Accounts>>,
    places: Places<'_>,
) -> Result<FormAnswer<RegisterPage>, Refusal> {
    if visitor.0.is_some() {
        return Ok(Either::This(See(places.place_to_go(next))));
    }
    if !accounts.registration_open() {
        return Err(Error::RegistrationClosed.into());
    }
    let (next, min_length) =
        (next.and_then(|next| places.place(next)), accounts.min_password_length());
    Ok(Either::That(Shown::good(RegisterPage { next, min_length, ..RegisterPage::default() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterForm {
    email: String,
    password: SecretString,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    next: Option<String>,
}

/// Makes an account and signs its owner in.
#[post("/register", data = "<form>")]
async fn register(
    form: Offered<VisitorForm<RegisterForm>>,
    client: Client,
    presented: Presented,
    sessions: &State<Arc<Sessions>>,
    accounts: &State<Arc<Accounts>>,
    places: Places<'_>,
    cookies: Cookies<'_>,
) -> FormAnswer<RegisterPage> {
    let (RegisterForm { email, password, display_name, next }, proof) = form.open();
    let registration = Registration { email: &email, password, display_name: &display_name };
    match proof.then(sessions.register(registration, client.0, &presented.0)).await {
        Ok(issued) => {
            cookies.hand_over(&issued);
            Either::This(See(places.place_to_go(next.as_deref())))
        }
        Err(error) => {
            let page = RegisterPage {
                faults: Faults::from(&error),
                email,
                display_name,
                next: next.as_deref().and_then(|next| places.place(next)),
                min_length: accounts.min_password_length(),
            };
            Either::That(Shown::refused(page, &error))
        }
    }
}
