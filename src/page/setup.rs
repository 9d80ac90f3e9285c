//! The set-up page: the first administrator makes their account.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::part::Faults;
use super::show::{Either, FormAnswer, See, Shown};
use super::view::Page;
use crate::account::Accounts;
use crate::error::Error;
use crate::guard::Presented;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::form::{Offered, VisitorForm};
use crate::id::SecretString;
use crate::session::{Registration, Sessions};

/// Makes the first administrator, for the holder of the set-up link (`GET`, `POST /setup`).
#[derive(Default, Serialize)]
pub struct SetupPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The one-time token of the link, sent back in a hidden field.
    pub token: String,
    /// The e-mail address, as it was typed.
    pub email: String,
    /// The name, as it was typed.
    pub display_name: String,
    /// The least number of characters of a password.
    pub min_length: usize,
}

impl Page for SetupPage {
    const TEMPLATE: &'static str = "setup.html.tera";
    const FOR_VISITORS: bool = true;

    fn title(&self) -> String {
        "Set up".into()
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, set_up]
}

/// The form, for the holder of a link that still works. Looking at it does not spend the link.
#[get("/setup?<token>")]
async fn show(
    token: Option<&str>,
    accounts: &State<Arc<Accounts>>,
) -> Result<Shown<SetupPage>, Refusal> {
    let token = SecretString::new(token.unwrap_or_default());
    if !accounts.setup_token_works(&token).await? {
        return Err(Error::SetupLinkInvalid.into());
    }
    let token = token.expose().to_owned();
    let min_length = accounts.min_password_length();
    Ok(Shown::good(SetupPage { token, min_length, ..SetupPage::default() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetupForm {
    token: SecretString,
    email: String,
    password: SecretString,
    #[serde(default)]
    display_name: String,
}

/// Makes the first administrator and signs them in.
#[post("/setup", data = "<form>")]
async fn set_up(
    form: Offered<VisitorForm<SetupForm>>,
    client: Client,
    presented: Presented,
    sessions: &State<Arc<Sessions>>,
    accounts: &State<Arc<Accounts>>,
    cookies: Cookies<'_>,
) -> Result<FormAnswer<SetupPage>, Refusal> {
    let (SetupForm { token, email, password, display_name }, proof) = form.open();
    let registration = Registration { email: &email, password, display_name: &display_name };
    match proof.then(sessions.set_up(&token, registration, client.0, &presented.0)).await {
        Ok(issued) => {
            cookies.hand_over(&issued);
            Ok(Either::This(See("/admin".to_owned())))
        }
        Err(error @ Error::SetupLinkInvalid) => Err(error.into()),
        Err(error) => {
            let page = SetupPage {
                faults: Faults::from(&error),
                token: token.expose().to_owned(),
                email,
                display_name,
                min_length: accounts.min_password_length(),
            };
            Ok(Either::That(Shown::refused(page, &error)))
        }
    }
}
