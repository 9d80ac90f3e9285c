//! The pool as one of rocket_db_pools.

use std::time::Duration;

use redis::RedisError;
use rocket::figment::Figment;
use rocket_db_pools::Pool;
use serde::Deserialize;

use super::{RedisConnection, RedisPool};
use crate::id::SecretString;

/// What the pool reads of Rocket's configuration.
#[derive(Deserialize)]
struct PoolConfig {
    url: SecretString,
    near_cache: Option<NearConfig>,
}

/// What may be used again without asking, and for how long.
#[derive(Deserialize)]
struct NearConfig {
    prefix: String,
    millis: u64,
}

#[rocket::async_trait]
impl Pool for RedisPool {
    type Connection = RedisConnection;
    type Error = rocket_db_pools::Error<RedisError>;

    async fn init(figment: &Figment) -> Result<Self, Self::Error> {
        let config: PoolConfig = figment.extract()?;
        let pool = match config.near_cache {
            Some(NearConfig { prefix, millis }) => {
                Self::with_near_cache(&config.url, &prefix, Duration::from_millis(millis))
            }
            None => Self::new(&config.url),
        };
        pool.map_err(rocket_db_pools::Error::Init)
    }

    async fn get(&self) -> Result<RedisConnection, Self::Error> {
        self.connection().await.map_err(rocket_db_pools::Error::Get)
    }

    async fn close(&self) {
        self.let_go();
    }
}
