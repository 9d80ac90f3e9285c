//! The addresses that every site has for browsers and for those who find a weakness (SR-47).

use std::sync::Arc;
use std::time::Duration;

use rocket::http::ContentType;
use rocket::{Route, State, get, routes};

use super::error::Refusal;
use super::nothing;
use super::show::See;
use crate::clock::Clock;
use crate::reloadable::Reloadable;

/// How long `security.txt` says that it can be relied on; RFC 9116 §2.5.5 advises less than a year.
const SECURITY_TXT_LIFETIME: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Whom to tell of a weakness, if the operator says so: Rocket state.
pub struct SecurityContact(pub Option<String>);

pub(super) fn routes() -> Vec<Route> {
    routes![change_password, security_txt]
}

/// To the page that changes one's password, for password managers (W3C, A Well-Known URL for
/// Changing Passwords).
#[get("/.well-known/change-password")]
fn change_password() -> See {
    See("/profile".to_owned())
}

/// Whom to tell of a weakness (RFC 9116).
#[get("/.well-known/security.txt")]
fn security_txt(
    contact: &State<Reloadable<SecurityContact>>,
    clock: &State<Arc<dyn Clock>>,
) -> Result<(ContentType, String), Refusal> {
    let contact = contact.get();
    let contact = contact.0.as_ref().ok_or_else(nothing)?;
    let expires_at = clock.now() + SECURITY_TXT_LIFETIME;
    Ok((ContentType::Plain, format!("Contact: {contact}\nExpires: {expires_at}\n")))
}
