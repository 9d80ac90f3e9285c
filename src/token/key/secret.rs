//! The secret from which the server's other keys come, and what is sealed under it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::KeyError;
use crate::error::{Error, Result};
use crate::id::{Random, SecretString, base64url, from_base64url, random_bytes};

/// The secret that all replicas share, from which keys for single purposes are derived.
pub struct MasterSecret(hkdf::Prk);

impl MasterSecret {
    /// Reads the secret: base64 (either alphabet) of at least 32 bytes.
    ///
    /// # Errors
    /// [`KeyError::WeakSecret`], [`KeyError::NotRandom`].
    pub fn from_base64(text: &SecretString) -> Result<Self, KeyError> {
        let canonical: Zeroizing<String> = Zeroizing::new(
            text.expose()
                .trim()
                .trim_end_matches('=')
                .chars()
                .map(|c| match c {
                    '+' => '-',
                    '/' => '_',
                    other => other,
                })
                .collect(),
        );
        let bytes = from_base64url(&canonical).ok_or(KeyError::WeakSecret)?;
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < 32 {
            return Err(KeyError::WeakSecret);
        }
        let distinct: std::collections::BTreeSet<u8> = bytes.iter().copied().collect();
        if distinct.len() < 8 {
            return Err(KeyError::NotRandom);
        }
        Ok(Self::from_bytes(&bytes))
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

    #[test]
    fn sr_76_weak_secrets_are_refused() {
        for weak in ["", "hunter2", "c2hvcnQ=", &STANDARD.encode([7; 32])] {
            assert!(MasterSecret::from_base64(&SecretString::new(weak)).is_err(), "{weak}");
        }
        assert!(MasterSecret::from_base64(&MasterSecret::generate_base64(&Os)).is_ok());
        let of = |length: u8, distinct: u8| {
            let bytes: Vec<u8> = (0..length).map(|n| n % distinct).collect();
            MasterSecret::from_base64(&SecretString::new(STANDARD.encode(bytes))).err()
        };
        assert!(of(32, 8).is_none() && of(48, 48).is_none());
        assert!(matches!(of(31, 31), Some(KeyError::WeakSecret)));
        assert!(matches!(of(48, 7), Some(KeyError::NotRandom)));
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
