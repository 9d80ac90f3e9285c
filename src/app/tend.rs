//! What the server does by itself while it runs.

use std::sync::{Arc, Weak};

use rocket::fairing::{AdHoc, Fairing};

use crate::token::key::Keys;

/// Follows the signing keys of the other replicas, and rotates them when it is time.
pub(super) fn keys() -> impl Fairing {
    AdHoc::on_liftoff("Signing keys", |rocket| {
        Box::pin(async move {
            if let Some(keys) = rocket.state::<Arc<Keys>>() {
                rocket::tokio::spawn(tend_keys(Arc::downgrade(keys)));
            }
        })
    })
}

/// Ends when the server has ended. While the database is away the keys stay as they are, and the log
/// says so once.
async fn tend_keys(keys: Weak<Keys>) {
    let mut failing = false;
    loop {
        rocket::tokio::time::sleep(Keys::TEND_EVERY).await;
        let Some(keys) = keys.upgrade() else { return };
        let outcome = keys.tend().await;
        match &outcome {
            Ok(()) if failing => tracing::info!("the signing keys can be read again"),
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
