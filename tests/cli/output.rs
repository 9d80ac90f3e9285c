//! What becomes of a command whose output nobody reads, or for which there is no room.

use super::{ADA, json};
use crate::app::PASSWORD;
use crate::support::binary::Server;

#[test]
fn a_reader_who_goes_away_early_is_no_failure() {
    let server = Server::start(&[]);
    server.run(&["user", "create", "--email", ADA], PASSWORD).done();
    for command in [
        "doorward openapi | head -1 >/dev/null",
        "doorward openapi | true",
        "doorward audit list | true",
        "doorward --json user list | true",
        "doorward --help | true",
        "doorward user --help | true",
        "doorward check-config | true",
        "doorward --version | true",
        "echo 'seven quiet lanterns' | doorward user create --email bob@example.org | true",
    ] {
        let ended = server.shell(&format!("set -o pipefail; {command}"));
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{command}");
    }
    assert_eq!(server.run(&["user", "list"], "").done().lines().count(), 2);
    // Bad news stays bad news, and a wrong word wrong usage.
    for (command, expected) in [
        ("doorward user show nobody@example.org", 1),
        ("doorward --json user show nobody@example.org", 1),
        ("doorward fly", 2),
    ] {
        let ended = server.shell(&format!("set -o pipefail; {command} 2>&1 | true"));
        assert_eq!(ended.code, Some(expected), "{command}: {ended:?}");
    }
}

#[test]
fn a_full_disk_is_one_line_and_what_was_done_is_said() {
    let server = Server::start(&[]);
    let failed = |command: &str| {
        let ended = server.shell(&format!("{command} >/dev/full"));
        let line = ended.failed();
        assert!(line.contains("standard output") && line.contains("No space left"), "{line}");
        line
    };
    for command in ["--help", "--version", "openapi", "check-config", "role list", "keys list"] {
        let line = failed(&format!("doorward {command}"));
        assert!(!line.contains("did its work"), "{line}");
    }
    failed("doorward --json user list");
    let line = failed(&format!("echo '{PASSWORD}' | doorward user create --email {ADA}"));
    assert!(line.contains("did its work") && line.contains("Created"), "{line}");
    assert!(line.contains(ADA) && !line.contains(PASSWORD), "{line}");
    let line = failed(&format!("doorward --json user disable {ADA}"));
    assert!(line.contains("Disabled"), "{line}");
    let line = failed("doorward setup-link");
    assert!(line.contains("set-up link") && !line.contains("token="), "{line}");
    let shown = json(&server.run(&["--json", "user", "show", ADA], "").done());
    assert_eq!(shown["user"]["status"], "disabled");
    // Nothing is left to say it on: the exit code still tells.
    for (command, expected) in [("openapi", 1), ("fly", 2), ("user show nobody@example.org", 1)] {
        let ended = server.shell(&format!("doorward {command} >/dev/full 2>/dev/full"));
        assert_eq!(ended.code, Some(expected), "{command}: {ended:?}");
    }
}
