//! What every backend promises, on every backend.

mod account;
mod bench;
mod database;
mod embedded;
mod limit;
mod list;
mod race;
mod redis;
mod session;
mod sql;
mod trouble;
