//! Accounts, roles, signing keys and the audit trail in SQL: SQLite and PostgreSQL, with one schema
//! and one SQL text for both.

mod account;
pub mod address;
mod audit;
mod change;
mod connect;
mod connection;
pub(in crate::store) mod failure;
mod holder;
mod kept;
mod key;
mod lease;
mod list;
mod migrate;
mod name;
mod notice;
mod plan;
mod pool;
pub mod probe;
mod role;
mod row;
pub mod snapshot;
mod statement;
mod trail;
mod upkeep;

use std::future::Future;
use std::sync::Arc;

use crate::error::Result;
use crate::metric::{Operations, Registry};

pub use address::SqlAddress;
pub use connection::SqlConnection;
pub use lease::Lease;
pub use pool::{Connections, SqlPool};

/// Keeps accounts, roles, signing keys and the audit trail in an SQL database.
///
/// Implements [`AccountStore`](crate::account::store::AccountStore),
/// [`RoleStore`](crate::role::RoleStore), [`KeyStore`](crate::token::key::KeyStore) for the signing
/// keys and [`AuditStore`](crate::audit::store::AuditStore). Every method answers within five seconds: if the database
/// does not, with [`Error::Unavailable`](crate::error::Error::Unavailable) (SR-72). A change that was
/// answered so may have been made nevertheless, if the answer got lost on its way.
#[derive(Clone)]
pub struct SqlStore {
    pool: SqlPool,
    operations: Arc<Operations>,
}

impl SqlStore {
    /// A store in the database behind `pool`, whose tables are there
    /// ([`SqlPool::migrate`]).
    pub fn new(pool: SqlPool) -> Self {
        Self::watched(pool, &Registry::default())
    }

    /// The same, whose operations are timed and whose failures are counted.
    pub fn watched(pool: SqlPool, registry: &Registry) -> Self {
        Self { pool, operations: Arc::new(Operations::of(registry, "sql")) }
    }

    /// The result of `work`, which is this operation, or
    /// [`Error::Unavailable`](crate::error::Error::Unavailable) if it takes too long (SR-72).
    async fn in_time<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        // Boxed, because each step on its way would have room for all of it once more.
        let done = self.operations.time(operation, Box::pin(self.pool.in_time(work))).await;
        self.pool.health().note(done)
    }
}
