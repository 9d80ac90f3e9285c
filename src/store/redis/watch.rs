//! Looks after the connection where a primary can be replaced, also while nobody uses it.
//!
//! A primary that hangs is replaced, and knows nothing of it when it goes on: with sentinels it answers
//! as before for some seconds, in a cluster for some milliseconds. One that is cut off from its
//! replicas may have been replaced where it cannot see. None of them may be believed, or what has
//! ended elsewhere would live on here (SR-37).

use std::sync::Weak;
use std::time::Duration;

use redis::RedisResult;
use redis::aio::ConnectionLike;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo};

use super::fault::{is_cut_off, is_lost};
use super::pool::{Inner, Link};

/// How often: sooner than any sentinel replaces a primary that hangs.
const EVERY: Duration = Duration::from_secs(1);

/// Fails if the server is silent, a replica, or has fewer replicas than `min-replicas-to-write` says.
pub(super) async fn probe(
    connection: &mut (impl ConnectionLike + Send),
    prefix: &str,
) -> RedisResult<()> {
    // Nothing has this name, so nothing is deleted; but to Redis it is a write. It is asked as a user
    // who may write below the prefix alone: else the answer would be that, and not what is asked for.
    let mut write = redis::cmd("UNLINK");
    match write.arg(format!("{prefix}:nothing")).exec_async(connection).await {
        Err(error) if is_lost(&error) || is_cut_off(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether all primaries of a cluster answer, as far as it is known here.
async fn all_answer(nodes: &mut ClusterConnection) -> bool {
    let primaries = MultipleNodeRoutingInfo::AllMasters;
    let route = RoutingInfo::MultiNode((primaries, Some(ResponsePolicy::AllSucceeded)));
    nodes.route_command(redis::cmd("PING"), route).await.is_ok()
}

/// Gives the connection of this number up when it does not pass the [`probe`] any more; looks at a
/// cluster anew as long as one of its primaries is silent.
pub(super) async fn watch(pool: Weak<Inner>, generation: u64) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(pool) = pool.upgrade() else { return };
        match pool.link(generation) {
            Some(Link::Server(gatherer)) => {
                if probe(&mut gatherer.connection(), pool.prefix()).await.is_err() {
                    return pool.discard(generation);
                }
            }
            Some(Link::Cluster(mut nodes)) => {
                if !all_answer(&mut nodes).await {
                    pool.renew(generation);
                }
            }
            None => return,
        }
    }
}
