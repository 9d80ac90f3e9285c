//! Limits in Redis: shared by all replicas, each operation one script on one key.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Script, ScriptInvocation};

use super::{RedisStore, millis};
use crate::clock::{LEEWAY, Timestamp};
use crate::error::Result;
use crate::limit::store::{Attempt, LimitKey, LimitStore, Taken};
use crate::limit::{Backoff, Quota};

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("take.lua")));
static ATTEMPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("attempt.lua")));
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("give_back.lua")));
static CLEAR: LazyLock<Script> =
    LazyLock::new(|| Script::new("return redis.call('UNLINK', KEYS[1])"));

impl RedisStore {
    /// A call of `script` on the one key of a limit, which is its own hash tag.
    fn on_limit<'a>(&self, script: &'a Script, key: &LimitKey) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(format!("{}:{{limit:{key}}}", self.prefix));
        call
    }

    async fn spend(
        &self,
        key: &LimitKey,
        quota: &Quota,
        tokens: u32,
        owe: bool,
        now: Timestamp,
    ) -> Result<Taken> {
        let mut call = self.on_limit(&TAKE, key);
        call.arg(quota.interval_micros())
            .arg(quota.burst())
            .arg(tokens)
            .arg(u8::from(owe))
            .arg(now.as_millis().saturating_mul(1000))
            .arg(millis(LEEWAY).saturating_mul(1000));
        let (allowed, remaining, short): (bool, u32, u64) = self.pool.run(&call, false).await?;
        Ok(Taken { allowed, remaining, retry_after: Duration::from_micros(short) })
    }
}

#[async_trait]
impl LimitStore for RedisStore {
    async fn take(&self, key: &LimitKey, quota: &Quota, now: Timestamp) -> Result<Taken> {
        self.spend(key, quota, 1, false, now).await
    }

    async fn charge(
        &self,
        key: &LimitKey,
        quota: &Quota,
        tokens: u32,
        now: Timestamp,
    ) -> Result<Taken> {
        self.spend(key, quota, tokens, true, now).await
    }

    async fn attempt(&self, key: &LimitKey, backoff: &Backoff, now: Timestamp) -> Result<Attempt> {
        let mut call = self.on_limit(&ATTEMPT, key);
        call.arg(backoff.free)
            .arg(millis(Backoff::FIRST))
            .arg(millis(Backoff::CEILING))
            .arg(millis(Backoff::MEMORY))
            .arg(now.as_millis())
            .arg(millis(LEEWAY));
        let (counted, number): (bool, u64) = self.pool.run(&call, false).await?;
        Ok(if counted {
            Attempt::Counted { failures: u32::try_from(number).unwrap_or(u32::MAX) }
        } else {
            Attempt::Delayed(Duration::from_millis(number))
        })
    }

    async fn clear(&self, key: &LimitKey) -> Result<()> {
        let call = self.on_limit(&CLEAR, key);
        self.pool.run::<i64>(&call, true).await.map(drop)
    }

    async fn give_back(&self, key: &LimitKey, failures: u32) -> Result<()> {
        let mut call = self.on_limit(&GIVE_BACK, key);
        call.arg(failures);
        self.pool.run::<i64>(&call, false).await.map(drop)
    }
}
