//! A change of the signing key that somebody asks for, and that is recorded.

use super::{Audit, Entry, Kind};
use crate::error::{Error, Result};
use crate::token::key::{Algorithm, KeyView, Keys, Start};

/// Has a new key made in the place of all that the database has lost. The key of the configuration is
/// no better than they were: it may have been withdrawn, because others know it, and what says so is
/// lost with them.
///
/// # Errors
/// As [`Keys::rotate`].
pub async fn replace_lost(keys: &Keys, audit: &Audit) -> Result<()> {
    tracing::error!(
        "the signing keys are gone from a database that has accounts; everybody has to sign in again"
    );
    match rotate(keys, audit, None, Start::Now).await {
        // Another replica was faster.
        Err(Error::Conflict(_)) => Ok(()),
        done => done.map(drop),
    }
}

/// Has the next key made, for whoever asks for it.
///
/// # Errors
/// As [`Keys::rotate`].
pub async fn rotate(
    keys: &Keys,
    audit: &Audit,
    algorithm: Option<Algorithm>,
    start: Start,
) -> Result<KeyView> {
    let made = keys.rotate(algorithm, start).await?;
    let others = if start == Start::Now { "; all others are withdrawn" } else { "" };
    let event = Entry::of(Kind::KeyRotated).detail(format!("next key {}{others}", made.id));
    audit.record(event).await;
    Ok(made)
}
