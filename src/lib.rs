//! Doorward gives a web app its users: registration, sign-in, sessions, roles and an admin dashboard.
#![forbid(unsafe_code)]

pub mod clock;
pub mod error;
pub mod id;
