//! `doorward audit`, as an operator runs it.

use serde_json::Value;

use crate::app::{Backend, TestApp};
use crate::support::binary::{Server, run};
use crate::support::process::Finished;

fn doorward(app: &TestApp, arguments: &[&str]) -> Finished {
    let environment = [
        ("DOORWARD_DATABASE_URL", app.database.as_str()),
        ("DOORWARD_KEYS_SECRET", app.secret.as_str()),
    ];
    run(arguments, "a tower of marzipan\n", &environment)
}

#[rocket::async_test]
async fn what_the_operator_does_is_recorded_and_the_trail_verified() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    app.audit().await;
    let made = doorward(&app, &["user", "create", "--email", "ada@example.org", "--role", "admin"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);

    let listed = doorward(&app, &["audit", "list", "--json", "--kind", "user_created"]);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(listed["items"][0]["actor"], "operator");
    assert_eq!(listed["items"][0]["detail"], "roles: admin");

    let whole = doorward(&app, &["audit", "verify", "--json"]);
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let whole: Value = serde_json::from_str(&whole.stdout).expect("JSON");
    assert_eq!(whole["whole"], true);
    let checkpoint = whole["checkpoint"].as_str().expect("a checkpoint").to_owned();
    let same = doorward(&app, &["audit", "verify", "--checkpoint", &checkpoint]);
    assert_eq!(same.code, Some(0), "{}", same.stdout);
    let other = doorward(&app, &["audit", "verify", "--checkpoint", "1:bm9uZQ"]);
    assert_eq!(other.code, Some(1));
    assert!(other.stdout.contains("row 1 is not the one of the checkpoint"), "{}", other.stdout);

    super::chain::sql(&app.database, "UPDATE audit_event SET ip = '192.0.2.1' WHERE seq = 2").await;
    let broken = doorward(&app, &["audit", "verify"]);
    assert_eq!(broken.code, Some(1));
    assert!(broken.stdout.contains("broken: row 2 was altered"), "{}", broken.stdout);
    let broken = doorward(&app, &["audit", "verify", "--json"]);
    let broken: Value = serde_json::from_str(&broken.stdout).expect("JSON");
    assert_eq!(
        (&broken["broken"]["seq"], &broken["broken"]["how"]),
        (&2.into(), &"altered".into())
    );
    assert_eq!(doorward(&app, &["audit", "list", "--kind", "nonsense"]).code, Some(2));
}

#[rocket::async_test]
async fn a_verification_says_what_it_cannot_show_and_a_new_trail_tells_of_the_old_one() {
    let app = TestApp::boot(Backend::SqliteEmbedded).await;
    app.create("ada@example.org", &[]).await;
    app.audit().await;
    let whole = doorward(&app, &["audit", "verify"]).done();
    assert!(whole.contains("Not shown without --checkpoint: "), "{whole}");
    let parsed = doorward(&app, &["audit", "verify", "--json"]).done();
    let parsed: Value = serde_json::from_str(&parsed).expect("JSON");
    assert_eq!(parsed["compared_with"], Value::Null);
    let checkpoint = parsed["checkpoint"].as_str().expect("a checkpoint");
    let compared = doorward(&app, &["audit", "verify", "--checkpoint", checkpoint]).done();
    assert!(!compared.contains("Not shown"), "{compared}");

    let crime = "DELETE FROM audit_event; UPDATE audit_head SET seq = 0, mac = '', seal = ''";
    super::chain::sql(&app.database, crime).await;
    let broken = doorward(&app, &["audit", "verify"]);
    assert_eq!(broken.code, Some(1), "{}", broken.stdout);

    assert_eq!(doorward(&app, &["audit", "begin-anew"]).code, Some(2));
    let anew = doorward(&app, &["audit", "begin-anew", "--delete-events"]).done();
    assert!(anew.starts_with("Deleted 0 events. The new trail is "), "{anew}");
    let listed = doorward(&app, &["audit", "list", "--json"]).done();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let first = &listed["items"][0];
    assert_eq!((&first["kind"], &first["actor"]), (&"sys_audit_begun".into(), &"operator".into()));
    doorward(&app, &["audit", "verify"]).done();
}

#[test]
fn a_database_is_given_no_trail_by_looking_for_one() {
    let folder = crate::support::scratch_dir("audit");
    let folder = folder.path().display().to_string();
    let database = format!("sqlite://{folder}/doorward.db");
    let settings = [("DOORWARD_DATA_DIR", &*folder), ("DOORWARD_DATABASE_URL", &*database)];
    for _ in 0..2 {
        let broken = run(&["audit", "verify"], "", &settings);
        assert_eq!(broken.code, Some(1), "{broken:?}");
        assert!(broken.stdout.contains("or there is none"), "{}", broken.stdout);
    }
}

#[rocket::async_test]
async fn sr_80_a_server_that_stops_or_is_killed_leaves_a_whole_trail() {
    let server = Server::start(&[("DOORWARD_LOG_FORMAT", "json")]);
    let kinds = || {
        let listed = server.run(&["audit", "list", "--json"], "");
        let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
        let items = listed["items"].as_array().expect("items").clone();
        items.into_iter().rev().collect::<Vec<_>>()
    };
    let whole = || assert_eq!(server.run(&["audit", "verify"], "").code, Some(0));
    assert!(server.stop().success());
    let first = kinds();
    let names: Vec<_> = first.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(names.first(), Some(&"sys_startup"));
    assert_eq!(names.last(), Some(&"sys_shutdown"));
    // One line of JSON for each event, with the same name and time.
    let lines = server.lines().all();
    for event in &first {
        let id = event["id"].as_str().expect("an id");
        let found: Vec<_> = lines.iter().filter(|line| line.contains(id)).collect();
        assert_eq!(found.len(), 1, "{event}");
        let line: Value = serde_json::from_str(found[0]).expect("JSON");
        assert_eq!((&line["event"], &line["at"]), (&event["kind"], &event["at"]));
        assert_eq!(line["target"], "audit");
    }
    whole();
    server.restart();
    server.kill();
    whole();
    server.restart();
    whole();
    assert!(kinds().len() > first.len());
}
