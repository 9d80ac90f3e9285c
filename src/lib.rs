//! Doorward gives a web app its users: registration, sign-in, sessions, roles and an admin dashboard.
//!
//! | Floor | Modules |
//! | --- | --- |
//! | words | [`error`], [`clock`], [`id`], [`address`], [`private_file`], [`reloadable`], [`text`], [`cursor`], [`metric`], [`trace`]: what every room uses |
//! | domain | [`role`], [`access`], [`token`], [`limit`], [`audit`], [`account`], [`session`]: what is true, without HTTP, Redis or SQL |
//! | edge | [`problem`], [`guard`], [`openapi`], [`api`], [`page`]: what browsers and programs see |
//! | backends | [`store`]: where accounts and sessions are kept |
//! | roof | [`config`], [`app`], [`cli`]: what puts it together |
#![forbid(unsafe_code)]
// They panic where nobody reads: `app::output` is the way out.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

pub mod access;
pub mod account;
pub mod address;
pub mod api;
pub mod app;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cursor;
pub mod error;
pub mod guard;
pub mod id;
pub mod limit;
pub mod metric;
pub mod openapi;
pub mod page;
pub mod private_file;
pub mod problem;
pub mod reloadable;
pub mod role;
pub mod session;
pub mod store;
pub mod submission;
pub mod text;
pub mod token;
pub mod trace;

pub use app::Doorward;
pub use guard::body::Body;
pub use guard::csrf::FormToken;
pub use guard::form::{Form, VisitorForm};
pub use guard::fresh::Fresh;
pub use guard::{Allowed, InRole, LoggedIn, Visitor};

/// Ways in for the targets of `cargo fuzz` (docs/fuzzing.md): parsers that are nobody else's business.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz {
    use std::net::IpAddr;

    use crate::guard::client::TrustedProxies;

    /// The cookie `name` in these `Cookie` header lines.
    pub fn cookie<'h>(lines: &[&'h str], name: &str) -> Option<&'h str> {
        crate::guard::cookie::find(lines.iter().copied(), name)
    }

    /// The client behind `peer`, if it is known.
    pub fn client(
        trusted: &TrustedProxies,
        peer: IpAddr,
        x_forwarded_for: &[&str],
        forwarded: &[&str],
    ) -> Option<IpAddr> {
        trusted.judge(peer, x_forwarded_for, forwarded).ok()
    }

    /// The path of this site that a `next` names.
    pub fn local_path(asked: &str) -> Option<String> {
        crate::page::next::local_path(asked)
    }
}

/// The Rust of the guides is compiled as it stands there.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../docs/library.md")]
    struct Library;

    #[doc = include_str!("../docs/roles.md")]
    struct Roles;

    #[doc = include_str!("../docs/tutorial.md")]
    struct Tutorial;
}
