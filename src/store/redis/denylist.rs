//! The denylist in Redis: one hash that all sessions share.
//!
//! On one server the look-up is part of the script that judges a request. A cluster does not let a
//! script touch two slots, so there the question goes out beside it, in the same round trip.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::Script;

use super::{RedisStore, from_json, to_json};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::token::access::AccessDigest;
use crate::token::denylist::{DeniedToken, Denylist};

static DENY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("deny.lua")));

static DENIED: LazyLock<Script> =
    LazyLock::new(|| Script::new("return redis.call('HVALS', KEYS[1])"));

static IS_DENIED: LazyLock<Script> =
    LazyLock::new(|| Script::new("return redis.call('HEXISTS', KEYS[1], ARGV[1])"));

impl RedisStore {
    pub(super) fn denylist_key(&self) -> String {
        format!("{}:denylist", self.prefix)
    }

    /// Whether the token is on the list; for a cluster.
    pub(super) async fn is_denied(&self, access: &AccessDigest) -> Result<bool> {
        let mut call = IS_DENIED.prepare_invoke();
        call.key(self.denylist_key()).arg(access.as_str());
        self.pool.run(&call, true).await
    }
}

#[async_trait]
impl Denylist for RedisStore {
    async fn deny(&self, token: &DeniedToken, now: Timestamp) -> Result<()> {
        let mut call = DENY.prepare_invoke();
        call.key(self.denylist_key())
            .arg(token.digest.as_str())
            .arg(to_json(token)?)
            .arg(super::millis(token.expires_at.since(now)))
            .arg(now.as_millis());
        let done = self.pool.run(&call, true).await;
        self.pool.near().inspect(|near| near.forget_all());
        done
    }

    async fn denied(&self, now: Timestamp) -> Result<Vec<DeniedToken>> {
        let mut call = DENIED.prepare_invoke();
        call.key(self.denylist_key());
        let entries: Vec<Vec<u8>> = self.pool.run(&call, true).await?;
        let mut tokens = Vec::with_capacity(entries.len());
        for entry in &entries {
            tokens.push(from_json::<DeniedToken>(entry)?);
        }
        tokens.retain(|token| now < token.expires_at);
        Ok(tokens)
    }
}
