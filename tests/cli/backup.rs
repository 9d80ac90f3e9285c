//! `doorward backup` and `doorward restore`: nothing that was acknowledged is missing, and nothing that
//! ended comes back.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use doorward::id::Os;
use doorward::token::key::{MasterSecret, SigningKey};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};

use super::{ADA, create, json, server_on_redis};
use crate::app::{LIMITS, PASSWORD};
use crate::person::Person;
use crate::support::binary::{Server, run};
use crate::support::process::{Finished, finish};
use crate::support::{START_LIMIT, postgres, redis, wait_until};

fn backup(server: &Server, to: &str) -> Finished {
    server.run(&["backup", "--to", to], "")
}

fn restore(server: &Server, from: &str) -> Finished {
    server.run(&["restore", "--from", from], "")
}

/// Runs statements on an SQLite file.
#[rocket::tokio::main(flavor = "current_thread")]
async fn sql(file: &Path, statements: &str) {
    let url = format!("sqlite://{}", file.display());
    let mut db = SqliteConnection::connect(&url).await.expect("it opens");
    db.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await.expect(statements);
    db.close().await.expect("it closes");
}

/// The number that a statement gives.
#[rocket::tokio::main(flavor = "current_thread")]
async fn number(file: &Path, statement: &str) -> i64 {
    let url = format!("sqlite://{}", file.display());
    let mut db = SqliteConnection::connect(&url).await.expect("it opens");
    sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut db).await.expect("a number")
}

/// Signs somebody out.
fn log_out(person: &Person) {
    let answer = person.clone().call("POST", "/api/v1/auth/logout", Value::Null);
    assert_eq!(answer.expect("an answer").status, 204);
}

/// Whether a person's refresh token begins anything.
fn refreshes(person: &Person) -> bool {
    let answer = person.clone().call("POST", "/api/v1/auth/refresh", Value::Null);
    answer.expect("an answer").status == 200
}

