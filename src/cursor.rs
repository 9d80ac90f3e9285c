//! What every list takes: how many things stand on a page, and where it goes on (SR-54).

use crate::error::{Error, Result};

/// How many things are on a page, if nobody says.
pub const DEFAULT_LIMIT: u32 = 50;
/// How many things a page may hold.
pub const MAX_LIMIT: u32 = 200;

/// Reads `limit`.
///
/// # Errors
/// [`Error::Invalid`] unless it is a number from 1 to 200.
pub fn limit(text: Option<&str>) -> Result<u32> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    match text.parse() {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(limit),
        _ => Err(Error::field("limit", "out_of_range", "This must be a number from 1 to 200.")),
    }
}

/// A `cursor` that no list has given.
pub fn unknown() -> Error {
    Error::field("cursor", "invalid_cursor", "This page does not exist.")
}
