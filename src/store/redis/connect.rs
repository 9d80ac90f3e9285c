//! Making a connection to whichever kind of Redis the address names.

use std::sync::Arc;
use std::time::Duration;

use futures::future::select_ok;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisFuture, RedisResult};

use super::address::Source;
use super::gather::Gatherer;
use super::near::Near;
use super::pool::{Link, STEP_LIMIT};
use super::watch::probe;

/// How many commands may wait to be put on the wire before their senders wait.
const PIPELINE: usize = 1024;

impl Source {
    /// Connects; where several servers have to be asked, in `discovery_limit`.
    pub(super) async fn connect(
        &self,
        near: Option<&Arc<Near>>,
        prefix: &str,
        discovery_limit: Duration,
    ) -> RedisResult<Link> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(STEP_LIMIT))
            .set_response_timeout(Some(STEP_LIMIT))
            .set_pipeline_buffer_size(PIPELINE);
        if let Some(near) = near.cloned() {
            config = config.set_push_sender(move |message| {
                near.hear(&message);
                Ok::<_, std::convert::Infallible>(())
            });
        }
        let (limit, connecting) = match self {
            Self::Server(client) => (
                STEP_LIMIT,
                Box::pin(async move {
                    let made = client.get_multiplexed_async_connection_with_config(&config).await?;
                    greeted(made, near).await
                }) as RedisFuture<'_, Link>,
            ),
            Self::Cluster(client) => (
                discovery_limit,
                Box::pin(async move { Ok(Link::Cluster(client.get_async_connection().await?)) })
                    as RedisFuture<'_, Link>,
            ),
            Self::Sentinel(clients) => (
                discovery_limit,
                Box::pin(async move {
                    // All at once: one that hangs keeps nobody from what the others know.
                    let asked = clients.iter().map(|client| {
                        Box::pin(async {
                            let mut client = client.lock().await;
                            let mut made = client.get_async_connection_with_config(&config).await?;
                            probe(&mut made, prefix).await?;
                            Ok(made)
                        }) as RedisFuture<'_, MultiplexedConnection>
                    });
                    let (made, _) = select_ok(asked).await?;
                    greeted(made, near).await
                }) as RedisFuture<'_, Link>,
            ),
        };
        tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
            Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "connecting took too long")
                .into())
        })
    }
}

/// A connection that reports changes, where they have to be known.
async fn greeted(
    mut connection: MultiplexedConnection,
    near: Option<&Arc<Near>>,
) -> RedisResult<Link> {
    if let Some(near) = near {
        let () = near.greeting().query_async(&mut connection).await?;
        // What was learnt on the connection before may have changed in between.
        near.forget_all();
    }
    Ok(Link::Server(Gatherer::new(connection)))
}
