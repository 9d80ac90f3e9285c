//! Hashes passwords with Argon2id and verifies them (SR-4, SR-21).

use std::io;
use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{ARGON2ID_IDENT, KeyId, ParamsBuilder, Version};
use zeroize::Zeroizing;

use super::line::Requester;
use super::pool::{Engine, Pool, RustCrypto, Task};
use super::{BadSetting, Params, Password, PasswordHash, Pepper};
use crate::error::{Error, Result};
use crate::id::{Random, constant_time_eq, random_bytes};
use crate::metric::Registry;

/// The bytes of salt in a new hash (RFC 9106 §3.1).
const SALT_BYTES: usize = 16;

/// The bytes of a new hash: 256 bits.
const OUTPUT_BYTES: usize = 32;

/// The fewest bytes of a stored hash that are enough to tell passwords apart.
const MIN_OUTPUT_BYTES: usize = 16;

/// How passwords are hashed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a new hash costs.
    pub params: Params,
    /// How many hashes are computed at a time; each takes a core and its memory.
    pub threads: usize,
    /// How many more may wait; beyond that, callers are turned away with [`Error::Overloaded`].
    pub queue: usize,
    /// The pepper of new hashes.
    pub pepper: Option<Pepper>,
    /// Peppers that older hashes were made with. Such a hash verifies, and a rehash is due.
    pub retired_peppers: Vec<Pepper>,
}

impl Default for Settings {
    /// The floor of the parameters, a thread for each core, a queue of 64, no pepper (SR-4).
    fn default() -> Self {
        Self {
            params: Params::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            queue: 64,
            pepper: None,
            retired_peppers: Vec::new(),
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), BadSetting> {
        if self.threads == 0 || self.queue == 0 {
            return Err(BadSetting::NoCapacity);
        }
        let mut key_ids: Vec<&str> = self.peppers().map(Pepper::key_id).collect();
        key_ids.sort_unstable();
        if key_ids.is_sorted_by(|left, right| left < right) {
            Ok(())
        } else {
            Err(BadSetting::PepperTwice)
        }
    }

    fn peppers(&self) -> impl Iterator<Item = &Pepper> {
        self.pepper.iter().chain(&self.retired_peppers)
    }
}

/// Whether a password belongs to a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a verdict that is not looked at lets everybody in"]
pub enum Verdict {
    /// It is the password.
    Match {
        /// The hash was not made as it would be now: hash the password again and store that (SR-4).
        rehash: bool,
    },
    /// It is another password.
    Mismatch,
}

/// Hashes and verifies passwords, on threads of its own behind a bounded queue.
///
/// Its methods are for asynchronous tasks and never hold one up: they wait for an answer, or are
/// told that the queue is full. A future that is dropped takes its job with it. Share one
/// hasher in an [`Arc`]; dropping it ends its threads.
pub struct Hasher {
    pool: Pool,
    settings: Settings,
    random: Arc<dyn Random>,
    /// The salt of accounts that do not exist.
    nobodys_salt: [u8; SALT_BYTES],
}

impl Hasher {
    /// Starts the threads. Their memory is taken with the first hashes. What waits and what it costs
    /// is told to `registry`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] around a [`BadSetting`] if the settings contradict themselves;
    /// others if the operating system gives no threads. Both are for the operator, at start.
    pub fn start(
        settings: Settings,
        random: Arc<dyn Random>,
        registry: &Registry,
    ) -> io::Result<Self> {
        let refused = |bad: BadSetting| io::Error::new(io::ErrorKind::InvalidInput, bad);
        settings.check().map_err(refused)?;
        let params = settings.params;
        let engine = || -> Box<dyn Engine> { Box::new(RustCrypto::new(&params)) };
        let pool = Pool::start(settings.threads, settings.queue, registry, engine)?;
        let nobodys_salt = random_bytes(random.as_ref());
        Ok(Self { pool, settings, random, nobodys_salt })
    }

    /// Hashes a password with the current parameters, pepper and a fresh salt.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] if the queue is full; [`Error::Internal`] if Argon2 fails.
    pub async fn hash(&self, password: &Password, requester: Requester) -> Result<PasswordHash> {
        let salt = random_bytes::<SALT_BYTES>(self.random.as_ref());
        let output = self.pool.run(self.current(password, salt), requester).await?;
        let phc = to_phc(&self.settings, &salt, &output).map_err(Error::internal)?;
        Ok(PasswordHash::from_stored(phc))
    }

