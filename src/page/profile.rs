//! The profile page: who one is, and what one may do.

use std::sync::Arc;

use rocket::outcome::try_outcome;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};

use super::part::{Faults, Moment, Named, initials};
use super::show::{Either, FormAnswer, See, Shown};
use super::view::Page;
use crate::account::{Account, Accounts, KnownPermission, Roles};
use crate::error::Error;
use crate::guard::LoggedIn;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::form::{Form, Offered};
use crate::id::SecretString;
use crate::session::Sessions;

/// Shows the account, edits its name (`POST /profile`) and its password (`POST /profile/password`).
#[derive(Debug, Default, Serialize)]
pub struct ProfilePage {
    /// What was wrong with the last attempt, in either form.
    #[serde(flatten)]
    pub faults: Faults,
    /// What the page calls the person: their name, or else their e-mail address.
    pub name: String,
    /// One or two letters for the person.
    pub initials: String,
    /// The e-mail address.
    pub email: String,
    /// The name in the form, as it was typed.
    pub display_name: String,
    /// The day the account was made: `24 November 2025`.
    pub member_since: String,
    /// The account's roles.
    pub roles: Vec<Named>,
    /// What those roles grant.
    pub permissions: Vec<Named>,
    /// The least number of characters of a password.
    pub min_length: usize,
}

impl Page for ProfilePage {
    const TEMPLATE: &'static str = "profile.html.tera";

    fn title(&self) -> String {
        "Profile".into()
    }
}

impl ProfilePage {
    /// The page of `account`, whose permissions are described by those that are `known`.
    fn new(account: &Account, min_length: usize, known: &[KnownPermission]) -> Self {
        let described = |name: &str| {
            let found = known.iter().find(|known| known.name.as_str() == name);
            let description = found.map(|known| known.description.clone()).unwrap_or_default();
            Named { name: name.to_owned(), description }
        };
        Self {
            faults: Faults::default(),
            name: account.name().to_owned(),
            initials: initials(&account.display_name, account.email.as_str()),
            email: account.email.to_string(),
            display_name: account.display_name.clone(),
            member_since: Moment::from(account.created_at).day(),
            roles: account.roles.iter().map(|role| described(role.as_str())).collect(),
            permissions: account.permissions.iter().map(|p| described(p.as_str())).collect(),
            min_length,
        }
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, rename, change_password]
}

/// What the page is made from.
struct Desk<'r> {
    accounts: &'r State<Arc<Accounts>>,
    roles: &'r State<Arc<Roles>>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Desk<'r> {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let accounts = try_outcome!(request.guard().await);
        let roles = try_outcome!(request.guard().await);
        Outcome::Success(Self { accounts, roles })
    }
}

impl Desk<'_> {
    async fn page(&self, account: &Account) -> ProfilePage {
        let known = self.roles.in_words(&account.permissions).await;
        ProfilePage::new(account, self.accounts.min_password_length(), &known)
    }
}

/// Who one is.
#[get("/profile")]
async fn show(viewer: LoggedIn, desk: Desk<'_>) -> Shown<ProfilePage> {
    Shown::good(desk.page(&viewer.0.account).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileForm {
    #[serde(default)]
    display_name: String,
}

/// Changes the name one shows.
#[post("/profile", data = "<form>")]
async fn rename(
    viewer: LoggedIn,
    form: Offered<Form<ProfileForm>>,
    desk: Desk<'_>,
) -> FormAnswer<ProfilePage> {
    let (ProfileForm { display_name }, proof) = form.open();
    match proof.then(desk.accounts.rename(&viewer.0.account.id, &display_name)).await {
        Ok(_) => Either::This(See::with_notice("/profile", "saved")),
        Err(error) => {
            let page = desk.page(&viewer.0.account).await;
            let page = ProfilePage { faults: Faults::from(&error), display_name, ..page };
            Either::That(Shown::refused(page, &error))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordForm {
    current_password: SecretString,
    new_password: SecretString,
}

/// Changes one's password; every other session ends.
#[post("/profile/password", data = "<form>")]
async fn change_password(
    viewer: LoggedIn,
    form: Offered<Form<PasswordForm>>,
    client: Client,
    sessions: &State<Arc<Sessions>>,
    desk: Desk<'_>,
    cookies: Cookies<'_>,
) -> FormAnswer<ProfilePage> {
    let (PasswordForm { current_password, new_password }, proof) = form.open();
    let work = sessions.change_password(&viewer.0, current_password, new_password, &client.0);
    match proof.then(work).await {
        Ok(issued) => {
            cookies.hand_over(&issued);
            Either::This(See::with_notice("/profile", "password"))
        }
        Err(error) => {
            let page = desk.page(&viewer.0.account).await;
            let faults = match &error {
                Error::WrongPassword => {
                    Faults::default().and_field("current_password", &error.to_string())
                }
                other => Faults::from(other),
            };
            Either::That(Shown::refused(ProfilePage { faults, ..page }, &error))
        }
    }
}
