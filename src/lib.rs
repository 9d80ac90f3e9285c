//! Doorward gives a web app its users: registration, sign-in, sessions, roles and an admin dashboard.
#![forbid(unsafe_code)]

pub mod account;
pub mod api;
pub mod audit;
pub mod clock;
pub mod config;
pub mod error;
pub mod guard;
pub mod id;
pub mod page;
pub mod problem;
pub mod role;
pub mod session;
pub mod store;
pub mod token;
