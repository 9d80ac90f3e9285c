//! A flood of sign-ins that fills the line for password hashes (SR-22, SR-60).

use std::pin::pin;

use futures::future::{join_all, select};

use super::{FAILURES, WRONG};
use crate::app::*;

/// One hash at a time, and one more that waits for it.
const NARROW: [(&str, &str); 2] =
    [("DOORWARD_PASSWORDS_THREADS", "1"), ("DOORWARD_PASSWORDS_QUEUE", "1")];
/// Accounts whose password hashes keep the one thread for about a second each.
const SLOW: [&str; 3] = ["a@slow.example", "b@slow.example", "c@slow.example"];

async fn narrow(settings: &[(&str, &str)]) -> TestApp {
    let settings: Vec<_> = NARROW.iter().chain(settings).copied().collect();
    let app = TestApp::boot_with(Backend::SqliteEmbedded, &settings).await;
    for email in SLOW {
        app.create(email, &[]).await;
    }
    let slow = "$argon2id$v=19$m=65536,t=16,p=1$c29tZXNhbHRzb21lc2FsdA\
                $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let mut database = app.database().await;
    let replace = sqlx::query("UPDATE account SET password_hash = $1").bind(slow);
    replace.execute(&mut database).await.expect("the hashes are replaced");
    app
}

/// Runs `meanwhile` while strangers guess at the slow accounts, once they have filled the line.
async fn during_a_flood(app: &TestApp, meanwhile: impl Future<Output = ()>) {
    let flood = join_all(SLOW.map(|email| async move {
        let stranger = app.stranger();
        loop {
            stranger.log_in_with(email, WRONG).await;
        }
    }));
    let full = async {
        let mut n = 0;
        while app.stranger().log_in_with(&format!("{n}@example.org"), WRONG).await.status.code
            != 503
        {
            n += 1;
        }
        meanwhile.await;
    };
    select(pin!(full), pin!(flood)).await;
}

#[rocket::async_test]
async fn sr_22_a_flood_of_strangers_does_not_keep_a_known_device_out() {
    let app = narrow(&[]).await;
    app.register("ada@example.org").await;
    during_a_flood(&app, async {
        app.log_in("ada@example.org").await;
    })
    .await;
}

#[rocket::async_test]
async fn sr_22_a_password_that_was_not_looked_at_is_nobodys_failure() {
    let app = narrow(&[FAILURES]).await;
    app.create("ada@example.org", &[]).await;
    during_a_flood(&app, async {
        let (mut refused, mut looked_at) = (0, 0);
        while refused < 10 {
            match app.stranger().log_in_with("ada@example.org", WRONG).await.status.code {
                503 => refused += 1,
                // It was there at the moment when there was room.
                401 => looked_at += 1,
                other => panic!("{other} after {refused} refusals and {looked_at} failures"),
            }
        }
    })
    .await;
    app.stranger().log_in("ada@example.org").await;
}
