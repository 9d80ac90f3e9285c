//! A flood of sign-ins that fills the line for password hashes (SR-22, SR-60).

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::{FAILURES, WRONG};
use crate::app::*;

/// One hash at a time, and one more that waits for it.
const NARROW: [(&str, &str); 2] =
    [("DOORWARD_PASSWORDS_THREADS", "1"), ("DOORWARD_PASSWORDS_QUEUE", "1")];

/// An application whose account `mallory@example.org` has a password hash that keeps the one thread
/// for about a second.
async fn narrow(settings: &[(&str, &str)]) -> TestApp {
    let settings: Vec<_> = NARROW.iter().chain(settings).copied().collect();
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    let mallory = app.create("mallory@example.org", &[]).await;
    let slow = "$argon2id$v=19$m=65536,t=16,p=1$c29tZXNhbHRzb21lc2FsdA\
                $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let mut database = app.database().await;
    sqlx::query("UPDATE account SET password_hash = $1 WHERE id = $2")
        .bind(slow)
        .bind(mallory.to_string())
        .execute(&mut database)
        .await
        .expect("the hash is replaced");
    app
}

/// Runs `meanwhile` once guesses at the slow account keep the thread and fill the line.
async fn during_a_flood(app: &TestApp, meanwhile: impl Future<Output = ()>) {
    let strangers: Vec<_> = (0..4).map(|_| app.stranger()).collect();
    let mut flood: FuturesUnordered<_> =
        strangers.iter().map(|one| one.log_in_with("mallory@example.org", WRONG)).collect();
    let first = flood.next().await.expect("an answer");
    first.expect_problem(503, "overloaded");
    futures::future::join(meanwhile, flood.for_each(|_| async {})).await;
}

#[rocket::async_test]
async fn sr_22_a_flood_of_strangers_does_not_keep_a_known_device_out() {
    let app = narrow(&[]).await;
    app.register("ada@example.org").await;
    during_a_flood(&app, async {
        let stranger = app.stranger().log_in_with("ada@example.org", PASSWORD).await;
        stranger.expect_problem(503, "overloaded");
        app.log_in("ada@example.org").await;
    })
    .await;
}

#[rocket::async_test]
async fn sr_22_a_password_that_was_not_looked_at_is_nobodys_failure() {
    let app = narrow(&[FAILURES]).await;
    app.create("ada@example.org", &[]).await;
    during_a_flood(&app, async {
        for _ in 0..10 {
            let refused = app.stranger().log_in_with("ada@example.org", WRONG).await;
            refused.expect_problem(503, "overloaded");
        }
    })
    .await;
    app.stranger().log_in("ada@example.org").await;
}
