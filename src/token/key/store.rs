//! What a store of signing keys promises.

use async_trait::async_trait;

use super::Algorithm;
use crate::clock::Timestamp;
use crate::error::Result;

/// A signing key as it is kept: its private half is sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its place in the order of keys, from 1: a later key takes over from an earlier one.
    pub number: i64,
    /// Its `kid`.
    pub id: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Its private half, PKCS#8 in PEM, sealed ([`Sealing`](super::Sealing)); `None` once it was erased.
    pub sealed: Option<String>,
    /// When it was made or first seen.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// When it was withdrawn, because it may have become known to others.
    pub withdrawn_at: Option<Timestamp>,
}

/// Keeps the signing keys for all replicas.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// All keys that there have been, erased ones too, by number.
    async fn list(&self) -> Result<Vec<KeyRecord>>;

    /// Adds a key; false, and nothing is changed, if its number or its `kid` is taken.
    ///
    /// Of two calls with one number, exactly one adds its key, whichever replicas make them. With
    /// `withdraw_earlier` all keys of lower numbers are withdrawn at that moment, in the same step;
    /// one that was withdrawn before stays withdrawn since then.
    async fn add(&self, key: &KeyRecord, withdraw_earlier: Option<Timestamp>) -> Result<bool>;

    /// Erases the private half of the key of this number for good. That there was such a key is
    /// kept, so that it does not come back.
    async fn erase(&self, number: i64) -> Result<()>;
}
