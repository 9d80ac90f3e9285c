//! What the server does by itself while it runs.

use std::sync::{Arc, Weak};

use rocket::fairing::{AdHoc, Fairing};

use crate::audit::{Audit, Entry, Kind, Origin};
use crate::token::key::Keys;

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
        rocket::tokio::time::sleep(Keys::TEND_EVERY).await;
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
