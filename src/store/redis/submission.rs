//! Submissions in Redis: shared by all replicas, each operation one script on one key.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Script, ScriptInvocation};

use super::{RedisStore, millis, unknown_answer};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::submission::store::{Claim, Claimed, SubmissionKey, SubmissionStore};

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("claim.lua")));
static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("finish.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));

impl RedisStore {
    /// A call of `script` on the one key of a form, which is its own hash tag.
    fn on_form<'a>(
        &self,
        script: &'a Script,
        key: &SubmissionKey,
        claim: &Claim,
    ) -> ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(format!("{}:{{submission:{key}}}", self.prefix));
        call.arg(claim.content.as_str()).arg(claim.holder.as_str());
        call
    }
}

#[async_trait]
impl SubmissionStore for RedisStore {
    async fn claim(
        &self,
        key: &SubmissionKey,
        claim: &Claim,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Claimed> {
        let mut call = self.on_form(&CLAIM, key, claim);
        call.arg(millis(lease)).arg(now.as_millis());
        let (word, sealed): (String, String) = self.pool.run(&call, true).await?;
        match word.as_str() {
            "first" => Ok(Claimed::First),
            "running" => Ok(Claimed::Running),
            "done" => Ok(Claimed::Done(sealed)),
            _ => Err(unknown_answer()),
        }
    }

    async fn finish(
        &self,
        key: &SubmissionKey,
        claim: &Claim,
        sealed: &str,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<()> {
        let mut call = self.on_form(&FINISH, key, claim);
        call.arg(sealed).arg(millis(lifetime)).arg(now.as_millis());
        self.pool.run::<i64>(&call, true).await.map(drop)
    }

    async fn give_up(&self, key: &SubmissionKey, claim: &Claim) -> Result<()> {
        let call = self.on_form(&RELEASE, key, claim);
        self.pool.run::<i64>(&call, true).await.map(drop)
    }
}
