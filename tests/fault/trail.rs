//! An audit trail that somebody deletes, or puts back to how it once was.

use super::*;
use crate::audit::chain::sql;
use crate::person::Person;
use crate::support::binary::Server;
use crate::support::{free_port, http, wait_until};

/// How soon a server that nobody uses finds out.
const LOOK_LIMIT: Duration = Duration::from_secs(120);

#[rocket::async_test]
async fn audit_trail_deleted_is_said_aloud() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let server = Server::start(&[("DOORWARD_METRICS_ADDRESS", &address)]);
    let create = ["user", "create", "--email", "root@example.org", "--role", "admin"];
    server.run(&create, PASSWORD).done();
    let mut root = Person::signed_in(server.port(), "root@example.org");
    let page = root.get("/admin/audit").text();
    assert!(!page.contains("not as it was written"), "{page}");
    server.run(&["audit", "verify"], "").done();

    let url = format!("sqlite://{}/doorward.db", server.data_dir().display());
    let crime = "DELETE FROM audit_event; DELETE FROM audit_trail; \
                 UPDATE audit_head SET seq = 0, mac = '', seal = ''";
    sql(&url, crime).await;
    // Nobody does anything that would be recorded.
    let told = || server.lines().all().iter().any(|line| line.contains("not as it was written"));
    assert!(wait_until(LOOK_LIMIT, told), "{:#?}", server.lines().all());
    let metrics = http::get(port, "/metrics").expect("an answer").text();
    assert!(metrics.contains("\ndoorward_audit_alarm 1\n"), "{metrics}");
    let page = root.get("/admin/audit").text();
    assert!(page.contains("not as it was written"), "{page}");
    assert_eq!(server.run(&["audit", "verify"], "").code, Some(1));
    // It goes on recording, and a restart says so again.
    assert_eq!(root.log_in("root@example.org", PASSWORD), 200);
    server.restart();
    assert!(wait_until(LOOK_LIMIT, told), "{:#?}", server.lines().all());
    assert_eq!(server.run(&["audit", "verify"], "").code, Some(1));
    assert!(server.run(&["audit", "list"], "").done().contains("authn_login_success"));
}

#[rocket::async_test]
async fn signing_keys_deleted_are_replaced_and_withdrawn() {
    let app = TestApp::boot(Backend::PostgresRedis).await;
    app.register("ada@example.org").await;
    sql(&app.database, "DELETE FROM signing_key").await;
    // A server that runs goes on with what it has.
    let keys: &std::sync::Arc<doorward::token::key::Keys> = app.service();
    keys.tend().await.expect_err("they are gone");
    app.me().await.expect(200);
    // One that starts takes none of them for good, not even the one of its configuration.
    let other = app.replica().await;
    let set = other.get("/.well-known/jwks.json").await.expect(200).json();
    assert_eq!(set["keys"].as_array().map(Vec::len), Some(1));
    let listed: &std::sync::Arc<doorward::token::key::Keys> = other.service();
    let states: Vec<_> = listed.list().iter().map(|key| key.state.as_str()).collect();
    assert_eq!(states, ["withdrawn", "current"]);
    other.stranger().log_in("ada@example.org").await;
}
