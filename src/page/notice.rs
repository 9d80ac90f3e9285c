//! The sentences at the top of a page: what was just done, and what happened to one's account.

use std::sync::Arc;

use rocket::{Request, Route, State, post, routes};
use serde::Deserialize;

use super::error::Refusal;
use super::part::number;
use super::show::See;
use super::view::{Alert, Notice, NoticeKind};
use crate::account::{self, Accounts};
use crate::clock::Timestamp;
use crate::guard::LoggedIn;
use crate::guard::form::Form;
use crate::session::store::Live;

/// The notice that the address asks for: `?done=<word>`, where the word is one of ours. A stranger's
/// link can at most make a page claim one of these.
pub fn of(request: &Request<'_>) -> Option<Notice> {
    let word = request.query_value::<&str>("done")?.ok()?;
    let text = match word {
        "saved" => "Your changes are saved.",
        "password" => "Your password is changed. You are signed out on all other devices.",
        "signed-out" => "You are signed out.",
        "deleted" => "Your account is deleted.",
        "device" => "That device is signed out.",
        "others" => "You are signed out everywhere else.",
        "email" => "The e-mail address is changed. It is the one to sign in with from now on.",
        "roles" => "The roles are saved. They count from the next request on.",
        "disabled" => "The account is disabled and its sessions have ended.",
        "enabled" => "The account is enabled.",
        "ended" => "All sessions of this person have ended.",
        "session" => "That session has ended.",
        "created" => "The account is created.",
        "denied" => "The token is refused from the next request on.",
        "removed" => "The account is deleted.",
        "key" => "The next key is made and published.",
        "sessions" => return ended(request.query_value("n")?.ok()?),
        "role" => "The role is saved. It counts from the next request on of everybody who has it.",
        "role-created" => "The role is created.",
        "role-deleted" => "The role is deleted, and nobody has it any more.",
        "declared" => "The permission is declared. Administrators hold it already.",
        "withdrawn" => "The permission is withdrawn.",
        "again" => {
            let text = "Thank you. Your change is not made yet: please make it again.";
            return Some(Notice { kind: NoticeKind::Info, text: text.to_owned() });
        }
        _ => return None,
    };
    Some(Notice { kind: NoticeKind::Success, text: text.to_owned() })
}

/// How many sessions ended together.
fn ended(how_many: u64) -> Option<Notice> {
    let (kind, text) = match how_many {
        0 => (NoticeKind::Info, "No session was left to end.".to_owned()),
        1 => (NoticeKind::Success, "1 session has ended.".to_owned()),
        many => (NoticeKind::Success, format!("{} sessions have ended.", number(many))),
    };
    Some(Notice { kind, text })
}

/// What happened to the viewer's account, as this session is shown it (SR-81).
pub fn alerts(live: &Live) -> Vec<Alert> {
    let notices = live.account.notices.iter();
    notices.filter(|notice| notice.is_for(&live.session.id)).map(alert).collect()
}

fn alert(notice: &account::notice::Notice) -> Alert {
    use account::notice::NoticeKind as Kind;
    let text = match &notice.kind {
        Kind::PasswordChanged => "Your password was changed.".to_owned(),
        Kind::EmailChanged => {
            "Your e-mail address was changed: it is the one that you sign in with \
             now."
                .to_owned()
        }
        Kind::Other => "Something about your account was changed.".to_owned(),
        Kind::NewDevice => format!(
            "Somebody signed in on a device that is new to us: {}.",
            if notice.device.is_empty() { "Unknown device" } else { &notice.device }
        ),
        Kind::TokenReused => "A sign-in of yours was used from two places at once and has been \
             ended: somebody may have copied it."
            .to_owned(),
        Kind::LoginAfterFailures { failures } => {
            format!("Somebody signed in after {failures} failed attempts.")
        }
    };
    Alert {
        text,
        at: notice.at.into(),
        ip: notice.ip.map(|ip| ip.to_string()),
        millis: notice.at.as_millis(),
    }
}

pub(super) fn routes() -> Vec<Route> {
    routes![dismiss]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DismissForm {
    until: i64,
}

/// Puts away what was shown; what has happened since stays.
#[post("/profile/notices/dismiss", data = "<form>")]
async fn dismiss(
    viewer: LoggedIn,
    form: Form<DismissForm>,
    accounts: &State<Arc<Accounts>>,
) -> Result<See, Refusal> {
    let until = Timestamp::from_millis(form.0.until);
    let Live { session, account } = &*viewer.0;
    accounts.dismiss_notices(&account.id, &session.id, until).await?;
    Ok(See("/profile".to_owned()))
}
