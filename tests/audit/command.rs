//! `doorward audit`, as an operator runs it.

use serde_json::Value;

use crate::app::{Backend, TestApp};
use crate::support::process::{Finished, run};

fn doorward(app: &TestApp, arguments: &[&str]) -> Finished {
    let environment = [
        ("DOORWARD_DATABASE_URL", app.database.as_str()),
        ("DOORWARD_STORE_URL", app.store.as_str()),
        ("DOORWARD_KEYS_SECRET", app.secret.as_str()),
    ];
    run(arguments, "a tower of marzipan\n", &environment)
}

#[rocket::async_test]
async fn what_the_operator_does_is_recorded_and_the_trail_verified() {
    let app = TestApp::boot(Backend::PostgresRedis).await;
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
