//! The shared connection as its users hold it.

use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value};

use super::fault::is_lost;
use super::pool::{Inner, Link};

/// A handle on the shared connection. If it finds the connection lost, the next one to ask the
/// pool gets a new one.
#[derive(Clone)]
pub struct RedisConnection {
    pool: Arc<Inner>,
    generation: u64,
    link: Link,
}

impl RedisConnection {
    pub(super) fn new(pool: Arc<Inner>, generation: u64, link: Link) -> Self {
        Self { pool, generation, link }
    }

    pub(super) async fn send(&mut self, command: Cmd) -> RedisResult<Value> {
        let result = match &mut self.link {
            Link::Server(gatherer) => gatherer.send(command).await,
            Link::Cluster(connection) => connection.req_packed_command(&command).await,
        };
        self.note(result)
    }

    fn note<T>(&self, result: RedisResult<T>) -> RedisResult<T> {
        let lost = match &self.link {
            Link::Server(_) => result.as_ref().is_err_and(is_lost),
            // It looks after its nodes itself: one that is silent is no reason to leave the others.
            Link::Cluster(_) => result.as_ref().is_err_and(|e| is_lost(e) && !e.is_timeout()),
        };
        if lost {
            self.pool.discard(self.generation);
        } else if result.as_ref().is_err_and(RedisError::is_timeout) {
            self.pool.renew(self.generation);
        }
        result
    }
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.send(cmd.clone()))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let result = match &mut self.link {
                Link::Server(gatherer) => {
                    let mut connection = gatherer.connection();
                    connection.req_packed_commands(pipeline, offset, count).await
                }
                Link::Cluster(connection) => {
                    connection.req_packed_commands(pipeline, offset, count).await
                }
            };
            self.note(result)
        })
    }

    fn get_db(&self) -> i64 {
        match &self.link {
            Link::Server(gatherer) => gatherer.get_db(),
            Link::Cluster(connection) => connection.get_db(),
        }
    }
}
