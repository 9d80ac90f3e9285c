//! Starting, stopping and looking after the server.

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};
use serde_json::Value;

use super::{ADA, create, json};
use crate::app::PASSWORD;
use crate::person::Person;
use crate::support::binary::{Server, background, run};
use crate::support::{free_port, postgres, scratch_dir};

on_both_stores! {
    fn a_restarted_server_knows_its_sessions(server: Server) {
        create(&server, ADA, &[]).done();
        let live = Person::signed_in(server.port(), ADA);
        let mut ended = Person::signed_in(server.port(), ADA);
        let before = ended.clone();
        ended.call("POST", "/api/v1/auth/logout", Value::Null).expect("an answer");
        assert!(server.stop().success(), "asked to stop, it ends with 0");
        server.restart();
        assert!(live.is_signed_in());
        assert!(!before.is_signed_in());
        // What a command changes while no server runs holds for the next one.
        server.stop();
        server.run(&["user", "end-sessions", ADA], "").done();
        server.restart();
        assert!(!live.is_signed_in());
    }

    fn a_fresh_link_makes_the_first_administrator(server: Server) {
        let printed = server.lines().wait_for("/setup?token=");
        let said = server.run(&["setup-link"], "").done();
        let link = said.trim_end().rsplit(' ').next().expect("a link");
        assert!(link.starts_with(&server.url("/setup?token=")), "{said}");
        assert!(!printed.contains(link));
        let value = json(&server.run(&["--json", "setup-link"], "").done());
        assert!(value["setup_link"].as_str().is_some_and(|other| other != link));

        let at = link.strip_prefix(&server.url("")).expect("a path");
        let token = at.split('=').nth(1).expect("a token");
        let mut root = Person::at(server.port());
        let fields = [("token", token), ("email", "root@example.org"), ("password", PASSWORD)];
        let done = root.submit(at, "/setup", &fields).expect("an answer");
        assert_eq!(done.header("location"), Some("/admin"));
        assert_eq!(root.get(at).status, 403);
        let refused = server.run(&["setup-link"], "").failed();
        assert_eq!(refused, "doorward: an administrator who can sign in exists already");
    }

    fn a_server_says_whether_it_is_ready(server: Server) {
        assert_eq!(server.run(&["healthcheck"], "").done(), "ready\n");
        let value = json(&server.run(&["healthcheck", "--json"], "").done());
        assert_eq!(value["ready"], true);
        assert_eq!(server.run(&["migrate"], "").done(), "The database is up to date.\n");
        server.stop();
        let refused = server.run(&["healthcheck"], "").failed();
        assert!(refused.contains("refused"), "{refused}");
    }
}

#[test]
fn migrating_makes_the_database_and_may_be_repeated() {
    let folder = scratch_dir("migrate");
    let folder = folder.path().display().to_string();
    let settings = [("DOORWARD_DATA_DIR", &*folder)];
    for _ in 0..2 {
        let said = json(&run(&["migrate", "--json"], "", &settings).done());
        assert_eq!(said["migrated"], true);
    }
    assert_eq!(run(&["user", "list"], "", &settings).done(), "");
    let made = std::fs::read_dir(&folder).expect("the folder").count();
    assert!(made > 0);
}

