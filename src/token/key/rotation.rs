//! Rotation: one key follows the other while every replica watches (SR-39).

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Mutex;

use super::ring::{KeyRing, KeyView};
use super::{Algorithm, KeyError, KeyRecord, KeyStore, MasterSecret, Sealing, SigningKey};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, Result};
use crate::id::SecretString;

/// How often a token of an unknown key may have the store asked, so that strangers who make up
/// keys cost next to nothing.
const CATCH_UP_EVERY: Duration = Duration::from_secs(1);
/// The longest that others may keep our public keys without asking again.
const MAX_CACHE: Duration = Duration::from_secs(60 * 60);
/// How often a key is offered to the store while other replicas offer theirs.
const IMPORT_ATTEMPTS: usize = 16;

/// How long each part of a key's life is.
#[derive(Clone, Debug)]
pub struct KeyPolicy {
    /// How long a key is published before it signs.
    pub lead: Duration,
    /// How long a key signs before the next one takes over by itself; `None` for never.
    pub rotate_every: Option<Duration>,
    /// The longest life of an access token.
    pub access_lifetime: Duration,
    /// The longest life of a refresh token.
    pub refresh_lifetime: Duration,
}

/// When a new key begins to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Once everybody knows it.
    AfterLead,
    /// At once, and all other keys are withdrawn: others may know them.
    Now,
}

/// The signing keys of all replicas, and their order.
pub struct Keys {
    store: Arc<dyn KeyStore>,
    sealing: Sealing,
    policy: KeyPolicy,
    clock: Arc<dyn Clock>,
    ring: RwLock<Arc<KeyRing>>,
    last_catch_up: Mutex<Option<CatchUp>>,
}

/// How asking the store because of an unknown key went.
#[derive(Clone, Copy)]
struct CatchUp {
    at: Instant,
    answered: bool,
}

impl Keys {
    /// How often [`Keys::tend`] is to be called. A replica knows of a new key within this time.
    pub const TEND_EVERY: Duration = Duration::from_secs(5);

    /// The keys in `store`. The key `configured` is the first one; if it is not there and others
    /// are, it is added as the next one.
    ///
    /// # Errors
    /// [`KeyError`]: above all [`KeyError::Sealed`] for keys of another master secret.
    pub async fn open(
        store: Arc<dyn KeyStore>,
        master: &MasterSecret,
        configured: &SecretString,
        policy: KeyPolicy,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        let sealing = master.sealing(b"doorward/signing-key/v1")?;
        let key = SigningKey::from_pem(configured)?;
        for _ in 0..IMPORT_ATTEMPTS {
            let records = store.list().await?;
            let known = records.iter().any(|record| record.id == key.id());
            let (now, number) = (clock.now(), next_number(&records));
            let after = |last: &KeyRecord| last.signs_from.max(now + policy.lead);
            let signs_from = records.last().map_or(now, after);
            // Read before anything is written: keys of another master secret are not added to.
            let ring = KeyRing::open(records, &sealing, &policy)?;
            if known {
                let (ring, last_catch_up) = (RwLock::new(Arc::new(ring)), Mutex::default());
                return Ok(Self { store, sealing, policy, clock, ring, last_catch_up });
            }
            let record = record(number, &key, sealing.seal(key.id(), configured)?, now, signs_from);
            if store.add(&record, None).await? {
                tracing::info!(kid = key.id(), %signs_from, "the configured signing key was added");
            }
        }
        Err(Error::internal("other replicas keep adding signing keys").into())
    }

    /// The keys as they were last read.
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The present moment, by the clock that the keys live by.
    pub(in crate::token) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The public keys as a JWK set (RFC 7517 §5), the one that signs first.
    pub fn jwks(&self) -> Value {
        self.ring().jwks(self.clock.now())
    }

    /// How long others may keep the JWK set: half of the lead, so that whoever keeps it that long
    /// knows every key well before it signs.
    pub fn jwks_max_age(&self) -> Duration {
        (self.policy.lead / 2).min(MAX_CACHE)
    }

    /// Every key that there has been, oldest first.
    pub fn list(&self) -> Vec<KeyView> {
        self.ring().views(self.clock.now())
    }

    /// Reads the keys again.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Internal`]: then the keys stay as they were.
    pub async fn reload(&self) -> Result<()> {
        let records = self.store.list().await?;
        if records == self.ring().records() {
            return Ok(());
        }
        if records.is_empty() {
            return Err(Error::internal("the signing keys are gone from the database"));
        }
        let ring = KeyRing::open(records, &self.sealing, &self.policy).map_err(|error| {
            if let KeyError::Failed(error) = error { error } else { Error::internal(error) }
        })?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(())
    }

