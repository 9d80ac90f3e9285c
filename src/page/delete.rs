//! The page that deletes one's account.

use std::sync::Arc;

use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::part::Faults;
use super::show::{Either, See, Shown};
use super::view::Page;
use crate::error::Error;
use crate::guard::LoggedIn;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::form::{Form, Offered};
use crate::id::SecretString;
use crate::session::Sessions;

/// Asks for the password before the account is deleted (`GET`, `POST /profile/delete`).
#[derive(Debug, Default, Serialize)]
pub struct DeletePage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The e-mail address of the account.
    pub email: String,
}

impl Page for DeletePage {
    const TEMPLATE: &'static str = "delete.html.tera";

    fn title(&self) -> String {
        "Delete your account".into()
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, delete]
}

/// The question.
#[get("/profile/delete")]
fn show(viewer: LoggedIn) -> Shown<DeletePage> {
    let email = viewer.0.account.email.to_string();
    Shown::good(DeletePage { email, ..DeletePage::default() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteForm {
    password: SecretString,
}

/// Deletes one's account, after the password.
#[post("/profile/delete", data = "<form>")]
async fn delete(
    viewer: LoggedIn,
    form: Offered<Form<DeleteForm>>,
    client: Client,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> Either<See, Shown<DeletePage>> {
    let (DeleteForm { password }, proof) = form.open();
    match proof.then(sessions.delete_account(&viewer.0, password, &client.0)).await {
        Ok(()) => {
            cookies.take_back();
            Either::This(See::with_notice("/login", "deleted"))
        }
        Err(error) => {
            let faults = match &error {
                Error::WrongPassword => Faults::default().and_field("password", &error.to_string()),
                other => Faults::from(other),
            };
            let email = viewer.0.account.email.to_string();
            Either::That(Shown::refused(DeletePage { faults, email }, &error))
        }
    }
}
