//! The page that asks for the password again, before something dangerous (SR-52).

use std::sync::Arc;

use rocket::http::Method;
use rocket::request::Request;
use rocket::{Route, State, get, post, routes};
use serde::{Deserialize, Serialize};
use url::Url;

use super::next::{Places, local_path};
use super::part::Faults;
use super::show::{Either, FormAnswer, See, Shown};
use super::view::Page;
use crate::error::Error;
use crate::guard::client::Client;
use crate::guard::cookie::Cookies;
use crate::guard::csrf::PublicOrigin;
use crate::guard::form::{Form, Offered};
use crate::guard::{LoggedIn, Presented};
use crate::id::SecretString;
use crate::session::Sessions;

/// Asks for the password of whoever is signed in (`GET`, `POST /reauthenticate`).
#[derive(Debug, Default, Serialize)]
pub struct ReauthenticatePage {
    /// What was wrong with the last attempt.
    #[serde(flatten)]
    pub faults: Faults,
    /// The e-mail address of the account.
    pub email: String,
    /// Where to go afterwards, already checked (SR-26).
    pub next: Option<String>,
}

impl Page for ReauthenticatePage {
    const TEMPLATE: &'static str = "reauthenticate.html.tera";

    fn title(&self) -> String {
        "Confirm it's you".into()
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, confirm]
}

/// The question; those who answered it a short while ago are sent on.
#[get("/reauthenticate?<next>")]
fn show(
    viewer: LoggedIn,
    next: Option<&str>,
    places: Places<'_>,
    sessions: &State<Arc<Sessions>>,
) -> FormAnswer<ReauthenticatePage> {
    if sessions.require_fresh(&viewer.0.session).is_ok() {
        return Either::This(See(places.path_to_go(next)));
    }
    let email = viewer.0.account.email.to_string();
    let next = next.and_then(|next| places.path(next));
    Either::That(Shown::good(ReauthenticatePage { email, next, ..ReauthenticatePage::default() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfirmForm {
    password: SecretString,
    #[serde(default)]
    next: Option<String>,
}

/// Takes the password, and sends back to where it was asked for.
#[post("/reauthenticate", data = "<form>")]
async fn confirm(
    viewer: LoggedIn,
    form: Offered<Form<ConfirmForm>>,
    client: Client,
    presented: Presented,
    places: Places<'_>,
    sessions: &State<Arc<Sessions>>,
    cookies: Cookies<'_>,
) -> FormAnswer<ReauthenticatePage> {
    let (ConfirmForm { password, next }, proof) = form.open();
    let work = sessions.reauthenticate(&viewer.0, password, &client.0, &presented.0);
    match proof.then(work).await {
        Ok(done) => {
            done.issued.iter().for_each(|issued| cookies.hand_over(issued));
            Either::This(See(places.path_to_go(next.as_deref())))
        }
        Err(error) => {
            let faults = match &error {
                Error::WrongPassword => Faults::default().and_field("password", &error.to_string()),
                other => Faults::from(other),
            };
            let email = viewer.0.account.email.to_string();
            let next = next.as_deref().and_then(|next| places.path(next));
            Either::That(Shown::refused(ReauthenticatePage { faults, email, next }, &error))
        }
    }
}

/// The address of the question, which leads to `next` afterwards.
pub(super) fn href(next: &str) -> String {
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("/reauthenticate?next={next}")
}

/// To the question, instead of what was asked for. Afterwards back to the page that was asked for, or,
/// if that was a change, to the page where its form was: there a notice says that it is not made yet.
pub(super) fn first(request: &Request<'_>) -> See {
    if matches!(request.method(), Method::Get | Method::Head) {
        return See(href(&request.uri().to_string()));
    }
    let back = form_page(request).unwrap_or_else(|| "/profile".to_owned());
    See(href(&with_notice(&back, "again")))
}

/// The page of this site that a form was sent from, without the notice that it showed.
pub(super) fn form_page(request: &Request<'_>) -> Option<String> {
    let ours = request.rocket().state::<PublicOrigin>()?;
    let from = Url::parse(request.headers().get_one("Referer")?).ok()?;
    if from.origin().ascii_serialization() != ours.0 {
        return None;
    }
    let query = from.query().map(|query| format!("?{query}")).unwrap_or_default();
    local_path(&format!("{}{query}", from.path()))
}

/// The path with the notice `word` instead of any other.
fn with_notice(path: &str, word: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("done="));
    let pairs: Vec<&str> = kept.collect();
    let notice = format!("done={word}");
    format!("{path}?{}", pairs.into_iter().chain([&*notice]).collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_notice() {
        for (path, expected) in [
            ("/admin/roles", "/admin/roles?done=again"),
            ("/admin/users?q=a&done=saved", "/admin/users?q=a&done=again"),
            ("/a?done=x&b=1", "/a?b=1&done=again"),
        ] {
            assert_eq!(with_notice(path, "again"), expected);
        }
    }
}
