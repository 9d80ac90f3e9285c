//! Limits in the process itself, in memory alone: a restart forgets them.
//!
//! The arithmetic is that of the scripts for Redis, and one suite holds both to it. Memory is
//! bounded: of what does not fit, what is worth least is forgotten first.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{LEEWAY, Timestamp};
use crate::error::Result;
use crate::limit::store::{Attempt, LimitKey, LimitStore, Taken};
use crate::limit::{Backoff, Bounded, Fades, Quota};

/// How many buckets, and how many counts of failures, there are at most.
const CAPACITY: usize = 100_000;

/// A bucket. Times are in microseconds.
#[derive(Debug)]
struct Bucket {
    /// Its theoretical arrival time (GCRA), since the epoch. In the past it is full.
    full_at: i64,
    /// How long it takes to fill.
    depth: i64,
}

impl Bucket {
    /// When it is full by the clock that says `now`, if no more is owed than `most`. Further ahead lies
    /// only what was written before the clock was set back: then it holds what is asked for, which takes
    /// `asked` to flow in, and nothing else.
    fn full_at(&self, most: i64, asked: i64, now: i64) -> i64 {
        let leeway = i64::try_from(LEEWAY.as_micros()).unwrap_or(i64::MAX);
        if self.full_at.saturating_sub(now) > most.saturating_add(leeway) {
            now + (self.depth - asked).max(0)
        } else {
            self.full_at.max(now)
        }
    }
}

impl Fades for Bucket {
    fn worth(&self, now: Timestamp) -> i64 {
        self.full_at.saturating_sub(micros_at(now)).min(self.depth.saturating_mul(2))
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

    /// How much of the delay is left. One that would run for longer than it can was begun before the
    /// clock was set back, and is over.
    fn delay(&self, backoff: &Backoff, now: Timestamp) -> Duration {
        let left = self.delayed_until.since(now);
        if left > backoff.delay(self.count) + LEEWAY { Duration::ZERO } else { left }
    }
}

impl Fades for Failures {
    /// Many failures outweigh few, and of as many the later the earlier.
    fn worth(&self, now: Timestamp) -> i64 {
        let left = (self.last_at + Backoff::MEMORY).since(now).min(Backoff::MEMORY).as_millis();
        let left = i64::try_from(left).unwrap_or(0);
        if left == 0 { 0 } else { (i64::from(self.count.min(1 << 20)) << 32) + left }
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
        let (interval, depth) = (quota.interval_micros(), quota.depth_micros());
        let now_micros = micros_at(now);
        let mut buckets = locked(&self.buckets);
        let fresh = || Bucket { full_at: now_micros, depth };
        let bucket = buckets.entry(key.clone(), now, fresh);
        bucket.depth = depth;
        // What was spent already may be owed, up to a full bucket.
        let most = if owe { depth.saturating_mul(2) } else { depth };
        let asked = interval.saturating_mul(i64::from(tokens));
        bucket.full_at = bucket.full_at(most, asked, now_micros);
        let next = bucket.full_at.saturating_add(asked);
        let fits = next - now_micros <= depth;
        if fits || owe {
            bucket.full_at = next.min(now_micros.saturating_add(most));
        }
        let level = depth - (bucket.full_at - now_micros);
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
        let wait = failures.delay(backoff, now);
        if !wait.is_zero() {
            return Ok(Attempt::Delayed(wait));
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
