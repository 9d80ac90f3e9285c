//! Backends: where what the domain keeps is kept.

pub mod embedded;
mod health;
pub mod probe;
mod record;
pub mod redis;
pub mod sql;
pub mod watched;
