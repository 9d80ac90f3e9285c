//! What keeps attackers out: tokens, cookies, cross-site requests, headers, limits, and failing stores.

mod claim;
mod client;
mod cookie;
mod cors;
mod csrf;
mod failure;
mod header;
mod limits;
mod token;
mod wire;
