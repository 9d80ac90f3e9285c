//! What every backend promises, on every backend.

mod account;
mod admin;
mod behind;
mod bench;
mod cluster;
pub mod database;
mod denylist;
mod embedded;
mod key;
mod limit;
mod limit_fleet;
mod list;
mod migration;
mod near;
mod race;
mod reauth;
mod redis;
mod sentinel;
mod session;
mod sql;
mod submission;
mod survey;
mod trouble;
mod vouch;