    /// Says whether `password` is the one that `hash` was made from. The parameters and the pepper are
    /// those that the hash names; the comparison takes the same time wherever they differ.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] if the queue is full; [`Error::Internal`] if what was stored is no
    /// hash of Argon2id version 19, would cost an absurd amount to verify, or names a pepper
    /// that is not configured.
    pub async fn verify(
        &self,
        password: &Password,
        hash: &PasswordHash,
        requester: Requester,
    ) -> Result<Verdict> {
        let stored = Stored::read(hash.expose()).map_err(Error::internal)?;
        let task = Task {
            password: password.clone(),
            salt: stored.salt.clone(),
            params: stored.params,
            pepper: self.pepper_of(&stored)?,
            output_bytes: stored.output.len(),
        };
        let derived = self.pool.run(task, requester).await?;
        if !constant_time_eq(&derived, &stored.output) {
            return Ok(Verdict::Mismatch);
        }
        Ok(Verdict::Match { rehash: !stored.is_like_new(&self.settings) })
    }

    /// Spends the time of one [`Hasher::verify`], for an account that does not exist, so that the
    /// answer's time does not say so (SR-21).
    ///
    /// # Errors
    ///
    /// As for [`Hasher::hash`].
    pub async fn verify_nobody(&self, password: &Password, requester: Requester) -> Result<()> {
        let task = self.current(password, self.nobodys_salt);
        self.pool.run(task, requester).await.map(drop)
    }

    /// How this hasher was set up.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn current(&self, password: &Password, salt: [u8; SALT_BYTES]) -> Task {
        Task {
            password: password.clone(),
            salt: salt.to_vec(),
            params: self.settings.params,
            pepper: self.settings.pepper.clone(),
            output_bytes: OUTPUT_BYTES,
        }
    }

    fn pepper_of(&self, stored: &Stored) -> Result<Option<Pepper>> {
        let Some(key_id) = &stored.key_id else { return Ok(None) };
        let pepper = self.settings.peppers().find(|pepper| pepper.key_id().as_bytes() == key_id);
        pepper
            .map(|pepper| Some(pepper.clone()))
            .ok_or_else(|| Error::internal(Unreadable::UnknownPepper))
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hasher").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Why a stored hash cannot be verified against. Says nothing of the hash itself: this goes to the log.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("a stored password hash is not a PHC string of Argon2id version 19")]
    OtherFormat,
    #[error("a stored password hash asks for an absurd amount of memory or time")]
    Absurd,
    #[error("a stored password hash was made with a pepper that is not configured")]
    UnknownPepper,
}

/// What a PHC string says.
struct Stored {
    params: Params,
    key_id: Option<Vec<u8>>,
    salt: Vec<u8>,
    output: Zeroizing<Vec<u8>>,
}

impl Stored {
    fn read(phc: &str) -> Result<Self, Unreadable> {
        let parsed = phc::PasswordHash::new(phc).map_err(|_| Unreadable::OtherFormat)?;
        let (Some(salt), Some(output)) = (parsed.salt, parsed.hash) else {
            return Err(Unreadable::OtherFormat);
        };
        let version = parsed.version == Some(Version::V0x13.into());
        if parsed.algorithm != ARGON2ID_IDENT || !version || output.len() < MIN_OUTPUT_BYTES {
            return Err(Unreadable::OtherFormat);
        }
        let named =
            argon2::Params::try_from(&parsed.params).map_err(|_| Unreadable::OtherFormat)?;
        // Associated data is no part of the format any more, and we have none to give.
        if !named.data().is_empty() {
            return Err(Unreadable::OtherFormat);
        }
        let params = Params::of_stored(named.m_cost(), named.t_cost(), named.p_cost())
            .ok_or(Unreadable::Absurd)?;
        Ok(Self {
            params,
            key_id: Some(named.keyid().to_vec()).filter(|key_id| !key_id.is_empty()),
            salt: salt.to_vec(),
            output: Zeroizing::new(output.as_bytes().to_vec()),
        })
    }

    /// Whether a hash made now would have the same parameters.
    fn is_like_new(&self, settings: &Settings) -> bool {
        let key_id = settings.pepper.as_ref().map(|pepper| pepper.key_id().as_bytes());
        self.params == settings.params
            && self.key_id.as_deref() == key_id
            && self.salt.len() == SALT_BYTES
            && self.output.len() == OUTPUT_BYTES
    }
}

/// Writes a hash as a PHC string, with the parameters and the key id of the pepper that made it.
fn to_phc(
    settings: &Settings,
    salt: &[u8],
    output: &[u8],
) -> Result<String, argon2::password_hash::Error> {
    let mut params = ParamsBuilder::new();
    params
        .m_cost(settings.params.memory_kib())
        .t_cost(settings.params.iterations())
        .p_cost(settings.params.parallelism());
    if let Some(pepper) = &settings.pepper {
        params.keyid(KeyId::new(pepper.key_id().as_bytes())?);
    }
    let hash = phc::PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: (&params.build()?).try_into()?,
        salt: Some(phc::Salt::new(salt)?),
        hash: Some(phc::Output::new(output)?),
    };
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests;
