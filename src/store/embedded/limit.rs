//! Limits in the process itself, in memory alone: a restart forgets them.
//!
//! The arithmetic is that of the scripts for Redis, and one suite holds both to it. Memory is
//! bounded: of what does not fit, what is worth least is forgotten first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::limit::store::{Attempt, LimitKey, LimitStore, Taken};
use crate::limit::{Backoff, Bounded, Fades, Quota};

/// How many buckets, and how many counts of failures, there are at most.
const CAPACITY: usize = 100_000;

/// A bucket: its theoretical arrival time (GCRA), in microseconds since the epoch. In the past it
/// is full.
#[derive(Debug)]
struct Bucket(i64);

impl Fades for Bucket {
    fn worth(&self, now: Timestamp) -> i64 {
        self.0.saturating_sub(micros_at(now))
    }
}

/// Failures in a row.
#[derive(Debug)]
struct Failures {
    count: u32,
    last_at: Timestamp,
    delayed_until: Timestamp,
}

impl Failures {
    fn are_forgotten(&self, now: Timestamp) -> bool {
        now.since(self.last_at) >= Backoff::MEMORY
    }
}

impl Fades for Failures {
    /// Many failures outweigh few, and of as many the later the earlier.
    fn worth(&self, now: Timestamp) -> i64 {
        let left = (self.last_at + Backoff::MEMORY).as_millis() - now.as_millis();
        if left <= 0 { 0 } else { (i64::from(self.count.min(1 << 20)) << 32) + left }
    }
}

/// The limits of one process.
#[derive(Debug)]
pub struct EmbeddedLimits {
    buckets: Mutex<Bounded<LimitKey, Bucket>>,
    failures: Mutex<Bounded<LimitKey, Failures>>,
}

impl Default for EmbeddedLimits {
    fn default() -> Self {
        Self {
            buckets: Mutex::new(Bounded::new(CAPACITY)),
            failures: Mutex::new(Bounded::new(CAPACITY)),
        }
    }
}

impl EmbeddedLimits {
    fn spend(
        &self,
        key: &LimitKey,
        quota: &Quota,
        tokens: u32,
        owe: bool,
        now: Timestamp,
    ) -> Taken {
        let (interval, now_micros) = (quota.interval_micros(), micros_at(now));
        let depth = interval.saturating_mul(i64::from(quota.burst()));
        let mut buckets = locked(&self.buckets);
        let bucket = buckets.entry(key.clone(), now, || Bucket(now_micros));
        let full_at = bucket.0.max(now_micros);
        let next = full_at.saturating_add(interval.saturating_mul(i64::from(tokens)));
        let fits = next - now_micros <= depth;
        if fits || owe {
            bucket.0 = next;
        }
        let level = depth - (bucket.0 - now_micros).max(0);
        let remaining = u32::try_from(level / interval).unwrap_or(0);
        let short = if !owe && !fits { next - now_micros - depth } else { interval - level };
        Taken {
            allowed: if owe { remaining > 0 } else { fits },
            remaining,
            retry_after: Duration::from_micros(u64::try_from(short).unwrap_or(0)),
        }
    }
}

#[async_trait]
impl LimitStore for EmbeddedLimits {
    async fn take(&self, key: &LimitKey, quota: &Quota, now: Timestamp) -> Result<Taken> {
        Ok(self.spend(key, quota, 1, false, now))
    }

    async fn charge(
        &self,
        key: &LimitKey,
        quota: &Quota,
        tokens: u32,
        now: Timestamp,
    ) -> Result<Taken> {
        Ok(self.spend(key, quota, tokens, true, now))
    }

    async fn attempt(&self, key: &LimitKey, backoff: &Backoff, now: Timestamp) -> Result<Attempt> {
        let fresh = || Failures { count: 0, last_at: now, delayed_until: now };
        let mut all = locked(&self.failures);
        let failures = all.entry(key.clone(), now, fresh);
        if failures.are_forgotten(now) {
            *failures = fresh();
        }
        let wait = failures.delayed_until.since(now);
        if !wait.is_zero() {
            // A clock that was set back must not lock anybody out for longer than any delay.
            return Ok(Attempt::Delayed(wait.min(Backoff::CEILING)));
        }
        failures.count = failures.count.saturating_add(1);
        failures.last_at = now;
        failures.delayed_until = now + backoff.delay(failures.count);
        Ok(Attempt::Counted { failures: failures.count })
    }

    async fn clear(&self, key: &LimitKey) -> Result<()> {
        locked(&self.failures).remove(key);
        Ok(())
    }

    async fn give_back(&self, key: &LimitKey, failures: u32) -> Result<()> {
        let mut all = locked(&self.failures);
        if let Some(found) = all.get_mut(key).filter(|found| found.count == failures) {
            found.count -= 1;
            found.delayed_until = found.last_at;
        }
        Ok(())
    }
}

fn micros_at(moment: Timestamp) -> i64 {
    moment.as_millis().saturating_mul(1000)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
