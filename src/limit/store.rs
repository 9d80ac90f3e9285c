//! What limits ask of the place that counts. Each promise is a case of `tests/store/limit.rs`.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;

use super::quota::{Backoff, Quota};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::base64url;

/// What is counted under: the name of a rule, and a keyed hash of whom it counts, so that a store
/// holds no address and no e-mail address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey {
    rule: &'static str,
    digest: [u8; 32],
}

impl LimitKey {
    /// The key under which `rule` counts `whom`.
    pub fn new(secret: &hmac::Key, rule: &'static str, whom: &[u8]) -> Self {
        let mut context = hmac::Context::with_key(secret);
        context.update(rule.as_bytes());
        context.update(&[0]);
        context.update(whom);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        Self { rule, digest }
    }
}

/// `login:` and the hash in base64url.
impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.rule, base64url(self.digest))
    }
}

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether the tokens were there.
    pub allowed: bool,
    /// How many are left.
    pub remaining: u32,
    /// How long until there is one, or as many as were asked for and not given; zero if there is.
    pub retry_after: Duration,
}

/// What became of the wish to try a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Try. It counts as failure number `failures` until it is said to have been none.
    Counted {
        /// The number.
        failures: u32,
    },
    /// Not before this long.
    Delayed(Duration),
}

/// Where buckets and failures are counted, for all replicas together.
///
/// Every method is atomic, whichever replicas call it, and whatever is counted is forgotten by
/// itself when it makes no difference any more. Time comes in as an argument.
///
/// A clock that is set back locks nobody out: nothing owes more than a full bucket, and no delay is
/// longer than its failures cost. What is kept beyond that, and beyond [`LEEWAY`](crate::clock::LEEWAY),
/// was written before the clock was set back; then one attempt is let through, and counted as ever.
#[async_trait]
pub trait LimitStore: Send + Sync {
    /// Takes one token; a refusal takes none.
    async fn take(&self, key: &LimitKey, quota: &Quota, now: Timestamp) -> Result<Taken>;

    /// Takes tokens that were spent already. The bucket may owe them afterwards, but no more than it
    /// holds when it is full. `allowed` says whether another may be spent.
    async fn charge(
        &self,
        key: &LimitKey,
        quota: &Quota,
        tokens: u32,
        now: Timestamp,
    ) -> Result<Taken>;

    /// Counts a failure ahead of the attempt, unless the delay after the last one still runs: of
    /// many attempts at the same time no more get through than of as many one after another.
    async fn attempt(&self, key: &LimitKey, backoff: &Backoff, now: Timestamp) -> Result<Attempt>;

    /// Forgets all failures.
    async fn clear(&self, key: &LimitKey) -> Result<()>;

    /// Takes back failure number `failures` and its delay, if none was counted since.
    async fn give_back(&self, key: &LimitKey, failures: u32) -> Result<()>;
}
