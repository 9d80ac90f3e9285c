//! What there is to look at: every page, in every state that looks different.

use super::stage::{ADA, EVE, GRACE, GUESSED, HUBERT, IDA, KATHERINE, MALLORY, Stage};
use crate::app::PASSWORD;

/// A page in some state.
pub struct Sight {
    /// The name of its pictures.
    pub name: &'static str,
    /// Where it is.
    pub path: String,
    /// What is done there, before it is looked at.
    pub act: Act,
}

/// What is done on a page.
pub enum Act {
    Nothing,
    /// Opens whatever is folded.
    Unfold,
    /// Sends the form with this end of its address, filled in so, whatever the browser thinks of it.
    Send(&'static str, &'static [(&'static str, &'static str)]),
}

use Act::{Nothing, Send, Unfold};

/// Somebody in front of a browser, and what they look at.
pub struct Walk {
    /// Who signs in first; without it, nobody does.
    pub who: Option<&'static str>,
    /// In this order.
    pub sights: Vec<Sight>,
}

fn walk<const N: usize>(who: Option<&'static str>, sights: [(&'static str, &str, Act); N]) -> Walk {
    let sight =
        |(name, path, act): (&'static str, &str, Act)| Sight { name, path: path.to_owned(), act };
    Walk { who, sights: sights.map(sight).into() }
}

/// On a server where much has happened.
pub async fn lively(stage: &Stage) -> Vec<Walk> {
    vec![
        visitors(),
        members(),
        walk(
            Some(HUBERT),
            [
                ("profile-long", "/profile", Nothing),
                ("devices-alone", "/profile/sessions", Nothing),
            ],
        ),
        chosen(),
        support(stage).await,
        people(stage).await,
        records(),
    ]
}

fn visitors() -> Walk {
    const LOGIN: &[(&str, &str)] =
        &[("email", "nobody@example.org"), ("password", "not the password")];
    const GUESS: &[(&str, &str)] = &[("email", GUESSED), ("password", PASSWORD)];
    const REGISTER: &[(&str, &str)] =
        &[("email", "ada@example"), ("display_name", "Ada"), ("password", "passwordpassword")];
    walk(
        None,
        [
            ("login", "/login", Nothing),
            ("login-signed-out", "/login?done=signed-out&next=/profile", Nothing),
            ("login-refused", "/login", Send("/login", LOGIN)),
            ("login-throttled", "/login", Send("/login", GUESS)),
            ("register", "/register", Nothing),
            ("register-refused", "/register", Send("/register", REGISTER)),
            ("setup-spent", "/setup?token=spent", Nothing),
            ("not-found", "/nothing", Nothing),
            ("reference", "/api/docs", Nothing),
            ("reference-unfolded", "/api/docs", Unfold),
        ],
    )
}

fn members() -> Walk {
    const NAME: &[(&str, &str)] = &[("display_name", TOO_LONG)];
    const NEW: &[(&str, &str)] = &[("current_password", PASSWORD), ("new_password", "short")];
    const WRONG: &[(&str, &str)] = &[("password", "not the password")];
    walk(
        Some(ADA),
        [
            ("profile", "/profile", Nothing),
            ("profile-saved", "/profile?done=saved", Nothing),
            ("profile-refused", "/profile", Send("/profile", NAME)),
            ("password-refused", "/profile", Send("/profile/password", NEW)),
            ("devices", "/profile/sessions", Nothing),
            ("delete", "/profile/delete", Nothing),
            ("delete-refused", "/profile/delete", Send("/profile/delete", WRONG)),
            ("forbidden", "/admin", Nothing),
        ],
    )
}

/// Somebody whose first password an administrator chose.
fn chosen() -> Walk {
    const SAME: &[(&str, &str)] = &[("current_password", PASSWORD), ("new_password", PASSWORD)];
    walk(
        Some(IDA),
        [
            ("new-password", "/profile/new-password?next=/profile/sessions", Nothing),
            ("new-password-refused", "/profile/new-password", Send("/profile/new-password", SAME)),
        ],
    )
}

const TOO_LONG: &str = "A name of more than a hundred characters is refused, and what was typed is \
                        still there afterwards, so that nobody types it twice";

async fn support(stage: &Stage) -> Walk {
    walk(
        Some(KATHERINE),
        [
            ("people-support", "/admin/users", Nothing),
            ("person-support", &stage.person(ADA).await, Nothing),
            ("person-stronger", &stage.person(GRACE).await, Nothing),
        ],
    )
}

async fn people(stage: &Stage) -> Walk {
    const NEW: &[(&str, &str)] = &[("email", "nobody"), ("password", "short")];
    let (ada, grace) = (stage.person(ADA).await, stage.person(GRACE).await);
    walk(
        Some(GRACE),
        [
            ("overview", "/admin", Nothing),
            ("overview-numbers", "/admin", Unfold),
            ("people", "/admin/users", Nothing),
            ("people-found", "/admin/users?q=e&role=user&status=active", Nothing),
            ("people-none", "/admin/users?q=nobody+at+all", Nothing),
            ("person-new", "/admin/users/new", Nothing),
            ("person-new-refused", "/admin/users/new", Send("/admin/users", NEW)),
            ("person", &ada, Nothing),
            ("person-care", &format!("{ada}?done=roles"), Unfold),
            ("person-roles-refused", &ada, Send("/roles", &[("roles", "nonsense")])),
            ("person-email-refused", &ada, Send("/email", &[("email", "nonsense")])),
            ("person-own", &grace, Nothing),
            ("person-hostile", &stage.person(EVE).await, Nothing),
            ("person-long", &stage.person(HUBERT).await, Nothing),
            ("person-disabled", &stage.person(MALLORY).await, Unfold),
            ("person-delete", &format!("{ada}/delete"), Nothing),
            ("person-delete-refused", &format!("{grace}/delete"), Send("/delete", &[])),
            ("not-found-admin", "/admin/users/nobody", Nothing),
        ],
    )
}

fn records() -> Walk {
    const NONSENSE: &[(&str, &str)] = &[("name", "Not a name"), ("description", "Nothing")];
    const WORDY: &[(&str, &str)] = &[("description", "x"), ("permissions", "not:there")];
    walk(
        Some(GRACE),
        [
            ("roles", "/admin/roles", Nothing),
            ("roles-refused", "/admin/roles", Send("/admin/permissions", NONSENSE)),
            ("role-new", "/admin/roles/new", Nothing),
            ("role-new-refused", "/admin/roles/new", Send("/admin/roles", NONSENSE)),
            ("role", "/admin/roles/support", Nothing),
            ("role-refused", "/admin/roles/support", Send("/roles/support", WORDY)),
            ("role-admin", "/admin/roles/admin", Nothing),
            ("role-delete", "/admin/roles/support/delete", Nothing),
            ("tokens", "/admin/tokens?done=denied", Nothing),
            ("tokens-refused", "/admin/tokens", Send("/admin/tokens", &[("token", "a.b.c")])),
            ("audit", "/admin/audit", Nothing),
            ("sessions", "/admin/sessions", Nothing),
            ("sessions-found", "/admin/sessions?user=ada@example.org&ip=127.0.0.0/8", Nothing),
            ("sessions-refused", "/admin/sessions?ip=nowhere", Nothing),
            ("sessions-end", "/admin/sessions/revoke?ip=0.0.0.0/0", Nothing),
            ("sessions-end-none", "/admin/sessions/revoke", Nothing),
            ("keys", "/admin/keys", Unfold),
            ("settings", "/admin/settings", Unfold),
            ("audit-none", "/admin/audit?actor=nobody&from=2027-01-01&to=2027-01-02", Nothing),
        ],
    )
}

/// On a server that nobody has used yet, whose first administrator comes with `token`.
pub fn empty(token: &str) -> Walk {
    const REFUSED: &[(&str, &str)] = &[("email", "nobody"), ("password", "short")];
    const GOOD: &[(&str, &str)] =
        &[("email", GRACE), ("display_name", "Grace Hopper"), ("password", PASSWORD)];
    let setup = format!("/setup?token={token}");
    walk(
        None,
        [
            ("setup", &setup, Nothing),
            ("setup-refused", &setup, Send("/setup", REFUSED)),
            ("overview-empty", &setup, Send("/setup", GOOD)),
            ("people-alone", "/admin/users", Nothing),
            ("tokens-empty", "/admin/tokens", Nothing),
        ],
    )
}

/// The same administrator, some time later.
pub fn later() -> Walk {
    const WRONG: &[(&str, &str)] = &[("password", "not the password")];
    walk(
        None,
        [
            ("person-new-later", "/admin/users/new", Nothing),
            ("reauthenticate", "/reauthenticate?next=/admin/users/new", Nothing),
            ("reauthenticate-refused", "/reauthenticate", Send("/reauthenticate", WRONG)),
        ],
    )
}

/// On a server whose session store is away.
pub fn away() -> Walk {
    const LOGIN: &[(&str, &str)] = &[("email", GRACE), ("password", PASSWORD)];
    walk(
        None,
        [
            ("unavailable", "/profile", Nothing),
            ("login-unavailable", "/login", Send("/login", LOGIN)),
        ],
    )
}

/// On a server that has had enough of this address.
pub fn busy() -> Walk {
    walk(None, [("throttled", "/login", Nothing)])
}
