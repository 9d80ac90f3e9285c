//! `doorward user …`.

use serde_json::Value;

use super::{ADA, create, json};
use crate::app::PASSWORD;
use crate::person::Person;
use crate::support::binary::{Server, run};

on_both_stores! {
    fn accounts_are_made_listed_and_shown(server: Server) {
        let made = create(&server, ADA, &["user", "admin"]).done();
        assert!(made.starts_with("Created ") && made.contains(ADA), "{made}");
        assert!(made.ends_with("active  [admin, user]\n") && !made.contains(PASSWORD), "{made}");
        let arguments = ["--json", "user", "create", "--email", "bob@example.org", "--name", "Bob"];
        let bob = json(&server.run(&arguments, PASSWORD).done())["user"].take();
        assert_eq!(bob["display_name"], "Bob");
        assert_eq!(bob["roles"], serde_json::json!(["user"]));
        assert_eq!(bob["status"], "active");
        assert_eq!(bob["last_login_at"], Value::Null);
        let mut fields: Vec<_> = bob.as_object().expect("an object").keys().collect();
        fields.sort();
        let expected = ["created_at", "display_name", "email", "id", "last_login_at", "roles", "status"];
        assert_eq!(fields, expected);

        let list = server.run(&["user", "list"], "").done();
        assert_eq!(list.lines().count(), 2, "{list}");
        assert!(list.lines().next().is_some_and(|line| line.contains("bob@example.org")), "{list}");
        let list = json(&server.run(&["user", "list", "--search", "ADA", "--json"], "").done());
        assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(list["items"][0]["email"], ADA);
        let list = server.run(&["user", "list", "--limit", "1"], "").done();
        assert!(list.lines().last().is_some_and(|line| line.starts_with("(there are more: --cursor ")));

        let id = bob["id"].as_str().expect("an identifier");
        let shown = server.run(&["user", "show", id], "").done();
        assert_eq!(shown.lines().count(), 1, "{shown}");
        let person = Person::signed_in(server.port(), "bob@example.org");
        let shown = server.run(&["user", "show", "Bob@Example.org"], "").done();
        assert!(shown.contains(" from 127.0.0.1, last seen 20"), "{shown}");
        let shown = json(&server.run(&["--json", "user", "show", id], "").done());
        assert_eq!(shown["user"]["id"], id);
        assert_eq!(shown["sessions"].as_array().map(Vec::len), Some(1));
        for token in person.jar.values() {
            assert!(!shown.to_string().contains(token));
        }
    }

    fn sr_37_what_a_command_changes_counts_from_the_next_request_on(server: Server) {
        let port = server.port();
        create(&server, "root@example.org", &["admin"]).done();
        create(&server, ADA, &[]).done();

        let mut ada = Person::signed_in(port, ADA);
        assert!(ada.is_signed_in());
        let ended = server.run(&["user", "end-sessions", ADA], "").done();
        assert_eq!(ended, format!("Ended 1 session of {ADA}.\n"));
        assert!(!ada.is_signed_in());
        assert_eq!(ada.get("/profile").header("location"), Some("/login?next=%2Fprofile"));

        let (mut ada, other) = (Person::signed_in(port, ADA), Person::signed_in(port, ADA));
        assert_eq!(ada.get("/admin").status, 403);
        let changed = server.run(&["user", "set-roles", ADA, "admin", "user"], "").done();
        assert!(changed.contains("[admin, user]"), "{changed}");
        assert_eq!(ada.get("/admin").status, 200);
        server.run(&["user", "set-roles", ADA], "").done();
        assert_eq!(ada.get("/admin").status, 403);

        let ended = json(&server.run(&["user", "end-sessions", ADA, "--json"], "").done());
        assert_eq!(ended["revoked"], 2);
        assert!(!ada.is_signed_in() && !other.is_signed_in());

        let mut ada = Person::signed_in(port, ADA);
        server.run(&["user", "disable", ADA], "").done();
        assert!(!ada.is_signed_in());
        assert_eq!(ada.log_in(ADA, PASSWORD), 401);
        server.run(&["user", "enable", ADA], "").done();
        assert!(!ada.is_signed_in());
        assert_eq!(ada.log_in(ADA, PASSWORD), 200);

        let changed = server.run(&["user", "set-email", ADA, "lovelace@example.org"], "").done();
        assert!(changed.starts_with("Changed the address of ") && changed.contains("lovelace@"), "{changed}");
        assert!(ada.is_signed_in());
        assert_eq!(ada.log_in(ADA, PASSWORD), 401);
        server.run(&["user", "set-email", "lovelace@example.org", ADA], "").done();
        assert_eq!(ada.log_in(ADA, PASSWORD), 200);

        let new = "seven quiet lanterns";
        let changed = server.run(&["user", "set-password", ADA], &format!("{new}\r\n")).done();
        assert!(!changed.contains(new), "{changed}");
        assert!(!ada.is_signed_in());
        assert_eq!(ada.log_in(ADA, PASSWORD), 401);
        assert_eq!(ada.log_in(ADA, new), 200);

        server.run(&["user", "delete", ADA], "").done();
        assert!(!ada.is_signed_in());
        assert_eq!(ada.log_in(ADA, new), 401);
        assert_eq!(server.run(&["user", "list"], "").done().lines().count(), 1);
    }

    fn sr_52_a_temporary_password_opens_nothing_but_its_change(server: Server) {
        let port = server.port();
        let bob = "bob@example.org";
        create(&server, "root@example.org", &["admin"]).done();
        let arguments = ["user", "create", "--email", bob, "--role", "admin", "--temporary"];
        server.run(&arguments, PASSWORD).done();
        create(&server, ADA, &["admin"]).done();
        let mut ada = Person::signed_in(port, ADA);
        assert_eq!(ada.get("/admin").status, 200);
        server.run(&["user", "set-password", ADA, "--temporary"], PASSWORD).done();
        assert!(!ada.is_signed_in());
        for email in [bob, ADA] {
            let mut person = Person::at(port);
            assert_eq!(person.log_in(email, PASSWORD), 200);
            let place = person.get("/admin");
            let location = place.header("location");
            assert_eq!(location, Some("/profile/new-password?next=%2Fadmin"), "{email}");
            let told = server.run(&["explain", "sign-in", "--email", email], "").done();
            assert!(told.contains("has to change its password"), "{told}");
            let own = serde_json::json!({ "current_password": PASSWORD, "new_password": "seven quiet lanterns" });
            let changed = person.call("PUT", "/api/v1/me/password", own).expect("an answer");
            assert_eq!(changed.status, 204, "{email}");
            assert_eq!(person.get("/admin").status, 200, "{email}");
            let told = server.run(&["explain", "sign-in", "--email", email], "").done();
            assert!(!told.contains("has to change its password"), "{told}");
        }
        // One that the operator sets for good needs no change, also if the one before did.
        server.run(&["user", "set-password", ADA, "--temporary"], PASSWORD).done();
        server.run(&["user", "set-password", ADA], PASSWORD).done();
        let mut ada = Person::signed_in(port, ADA);
        assert_eq!(ada.get("/admin").status, 200);
    }

    fn what_goes_wrong_is_said_in_a_line(server: Server) {
        create(&server, ADA, &["admin"]).done();
        let about = |arguments: &[&str], input: &str| server.run(arguments, input).failed();
        for command in ["show", "disable", "enable", "delete", "set-roles", "end-sessions"] {
            let said = about(&["user", command, "nobody@example.org"], "");
            assert_eq!(said, "doorward: there is no account nobody@example.org");
            // Of identifiers, one in 64 begins so.
            let said = about(&["user", command, "-AAAAAAAAAAAAAAAAAAAAA"], "");
            assert_eq!(said, "doorward: there is no account -AAAAAAAAAAAAAAAAAAAAA");
        }
        let taken = create(&server, "ADA@example.org", &[]).failed();
        assert_eq!(taken, "doorward: another account has this e-mail address");
        let email = ["user", "create", "--email", "bob@example.org"];
        for (input, word) in [("", "no password"), ("\n", "no password"), ("short\n", "password:")] {
            let said = about(&email, input);
            assert!(said.contains(word) && !said.contains("short\n"), "{said}");
        }
        let said = about(&["user", "create", "--email", "no address"], PASSWORD);
        assert!(said.starts_with("doorward: email: "), "{said}");
        let said = about(&["user", "set-roles", ADA, "emperor"], "");
        assert!(said.starts_with("doorward: roles: "), "{said}");
        for last in [&["disable", ADA][..], &["delete", ADA], &["set-roles", ADA, "user"]] {
            let said = about(&[&["user"], last].concat(), "");
            assert_eq!(said, "doorward: at least one administrator who can sign in must remain");
        }
        let refused = server.run(&["--json", "user", "disable", ADA], "");
        let value = json(&refused.stdout);
        assert_eq!(value["error"], "at least one administrator who can sign in must remain");
        assert_eq!(refused.code, Some(1));
    }
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    for arguments in [
        &["user"][..],
        &["user", "create"],
        &["user", "create", "--email", ADA, "--password", PASSWORD],
        &["user", "set-password", ADA, PASSWORD],
        &["user", "list", "--limit", "0"],
        &["user", "list", "--limit", "many"],
        &["user", "shout", ADA],
        &["fly"],
        &["--fly"],
    ] {
        let refused = run(arguments, "", &[]);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains("--help"), "{refused:?}");
        assert_eq!(refused.stdout, "");
    }
    let help = run(&["--help"], "", &[]).done();
    for command in ["serve", "user", "setup-link", "migrate", "check-config", "healthcheck"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(command)), "{help}");
    }
    assert!(run(&["--version"], "", &[]).done().starts_with("doorward "));
}
