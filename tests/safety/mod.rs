//! What keeps attackers out: tokens, cookies, cross-site requests, headers and limits.

mod claim;
mod client;
mod cookie;
mod cors;
mod csrf;
mod header;
mod host;
mod limits;
mod method;
mod token;
mod wire;
