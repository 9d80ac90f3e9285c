//! The sentence at the top of a page that says what was just done.

use rocket::Request;

use super::view::{Notice, NoticeKind};

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
        "roles" => "The roles are saved. They count from the next request on.",
        "disabled" => "The account is disabled and its sessions have ended.",
        "enabled" => "The account is enabled.",
        "ended" => "All sessions of this person have ended.",
        "session" => "That session has ended.",
        "created" => "The account is created.",
        "denied" => "The token is refused from the next request on.",
        "removed" => "The account is deleted.",
        _ => return None,
    };
    Some(Notice { kind: NoticeKind::Success, text: text.to_owned() })
}
