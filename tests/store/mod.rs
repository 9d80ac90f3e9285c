//! What every backend promises, on every backend.

mod account;
mod bench;
pub mod database;
mod embedded;
mod list;
mod race;
mod redis;
mod session;
mod sql;
mod trouble;
