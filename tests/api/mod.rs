//! The JSON interface, as programs use and abuse it.

mod denylist;
mod session;
