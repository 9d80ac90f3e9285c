//! A flood of sign-ins that fills the line for password hashes (SR-22, SR-60).

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use doorward::app::{World, build};
use futures::future::{join_all, select};
use rocket::http::Method::{Delete, Post, Put};
use rocket::tokio::task::yield_now;
use serde_json::{Value, json};

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

#[rocket::async_test]
async fn sr_22_a_flood_of_strangers_keeps_nobody_from_setting_a_password() {
    let app = narrow(&[]).await;
    app.register("ada@example.org").await;
    let root = app.signed_in("root@example.org", &["admin"]).await;
    during_a_flood(&app, async {
        let change = json!({ "current_password": PASSWORD, "new_password": "a tower of nougat" });
        app.call(Put, "/api/v1/me/password", change).await.expect(204);
        let invited = json!({ "email": "new@example.org", "password": PASSWORD });
        root.call(Post, "/api/v1/admin/users", invited).await.expect(201);
    })
    .await;
}

/// Somebody with an account of their own sends this from one address, over and over, in 96 requests at
/// a time, with limits and hashes as they are by default.
async fn a_signed_in_stranger_sends(method: rocket::http::Method, path: &str, body: Value) {
    let make =
        |config, world| build(config, World { hash_cost: None, ..world }).expect("an application");
    let app = TestApp::boot_made(Backend::SqliteEmbedded, &LIMITS, make).await;
    app.register("ada@example.org").await;
    let mallory = app.stranger().at("198.51.100.66");
    mallory.register("mallory@example.org").await;
    let token = mallory.cookie(ACCESS).expect("a token");
    let answers = AtomicUsize::new(0);
    let flood = join_all((0..96).map(|_| async {
        loop {
            mallory.bearer(method, path, &token).json(&body).send().await;
            answers.fetch_add(1, Ordering::SeqCst);
            // A refusal is there at once: the others have their turn.
            yield_now().await;
        }
    }));
    let meanwhile = async {
        while answers.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
        for attempt in 0..6 {
            let answer = app.log_in_with("ada@example.org", PASSWORD).await;
            assert_eq!(answer.status.code, 200, "attempt {attempt}: {}", answer.text());
        }
    };
    select(pin!(meanwhile), pin!(flood)).await;
}

#[rocket::async_test]
async fn sr_22_a_signed_in_stranger_who_confirms_does_not_keep_a_known_device_out() {
    let right = json!({ "password": PASSWORD });
    a_signed_in_stranger_sends(Post, "/api/v1/auth/reauthenticate", right).await;
}

#[rocket::async_test]
async fn sr_22_a_signed_in_stranger_who_changes_passwords_does_not_keep_a_known_device_out() {
    let weak = json!({ "current_password": PASSWORD, "new_password": "short" });
    a_signed_in_stranger_sends(Put, "/api/v1/me/password", weak).await;
}

#[rocket::async_test]
async fn sr_22_a_signed_in_stranger_who_guesses_does_not_keep_a_known_device_out() {
    a_signed_in_stranger_sends(Delete, "/api/v1/me", json!({ "password": WRONG })).await;
}

/// The limits alone do not explain it: with all of them off, turns go round.
#[rocket::async_test]
async fn sr_22_turns_go_round_among_accounts_where_nothing_is_limited() {
    let make =
        |config, world| build(config, World { hash_cost: None, ..world }).expect("an application");
    let app = TestApp::boot_made(Backend::SqliteEmbedded, &[], make).await;
    app.register("ada@example.org").await;
    let mallory = app.stranger();
    mallory.register("mallory@example.org").await;
    let refused = AtomicUsize::new(0);
    let flood = join_all((0..96).map(|_| async {
        loop {
            let right = json!({ "password": PASSWORD });
            let visitor = mallory.copy();
            let token = visitor.cookie(ACCESS).expect("a token");
            let ask = visitor.bearer(Post, "/api/v1/auth/reauthenticate", &token).json(&right);
            if ask.send().await.status.code == 503 {
                refused.fetch_add(1, Ordering::SeqCst);
            }
            yield_now().await;
        }
    }));
    let meanwhile = async {
        while refused.load(Ordering::SeqCst) == 0 {
            yield_now().await;
        }
        for _ in 0..6 {
            app.log_in("ada@example.org").await;
            app.refresh().await.expect(200);
        }
    };
    select(pin!(meanwhile), pin!(flood)).await;
}
