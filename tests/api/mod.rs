//! The JSON interface, as programs use and abuse it.

mod account;
mod admin;
mod chosen;
mod denylist;
mod export;
mod life;
mod limit;
mod live;
mod matrix;
mod metric;
mod odd;
mod on_the_way;
mod permission;
mod public;
mod reauth;
mod reference;
mod role;
mod route;
mod session;
mod strength;
mod system;
mod unshown;
