//! Samples of the pages about the server itself: sessions, keys, settings, the reference.

use serde_json::json;

use super::*;
use crate::page::admin::key::{KeyRow, KeysPage};
use crate::page::admin::live::{EndSessionsPage, LivePage, LiveRow};
use crate::page::admin::setting::{Section, SettingRow, SettingsPage};
use crate::page::docs::DocsPage;

fn rows(say: Say) -> Vec<LiveRow> {
    let names = [("Ada Lovelace", "ada@example.org"), ("", "someone@mail.example.org")];
    let owners = names.iter().cycle();
    let row = |(session, (display_name, email)): (SessionRow, &(&str, &str))| LiveRow {
        name: say("dXNlcg.c2Vzc2lvbg"),
        session,
        user_id: say("dXNlcg"),
        email: say(email),
        display_name: if display_name.is_empty() { String::new() } else { say(display_name) },
    };
    sessions(say).into_iter().zip(owners).map(row).collect()
}

pub(super) fn print_sessions(press: &mut Press) {
    let say = press.say;
    let page = LivePage {
        faults: Faults::default(),
        user: say("ada@example.org"),
        ip: say("2001:db8::/32"),
        sessions: rows(say),
        filtered: true,
        first_href: Some(say("/admin/sessions?ip=2001:db8::/32")),
        next_href: Some(say("/admin/sessions?ip=2001:db8::/32&cursor=abc")),
        end_all_href: Some(say("/admin/sessions/revoke?ip=2001:db8::/32")),
        can_revoke: true,
    };
    press.print("admin-sessions", "/admin/sessions", true, &page);
    let wrong = LivePage {
        faults: faults(say, &[("ip", "Enter an address.")], None),
        sessions: Vec::new(),
        next_href: None,
        ..page
    };
    press.print("admin-sessions-wrong", "/admin/sessions", true, &wrong);
    let end = EndSessionsPage {
        faults: Faults::default(),
        how_many: "4 sessions".into(),
        any: true,
        more: true,
        spared: Some("2 sessions".into()),
        user: say("ada@example.org"),
        ip: say("2001:db8::/32"),
        ticked: vec![say("dXNlcg.c2Vzc2lvbg")],
        sessions: rows(say),
    };
    press.print("admin-end-sessions", "/admin/sessions/revoke", true, &end);
    let nothing = EndSessionsPage { user: say("ada"), ..EndSessionsPage::default() };
    press.print("admin-end-sessions-none", "/admin/sessions/revoke", true, &nothing);
}

pub(super) fn print_system(press: &mut Press) {
    let say = press.say;
    let key = |state: &str, stopped: bool| KeyRow {
        id: say("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        algorithm: "EdDSA".into(),
        state: state.into(),
        meaning: "Signs all tokens",
        created_at: moment(90_000),
        signs_from: moment(80_000),
        stops_at: stopped.then(|| moment(10_000)),
        access_until: stopped.then(|| moment(9_000)),
        refresh_until: stopped.then(|| moment(-9_000)),
    };
    let keys = KeysPage {
        faults: faults(say, &[], Some("A rotation is under way already.")),
        keys: vec![key("next", false), key("current", false), key("withdrawn", true)],
        can_write: true,
        under_way: false,
    };
    press.print("admin-keys", "/admin/keys", true, &keys);
    let setting = |key: &str, value: &str, given| SettingRow {
        key: say(key),
        value: say(value),
        source: if given { say("environment DOORWARD_PUBLIC_URL") } else { "default".into() },
        given,
    };
    let settings = SettingsPage {
        sections: vec![
            Section {
                name: say("general"),
                settings: vec![
                    setting("profile", "release", false),
                    setting("public_url", "https://login.example.org", true),
                ],
            },
            Section {
                name: say("tokens"),
                settings: vec![setting("tokens.access_ttl", "10m", false)],
            },
        ],
    };
    press.print("admin-settings", "/admin/settings", true, &settings);
}

pub(super) fn print_reference(press: &mut Press) {
    let say = press.say;
    let problem = json!({ "application/problem+json": { "examples": { "conflict": {
        "value": { "code": "conflict", "status": 409, "detail": say("It is there already.") },
    } } } });
    let answer = json!({ "description": say("It was made."), "content": { "application/json": {
        "schema": { "$ref": "#/components/schemas/Thing" },
    } } });
    let operation = json!({
        "operationId": "makeThing",
        "summary": say("Makes a thing"),
        "description": say("Makes a `thing`.\n\nNobody knows why."),
        "tags": ["Things"],
        "security": [{ "bearer": [] }],
        "x-permission": say("things:write"),
        "x-fresh": true,
        "parameters": [{ "name": say("name"), "in": "path", "required": true, "description": say("Its `name`."), "schema": { "type": "string", "maxLength": 20 } }],
        "requestBody": { "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/Thing" },
        } } },
        "responses": { "201": answer, "409": { "$ref": "#/components/responses/Conflict" } },
    });
    let document = json!({
        "info": { "version": say("1.0"), "description": say("All of `it`.\n\n## Who asks\n\nAnybody.") },
        "tags": [{ "name": "Things", "description": say("What there is.") }],
        "paths": { "/api/v1/things/{name}": { "post": operation } },
        "components": {
            "schemas": { "Thing": { "description": say("A thing."), "properties": {
                "kind": { "description": say("Which."), "type": "string", "enum": [say("big"), "small"] },
            } } },
            "responses": { "Conflict": { "content": problem } },
        },
    });
    let page = std::sync::Arc::new(DocsPage::read(&document));
    press.print("reference", "/api/docs", false, &page);
}
