//! Accounts, roles, signing keys and the audit trail in SQL: SQLite and PostgreSQL, with one schema
//! and one SQL text for both.

mod account;
mod audit;
mod change;
mod failure;
mod holder;
mod key;
mod list;
mod notice;
mod plan;
mod pool;
mod role;
mod row;
pub mod snapshot;
mod upkeep;

pub use pool::SqlPool;

/// Keeps accounts, roles, signing keys and the audit trail in an SQL database.
///
/// Implements [`AccountStore`](crate::account::store::AccountStore),
/// [`RoleStore`](crate::role::RoleStore), [`KeyStore`](crate::token::key::KeyStore) for the signing
/// keys and [`AuditStore`](crate::audit::store::AuditStore). Every method answers within five seconds: if the database
/// does not, with [`Error::Unavailable`](crate::error::Error::Unavailable) (SR-72). A change that was
/// answered so may have been made nevertheless, if the answer got lost on its way.
#[derive(Clone, Debug)]
pub struct SqlStore {
    pool: SqlPool,
}

impl SqlStore {
    /// A store in the database behind `pool`, whose tables are there
    /// ([`SqlPool::migrate`]).
    pub fn new(pool: SqlPool) -> Self {
        Self { pool }
    }
}
