//! What the server does by itself while it runs.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rocket::fairing::{AdHoc, Fairing};
use rocket::tokio::time::sleep;

use crate::audit::{Audit, Entry, Kind, Origin};
use crate::session::Sessions;
use crate::token::key::Keys;

/// How often a part of the list of all sessions is looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Follows the signing keys of the other replicas, and rotates them when it is time.
pub(super) fn keys() -> impl Fairing {
    AdHoc::on_liftoff("Signing keys", |rocket| {
        Box::pin(async move {
            let services = rocket.state::<Arc<Keys>>().zip(rocket.state::<Arc<Audit>>());
            if let Some((keys, audit)) = services {
                rocket::tokio::spawn(tend_keys(Arc::downgrade(keys), Arc::downgrade(audit)));
            }
        })
    })
}

/// Ends when the server has ended. While the database is away the keys stay as they are, and the log
/// says so once.
async fn tend_keys(keys: Weak<Keys>, audit: Weak<Audit>) {
    let mut failing = false;
    loop {
        sleep(Keys::TEND_EVERY).await;
        let Some(keys) = keys.upgrade() else { return };
        let outcome = keys.tend().await;
        if let (Ok(Some(key)), Some(audit)) = (&outcome, audit.upgrade()) {
            let event = Entry::of(Kind::KeyRotated).detail(format!("next key {}", key.id));
            Origin::server().scope(audit.record(event)).await;
        }
        match &outcome {
            Ok(_) if failing => tracing::info!("the signing keys can be read again"),
            Err(error) if !failing => {
                let cause = std::error::Error::source(error);
                let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
                tracing::error!(cause, "the signing keys cannot be read; they stay as they are");
            }
            _ => {}
        }
        failing = outcome.is_err();
    }
}

/// Walks through the list of all sessions, so that those which ended by themselves leave it.
pub(super) fn sessions() -> impl Fairing {
    AdHoc::on_liftoff("Sessions", |rocket| {
        Box::pin(async move {
            if let Some(sessions) = rocket.state::<Arc<Sessions>>() {
                rocket::tokio::spawn(sweep_sessions(Arc::downgrade(sessions)));
            }
        })
    })
}

/// Ends when the server has ended. While the store is away there is nothing to sweep up.
async fn sweep_sessions(sessions: Weak<Sessions>) {
    let mut after = None;
    loop {
        sleep(SWEEP_EVERY).await;
        let Some(sessions) = sessions.upgrade() else { return };
        if let Ok(next) = sessions.sweep(after.clone()).await {
            after = next;
        }
    }
}
