//! Samples of the dashboard's pages.

use super::*;
use crate::page::admin::audit::{AuditPage, EventRow};
use crate::page::admin::chart::Chart;
use crate::page::admin::overview::{Figure, OverviewPage, StoreHealth};
use crate::page::admin::role::{PermissionRow, RoleColumn, RolesPage};
use crate::page::admin::role_edit::{DeleteRolePage, PermissionChoice, RolePage};
use crate::page::admin::user::{DeleteUserPage, UserPage};
use crate::page::admin::users::{NewUserPage, UserRow, UsersPage};
use crate::page::part::{Choice, Faults, RoleChoice, initials};

fn user(say: Say, display_name: &str, email: &str, status: &str, roles: &[&str]) -> UserRow {
    UserRow {
        id: say("dXNlcg"),
        email: say(email),
        display_name: if display_name.is_empty() { String::new() } else { say(display_name) },
        initials: initials(display_name, email),
        status: status.into(),
        roles: roles.iter().map(|role| say(role)).collect(),
        created_at: moment(90_000),
        last_login_at: (status == "active").then(|| moment(61)),
    }
}

fn role_choices(say: Say) -> Vec<RoleChoice> {
    [("admin", "May do everything.", false, true), ("support", "Looks after people.", true, false)]
        .map(|(name, description, checked, locked)| RoleChoice {
            name: say(name),
            description: say(description),
            checked,
            locked,
        })
        .into()
}

pub(super) fn print_overview(press: &mut Press) {
    let say = press.say;
    let figure = |label: &str, value: &str, note: &str| Figure {
        name: "people",
        label: say(label),
        value: say(value),
        note: say(note),
    };
    let store = |name: &str, detail: &str, healthy| StoreHealth {
        name: say(name),
        detail: say(detail),
        healthy,
    };
    let bars: Vec<_> =
        (0..24u64).map(|h| (say(&format!("{h:02}:00")), h * 7 % 31, h % 5)).collect();
    let overview = OverviewPage {
        figures: vec![
            figure("People", "12,840", "+37 today"),
            figure("Live sessions", "3,112", "2,204 people"),
            figure("Refused sign-ins", "96", "in the last 24 hours"),
            figure("Reused tokens", "0", "in the last 24 hours"),
        ],
        chart: Chart::draw(&say("Sign-ins, the last 24 hours"), &bars),
        stores: vec![
            store("Accounts", "PostgreSQL, 2 ms", true),
            store("Sessions", "Redis, 1 ms", false),
        ],
        has_reference: true,
    };
    press.print("admin", "/admin", true, &overview);
}

pub(super) fn print_people(press: &mut Press) {
    let say = press.say;
    let users = UsersPage {
        faults: Faults::default(),
        q: say("example"),
        role: say("admin"),
        status: "active".into(),
        role_choices: vec![Choice::plain(say("admin")), Choice::plain(say("support"))],
        status_choices: vec![Choice::plain("active"), Choice::plain("disabled")],
        users: vec![
            user(say, "Ada Lovelace", "ada@example.org", "active", &["admin"]),
            user(say, "Grace Hopper", "grace.hopper@example.org", "active", &["support", "admin"]),
            user(say, "", "someone.with.a.long.name@mail.example.org", "disabled", &[]),
        ],
        filtered: true,
        first_href: Some(say("/admin/users?q=example")),
        next_href: Some(say("/admin/users?cursor=abc&q=example")),
        can_write: true,
    };
    press.print("admin-users", "/admin/users", true, &users);
    let nobody = UsersPage { users: Vec::new(), ..users };
    press.print("admin-users-none", "/admin/users", true, &nobody);
    let wrong = [("role", "There is no role of this name."), ("status", "This must be active.")];
    let wrong = UsersPage { faults: faults(say, &wrong, None), next_href: None, ..nobody };
    press.print("admin-users-wrong", "/admin/users", true, &wrong);
    let new = NewUserPage {
        faults: faults(say, &[("roles", "There is no such role.")], None),
        email: say("new@example.org"),
        display_name: say("New"),
        roles: role_choices(say),
        min_length: 12,
    };
    press.print("admin-new-user", "/admin/users/new", true, &new);
    let page = UserPage {
        faults: Faults::default(),
        user: user(say, "Grace Hopper", "grace.hopper@example.org", "active", &["support"]),
        email: say("grace.hopper@example.org"),
        roles: role_choices(say),
        permissions: vec![say("users:read"), say("sessions:read")],
        sessions: sessions(say),
        events: events(say),
        can_audit: true,
        can_see_sessions: true,
        can_write: true,
        can_revoke: true,
        is_stronger: false,
        is_self: false,
    };
    press.print("admin-user", "/admin/users/x", true, &page);
    let disabled = UserPage {
        user: user(say, "", "grace@example.org", "disabled", &[]),
        sessions: Vec::new(),
        events: Vec::new(),
        ..page
    };
    press.print("admin-user-disabled", "/admin/users/x", true, &disabled);
    let stronger = UserPage { can_write: false, can_revoke: false, is_stronger: true, ..disabled };
    press.print("admin-user-stronger", "/admin/users/x", true, &stronger);
    let own = UserPage {
        is_self: true,
        is_stronger: false,
        can_write: true,
        can_revoke: true,
        permissions: Vec::new(),
        ..stronger
    };
    press.print("admin-user-self", "/admin/users/x", true, &own);
    let delete = DeleteUserPage {
        faults: faults(say, &[], Some("At least one administrator who can sign in must remain.")),
        user: own.user,
    };
    press.print("admin-delete-user", "/admin/users/x/delete", true, &delete);
}

