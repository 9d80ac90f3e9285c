//! The page on which a person replaces a password that an administrator chose (SR-52).

use std::sync::Arc;

use rocket::http::Method;
use rocket::request::Request;
use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::next::{Places, foreign_origin};
use super::part::Faults;
use super::show::{Either, FormAnswer, See, Shown};
use super::view::Page;
use crate::account::Accounts;
use crate::error::Error;
use crate::guard::PasswordOwner;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::form::{Form, Offered};
use crate::id::SecretString;
use crate::session::Sessions;

const PAGE: &str = "/profile/new-password";

/// Asks for a new password (`GET`, `POST /profile/new-password`).
#[derive(Debug, Default, Serialize)]
pub struct NewPasswordPage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The e-mail address of the account.
    pub email: String,
    /// Where to go afterwards, already checked (SR-26).
    pub next: Option<String>,
    /// The least number of characters of a password.
    pub min_length: usize,
}

impl Page for NewPasswordPage {
    const TEMPLATE: &'static str = "new_password.html.tera";

    fn title(&self) -> String {
        "Choose your password".into()
    }

    fn form_target(&self) -> Option<String> {
        foreign_origin(self.next.as_deref())
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, change]
}

/// The form; those who need not change their password are sent on.
#[get("/profile/new-password?<next>")]
fn show(
    viewer: PasswordOwner,
    next: Option<&str>,
    accounts: &State<Arc<Accounts>>,
    places: Places<'_>,
) -> FormAnswer<NewPasswordPage> {
    if !viewer.account.must_change_password {
        return Either::This(See(places.place_to_go(next)));
    }
    Either::That(Shown::good(NewPasswordPage {
        email: viewer.account.email.to_string(),
        next: next.and_then(|next| places.place(next)),
        min_length: accounts.min_password_length(),
        ..NewPasswordPage::default()
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPasswordForm {
    current_password: SecretString,
    new_password: SecretString,
    #[serde(default)]
    next: Option<String>,
}

/// Changes the password, and goes on to where the person wanted to go.
#[post("/profile/new-password", data = "<form>")]
async fn change(
    viewer: PasswordOwner,
    form: Offered<Form<NewPasswordForm>>,
    client: Client,
    sessions: &State<Arc<Sessions>>,
    accounts: &State<Arc<Accounts>>,
    places: Places<'_>,
    cookies: Cookies<'_>,
) -> FormAnswer<NewPasswordPage> {
    let (NewPasswordForm { current_password, new_password, next }, proof) = form.open();
    let work = sessions.change_password(&viewer.0, current_password, new_password, &client.0);
    match proof.then(work).await {
        Ok(issued) => {
            cookies.hand_over(&issued);
            Either::This(See(places.place_to_go(next.as_deref())))
        }
        Err(error) => {
            let faults = match &error {
                Error::WrongPassword => {
                    Faults::default().and_field("current_password", &error.to_string())
                }
                other => Faults::from(other),
            };
            let page = NewPasswordPage {
                faults,
                email: viewer.account.email.to_string(),
                next: next.as_deref().and_then(|next| places.place(next)),
                min_length: accounts.min_password_length(),
            };
            Either::That(Shown::refused(page, &error))
        }
    }
}

/// Leads to this page, and afterwards to the page that was asked for, if that was a page.
pub(super) fn first(request: &Request<'_>) -> See {
    let here = request.uri().to_string();
    let is_page = matches!(request.method(), Method::Get | Method::Head);
    See(href(is_page.then_some(&*here)))
}

/// The address of this page, which leads to `next` afterwards.
pub(super) fn href(next: Option<&str>) -> String {
    let Some(next) = next else { return PAGE.to_owned() };
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("{PAGE}?next={next}")
}
