//! Whether the user that we sign in as may do all that the store does: asked at start and by readiness,
//! so that a right that is missing is not found by the first person who needs it.

use std::sync::LazyLock;

use futures::future::try_join_all;
use redis::Script;

use super::RedisStore;
use super::index::SHARDS;
use crate::error::{Cause, Error, Outage, Result};

static RIGHTS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("rights.lua")));

impl RedisStore {
    /// Whether the store can be used for everything.
    ///
    /// # Errors
    /// [`Error::Unavailable`], which names the commands that are refused.
    pub(super) async fn check_rights(&self) -> Result<()> {
        // Each server of a cluster has users of its own. The shards of the list of all sessions are
        // spread over them.
        let places = if self.pool.is_cluster() { SHARDS } else { 1 };
        let asked = (0..places).map(|shard| async move {
            let mut call = RIGHTS.prepare_invoke();
            for kind in ["text", "hash", "order"] {
                call.key(format!("{}:{{index-{shard:02}}}:rights-{kind}", self.prefix));
            }
            self.pool.run_loaded::<Vec<String>>(&call).await
        });
        let missing: Vec<String> = try_join_all(asked).await?.into_iter().flatten().collect();
        let answer = if missing.is_empty() { Ok(()) } else { Err(self.refused(missing)) };
        self.pool.health().note_probe(answer)
    }

    fn refused(&self, mut missing: Vec<String>) -> Error {
        missing.sort_unstable();
        missing.dedup();
        let said = format!("NOPERM its user may not run {}", missing.join(", "));
        let outage = Outage::new(self.pool.store(), Cause::Denied, said)
            .advise("give the user the commands and keys of docs/deploy/redis.md (ACL SETUSER)");
        Error::unavailable(outage)
    }
}
