//! The JSON interface, as programs use and abuse it.

mod limit;
mod session;
