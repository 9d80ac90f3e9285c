//! Secrets: read as people write them, and strong enough to be worth it.

use std::path::Path;

use crate::id::SecretString;
use crate::private_file;
use crate::token::key::{SigningKey, strong_bytes};

/// Reads a secret from a file; with `private`, one that nobody else can read (SR-39).
pub(super) fn read(path: &str, private: bool) -> Result<SecretString, String> {
    let secret = private_file::read(Path::new(path), private)?;
    secret.ok_or_else(|| format!("the file {path} cannot be read: there is no such file"))
}

/// A secret that stands in a setting or a variable, without what the shell or an editor put around it.
pub(super) fn given(text: &str) -> SecretString {
    SecretString::new(private_file::without_margin(text))
}

/// Refuses a secret that is short, or that nobody drew at random (SR-76). Never repeats it.
pub(super) fn check_strength(secret: &SecretString) -> Result<(), String> {
    strong_bytes(secret).map(|_| ()).map_err(|error| error.to_string())
}

/// Refuses a text that is no Ed25519 or P-256 private key in PKCS#8, PEM (RFC 8410 §7, SR-30). Never
/// repeats it.
pub(super) fn check_signing_key(pem: &SecretString) -> Result<(), String> {
    SigningKey::from_pem(pem).map(|_| ()).map_err(|error| error.to_string())
}

/// Refuses what is no URL whatever its scheme. Never repeats it.
pub(super) fn check_url(url: &SecretString) -> Result<(), String> {
    let text = url.expose();
    let quoted = |mark: char| text.len() > 1 && text.starts_with(mark) && text.ends_with(mark);
    if quoted('"') || quoted('\'') {
        return Err("stands in quotes; leave them out".to_owned());
    }
    match text.chars().find(|c| c.is_control()) {
        Some('\n' | '\r') => Err("has more than one line".to_owned()),
        Some(c) => Err(format!("holds the control character U+{:04X}", u32::from(c))),
        None => Ok(()),
    }
}