    /// Reads the keys again, begins a rotation that is due, and erases keys that nothing needs any
    /// more. Returns the key if this call has made one. To be called every [`Keys::TEND_EVERY`]; any number of replicas may do so.
    ///
    /// # Errors
    /// As [`Keys::reload`].
    pub async fn tend(&self) -> Result<Option<KeyView>> {
        self.reload().await?;
        let mut made = None;
        if self.is_due() {
            match self.rotate(None, Start::AfterLead).await {
                Ok(key) => made = Some(key),
                // Another replica was faster.
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let spent = self.ring().spent(self.clock.now());
        for number in &spent {
            self.store.erase(*number).await?;
        }
        if !spent.is_empty() {
            self.reload().await?;
        }
        Ok(made)
    }

    /// Makes the next key, of the same algorithm as the last one unless another is asked for.
    /// Returns what is known of it.
    ///
    /// # Errors
    /// [`Error::Conflict`] while a rotation is under way, unless the new key is to sign now.
    pub async fn rotate(&self, algorithm: Option<Algorithm>, start: Start) -> Result<KeyView> {
        self.reload().await?;
        let ring = self.ring();
        let now = self.clock.now();
        let last = ring.records().last().ok_or_else(|| Error::internal("there is no key"))?;
        let (signs_from, withdraw_earlier) = match start {
            Start::AfterLead if now < last.signs_from => {
                return Err(Error::Conflict("a rotation is under way already"));
            }
            Start::AfterLead => (now + self.policy.lead, None),
            Start::Now => (now, Some(now)),
        };
        let pem = algorithm.unwrap_or(last.algorithm).generate_pem()?;
        let key = SigningKey::from_pem(&pem).map_err(Error::internal)?;
        let sealed = self.sealing.seal(key.id(), &pem)?;
        let new = record(next_number(ring.records()), &key, sealed, now, signs_from);
        if !self.store.add(&new, withdraw_earlier).await? {
            return Err(Error::Conflict("another rotation has just begun"));
        }
        tracing::info!(
            kid = key.id(), algorithm = key.algorithm().as_str(), %signs_from,
            earlier_withdrawn = withdraw_earlier.is_some(), "a signing key was made"
        );
        self.reload().await?;
        let made = self.list().into_iter().find(|view| view.id == key.id());
        made.ok_or_else(|| Error::internal("the new key is not there"))
    }

    /// The ring with a key that `seen` lacked, if the store has one: a replica that is behind must
    /// not refuse the token of one that is ahead. At most one question a second goes to the store.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store does not answer: then nobody knows.
    pub(in crate::token) async fn catch_up(
        &self,
        seen: &Arc<KeyRing>,
    ) -> Result<Option<Arc<KeyRing>>> {
        let changed = || {
            let ring = self.ring();
            (!Arc::ptr_eq(&ring, seen)).then_some(ring)
        };
        let mut last = self.last_catch_up.lock().await;
        if let Some(ring) = changed() {
            return Ok(Some(ring));
        }
        if let Some(last) = last.filter(|last| last.at.elapsed() < CATCH_UP_EVERY) {
            return if last.answered {
                Ok(None)
            } else {
                Err(Error::unavailable("the signing keys could not be read a moment ago"))
            };
        }
        let outcome = self.reload().await;
        *last = Some(CatchUp { at: Instant::now(), answered: outcome.is_ok() });
        outcome.map(|()| changed())
    }

    /// Whether it is time for the next key to be published, so that it signs when the time of the
    /// present one is over.
    fn is_due(&self) -> bool {
        let ring = self.ring();
        let (Some(every), Some(last)) = (self.policy.rotate_every, ring.records().last()) else {
            return false;
        };
        let now = self.clock.now();
        last.signs_from <= now && last.signs_from + every <= now + self.policy.lead
    }
}

fn next_number(records: &[KeyRecord]) -> i64 {
    records.last().map_or(1, |last| last.number + 1)
}

fn record(
    number: i64,
    key: &SigningKey,
    sealed: String,
    created_at: Timestamp,
    signs_from: Timestamp,
) -> KeyRecord {
    KeyRecord {
        number,
        id: key.id().to_owned(),
        algorithm: key.algorithm(),
        sealed: Some(sealed),
        created_at,
        signs_from,
        withdrawn_at: None,
    }
}