#[test]
fn a_backup_made_under_load_has_all_that_was_acknowledged() {
    let server = Server::start(&LIMITS.map(|(name, _)| (name, "off")));
    create(&server, ADA, &["admin"]).done();
    let live = Person::signed_in(server.port(), ADA);
    let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let register = |who: usize| {
        let mut person = Person::at(server.port());
        let mut done = 0;
        while !stop.load(Ordering::Relaxed) {
            let email = format!("p{who}-{done}@example.org");
            let body = json!({ "email": email, "password": PASSWORD });
            let answer = person.call("POST", "/api/v1/auth/register", body).expect("an answer");
            assert_eq!(answer.status, 201, "{}", answer.text());
            done += 1;
            made.fetch_add(1, Ordering::SeqCst);
        }
    };
    let acknowledged = std::thread::scope(|scope| {
        for who in 0..4 {
            let register = &register;
            scope.spawn(move || register(who));
        }
        assert!(wait_until(START_LIMIT, || made.load(Ordering::SeqCst) > 10));
        let acknowledged = made.load(Ordering::SeqCst);
        let said = backup(&server, "copy.db").done();
        assert!(said.starts_with("Wrote copy.db."), "{said}");
        stop.store(true, Ordering::Relaxed);
        acknowledged
    });
    let copy = server.data_dir().join("copy.db");
    assert_eq!(copy.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    assert!(!server.data_dir().join("copy.db.partial").exists());
    for left in ["embedded_session", "embedded_account", "embedded_denied", "setup_token"] {
        assert_eq!(number(&copy, &format!("SELECT COUNT(*) FROM {left}")), 0, "{left}");
    }
    let bytes = std::fs::read(&copy).expect("it is there");
    assert!(!String::from_utf8_lossy(&bytes).contains("refresh_expires_at"), "a session is left");
    let accounts = number(&copy, "SELECT COUNT(*) FROM account");
    assert!(accounts > i64::try_from(acknowledged).expect("few"), "{accounts} of {acknowledged}");

    // What is there already is not lost to a second backup, and no server is robbed of its database.
    assert!(backup(&server, "copy.db").failed().contains("a file of this name already"));
    assert!(std::fs::read(&copy).expect("it is there") == bytes, "it was written to");
    assert!(restore(&server, "copy.db").failed().contains("a server works with this database"));
    assert!(live.is_signed_in());

    assert!(server.stop().success());
    let said = restore(&server, "copy.db").done();
    assert!(said.starts_with("Restored. Ended 0 sessions"), "{said}");
    server.restart();
    let people: Vec<String> = (0..4).map(|who| format!("p{who}-0@example.org")).collect();
    people.iter().for_each(|email| drop(Person::signed_in(server.port(), email)));
    let mut ada = Person::signed_in(server.port(), ADA);
    assert_eq!(ada.get("/admin").status, 200);
    assert!(!live.is_signed_in() && !refreshes(&live));
    assert!(server.run(&["audit", "verify"], "").done().starts_with("The audit trail is whole"));
}

#[test]
fn what_ended_after_the_backup_does_not_come_back() {
    let server = Server::start(&[]);
    create(&server, ADA, &["admin"]).done();
    let link = server.lines().wait_for("/setup?token=");
    let [left, stays] = [0, 1].map(|_| Person::signed_in(server.port(), ADA));
    let leaked = json(&server.run(&["keys", "list", "--json"], "").done());
    // A copy by SQLite's own means has the sessions in it.
    let (database, by_hand) =
        (server.data_dir().join("doorward.db"), server.data_dir().join("by-hand.db"));
    sql(&database, &format!("VACUUM INTO '{}'", by_hand.display()));
    backup(&server, "copy.db").done();
    log_out(&left);
    server.run(&["keys", "rotate", "--now"], "").done();
    server.run(&["user", "create", "--email", "late@example.org"], &format!("{PASSWORD}\n")).done();

    for (round, from) in ["copy.db", "by-hand.db"].into_iter().enumerate() {
        server.stop();
        let said = json(&server.run(&["restore", "--json", "--from", from], "").done());
        let before = said["before"].as_str().expect("the database of before");
        assert_eq!(number(Path::new(before), "SELECT COUNT(*) FROM account"), 2 - round as i64);
        server.restart();
        for person in [&left, &stays] {
            assert!(!person.is_signed_in() && !refreshes(person), "{from}");
        }
        let keys = json(&server.run(&["keys", "list", "--json"], "").done());
        let known = leaked["items"][0]["kid"].as_str().expect("a name");
        let states: Vec<_> = keys["items"]
            .as_array()
            .expect("keys")
            .iter()
            .map(|key| (key["kid"] == known, key["state"].as_str().expect("a state")))
            .collect();
        assert_eq!(
            states.iter().filter(|(old, _)| *old).map(|(_, state)| *state).collect::<Vec<_>>(),
            ["withdrawn"]
        );
        assert!(states.contains(&(false, "current")), "{states:?}");
        // The one-time link that was made before the backup.
        let path = link.split(&server.url("")).nth(1).expect("a path");
        assert_eq!(Person::at(server.port()).get(path.trim()).status, 403);
        let events =
            json(&server.run(&["audit", "list", "--json", "--kind", "sys_restored"], "").done());
        assert_eq!(events["items"][0]["actor"], "operator");
        server.run(&["audit", "verify"], "").done();
        // An earlier database that was kept is not overwritten.
        server.stop();
        let again = restore(&server, from).failed();
        assert!(again.contains("before-restore is there from an earlier restore"), "{again}");
        std::fs::remove_file(before).expect("it is there");
        server.restart();
    }
}

#[test]
fn sessions_in_redis_end_with_a_restore() {
    let server = server_on_redis();
    create(&server, ADA, &[]).done();
    let before = Person::signed_in(server.port(), ADA);
    backup(&server, "copy.db").done();
    create(&server, "late@example.org", &[]).done();
    let late = Person::signed_in(server.port(), "late@example.org");
    let refused = restore(&server, "copy.db").failed();
    assert!(refused.contains("another process works with this database"), "{refused}");
    server.stop();
    let said = restore(&server, "copy.db").done();
    assert!(said.starts_with("Restored. Ended 2 sessions"), "{said}");
    server.restart();
    for person in [&before, &late] {
        assert!(!person.is_signed_in() && !refreshes(person));
    }
    assert!(Person::signed_in(server.port(), ADA).is_signed_in());
}

#[test]
fn a_backup_is_taken_by_its_release_and_later_ones_with_its_secret() {
    let server = Server::start(&[]);
    create(&server, ADA, &["admin"]).done();
    let live = Person::signed_in(server.port(), ADA);
    backup(&server, "copy.db").done();
    server.stop();
    let data = server.data_dir();
    let database = data.join("doorward.db");
    let all = "SELECT (SELECT COUNT(*) FROM audit_event) + (SELECT COUNT(*) FROM embedded_session) \
         + (SELECT SUM(version) FROM account) + (SELECT COUNT(*) FROM signing_key)";
    let before = number(&database, all);
    let copy_as = |name: &str, change: &str| {
        std::fs::copy(data.join("copy.db"), data.join(name)).expect("a copy");
        sql(&data.join(name), change);
    };
    copy_as("newer.db", "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1");
    copy_as("strange.db", "DROP TABLE setup_token");
    std::fs::write(data.join("text.db"), "not a database at all").expect("a file");
    std::fs::write(data.join("empty.db"), "").expect("a file");
    for (from, why) in [
        ("newer.db", "migration 9999, which this release does not know"),
        ("strange.db", "no database of Doorward"),
        ("text.db", "no database"),
        ("empty.db", "no database of Doorward"),
        ("missing.db", "No such file"),
    ] {
        let refused = restore(&server, from).failed();
        assert!(refused.contains(why), "{from}: {refused}");
    }
    std::fs::rename(data.join("secret"), data.join("secret.kept")).expect("the generated secret");
    let refused = restore(&server, "copy.db").failed();
    assert!(refused.contains("keys.secret"), "{refused}");
    std::fs::rename(data.join("secret.kept"), data.join("secret")).expect("it is put back");
    // All that time nothing has happened to the database.
    assert_eq!(number(&database, all), before);
    let names = std::fs::read_dir(&data)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains("restore")).collect();
    assert!(left.is_empty(), "{left:?}");

    // In a place of its own, to try it out.
    let drill = data.join("drill/deep/doorward.db");
    let url = format!("sqlite://{}", drill.display());
    let elsewhere =
        [("DOORWARD_DATABASE_URL", &*url), ("DOORWARD_DATA_DIR", data.to_str().expect("UTF-8"))];
    let copy = data.join("copy.db");
    run(&["restore", "--from", copy.to_str().expect("UTF-8")], "", &elsewhere).done();
    assert_eq!(drill.metadata().expect("it is there").permissions().mode() & 0o777, 0o600);
    run(&["audit", "verify"], "", &elsewhere).done();

    // As the release before this one would have written it.
    copy_as("older.db", "DROP TABLE unshown_role; DELETE FROM _sqlx_migrations WHERE version = 9");
    restore(&server, "older.db").done();
    server.restart();
    assert!(!live.is_signed_in());
    assert!(Person::signed_in(server.port(), ADA).is_signed_in());
    server.run(&["audit", "verify"], "").done();
}

