//! Commands of many requests, put on the wire together: a system call and a wake-up of Redis for
//! each would cost more than all the rest of a look-up.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// How many commands go together, or a few more: while Redis works on some, the next are gathered.
const TOGETHER: usize = 8;

/// A connection whose commands wait for those of the other requests that can run at this moment, and
/// for nothing else. Clones share it.
#[derive(Clone)]
pub(super) struct Gatherer(Arc<Shared>);

struct Shared {
    connection: MultiplexedConnection,
    waiting: Mutex<Vec<Order>>,
}

/// A command, and who waits for its answer.
struct Order {
    command: Cmd,
    tell: oneshot::Sender<RedisResult<Value>>,
}

impl Gatherer {
    /// Gathers the commands for a connection.
    pub fn new(connection: MultiplexedConnection) -> Self {
        Self(Arc::new(Shared { connection, waiting: Mutex::default() }))
    }

    /// The connection itself, for what goes by itself.
    pub fn connection(&self) -> MultiplexedConnection {
        self.0.connection.clone()
    }

    /// The number of the database that the connection uses.
    pub fn get_db(&self) -> i64 {
        self.0.connection.get_db()
    }

    /// Sends a command with the next that go.
    pub async fn send(&self, command: Cmd) -> RedisResult<Value> {
        let (tell, told) = oneshot::channel();
        let waiting = {
            let mut waiting = self.waiting();
            waiting.push(Order { command, tell });
            waiting.len()
        };
        // The first sees to it that all go; one that makes the number full does not wait for that.
        if waiting == 1 || waiting.is_multiple_of(TOGETHER) {
            let gatherer = self.clone();
            tokio::spawn(async move {
                if waiting == 1 {
                    yield_now().await;
                }
                gatherer.go().await;
            });
        }
        told.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::BrokenPipe).into()))
    }

    /// Sends what waits, and gives everybody their answer.
    async fn go(self) {
        let orders = std::mem::take(&mut *self.waiting());
        if orders.is_empty() {
            return;
        }
        let mut pipeline = Pipeline::with_capacity(orders.len());
        let mut callers = Vec::with_capacity(orders.len());
        for Order { command, tell } in orders {
            pipeline.add_command(command);
            callers.push(tell);
        }
        let answers = self.connection().req_packed_commands(&pipeline, 0, callers.len()).await;
        // Who asked may have given up: then nobody is told.
        match answers {
            Ok(answers) => {
                for (tell, answer) in callers.into_iter().zip(answers) {
                    let _ = tell.send(Ok(answer));
                }
            }
            Err(error) => {
                for tell in callers {
                    let _ = tell.send(Err(error.clone()));
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Order>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
