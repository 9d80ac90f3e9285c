//! A change of the signing key that somebody asks for, and that is recorded.

use super::{Audit, Entry, Kind};
use crate::error::Result;
use crate::token::key::{Algorithm, KeyView, Keys, Start};

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