#[test]
fn a_second_server_on_the_same_files_does_not_start() {
    let server = Server::start(&[]);
    let refused = server.run(&["serve"], "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let line = refused.stderr.trim_end();
    assert!(line.starts_with("doorward: another server works on this database"), "{refused:?}");
    assert_eq!(line.lines().count(), 1, "{refused:?}");
    assert!(!refused.stdout.contains("/setup?token="), "{refused:?}");
    // The first one goes on.
    assert_eq!(server.run(&["healthcheck"], "").done(), "ready\n");
}

#[test]
fn a_server_that_cannot_listen_or_reach_its_stores_says_so() {
    let server = Server::start(&[]);
    let port = server.port().to_string();
    let refused = run(&["serve"], "", &[("ROCKET_PORT", &port)]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let told = format!("doorward: cannot listen on 127.0.0.1:{port}");
    assert!(refused.stderr.starts_with(&told), "{refused:?}");
    assert!(!refused.stdout.contains("serving"), "{refused:?}");

    let nowhere = format!("postgres://dw:hunter2@127.0.0.1:{}/dw", free_port());
    for database in [&*nowhere, "sqlite:///proc/nowhere/dw.db"] {
        for command in ["serve", "migrate"] {
            let refused = run(&[command], "", &[("DOORWARD_DATABASE_URL", database)]);
            assert_eq!(refused.code, Some(1), "{refused:?}");
            assert_eq!(refused.stderr.trim_end().lines().count(), 1, "{refused:?}");
            if command == "migrate" {
                let causes = refused.stderr.matches(": ").count();
                assert!(causes >= 2, "it says what is behind it: {refused:?}");
            }
            assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
        }
    }
}

#[rocket::async_test]
async fn the_embedded_store_beside_postgresql_makes_its_folder_or_says_what_to_set() {
    use std::os::unix::fs::PermissionsExt as _;
    let database = postgres::create_database().await;
    let (pem, secret) =
        (SigningKey::generate_pem().expect("a key"), MasterSecret::generate_base64(&Os));
    let port = free_port().to_string();
    let settings = [
        ("ROCKET_PORT", &*port),
        ("DOORWARD_DATABASE_URL", &*database),
        ("DOORWARD_KEYS_SIGNING", pem.expose()),
        ("DOORWARD_KEYS_SECRET", secret.expose()),
    ];
    let (directory, _server, lines) = background(&["serve"], &settings);
    lines.wait_for("serving");
    for (name, expected) in [("data", 0o700), ("data/doorward.db", 0o600)] {
        let made = std::fs::metadata(directory.path().join(name)).expect(name);
        assert_eq!(made.permissions().mode() & 0o777, expected, "{name}");
    }
    let nowhere = [&settings[..], &[("DOORWARD_DATA_DIR", "/proc/nowhere")]].concat();
    let refused = run(&["serve"], "", &nowhere);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let told = refused.stderr.trim_end();
    assert!(told.contains("/proc/nowhere") && told.contains("set `data_dir`"), "{refused:?}");
}

#[test]
fn sr_80_no_secret_is_in_the_log() {
    let server = Server::start(&[("DOORWARD_LOG_LEVEL", "trace")]);
    create(&server, ADA, &["admin"]).done();
    let mut ada = Person::signed_in(server.port(), ADA);
    let wrong = "marked-wrong-password";
    ada.log_in(ADA, wrong);
    let fields = [("current_password", PASSWORD), ("new_password", "marked new password")];
    ada.submit("/profile", "/profile/password", &fields).expect("an answer");
    ada.get("/login?next=/marked-next&token=marked-token");
    let tokens: Vec<String> = ada.jar.values().cloned().collect();
    ada.submit("/profile", "/logout", &[]).expect("an answer");
    server.stop();
    let log = server.lines().all().join("\n");
    assert!(log.contains("authn_login_success") && log.contains("/profile/password"), "{log}");
    for secret in [PASSWORD, wrong, "marked", "csrf_token"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    for token in tokens {
        let tail = &token[token.len().saturating_sub(30)..];
        assert!(!log.contains(tail), "a token in {log}");
    }
}

#[test]
fn a_json_log_is_json_in_every_line_whatever_is_refused() {
    let server = Server::start(&[("DOORWARD_LOG_FORMAT", "json")]);
    for path in ["/nothing", "/api/v1/me", "/profile"] {
        crate::support::http::get(server.port(), path).expect("an answer");
    }
    let body = serde_json::json!({ "email": ADA, "password": PASSWORD });
    let refused = Person::at(server.port()).call("POST", "/api/v1/auth/login", body);
    assert_eq!(refused.expect("an answer").status, 401);
    server.stop();
    let lines = server.lines().all();
    assert!(lines.iter().any(|line| line.contains("/nothing")), "{lines:?}");
    let lines: Vec<Value> = lines
        .iter()
        .filter(|line| !line.contains("/setup?token="))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let login = lines.iter().find(|line| line["path"] == "/api/v1/auth/login").expect("a line");
    assert!(login["micros"].as_u64() > Some(1_000), "a password was hashed: {login}");
}
