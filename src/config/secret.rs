//! Secrets: read from files that nobody else can read, and strong enough to be worth it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::id::SecretString;
use crate::token::key::SigningKey;

/// The largest file that is taken for a secret, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The fewest bytes of a secret (SR-76).
const MIN_SECRET_BYTES: usize = 32;

/// Reads a secret from a file, without one newline at its end.
///
/// With `private`, a file that others can read is refused (SR-39): nobody but the owner may have access,
/// save that the group may read a file that belongs to root, as secrets are mounted into containers.
pub(super) fn read(path: &str, private: bool) -> Result<SecretString, String> {
    let cannot = |error: std::io::Error| format!("the file {path} cannot be read: {error}");
    // Asked before it is opened: to open a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(format!("{path} is not a file"));
    }
    let file = File::open(Path::new(path)).map_err(cannot)?;
    if private {
        refuse_readable_by_others(path, &file.metadata().map_err(cannot)?)?;
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(cannot)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("the file {path} is larger than 64 KiB: that is no secret"));
    }
    let trimmed = text.strip_suffix('\n').unwrap_or(&text);
    let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed);
    if trimmed.is_empty() {
        return Err(format!("the file {path} is empty"));
    }
    Ok(SecretString::new(trimmed))
}

#[cfg(unix)]
fn refuse_readable_by_others(path: &str, metadata: &std::fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;

    let mode = metadata.mode() & 0o7777;
    if is_private(mode, metadata.uid()) {
        return Ok(());
    }
    Err(format!("others can read the file {path} (mode {mode:04o}); run: chmod 600 {path}"))
}

/// Whether nobody but the owner may use a file, or its group may only read what belongs to root.
#[cfg(unix)]
fn is_private(mode: u32, owner: u32) -> bool {
    const ROOT: u32 = 0;
    mode & 0o077 == 0 || (owner == ROOT && mode & 0o037 == 0)
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_path: &str, _metadata: &std::fs::Metadata) -> Result<(), String> {
    Ok(())
}

/// The bytes behind base64, with the usual or the URL alphabet, padded or not.
pub(super) fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text.trim()).ok())
        .map(Zeroizing::new)
}

/// Refuses a secret that is short, or that nobody drew at random (SR-76). Never repeats it.
pub(super) fn check_strength(secret: &SecretString) -> Result<(), String> {
    const HOW: &str = "make one with: openssl rand -base64 32";
    let bytes = from_base64(secret.expose()).ok_or_else(|| format!("it is not base64; {HOW}"))?;
    if bytes.len() < MIN_SECRET_BYTES {
        return Err(format!(
            "it holds {} bytes, fewer than {MIN_SECRET_BYTES}; {HOW}",
            bytes.len()
        ));
    }
    // 32 random bytes hold about 30 different ones; fewer than 16 does not happen by chance.
    let different: std::collections::HashSet<u8> = bytes.iter().copied().collect();
    if different.len() < MIN_SECRET_BYTES / 2 {
        return Err(format!("it is not random, it looks like a placeholder; {HOW}"));
    }
    Ok(())
}

/// Refuses a text that is no Ed25519 or P-256 private key in PKCS#8, PEM (RFC 8410 §7, SR-30). Never
/// repeats it.
pub(super) fn check_signing_key(pem: &SecretString) -> Result<(), String> {
    const HOW: &str = "make one with: openssl genpkey -algorithm ed25519 -out signing.pem";
    let lines: Vec<&str> = pem.expose().trim().lines().map(str::trim).collect();
    let ["-----BEGIN PRIVATE KEY-----", body @ .., "-----END PRIVATE KEY-----"] = lines.as_slice()
    else {
        return Err(format!("it is not a private key in PEM (PKCS#8); {HOW}"));
    };
    let body = Zeroizing::new(body.concat());
    from_base64(&body).ok_or_else(|| format!("its PEM is damaged; {HOW}"))?;
    SigningKey::from_pem(pem)
        .map(|_| ())
        .map_err(|_| format!("it is not an Ed25519 or P-256 key in PKCS#8; {HOW}"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::is_private;

    #[test]
    fn sr_39_a_group_may_only_read_what_belongs_to_root() {
        for (mode, owner, private) in [
            (0o600, 1000, true),
            (0o400, 1000, true),
            (0o640, 1000, false),
            (0o440, 0, true),
            (0o640, 0, true),
            (0o660, 0, false),
            (0o444, 0, false),
            (0o604, 1000, false),
        ] {
            assert_eq!(is_private(mode, owner), private, "{mode:o} of {owner}");
        }
    }
}
