//! The secret from which the server's other keys come, and what is sealed under it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::KeyError;
use crate::error::{Error, Result};
use crate::id::{Random, SecretString, base64url, from_base64url, random_bytes};
use crate::private_file::BYTE_ORDER_MARK;

/// The fewest bytes of a secret (SR-76).
const MIN_BYTES: usize = 32;

/// The bytes of a secret: base64 in either alphabet, padded or not, of at least 32 bytes. Lines may be broken
/// anywhere: they are no part of it.
///
/// # Errors
/// [`KeyError::WeakSecret`].
pub fn strong_bytes(text: &SecretString) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let weak = |what: String| Err(KeyError::WeakSecret(what));
    let mut canonical = Zeroizing::new(String::with_capacity(text.expose().len()));
    canonical.extend(text.expose().chars().filter(|c| !c.is_ascii_whitespace()).map(|c| match c {
        '+' => '-',
        '/' => '_',
        other => other,
    }));
    let bare = canonical.trim_start_matches(BYTE_ORDER_MARK).trim_end_matches('=');
    let bytes = from_base64url(bare).map(Zeroizing::new).filter(|_| !bare.is_empty());
    let Some(bytes) = bytes else {
        return weak(why_not_base64(text.expose()));
    };
    // Text in hexadecimal is valid base64 as well, with half as much in it as it seems.
    let in_hex = bare.bytes().all(|b| b.is_ascii_hexdigit()).then_some(bare.len() / 2);
    let content = in_hex.unwrap_or(bytes.len());
    if content < MIN_BYTES {
        let hex = if in_hex.is_some() { "it is hexadecimal and " } else { "it " };
        return weak(format!("{hex}holds {content} bytes, fewer than {MIN_BYTES}"));
    }
    // 32 random bytes hold about 30 different ones; fewer than 16 does not happen by chance.
    let distinct: std::collections::BTreeSet<u8> = bytes.iter().copied().collect();
    if distinct.len() < MIN_BYTES / 2 {
        return weak("it is not random, it looks like a placeholder".to_owned());
    }
    Ok(bytes)
}

/// What keeps a text from being base64. Names no character of it but those that cannot be seen.
fn why_not_base64(text: &str) -> String {
    let text = text.trim();
    let quote = |mark: char| text.len() > 1 && text.starts_with(mark) && text.ends_with(mark);
    let invisible = |c: &char| !c.is_ascii() || c.is_ascii_control();
    if text.is_empty() {
        "it is empty".to_owned()
    } else if text.contains("-----BEGIN ") {
        "it is not base64 but PEM: that belongs into `keys.signing`".to_owned()
    } else if quote('"') || quote('\'') {
        "it is not base64: it stands in quotes; leave them out".to_owned()
    } else if let Some(c) = text.chars().filter(|c| !c.is_ascii_whitespace()).find(invisible) {
        format!("it is not base64: it holds the character U+{:04X}", u32::from(c))
    } else {
        "it is not base64".to_owned()
    }
}

/// The secret that all replicas share, from which keys for single purposes are derived.
pub struct MasterSecret(hkdf::Prk);

impl MasterSecret {
    /// Reads the secret, as [`strong_bytes`] does.
    ///
    /// # Errors
    /// [`KeyError::WeakSecret`].
    pub fn from_base64(text: &SecretString) -> Result<Self, KeyError> {
        Ok(Self::from_bytes(&strong_bytes(text)?))
    }

    /// A fresh secret as [`MasterSecret::from_base64`] reads it.
    pub fn generate_base64(random: &dyn Random) -> SecretString {
        let bytes = Zeroizing::new(random_bytes::<32>(random));
        SecretString::new(STANDARD.encode(*bytes))
    }

    /// A fresh secret.
    pub fn generate(random: &dyn Random) -> Self {
        Self::from_bytes(&random_bytes::<32>(random))
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA256, b"doorward").extract(bytes))
    }

    /// A key for one purpose alone (HKDF, RFC 5869).
    pub fn derive(&self, purpose: &'static [u8]) -> hmac::Key {
        let parts = [purpose];
        let okm = self.0.expand(&parts, hmac::HMAC_SHA256);
        // The length is that of the hash itself, which HKDF can always fill.
        hmac::Key::from(okm.expect("HKDF gives one block"))
    }

    /// What seals secrets for one purpose alone.
    ///
    /// # Errors
    /// [`Error::Internal`] if the cipher does not take the key.
    pub fn sealing(&self, purpose: &'static [u8]) -> Result<Sealing> {
        let mut key = Zeroizing::new([0; 32]);
        let parts = [purpose];
        let okm = self.0.expand(&parts, &AES_256_GCM).map_err(Error::internal)?;
        okm.fill(&mut *key).map_err(Error::internal)?;
        RandomizedNonceKey::new(&AES_256_GCM, &*key).map(Sealing).map_err(Error::internal)
    }
}

