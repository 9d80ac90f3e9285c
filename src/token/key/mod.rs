//! Keys: the pairs that sign tokens, how one follows the other, and the secret behind the rest.

mod pem;
mod ring;
mod rotation;
mod secret;
mod store;

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::DecodingKey;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::id::{SecretString, base64url, sha256};

pub use ring::{KeyRing, KeyState, KeyView};
pub use rotation::{KeyPolicy, Keys, Start};
pub use secret::{MasterSecret, Sealing, strong_bytes};
pub use store::{KeyRecord, KeyStore};

/// A key that cannot be used, and why; for the operator, at start.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is no PKCS#8 PEM of a key of a kind that signs here (SR-30).
    #[error("{0}; make one with: doorward keys generate")]
    NotASigningKey(&'static str),
    /// The secret is no base64, or has too little in it. Says what, and never repeats it.
    #[error("{0}; make one with: doorward keys generate")]
    WeakSecret(String),
    /// The database holds a key that this master secret does not open.
    #[error(
        "the signing key {0} in the database was sealed under another `keys.secret`; \
         give the server the secret that it had then (docs/keys.md says what to do if it is lost)"
    )]
    Sealed(String),
    /// The database holds an algorithm or a key of a newer release.
    #[error("the signing key {0} in the database is of a kind that this release does not know")]
    Unknown(String),
    /// The store of the keys did not answer, or a key could not be made.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// How a key signs (SR-30): a property of the key, never of a token's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(inline, description = "How a key signs.")]
pub enum Algorithm {
    /// EdDSA over Ed25519 (RFC 8037).
    #[default]
    #[schemars(rename = "EdDSA")]
    EdDsa,
    /// ECDSA over P-256 with SHA-256 (RFC 7518 §3.4), for services that do not know EdDSA.
    #[schemars(rename = "ES256")]
    Es256,
}

impl Algorithm {
    /// The `alg` of its tokens and keys (RFC 7518 §3.1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }

    /// The algorithm of this name, in upper or lower case.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::EdDsa, Self::Es256].into_iter().find(|one| one.as_str().eq_ignore_ascii_case(name))
    }

    /// The algorithm that somebody chose for the next key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for `algorithm`.
    pub fn chosen(name: &str) -> Result<Self> {
        Self::parse(name).ok_or_else(|| {
            Error::field("algorithm", "unknown_algorithm", "This must be EdDSA or ES256.")
        })
    }

    /// Makes a new private key of this kind: PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`Error::Internal`] if the generator fails.
    pub fn generate_pem(self) -> Result<SecretString> {
        let body = match self {
            Self::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(Error::internal)?;
                Zeroizing::new(STANDARD.encode(pair.to_pkcs8v1().map_err(Error::internal)?))
            }
            Self::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(Error::internal)?;
                Zeroizing::new(STANDARD.encode(pair.to_pkcs8v1().map_err(Error::internal)?))
            }
        };
        Ok(SecretString::new(format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            *body
        )))
    }

    fn jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key pair that signs tokens, with the one algorithm that it is made for.
pub struct SigningKey {
    id: String,
    algorithm: Algorithm,
    jwk: Value,
    pair: Pair,
    decoding: DecodingKey,
}

/// The two halves as they were read, once: a `jsonwebtoken::EncodingKey` is read for each signature,
/// which takes as long as the signature.
enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// What is wrong with a key that is none of ours.
const UNFIT: &str = "it is not an Ed25519 or P-256 key in PKCS#8";

impl SigningKey {
    /// Reads a private key: PKCS#8 in PEM.
    ///
    /// # Errors
    /// [`KeyError::NotASigningKey`] for anything but an Ed25519 or a P-256 key.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let der = pem::pkcs8_of(pem)?;
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            return Self::ed25519(pair);
        }
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map_err(|_| KeyError::NotASigningKey(UNFIT))?;
        Self::p256(pair)
    }

    fn ed25519(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let x = base64url(pair.public_key());
        let decoding =
            DecodingKey::from_ed_components(&x).map_err(|_| KeyError::NotASigningKey(UNFIT))?;
        // RFC 7638: the required members in lexicographic order, without white space.
        let id = sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let algorithm = Algorithm::EdDsa;
        let jwk = json!({
            "kty": "OKP", "crv": "Ed25519", "x": x,
            "use": "sig", "alg": algorithm.as_str(), "kid": id,
        });
        Ok(Self { id, algorithm, jwk, pair: Pair::Ed25519(pair), decoding })
    }

    fn p256(pair: EcdsaKeyPair) -> Result<Self, KeyError> {
        // The uncompressed point of SEC 1 §2.3.3: 0x04, x, y.
        let point = pair.public_key().as_ref().strip_prefix(&[4]).filter(|point| point.len() == 64);
        let (x, y) = point.ok_or(KeyError::NotASigningKey(UNFIT))?.split_at(32);
        let (x, y) = (base64url(x), base64url(y));
        let decoding =
            DecodingKey::from_ec_components(&x, &y).map_err(|_| KeyError::NotASigningKey(UNFIT))?;
        let id = sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        let algorithm = Algorithm::Es256;
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "use": "sig", "alg": algorithm.as_str(), "kid": id,
        });
        Ok(Self { id, algorithm, jwk, pair: Pair::P256(pair), decoding })
    }

    /// Makes a new private key of the default kind, Ed25519: PKCS#8 in PEM, to be kept in a file
    /// that only the server reads.
    ///
    /// # Errors
    /// [`Error::Internal`] if the generator fails.
    pub fn generate_pem() -> Result<SecretString> {
        Algorithm::default().generate_pem()
    }

    /// The `kid`: the key's RFC 7638 thumbprint.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it signs (SR-30: one algorithm a key).
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half as a JWK (RFC 7517; RFC 8037 §2 or RFC 7518 §6.2).
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// The signature of a message, in base64url (RFC 7515 §3.1).
    pub(super) fn sign(&self, message: &[u8]) -> Result<String> {
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(message),
            Pair::P256(pair) => {
                pair.sign(&SystemRandom::new(), message).map_err(Error::internal)?
            }
        };
        Ok(base64url(signature))
    }

    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let algorithm = self.algorithm.jsonwebtoken();
        jsonwebtoken::crypto::verify(signature, message, &self.decoding, algorithm).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
