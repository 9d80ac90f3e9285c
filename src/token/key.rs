//! Keys: the pair that signs tokens, and the secret from which the server's other keys come.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::id::{Random, SecretString, base64url, random_bytes, sha256};

/// A key that cannot be used, and why; for the operator, at start.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is no PKCS#8 PEM of an Ed25519 key.
    #[error(
        "not an Ed25519 private key in PKCS#8 PEM form (make one with: openssl genpkey -algorithm ed25519)"
    )]
    NotEd25519,
    /// The master secret has too little in it.
    #[error(
        "the secret must be base64 of at least 32 random bytes (make one with: openssl rand -base64 32)"
    )]
    WeakSecret,
    /// The same byte, again and again: not a secret.
    #[error("the secret is not random")]
    NotRandom,
}

/// A key pair that signs tokens with EdDSA over Ed25519 (RFC 8037).
pub struct SigningKey {
    id: String,
    public: Vec<u8>,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl SigningKey {
    /// Reads a private key: PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`KeyError::NotEd25519`] for anything else.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let der = pkcs8_of(pem).ok_or(KeyError::NotEd25519)?;
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| KeyError::NotEd25519)?;
        let encoding = EncodingKey::from_ed_der(&der);
        let public = pair.public_key().as_ref().to_vec();
        let x = base64url(&public);
        let decoding = DecodingKey::from_ed_components(&x).map_err(|_| KeyError::NotEd25519)?;
        // RFC 7638: the required members in lexicographic order, without white space.
        let id = sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        Ok(Self { id, public, encoding, decoding })
    }

    /// Makes a new private key: PKCS#8 in PEM, to be kept in a file that only the server reads.
    ///
    /// # Errors
    /// [`Error::Internal`] if the generator fails.
    pub fn generate_pem() -> Result<SecretString> {
        let pair = Ed25519KeyPair::generate().map_err(Error::internal)?;
        let der = pair.to_pkcs8v1().map_err(Error::internal)?;
        let body = Zeroizing::new(STANDARD.encode(der.as_ref()));
        Ok(SecretString::new(format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            *body
        )))
    }

    /// The `kid`: the key's RFC 7638 thumbprint.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The `alg` of every token of this key (SR-30: one algorithm a key).
    pub fn algorithm_name(&self) -> &'static str {
        "EdDSA"
    }

    /// The public half as a JWK (RFC 7517, RFC 8037 §2).
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP", "crv": "Ed25519", "x": base64url(&self.public),
            "use": "sig", "alg": self.algorithm_name(), "kid": self.id,
        })
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<String> {
        jsonwebtoken::crypto::sign(message, &self.encoding, Algorithm::EdDSA)
            .map_err(Error::internal)
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.decoding, Algorithm::EdDSA)
            .unwrap_or(false)
    }
}

/// The DER inside a PEM block of type `PRIVATE KEY` (RFC 7468 §10).
fn pkcs8_of(pem: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = pem.expose().split_once("-----BEGIN PRIVATE KEY-----")?;
    let (body, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    let body: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}

/// The keys of this server: one signs, all verify.
pub struct KeyRing {
    signing: SigningKey,
}

impl KeyRing {
    /// A ring with this key alone.
    pub fn new(signing: SigningKey) -> Self {
        Self { signing }
    }

    /// The key that signs.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// The key with this `kid`: an exact look-up in memory, whatever the text is (SR-31).
    pub fn find(&self, kid: &str) -> Option<&SigningKey> {
        (self.signing.id == kid).then_some(&self.signing)
    }

    /// The public keys as a JWK set (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.signing.jwk()] })
    }
}

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
        let bytes = crate::id::from_base64url(&canonical).ok_or(KeyError::WeakSecret)?;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Os;

    #[test]
    fn a_generated_key_reads_back_and_its_id_is_the_rfc_7638_thumbprint() {
        let key = SigningKey::from_pem(&SigningKey::generate_pem().unwrap()).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert!(key.verifies(b"message", &signature));
        assert!(!key.verifies(b"massage", &signature));
        assert_eq!(key.id().len(), 43);
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_8037_appendix_a_3() {
        // The key pair of RFC 8037 appendix A.1, wrapped as PKCS#8.
        let seed =
            crate::id::from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let der = [&[48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32][..], &seed].concat();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der)
        );
        let key = SigningKey::from_pem(&SecretString::new(pem)).unwrap();
        assert_eq!(key.id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn sr_76_weak_secrets_are_refused() {
        for weak in ["", "hunter2", "c2hvcnQ=", &STANDARD.encode([7; 32])] {
            assert!(MasterSecret::from_base64(&SecretString::new(weak)).is_err(), "{weak}");
        }
        assert!(MasterSecret::from_base64(&MasterSecret::generate_base64(&Os)).is_ok());
    }
}
