//! Samples of the pages for everybody.

use super::*;
use crate::page::delete::DeletePage;
use crate::page::error::ErrorPage;
use crate::page::login::LoginPage;
use crate::page::part::Named;
use crate::page::password::NewPasswordPage;
use crate::page::profile::ProfilePage;
use crate::page::reauthenticate::ReauthenticatePage;
use crate::page::register::RegisterPage;
use crate::page::session::SessionsPage;
use crate::page::setup::SetupPage;

pub(super) fn print_gate(press: &mut Press) {
    let say = press.say;
    press.print(
        "login",
        "/login",
        false,
        &LoginPage {
            next: Some(say("/x?a=1&b=2")),
            registration_open: true,
            ..LoginPage::default()
        },
    );
    let refused = "The e-mail address or the password is not right.";
    let login = LoginPage {
        faults: faults(say, &[], Some(refused)),
        email: say("ada@example.org"),
        remember: true,
        ..LoginPage::default()
    };
    press.print("login-refused", "/login", false, &login);
    press.print(
        "register",
        "/register",
        false,
        &RegisterPage { min_length: 12, next: Some(say("/x")), ..RegisterPage::default() },
    );
    let complaints = [
        ("email", "This is not an e-mail address."),
        ("password", "This password is among the most common ones; choose another."),
    ];
    let register = RegisterPage {
        faults: faults(say, &complaints, None),
        email: say("ada@example"),
        display_name: say("Ada"),
        min_length: 12,
        ..RegisterPage::default()
    };
    press.print("register-refused", "/register", false, &register);
    let setup = SetupPage { token: say("dG9rZW4"), min_length: 12, ..SetupPage::default() };
    press.print("setup", "/setup", false, &setup);
    let error = ErrorPage {
        status: 429,
        title: say("Too many attempts"),
        detail: say("Somebody has tried to sign in too often from where you are."),
        request_id: say("Zk3vQ0x1tTq8"),
        retry_after: Some(32),
        back_href: say("/login"),
        back_label: say("Back to sign-in"),
    };
    press.print("error", "/login", false, &error);
    let error = ErrorPage { status: 403, retry_after: None, ..error };
    press.print("error-signed-in", "/admin", true, &error);
}

pub(super) fn print_own(press: &mut Press) {
    let say = press.say;
    let named = |name, text| Named { name: say(name), description: say(text) };
    let profile = ProfilePage {
        faults: Faults::default(),
        name: say("Ada Lovelace"),
        initials: "AL".into(),
        email: say("ada@example.org"),
        display_name: say("Ada Lovelace"),
        member_since: "24 November 2025".into(),
        roles: vec![named("admin", "May do everything.")],
        permissions: vec![
            named("users:read", "See people and their sessions"),
            named("users:write", "Add, change, disable and delete people"),
            named("audit:read", "Read the audit log"),
        ],
        min_length: 12,
    };
    press.print("profile", "/profile", true, &profile);
    let wrong = [("current_password", "This is not your current password.")];
    let profile = ProfilePage {
        faults: faults(say, &wrong, None),
        roles: Vec::new(),
        permissions: Vec::new(),
        ..profile
    };
    press.print("profile-refused", "/profile", true, &profile);
    let page = SessionsPage { sessions: sessions(say), others: 3 };
    press.print("sessions", "/profile/sessions", true, &page);
    let alone = SessionsPage { sessions: sessions(say).drain(..1).collect(), others: 0 };
    press.print("sessions-alone", "/profile/sessions", true, &alone);
    let wrong = [("password", "This is not your password.")];
    let delete = DeletePage { faults: faults(say, &wrong, None), email: say("ada@example.org") };
    press.print("delete", "/profile/delete", true, &delete);
    let wrong = [("new_password", "Choose another password than the one that you were given.")];
    let password = NewPasswordPage {
        faults: faults(say, &wrong, None),
        email: say("ada@example.org"),
        next: Some(say("/admin/roles")),
        min_length: 12,
    };
    press.print("new-password", "/profile/new-password", true, &password);
    let confirm = ReauthenticatePage {
        faults: Faults::default(),
        email: say("ada@example.org"),
        next: Some(say("/admin/roles")),
    };
    press.print("reauthenticate", "/reauthenticate", true, &confirm);
}
