//! What a hash costs, and the pepper that goes into it (SR-4).

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The most memory for one hash, in KiB: 1 GiB.
const MAX_MEMORY_KIB: u32 = 1 << 20;

/// The most passes over the memory.
const MAX_ITERATIONS: u32 = 64;

/// The most lanes.
const MAX_PARALLELISM: u32 = 16;

/// The most memory times passes, in KiB: some seconds of one core.
const MAX_WORK_KIB: u64 = 4 << 20;

/// The cost parameters of Argon2id (RFC 9106 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
}

impl Params {
    /// The cheapest parameters that [`Params::new`] lets through, and the default: m=19456 KiB, t=2, p=1
    /// (SR-4, OWASP Password Storage Cheat Sheet).
    pub const fn floor() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }

    /// Parameters of `memory_kib` KiB, `iterations` passes and `parallelism` lanes.
    ///
    /// Lanes are computed one after the other: they make a hash comparable with others' parameters,
    /// not faster.
    ///
    /// # Errors
    ///
    /// - [`BadSetting::CheapHash`]: one of them is below the floor (SR-4: a start refuses that).
    /// - [`BadSetting::CostlyHash`]: one of them is so high that few sign-ins would stop the server.
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Self, BadSetting> {
        let floor = Self::floor();
        let cheap = memory_kib < floor.memory_kib
            || iterations < floor.iterations
            || parallelism < floor.parallelism;
        if cheap {
            return Err(BadSetting::CheapHash);
        }
        let params = Self { memory_kib, iterations, parallelism };
        if params.are_bearable() { Ok(params) } else { Err(BadSetting::CostlyHash) }
    }

    /// Parameters below the floor, for tests that make many hashes. A hash made with them protects
    /// nothing.
    pub const fn insecure_for_tests(memory_kib: u32, iterations: u32, parallelism: u32) -> Self {
        Self { memory_kib, iterations, parallelism }
    }

    /// The parameters that a stored hash names; `None` if no server should spend that much on one
    /// sign-in. They may be below the floor: a cheap hash is verified, and then replaced.
    pub(super) fn of_stored(memory_kib: u32, iterations: u32, parallelism: u32) -> Option<Self> {
        Some(Self { memory_kib, iterations, parallelism }).filter(Self::are_bearable)
    }

    fn are_bearable(&self) -> bool {
        self.memory_kib <= MAX_MEMORY_KIB
            && self.iterations <= MAX_ITERATIONS
            && self.parallelism <= MAX_PARALLELISM
            && u64::from(self.memory_kib) * u64::from(self.iterations) <= MAX_WORK_KIB
    }

    /// Memory in KiB (m).
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory (t).
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Lanes (p).
    pub const fn parallelism(&self) -> u32 {
        self.parallelism
    }
}

impl Default for Params {
    fn default() -> Self {
        Self::floor()
    }
}

/// A secret that goes into every hash and is not in the database: whoever steals only the database
/// cannot even try passwords (the secret value K of RFC 9106 §3.1, SR-4).
///
/// Its key id is written into each hash, as `keyid`, so that a new pepper can take over while hashes
/// made with an older one still verify. Copies share one secret, which is wiped with the last of them.
#[derive(Clone)]
pub struct Pepper {
    key_id: Arc<str>,
    secret: Arc<Zeroizing<Vec<u8>>>,
}

impl Pepper {
    /// A pepper, usually the content of a secret file.
    ///
    /// # Errors
    ///
    /// - [`BadSetting::PepperKeyId`] unless the key id is 1 to 8 ASCII letters, digits, `-` or `_`.
    /// - [`BadSetting::PepperSecret`] unless the secret has 32 to 1024 bytes.
    pub fn new(key_id: &str, secret: Vec<u8>) -> Result<Self, BadSetting> {
        let secret = Zeroizing::new(secret);
        let shaped = key_id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !shaped || !(1..=argon2::Params::MAX_KEYID_LEN).contains(&key_id.len()) {
            return Err(BadSetting::PepperKeyId);
        }
        if !(32..=1024).contains(&secret.len()) {
            return Err(BadSetting::PepperSecret);
        }
        Ok(Self { key_id: key_id.into(), secret: Arc::new(secret) })
    }

    /// What a hash made with this pepper calls it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The secret itself, for Argon2.
    pub(super) fn expose(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pepper({})", self.key_id)
    }
}

/// A setting of this module with which the server must not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSetting {
    /// The minimum length of a password is out of bounds.
    #[error("the minimum length of a password must be between 8 and 64")]
    MinLength,
    /// Argon2id would be too cheap to protect passwords.
    #[error("Argon2id needs at least 19456 KiB of memory, 2 iterations and a parallelism of 1")]
    CheapHash,
    /// Argon2id would take so long that few sign-ins stop the server.
    #[error(
        "Argon2id may use at most 1 GiB of memory, 64 iterations, a parallelism of 16, and 4 GiB \
         of memory times iterations"
    )]
    CostlyHash,
    /// The key id of a pepper has another shape than a PHC string can hold.
    #[error("the key id of a pepper must be 1 to 8 letters, digits, - or _")]
    PepperKeyId,
    /// The pepper is too short to be a secret key, or absurdly long.
    #[error("a pepper must have 32 to 1024 bytes")]
    PepperSecret,
    /// Two peppers have one key id, so a hash would not say which is its own.
    #[error("each pepper needs a key id of its own")]
    PepperTwice,
    /// The hasher needs at least one thread and one place in its queue.
    #[error("password hashing needs at least one thread and one place in its queue")]
    NoCapacity,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sr_4_nothing_below_the_floor_and_nothing_absurd_is_let_through() {
        assert_eq!(Params::new(19_456, 2, 1), Ok(Params::floor()));
        assert!(Params::new(65_536, 3, 4).is_ok());
        for (memory_kib, iterations, parallelism) in
            [(19_455, 2, 1), (19_456, 1, 1), (19_456, 2, 0)]
        {
            let params = Params::new(memory_kib, iterations, parallelism);
            assert_eq!(params, Err(BadSetting::CheapHash));
        }
        for (memory_kib, iterations, parallelism) in
            [(u32::MAX, 2, 1), (19_456, u32::MAX, 1), (19_456, 2, 17), (1 << 20, 5, 1)]
        {
            let params = Params::new(memory_kib, iterations, parallelism);
            assert_eq!(params, Err(BadSetting::CostlyHash));
            assert_eq!(Params::of_stored(memory_kib, iterations, parallelism), None);
        }
    }

    #[test]
    fn a_pepper_names_itself_and_hides_its_secret() {
        let pepper = Pepper::new("2026-a", vec![7; 32]).unwrap();
        assert_eq!(format!("{pepper:?}"), "Pepper(2026-a)");
        assert_eq!(Pepper::new("", vec![7; 32]).unwrap_err(), BadSetting::PepperKeyId);
        assert_eq!(Pepper::new("123456789", vec![7; 32]).unwrap_err(), BadSetting::PepperKeyId);
        assert_eq!(Pepper::new("a,b", vec![7; 32]).unwrap_err(), BadSetting::PepperKeyId);
        assert_eq!(Pepper::new("a", vec![7; 31]).unwrap_err(), BadSetting::PepperSecret);
    }
}