#[test]
fn on_postgres_the_tools_of_postgres_are_asked_for_and_made_safe() {
    let (from, to) = create_databases();
    let (pem, secret) =
        (SigningKey::generate_pem().expect("a key"), MasterSecret::generate_base64(&Os));
    let store = redis::server().database();
    let on = |database: &str| {
        Server::start(&[
            ("DOORWARD_DATABASE_URL", database),
            ("DOORWARD_STORE_URL", &store),
            ("DOORWARD_KEYS_SIGNING", pem.expose()),
            ("DOORWARD_KEYS_SECRET", secret.expose()),
        ])
    };
    let first = on(&from);
    create(&first, ADA, &["admin"]).done();
    assert!(backup(&first, "copy.db").failed().contains("pg_dump"));
    assert!(restore(&first, "copy.db").failed().contains("pg_restore"));
    let [left, stays] = [0, 1].map(|_| Person::signed_in(first.port(), ADA));
    // As docs/backup.md says it, while the server works.
    let dump = first.data_dir().join("doorward.dump");
    tool("pg_dump", &["--format", "custom", "--file", dump.to_str().expect("UTF-8"), &from]);
    log_out(&left);
    create(&first, "late@example.org", &[]).done();
    let late = Person::signed_in(first.port(), "late@example.org");
    first.stop();
    tool(
        "pg_restore",
        &["--exit-on-error", "--no-owner", "--dbname", &to, dump.to_str().expect("UTF-8")],
    );
    let second = on(&to);
    second.stop();
    let said = second.run(&["restore", "--in-place"], "").done();
    assert!(said.starts_with("Restored. Ended 2 sessions"), "{said}");
    second.restart();
    for person in [left, stays, late] {
        let person = person.moved(second.port());
        assert!(!person.is_signed_in() && !refreshes(&person));
    }
    let mut ada = Person::signed_in(second.port(), ADA);
    assert_eq!(ada.get("/admin").status, 200);
    assert_eq!(Person::at(second.port()).log_in("late@example.org", PASSWORD), 401);
    second.run(&["audit", "verify"], "").done();
}

#[rocket::tokio::main(flavor = "current_thread")]
async fn create_databases() -> (String, String) {
    (postgres::create_database().await, postgres::create_database().await)
}

/// Runs a program of PostgreSQL.
fn tool(name: &str, arguments: &[&str]) {
    let mut command = std::process::Command::new(postgres::server().program(name));
    command.args(arguments);
    let done = finish(command, "");
    assert_eq!(done.code, Some(0), "{name}: {}", done.stderr);
}