fn events(say: Say) -> Vec<EventRow> {
    let event = |kind: &str, success, subject: Option<&str>, detail: &str| EventRow {
        at: moment(9),
        kind: say(kind),
        result: say(if success { "success" } else { "failure" }),
        success,
        actor: subject.map(|_| say("operator")),
        subject: subject.map(say),
        ip: Some(say("2001:db8::17")),
        detail: if detail.is_empty() { String::new() } else { say(detail) },
    };
    vec![
        event("authn_login_success", true, Some("dXNlcg"), "session c2Vz on Firefox on Linux"),
        event("authn_login_fail", false, None, ""),
    ]
}

pub(super) fn print_roles(press: &mut Press) {
    let say = press.say;
    let column = |name| RoleColumn {
        name: say(name),
        description: say("For all."),
        people: say("12,840 people"),
    };
    let row = |name, text, source, granted: [bool; 3]| PermissionRow {
        name: say(name),
        description: say(text),
        source,
        granted_by: granted.into(),
        can_withdraw: source == "declared",
    };
    let roles = RolesPage {
        faults: faults(say, &[("name", "Write resource:action.")], None),
        roles: vec![column("admin"), column("support"), column("member")],
        permissions: vec![
            row("admin:view", "See the overview", "built_in", [true, true, false]),
            row("users:read", "See people and their sessions", "built_in", [true, true, false]),
            row("invoices:read", "See invoices", "configuration", [true, false, true]),
            row("invoices:approve", "", "declared", [true, false, false]),
        ],
        name: say("invoices"),
        description: say("Pay invoices"),
        can_write: true,
    };
    press.print("admin-roles", "/admin/roles", true, &roles);
    let choice = |name, text, checked, locked| PermissionChoice {
        name: say(name),
        description: say(text),
        checked,
        locked,
    };
    let role = RolePage {
        name: "support".into(),
        description: say("Looks after people"),
        ours: vec![
            choice("users:read", "See everybody's accounts", true, false),
            choice("users:write", "Create, change, disable and delete accounts", false, true),
        ],
        theirs: vec![choice("invoices:read", "", true, false)],
        people: say("7 people"),
        can_write: true,
        can_delete: true,
        ..RolePage::default()
    };
    press.print("admin-role", "/admin/roles/support", true, &role);
    let wrong = [("name", "Use another name."), ("permissions", "This does not exist.")];
    let new = RolePage { is_new: true, faults: faults(say, &wrong, None), ..role };
    press.print("admin-new-role", "/admin/roles/new", true, &new);
    let seen =
        RolePage { is_admin: true, can_write: false, can_delete: false, ..RolePage::default() };
    let seen = RolePage { description: say("Administers all"), ours: new.ours, ..seen };
    press.print("admin-role-seen", "/admin/roles/admin", true, &seen);
    let delete = DeleteRolePage {
        faults: faults(say, &[], Some("Doorward itself needs this role.")),
        name: say("support"),
        people: Some(say("7 people")),
    };
    press.print("admin-delete-role", "/admin/roles/support/delete", true, &delete);
}

pub(super) fn print_records(press: &mut Press) {
    let say = press.say;
    let audit = AuditPage {
        faults: Faults::default(),
        alarm: Some("The trail ends at row 5, before row 9, which this server has seen.".into()),
        actor: say("operator"),
        subject: say("dXNlcg"),
        kind: "authn_login_fail".into(),
        from: say("2026-01-01"),
        to: say("2026-01-31"),
        kind_choices: vec![Choice::plain("authn_login_success"), Choice::plain("authn_login_fail")],
        events: events(say),
        filtered: true,
        first_href: Some(say("/admin/audit?kind=authn_login_fail")),
        next_href: Some(say("/admin/audit?cursor=abc&kind=authn_login_fail")),
        csv_href: say("/admin/audit/export?format=csv"),
        jsonl_href: say("/admin/audit/export?format=jsonl"),
    };
    press.print("admin-audit", "/admin/audit", true, &audit);
    let nothing = AuditPage { alarm: None, events: Vec::new(), ..audit };
    press.print("admin-audit-none", "/admin/audit", true, &nothing);
    let wrong = [("kind", "There is no such kind."), ("from", "This must be a day.")];
    let wrong = AuditPage {
        faults: faults(say, &wrong, Some("This page does not exist.")),
        from: say("yesterday"),
        ..nothing
    };
    press.print("admin-audit-wrong", "/admin/audit", true, &wrong);
}
