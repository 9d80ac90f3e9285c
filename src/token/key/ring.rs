//! The keys of this server in memory: which one signs, and which ones still verify.

use serde_json::{Value, json};

use super::rotation::KeyPolicy;
use super::{Algorithm, KeyError, KeyRecord, Sealing, SigningKey};
use crate::clock::Timestamp;
use crate::token::LEEWAY;

/// Where a key is in its life (SR-39).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline, description = "Where a key is in its life.")]
pub enum KeyState {
    /// Published, so that everybody knows it before it signs.
    Next,
    /// It signs.
    Current,
    /// Its last access tokens are running out; published until then.
    Retiring,
    /// Not published; good for nothing but the refresh tokens that it signed.
    Retired,
    /// As retired, but taken out of use at once because others may know it.
    Withdrawn,
    /// Its private half is gone, and every token of it has run out.
    Erased,
}

impl KeyState {
    /// The state's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Withdrawn => "withdrawn",
            Self::Erased => "erased",
        }
    }
}

/// A key as an operator sees it: nothing of its private half.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// Its `kid`.
    pub id: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made or first seen.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
    /// When it stops, if a later key is known.
    pub stops_at: Option<Timestamp>,
    /// Until when access tokens of it are good, and it is published.
    pub access_until: Option<Timestamp>,
    /// Until when refresh tokens of it are good.
    pub refresh_until: Option<Timestamp>,
}

/// The moments of a key's life, which follow from the keys after it: every replica with the same
/// records and the same configuration finds the same ones.
#[derive(Clone, Copy)]
struct Life {
    signs_from: Timestamp,
    withdrawn: bool,
    stops_at: Option<Timestamp>,
    access_until: Option<Timestamp>,
    refresh_until: Option<Timestamp>,
}

impl Life {
    fn of(record: &KeyRecord, later: &[KeyRecord], policy: &KeyPolicy) -> Self {
        // One that was withdrawn before it signed makes no difference: the key that took its place
        // signs from that moment on.
        let successor = later.iter().map(|key| key.signs_from).min();
        let stops_at = [successor, record.withdrawn_at].into_iter().flatten().min();
        let access_until = record
            .withdrawn_at
            .or_else(|| stops_at.map(|stop| stop + policy.access_lifetime + LEEWAY));
        let refresh_until = stops_at.map(|stop| stop + policy.refresh_lifetime + LEEWAY);
        Self {
            signs_from: record.signs_from,
            withdrawn: record.withdrawn_at.is_some(),
            stops_at,
            access_until,
            refresh_until,
        }
    }

    fn state(&self, now: Timestamp) -> KeyState {
        if self.withdrawn {
            KeyState::Withdrawn
        } else if now < self.signs_from {
            KeyState::Next
        } else if self.stops_at.is_none_or(|at| now < at) {
            KeyState::Current
        } else if self.is_public(now) {
            KeyState::Retiring
        } else {
            KeyState::Retired
        }
    }

    /// Whether access tokens of the key are good, and services that verify must know it.
    fn is_public(&self, now: Timestamp) -> bool {
        !self.withdrawn && self.access_until.is_none_or(|until| now < until)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.refresh_until.is_some_and(|until| now >= until)
    }
}

/// A key of the ring.
pub struct RingKey {
    key: SigningKey,
    life: Life,
}

impl RingKey {
    /// The key itself.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Whether access tokens of this key are good. The clock alone ends that: no poll is waited for.
    pub fn verifies_access(&self, now: Timestamp) -> bool {
        self.life.is_public(now)
    }

    /// Whether refresh tokens of this key are good: for as long as one can live, because a rotation
    /// must not sign anybody out. That a key became known does not open a session either: the store
    /// has to hold the token's digest (SR-34).
    pub fn verifies_refresh(&self, now: Timestamp) -> bool {
        !self.life.is_over(now)
    }
}

/// The keys of this server, as its store holds them: one signs, the others verify for a while.
pub struct KeyRing {
    records: Vec<KeyRecord>,
    lives: Vec<Life>,
    keys: Vec<RingKey>,
}

impl KeyRing {
    /// Opens the keys of a store's records, which are in order of their numbers.
    pub(super) fn open(
        records: Vec<KeyRecord>,
        sealing: &Sealing,
        policy: &KeyPolicy,
    ) -> Result<Self, KeyError> {
        let mut lives = Vec::with_capacity(records.len());
        let mut keys = Vec::new();
        for (position, record) in records.iter().enumerate() {
            let life = Life::of(record, records.get(position + 1..).unwrap_or_default(), policy);
            lives.push(life);
            let Some(sealed) = &record.sealed else { continue };
            let pem = sealing
                .open(&record.id, sealed)
                .ok_or_else(|| KeyError::Sealed(record.id.clone()))?;
            let key = SigningKey::from_pem(&pem)?;
            if key.id() != record.id || key.algorithm() != record.algorithm {
                return Err(KeyError::Unknown(record.id.clone()));
            }
            keys.push(RingKey { key, life });
        }
        Ok(Self { records, lives, keys })
    }

    /// The key that signs; `None` on an empty ring.
    ///
    /// A replica whose clock is behind may find that no key signs yet: then it is the first one.
    pub fn signing(&self, now: Timestamp) -> Option<&SigningKey> {
        let mut usable = self.keys.iter().filter(|key| !key.life.withdrawn);
        let due = usable.clone().rfind(|key| key.life.signs_from <= now);
        due.or_else(|| usable.next()).map(RingKey::key)
    }

    /// The key with this `kid`: an exact look-up in memory, whatever the text is (SR-31).
    pub fn find(&self, kid: &str) -> Option<&RingKey> {
        self.keys.iter().find(|key| key.key.id() == kid)
    }

    /// The public keys as a JWK set (RFC 7517 §5), the one that signs first.
    pub fn jwks(&self, now: Timestamp) -> Value {
        let signing = self.signing(now).map(SigningKey::id);
        let mut public: Vec<&SigningKey> =
            self.keys.iter().filter(|key| key.life.is_public(now)).map(RingKey::key).collect();
        public.sort_by_key(|key| Some(key.id()) != signing);
        json!({ "keys": public.into_iter().map(SigningKey::jwk).collect::<Vec<_>>() })
    }

    /// Every key that there has been, oldest first.
    pub fn views(&self, now: Timestamp) -> Vec<KeyView> {
        let views = self.records.iter().zip(&self.lives).map(|(record, life)| KeyView {
            id: record.id.clone(),
            algorithm: record.algorithm,
            state: if record.sealed.is_some() { life.state(now) } else { KeyState::Erased },
            created_at: record.created_at,
            signs_from: record.signs_from,
            stops_at: life.stops_at,
            access_until: life.access_until,
            refresh_until: life.refresh_until,
        });
        views.collect()
    }

    /// The numbers of the keys whose private half nothing needs any more.
    pub(super) fn spent(&self, now: Timestamp) -> Vec<i64> {
        let pairs = self.records.iter().zip(&self.lives);
        let spent = pairs.filter(|(record, life)| record.sealed.is_some() && life.is_over(now));
        spent.map(|(record, _)| record.number).collect()
    }

    pub(super) fn records(&self) -> &[KeyRecord] {
        &self.records
    }
}