/// Seals secrets so that they can be kept where others may read: AES-256-GCM (NIST SP 800-38D) with a
/// random nonce, under a key that only holders of the [`MasterSecret`] can derive.
pub struct Sealing(RandomizedNonceKey);

impl Sealing {
    /// Seals `secret` under the name `name`: base64url of nonce, ciphertext and tag.
    ///
    /// # Errors
    /// [`Error::Internal`] if the cipher fails.
    pub fn seal(&self, name: &str, secret: &SecretString) -> Result<String> {
        // Room for the tag as well: a buffer that grew would leave a copy of the secret behind.
        let clear = secret.expose().as_bytes();
        let mut buffer = Zeroizing::new(Vec::with_capacity(clear.len() + AES_256_GCM.tag_len()));
        buffer.extend_from_slice(clear);
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut *buffer)
            .map_err(Error::internal)?;
        Ok(base64url([nonce.as_ref(), buffer.as_slice()].concat()))
    }

    /// Opens what was sealed under this name; `None` under another name or secret, or if it was
    /// altered.
    pub fn open(&self, name: &str, sealed: &str) -> Option<SecretString> {
        let mut bytes = Zeroizing::new(from_base64url(sealed)?);
        let (nonce, buffer) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let clear = self.0.open_in_place(nonce, Aad::from(name.as_bytes()), buffer).ok()?;
        std::str::from_utf8(clear).ok().map(SecretString::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Os;

    fn read(text: &str) -> Result<Vec<u8>, String> {
        let bytes = strong_bytes(&SecretString::new(text));
        bytes.map(|bytes| bytes.to_vec()).map_err(|error| error.to_string())
    }

    #[test]
    fn sr_76_weak_secrets_are_refused() {
        for (weak, why) in [
            ("", "empty"),
            ("hunter2!", "not base64"),
            ("c2hvcnQ=", "holds 5 bytes"),
            (&STANDARD.encode([7; 32]), "placeholder"),
            (
                "0123456789abcdef0123456789abcdef0123456789abcdef",
                "it is hexadecimal and holds 24 bytes",
            ),
            ("\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"", "quotes"),
            ("AAECAwQFBgcICQoLDA0ODxAREhM\u{200b}UFRYXGBkaGxwdHh8=", "U+200B"),
            ("-----BEGIN PRIVATE KEY-----", "keys.signing"),
        ] {
            let error = read(weak).unwrap_err();
            assert!(error.contains(why) && error.contains("doorward keys generate"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(MasterSecret::from_base64(&MasterSecret::generate_base64(&Os)).is_ok());
        let of = |length: u8, distinct: u8| {
            read(&STANDARD.encode((0..length).map(|n| n % distinct).collect::<Vec<u8>>()))
        };
        assert!(of(32, 16).is_ok() && of(48, 48).is_ok());
        assert!(of(31, 31).is_err_and(|error| error.contains("holds 31 bytes")));
        assert!(of(48, 15).is_err_and(|error| error.contains("placeholder")));
    }

    #[test]
    fn a_secret_is_the_same_however_its_base64_is_written() {
        let bytes: Vec<u8> = (0..96).map(|n: u8| n.wrapping_mul(151).wrapping_add(62)).collect();
        let text = STANDARD.encode(&bytes);
        assert!(text.contains('+') && text.contains('/'));
        let (start, end) = text.split_at(64);
        for written in [
            format!("{start}\n{end}\n"),
            format!("{start}\r\n{end}\r\n"),
            format!("{start} \t\n  {end}"),
            format!("\u{feff}{text}"),
            text.replace('+', "-").replace('/', "_"),
            text.trim_end_matches('=').to_owned(),
        ] {
            assert_eq!(read(&written).as_ref(), Ok(&bytes), "{written:?}");
        }
        // What `openssl rand -hex 32` gives is read as the base64 that it is, too, and is strong enough.
        let hex = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        assert_eq!(read(hex).map(|bytes| bytes.len()), Ok(48));
    }

    #[test]
    fn sr_39_what_is_sealed_opens_under_its_own_name_and_secret_alone() {
        let master = MasterSecret::generate(&Os);
        let sealing = master.sealing(b"test").unwrap();
        let secret = SecretString::new("marzipan");
        let sealed = sealing.seal("kid", &secret).unwrap();
        assert_eq!(sealing.open("kid", &sealed).unwrap().expose(), "marzipan");
        assert_ne!(sealed, sealing.seal("kid", &secret).unwrap(), "the nonce is fresh each time");

        let mut altered = from_base64url(&sealed).unwrap();
        altered[14] ^= 1;
        let others = MasterSecret::generate(&Os).sealing(b"test").unwrap();
        assert!(sealing.open("other", &sealed).is_none());
        assert!(sealing.open("kid", &base64url(altered)).is_none());
        assert!(sealing.open("kid", "").is_none());
        assert!(others.open("kid", &sealed).is_none());
        assert!(master.sealing(b"other").unwrap().open("kid", &sealed).is_none());
    }
}
