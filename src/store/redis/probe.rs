//! What Redis says of itself.

use std::time::Instant;

use redis::{RedisError, RedisResult};
use tokio::time::timeout;

use super::RedisPool;
use super::fault::failure;
use super::handle::RedisConnection;
use super::pool::OPERATION_LIMIT;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::store::probe::{Probe, ahead};

impl RedisPool {
    /// Asks Redis for its release and its clock. A user that may not ask for these leaves them unknown.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn probe(&self, clock: &dyn Clock) -> Result<Probe> {
        let asked = async {
            let mut connection = self.connection().await?;
            // Each node of a cluster has a release of its own.
            let version = if self.is_cluster() { None } else { release(&mut connection).await? };
            let (asked_at, began) = (clock.now(), Instant::now());
            let time: RedisResult<(i64, i64)> =
                redis::cmd("TIME").query_async(&mut connection).await;
            let round_trip = began.elapsed();
            let time = told(time)?.map(|(secs, micros)| secs * 1000 + micros / 1000);
            let clock_ahead = time.map(|millis| ahead(millis, asked_at, round_trip));
            Ok(Probe { version, round_trip, clock_ahead })
        };
        let answer = timeout(OPERATION_LIMIT, asked).await.map_err(Error::unavailable);
        self.noted(answer.and_then(|done: RedisResult<Probe>| done.map_err(failure)))
    }
}

async fn release(connection: &mut RedisConnection) -> RedisResult<Option<String>> {
    let info: RedisResult<String> = redis::cmd("INFO").arg("server").query_async(connection).await;
    let info = told(info)?.unwrap_or_default();
    let line = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(line.map(|version| version.trim().to_owned()))
}

/// What Redis answered; `None` if it answered that it does not tell.
fn told<T>(answer: RedisResult<T>) -> RedisResult<Option<T>> {
    let silent = |error: &RedisError| {
        error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
    };
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if silent(&error) => Err(error),
        Err(_) => Ok(None),
    }
}
